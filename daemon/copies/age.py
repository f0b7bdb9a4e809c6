"""Encryption for age recipients, so that `age` alone reads a copy; the extra `age` (pyrage), loaded when it is needed.

The library wants to pull from a file and to write into one, so it works in a thread of its own, between two bounded
queues. The daemon holds public keys only: what it stored it cannot read.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import BinaryIO

from daemon.copies.channel import StalledError
from daemon.copies.errors import EncryptionError
from daemon.core.words import that_installs

MOST_WAITING = 4  # pieces of 1 MiB or so
BATCH = 2**19  # bytes that are gathered before they go on: several are under way for each store
MAGIC = b"age-encryption.org/v1\n"


class _AbortedError(Exception):
    """The writer has given up, and the rest will not come."""


def largest_encrypted(size: int, recipients: int) -> int:
    """Return an upper bound, in bytes, for `size` bytes encrypted for that many recipients.

    age adds a header with a few lines for each, a nonce of 16 bytes, and 16 bytes to each 64 KiB (C2SP's age.md).
    """
    return size + 16 * (size // 2**16 + 2) + 1024 * (recipients + 1)


def smallest_encrypted(size: int) -> int:
    """Return a lower bound, in bytes, for `size` bytes encrypted: without what the header says of the recipients."""
    return len(MAGIC) + 16 + size + 16 * -(-size // 2**16)


def recipients_of(texts: Sequence[str]) -> list[object]:
    """Return age's recipients; raises EncryptionError for one that is none, or where the extra is missing."""
    pyrage = _library()
    return [_recipient(pyrage, text) for text in texts]


def _recipient(pyrage: ModuleType, text: str) -> object:
    kind = pyrage.x25519 if text.startswith("age1") else pyrage.ssh
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError:
        hint = "write the public key that age-keygen prints (age1…), or a line of an ssh-ed25519 .pub file"
    raise EncryptionError(f'"{text[:30]}…" is no age recipient', hint=hint)


def _library() -> ModuleType:
    try:
        return import_module("pyrage")
    except ImportError:
        failure = EncryptionError("pyrage is not installed, which encrypts copies", hint=that_installs("age"))
    raise failure


class Encryption:
    """Encrypts what it is given, piece by piece, and hands it on to `take` in its own thread."""

    def __init__(self, recipients: Sequence[str], take: Callable[[bytes], None], *, stall_seconds: float) -> None:
        self._recipients = recipients_of(recipients)
        self._take = take
        self._stall_seconds = stall_seconds
        self._pieces: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._aborted = False
        self._error: Exception | None = None
        self._batch = bytearray()
        self._rest = memoryview(b"")
        self._thread = threading.Thread(target=self._work, name="age", daemon=True)
        self._thread.start()

    def give(self, piece: bytes) -> None:
        """Encrypt the piece; waits while enough is under way; raises what went wrong before."""
        self._raise()
        try:
            self._pieces.put(piece, timeout=self._stall_seconds)
        except queue.Full:
            raise StalledError from None

    def end(self) -> None:
        """Return once all is encrypted and handed on; raises what went wrong."""
        self._pieces.put(None)
        self._thread.join()
        self._raise()

    def abort(self) -> None:
        """Hand on nothing more; does not wait."""
        self._aborted = True
        while True:  # a caller that waits in `give` goes on, and the thread finds the end
            try:
                self._pieces.get_nowait()
            except queue.Empty:
                break
        self._pieces.put_nowait(None)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            _library().encrypt_io(self, self, self._recipients)
            self._hand_on()
        except Exception as error:  # noqa: BLE001 — it is raised where it is waited for
            self._error = error
            self._drain()

    def _drain(self) -> None:
        """Take what is still given, so that nobody waits for a thread that has ended."""
        while not self._aborted and self._pieces.get() is not None:
            pass

    # The two ends that the library sees as files.

    def read(self, size: int) -> bytes:
        """Return up to so many bytes of what was given; none at its end."""
        if not self._rest:
            piece = self._pieces.get()
            if self._aborted:
                raise _AbortedError
            if piece is None:
                self._pieces.put(None)  # the end stays the end
                return b""
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def write(self, piece: bytes) -> int:
        """Take encrypted bytes, and hand them on once they are enough."""
        self._batch += piece
        if len(self._batch) >= BATCH:
            self._hand_on()
        return len(piece)

    def flush(self) -> None:
        """Do nothing: the end hands on what is left."""

    def _hand_on(self) -> None:
        if self._aborted:
            raise _AbortedError
        if self._batch:
            self._take(bytes(self._batch))
            self._batch.clear()


def decrypt(source: BinaryIO, target: object, identities: Sequence[object]) -> None:
    """Decrypt one file into another; raises EncryptionError if no identity opens it, or it is damaged."""
    pyrage = _library()
    try:
        pyrage.decrypt_io(source, target, list(identities))
    except pyrage.DecryptError:
        failure = EncryptionError(
            "none of these identities opens the copy", hint="--identity names the private key's file"
        )
    except OSError as error:
        failure = EncryptionError(f"the copy cannot be decrypted: {error}")
    else:
        return
    raise failure


def read_identities(text: str) -> list[object]:
    """Given what an identity file holds, as age-keygen or ssh-keygen writes it, return the identities in it."""
    pyrage = _library()
    try:
        if "-----BEGIN" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = (line.strip() for line in text.splitlines())
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise EncryptionError("the identity file holds no age or ssh-ed25519 identity that can be read")
    return found
