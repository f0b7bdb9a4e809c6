"""The process that copies for the daemon, seen from the daemon: started for the first job, ended when asked.

What must hold: secrets go through a socket, never through arguments or the environment; whatever becomes of the
process, the daemon goes on; a process that says nothing for too long is killed.
"""

import asyncio
import json
import os
import pickle
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from signal import Signals
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from daemon.copies.errors import WorkerDiedError, WorkerError
from daemon.copies.jobs import Ask, Job, Leave, Link, NoLink, PruneInputs, ToFetch, ToProve
from daemon.copies.pipe import OUT_OF_MEMORY, read_message, write_message
from daemon.copies.results import CopyDone, CopyResult, Failure, Fetched, LookResult, ProofFound, PruneResult
from daemon.copies.workers import AskLeave, CopyListener, GiveLink, OnGoing, always, unheard
from daemon.log import get_logger
from daemon.panel.errors import PanelError
from daemon.panel.hindrance import Hindrance, unhindered
from daemon.state import ShelfRecord
from daemon.transfer.progress import ProgressListener

log = get_logger()

Result = TypeVar("Result")

OnCopied = Callable[[CopyDone, ShelfRecord], Awaitable[None]]
"""Hears of a copy that stands: CopyListener's `copied`."""

COMMAND = (sys.executable, "-I", "-m", "daemon.copies.child")

SILENT_SECONDS = 2700.0
"""How long a process may tell no progress: a store may take half an hour to finish what it holds back."""

STOP_SECONDS = 10.0
"""How long it is waited for at its end, while it clears up what it had begun in a store."""

