"""One run of rclone: what it is given, how it ends, and its words as our errors.

Its arguments name a remote and a path and nothing else of the store's: secrets are in rclone's own configuration, whose
path goes by the environment. No other variable of rclone's goes with it, since one such as RCLONE_MAX_SIZE would leave
objects out of every listing; and none of ours, which may hold the panels' keys and other stores' secrets. It is never
asked to try the whole again, as a stream cannot be sent twice.
"""

import asyncio
import os
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from daemon.stores.errors import (
    ObjectMissingError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)

A = TypeVar("A")

STALL_SECONDS = 120.0  # for one step of a stream, or until a call says the next of its answer
END_SECONDS = 600.0  # a service may take its time for the end of an upload
_OPTIONS = ("--retries=1", "--low-level-retries=3", "--timeout=60s", "--contimeout=15s", "--ask-password=false")
_MISSING = {3, 4}  # "directory not found", "file not found" (rclone's documentation, "Exit code")
_OURS = ("PTERO_BACKUPD_", "CREDENTIALS_DIRECTORY")
_LONGEST = 200
_WORDS: tuple[tuple[str, type[StoreError], str | None], ...] = (
    (r"didn't find section|couldn't decrypt|config file", StoreUnusableError, "`rclone listremotes` shows the remotes"),
    (r"no space left|quota|insufficient.?storage|\b507\b", StoreFullError, None),
    (r"permission denied|access ?denied|forbidden|unauthori[sz]ed|\b40[13]\b", StorePermissionError, None),
    (
        r"connection refused|no such host|timeout|unreachable|connection reset|EOF|lookup ",
        StoreUnreachableError,
        None,
    ),
)


class Rclone:
    """The program, for one store."""

    def __init__(self, name: str, program: str, config: Path | None) -> None:
        self._name = name
        self._program = program
        self._config = config

    async def run(self, what: str, *words: str, silent: float | None = None) -> bytes:
        """Run it to its end, and return what it prints; it may be silent for so many seconds (None: STALL_SECONDS).

        Raises ObjectMissingError where it says that nothing is there.
        """
        output = bytearray()
        async with self.started(what, *words) as running:
            while piece := await within(silent or STALL_SECONDS, what, _read(running)):
                output += piece
            await self.ended(what, running)
        return bytes(output)

    @asynccontextmanager
    async def started(self, what: str, *words: str, feed: bool = False) -> AsyncGenerator["Running", None]:
        """Run it for a block, and kill it at the block's end if it has not ended by itself."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *words,
                *_OPTIONS,
                stdin=PIPE if feed else DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                env=_environment(os.environ, self._config),
                start_new_session=True,  # Ctrl-C is for us, who end it in order
            )
        except OSError as error:
            failure = StoreUnusableError(f"{what}: {self._program} cannot be started: {error.strerror}")
            raise failure from None
        running = Running(process)
        try:
            yield running
        finally:
            await running.kill()

    async def ended(self, what: str, running: "Running") -> None:
        """Wait for its end; raise what went wrong."""
        code = await within(END_SECONDS, what, running.process.wait())
        if code:
            raise _failure(what, code, await running.words)


class Running:
    """A run; what it says on stderr is read as it comes, and only its end is kept."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.words = asyncio.ensure_future(_tail(process))

    async def kill(self) -> None:
        """End it, unless it has ended: by the signal that it cannot take for an end of its input.

        What it had still printed is thrown away: where more than asyncio buffers is left unread, it stops reading the
        pipe, never sees its end, and would wait for the process for ever.
        """
        with suppress(ProcessLookupError):
            self.process.kill()
        while await _read(self):
            pass
        await self.process.wait()
        await self.words


async def within(seconds: float, what: str, step: Awaitable[A]) -> A:
    """Return what a step returns; raises StoreUnreachableError after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await step
    except TimeoutError:
        failure = StoreUnreachableError(f"{what}: rclone makes no progress")
        raise failure from None


def _environment(environ: Mapping[str, str], config: Path | None) -> dict[str, str]:
    """Return the environment without our variables; of rclone's, only those that say how its configuration is read."""
    kept = {name: value for name, value in environ.items() if not name.startswith("RCLONE_") or _is_of_config(name)}
    kept = {name: value for name, value in kept.items() if not name.startswith(_OURS)}
    return kept | ({"RCLONE_CONFIG": str(config)} if config else {})


def _is_of_config(name: str) -> bool:
    return name == "RCLONE_CONFIG" or name.startswith(("RCLONE_CONFIG_", "RCLONE_PASSWORD_COMMAND"))


async def _read(running: Running) -> bytes:
    assert running.process.stdout is not None  # noqa: S101 — it is a pipe
    return await running.process.stdout.read(2**16)


async def _tail(process: Process) -> str:
    assert process.stderr is not None  # noqa: S101 — it is a pipe
    held = b""
    while piece := await process.stderr.read(2**12):
        held = (held + piece)[-(2**12) :]
    return held.decode(errors="replace")


def _failure(what: str, code: int, words: str) -> StoreError:
    """Given its exit code and its words, return our error; addresses are left out, as they may be signed."""
    said = re.sub(r"^[0-9/]+ [0-9:]+ \w+ *: *", "", words.strip().rpartition("\n")[2])
    said = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", re.sub(r"\w+://\S+", "…", said))[:_LONGEST]
    text = f"{what}: rclone ends with {code}{f': {said}' if said else ''}"
    if code in _MISSING:
        return ObjectMissingError(text)
    for pattern, kind, hint in _WORDS:
        if re.search(pattern, words, re.IGNORECASE):
            return kind(text, hint=hint)
    return StoreRefusedError(text) if code in {2, 7} else StoreTroubleError(text)
