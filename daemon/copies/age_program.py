"""Encryption by the program `age`, where it is found; else by the library of `age`.

The program works in a process of its own. The library keeps the interpreter's lock while it encrypts, so that every
other thread of a copy waits for it: a copy takes twice as long. What must hold: nothing is taken that is not age's own
format, and the end counts only if the program says so. Recipients are public keys, so they may be its arguments.
"""

import fcntl
import os
import select
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from subprocess import DEVNULL, PIPE, Popen
from typing import IO

from daemon.copies.age import BATCH, MAGIC, Encryption, recipients_of
from daemon.copies.channel import StalledError
from daemon.copies.errors import EncryptionError

PROGRAM = "age"
PIPE_BYTES = 2**18  # of each pipe, so that the program is woken up less often than by the usual 64 KiB


def encryption_for(
    recipients: Sequence[str], take: Callable[[bytes], None], *, stall_seconds: float
) -> "Encryption | ProgramEncryption":
    """Begin to encrypt for these recipients; EncryptionError for one that is none. `take` is called in a thread."""
    program = shutil.which(PROGRAM)
    if program is None:
        return Encryption(recipients, take, stall_seconds=stall_seconds)
    recipients_of(recipients)  # the program would only say so once it is fed
    try:
        return ProgramEncryption(program, recipients, take, stall_seconds=stall_seconds)
    except EncryptionError:  # it cannot be started: the library does the same, though slower
        return Encryption(recipients, take, stall_seconds=stall_seconds)


class ProgramEncryption:
    """Encrypts what it is given, piece by piece, and hands it on to `take` in its own thread.

    `take` may wait, and raise StalledError: then the program waits too, and so does who gives. A program that hangs for
    so many seconds is killed, and StalledError is raised.
    """

    def __init__(
        self, program: str, recipients: Sequence[str], take: Callable[[bytes], None], *, stall_seconds: float
    ) -> None:
        self._program = program
        self._take = take
        self._stall_seconds = stall_seconds
        self._handed_on = 0
        self._error: Exception | None = None
        self._giving = threading.Lock()
        words = [program, "--encrypt", *(word for one in recipients for word in ("--recipient", one))]
        try:
            self._process = Popen(  # noqa: S603 — the recipients were read by the library
                words, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, bufsize=0, env={}, start_new_session=True
            )
        except OSError as error:
            failure = EncryptionError(f"{program} cannot be started: {error.strerror}")
            raise failure from None
        self._fed, self._printed = _pipe(self._process.stdin), _pipe(self._process.stdout)
        os.set_blocking(self._fed.fileno(), False)
        self._thread = threading.Thread(target=self._work, name="age", daemon=True)
        self._thread.start()

    def give(self, piece: bytes) -> None:
        """Encrypt the piece; waits while enough is under way; raises what went wrong."""
        try:
            with self._giving:
                rest = memoryview(piece)
                while rest:
                    rest = rest[self._written(rest) :]
        except (BrokenPipeError, ValueError):  # it has ended, and its end of the pipe, or ours, is closed
            self.end()
            raise EncryptionError("age ended before the backup did") from None

    def _written(self, piece: memoryview) -> int:
        """Write as much as the pipe takes; return how many bytes, once it takes any."""
        end = self._fed.fileno()
        ready = select.poll()
        ready.register(end, select.POLLOUT)
        if not ready.poll(self._stall_seconds * 1000):
            self._process.kill()
            raise StalledError
        try:
            return os.write(end, piece)
        except BlockingIOError:  # less room than the system wants for one write
            return 0

    def end(self) -> None:
        """Return once all is encrypted and handed on; raises what went wrong."""
        with self._giving:
            self._fed.close()
        while self._thread.is_alive():
            before = self._handed_on
            self._thread.join(self._stall_seconds)
            if self._thread.is_alive() and self._handed_on == before:
                self._process.kill()
                raise StalledError
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Hand on nothing more; does not wait."""
        self._process.kill()

    def _work(self) -> None:
        printed = False
        try:
            printed = self._hand_on()
        except Exception as error:  # noqa: BLE001 — it is raised where it is waited for
            self._error = error
            self._process.kill()
        code = self._process.wait()
        if code:
            self._error = self._error or EncryptionError(f"age ended with code {code}")
        elif not printed:
            self._error = self._error or EncryptionError("age ended successfully, and printed nothing")
        with self._giving, suppress(OSError):
            self._fed.close()
        self._printed.close()

    def _hand_on(self) -> bool:
        """Hand on what it prints, to its end; return whether it printed anything."""
        begun = False
        while batch := self._read():
            if not begun and not batch.startswith(MAGIC):
                raise EncryptionError(f"what {self._program} prints is not encrypted by age")
            begun = True
            self._take(batch)
            self._handed_on += len(batch)
        return begun

    def _read(self) -> bytes:
        """Return the next bytes, enough to be worth a step; none at the end."""
        pieces: list[bytes] = []
        size = 0
        while size < BATCH and (piece := self._printed.read(PIPE_BYTES)):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Return one end of a pipe, which is made a little larger where the system allows it."""
    assert end is not None  # noqa: S101 — it is a pipe
    with suppress(OSError):
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return end