_OURS = ("PTERO_BACKUPD_", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
"""Variables that are not handed on: among them are the panels' keys."""


class ChildProcess:
    """A CopyWorker in a process of its own, which starts with the first job and again after it was closed.

    `hindrance` says why it may delete nothing now.
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        silent_seconds: float = SILENT_SECONDS,
        hindrance: Hindrance = unhindered,
    ) -> None:
        self._command = command
        self._hindrance = hindrance
        self._silent_seconds = silent_seconds
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now; None while there is none."""
        return self._child.process.pid if self._child else None

    async def look(self, job: Job, leave: AskLeave = always) -> LookResult:
        """Look into the job's stores."""
        return await self._done(Ask(job.without_key()), LookResult, leave=leave)

    async def copy(self, job: Job, backup: str, link: GiveLink, listener: CopyListener) -> CopyResult:
        """Copy one backup to the job's stores."""
        return await self._done(Ask(job.without_key(), backup=backup), CopyResult, link, listener, listener.copied)

    async def prune(
        self, job: Job, store: str, inputs: PruneInputs, leave: AskLeave = always, going: OnGoing = unheard
    ) -> PruneResult:
        """Delete from a store what its rules let go."""
        ask = Ask(job.without_key(), prunes=store, inputs=inputs)
        return await self._done(ask, PruneResult, leave=leave, going=going)

    async def prove(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        """Read one backup, or its copy in a store, to the end."""
        return await self._done(Ask(job.without_key(), proves=what), ProofFound, link, listener)

    async def fetch(self, job: Job, what: ToFetch, link: GiveLink, listener: ProgressListener) -> Fetched:
        """Fetch one backup into a folder."""
        return await self._done(Ask(job.without_key(), fetches=what), Fetched, link, listener)

    async def close(self) -> None:
        """End the process, and give it a little time to clear up."""
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def _done(
        self,
        ask: Ask,
        kind: type[Result],
        link: GiveLink | None = None,
        listener: ProgressListener | None = None,
        copied: OnCopied | None = None,
        *,
        leave: AskLeave = always,
        going: OnGoing = unheard,
    ) -> Result:
        """Have a job done; raises WorkerError. A process that is left in the middle of a job is ended."""
        try:
            self._child = child = self._child or await _Child.start(self._command)
            hearer = _Hearer(link, listener, copied, self._hindrance, leave, going)
            return await child.do(ask, kind, hearer, self._silent_seconds)
        except BaseException:
            await self.close()
            raise


@dataclass(frozen=True, slots=True)
class _Hearer:
    """Who gives links for a job, and hears of it while it is done. `hindrance` and `leave` say why nothing may be
    deleted now.
    """

    link: GiveLink | None
    listener: ProgressListener | None
    copied: OnCopied | None
    hindrance: Hindrance
    leave: AskLeave
    going: OnGoing

    async def hear(self, told: Mapping[str, Any]) -> Leave | Link | NoLink | None:
        """Hand on what the process tells; return the answer that it waits for, if it does."""
        if told.get("ask") == "leave":
            return Leave(await self.leave() or self.hindrance(creates=False))  # last: the other answer may take long
        if "ask" in told and self.link is not None:
            return await _link(self.link)
        if "going" in told:
            await self.going(_as(ShelfRecord, told["going"]))
        elif "copied" in told and self.copied is not None:
            await self.copied(_as(CopyDone, told["copied"]), _as(ShelfRecord, told.get("seen")))
        elif self.listener is not None and isinstance(told.get("moved"), int):
            self.listener.moved(told["moved"])
        elif self.listener is not None and isinstance(told.get("said"), str):
            self.listener.said(told["said"])
        return None


@dataclass
class _Child:
    """One process, and our end of its socket."""

    process: Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def start(cls, command: Sequence[str]) -> "_Child":
        """Start one; raises WorkerError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=theirs.fileno(),
                    stdout=DEVNULL,
                    stderr=DEVNULL,
                    start_new_session=True,
                    env=environment(os.environ),
                )
        except OSError as error:
            ours.close()
            raise WorkerError(f"the process that copies cannot be started: {error.strerror}") from None
        reader, writer = await asyncio.open_connection(sock=ours)
        log.debug("copy_process_started", process=process.pid)
        return cls(process, reader, writer)

    async def do(self, ask: Ask, kind: type[Result], hearer: "_Hearer", silent_seconds: float) -> Result:
        """Have a job done; raises WorkerError."""
        self._send(ask)
        while True:
            try:
                async with asyncio.timeout(silent_seconds):
                    message = await read_message(self.reader)
            except TimeoutError:
                raise WorkerDiedError(f"the process that copies reported nothing for {silent_seconds:g} s") from None
            except ValueError as error:
                raise WorkerError(f"the process that copies sent {error}") from None
            if message is None:
                raise WorkerDiedError(await self._end_in_words())
            told = _read(message)
            if "result" in told:
                return _as(kind, told["result"])
            if "failed" in told:
                raise _failure(told)
            if (answer := await hearer.hear(told)) is not None:
                self._send(answer)

    async def end(self) -> None:
        """Close the socket, which tells it to end, and kill it if it does not."""
        self.writer.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            log.warning("copy_process_killed", process=self.process.pid, reason="it did not end when it was told to")
        finally:
            with suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()

    def _send(self, message: Ask | Leave | Link | NoLink) -> None:
        write_message(self.writer, pickle.dumps(message))

    async def _end_in_words(self) -> str:
        """Return how it ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                code = await self.process.wait()
                how = f"was killed by {_signal(-code)}" if code < 0 else f"ended with code {code}"
                if code == OUT_OF_MEMORY:
                    how = "needed more memory than it may have"
                if code == -Signals.SIGXCPU:
                    how = "took far more of the processor than a real archive needs"
                return f"the process that copies {how}"
        return "the process that copies closed its socket"


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the process: ours, without keys, secrets and what is between systemd and us."""
    return {name: value for name, value in ours.items() if not name.upper().startswith(_OURS)}


async def _link(give: GiveLink) -> Link | NoLink:
    try:
        return Link(await give())
    except PanelError as error:
        return NoLink(Failure.of(error), error.transient, error.retry_after)


def _read(message: bytes) -> dict[str, Any]:
    """Return a message of the process, which reads what others wrote; raises WorkerError."""
    try:
        told = json.loads(message)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise WorkerError("the process that copies sent no message of ours")
    return told


def _as(kind: type[Result], told: object) -> Result:
    try:
        return TypeAdapter(kind).validate_python(told)
    except ValidationError:
        raise WorkerError(f"the process that copies sent no {kind.__name__}") from None


def _failure(told: Mapping[str, Any]) -> WorkerError:
    failure = _as(Failure, told["failed"])
    if isinstance(trace := told.get("trace"), str):
        log.error("copy_process_bug", trace=trace)
    return failure.as_error(WorkerError)


def _signal(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
