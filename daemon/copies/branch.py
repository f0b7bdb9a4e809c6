"""One store's share of a pass: the bytes go to it as they come, plain or encrypted, and what it took is summed up.

What must hold: the data has its name only after the whole pass was found right, since the stream ends only then; the
manifest is written after that, and only when the store has as many bytes as it was given.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from daemon.copies.age import Encryption, largest_encrypted, smallest_encrypted
from daemon.copies.age_program import ProgramEncryption, encryption_for
from daemon.copies.channel import Channel, StalledError
from daemon.copies.errors import CopyError, EncryptionError
from daemon.copies.settle import BEGINNING, stands
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.core.copies_layout import CopyName
from daemon.errors import BackupdError
from daemon.stores.base import Store
from daemon.stores.errors import StoreError, StoreUnreachableError

STALL_SECONDS = 300.0  # longer than any engine's own deadline for one piece
FORWARD_SECONDS = 30.0
FINISH_SECONDS = 1800.0  # the same for the end: a slow disk has all that it holds back to write


@dataclass(frozen=True)
class Target:
    """A store that a backup is copied to, open; `recipients` are age's, none for a plain copy.

    A whole copy is locked for `object_lock`; None for no lock.
    """

    name: str
    store: Store
    recipients: tuple[str, ...] = ()
    object_lock: timedelta | None = None


class Branch:
    """One copy on its way into its store. `error` is why there will be none, once that is known."""

    def __init__(self, target: Target, name: CopyName, size: int, room: SpoolRoom = NO_ROOM) -> None:
        self.target = target
        self.name = name
        self.error: BackupdError | None = None
        self.size = 0
        self._sha256 = hashlib.sha256() if target.recipients else None
        self.ended = False
        self._beginning = b""
        self._ending = False
        self._stored: int | None = None
        self._channel = Channel(stall_seconds=STALL_SECONDS, room=room)
        encrypted = bool(target.recipients)
        self._encryption: Encryption | ProgramEncryption | None = None
        try:
            if encrypted:
                self._encryption = encryption_for(target.recipients, self._take, stall_seconds=STALL_SECONDS)
        except EncryptionError as error:
            self._drop(error)
        content = self._channel.pieces()
        self._at_least = smallest_encrypted(size) if encrypted else size
        self._at_most = at_most = largest_encrypted(size, len(target.recipients)) if encrypted else size
        self._putting = asyncio.create_task(self._put(target.store, content, None if encrypted else size, at_most))
        if not self.alive:
            self._putting.cancel()  # before it begins

    @property
    def alive(self) -> bool:
        """Whether the store still takes bytes."""
        return self.error is None

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of what the store was given, in hexadecimal; None if it is plain: the pass has its sum."""
        return self._sha256.hexdigest() if self._sha256 else None

    def give(self, piece: bytes) -> None:
        """Hand on the next bytes of the backup, in the download's thread; a store in trouble drops out."""
        if self.error is not None:
            return
        try:
            if self._encryption is None:
                self._take(piece)
            else:
                self._encryption.give(piece)
        except StalledError:
            text = f"{self.target.name}: took nothing for {STALL_SECONDS:g} s"
            self._drop(StoreUnreachableError(text))
        except Exception as error:  # noqa: BLE001 — whatever the library says, this store alone drops out
            self._drop(CopyError(f"{self.target.name}: the copy cannot be encrypted ({type(error).__name__})"))

    @property
    def waiting(self) -> int:
        """How many bytes wait on a disk for a store that is slow."""
        return self._channel.waiting

    async def finish(self, forward: Callable[[], None]) -> None:
        """Let the data have its name, now that the backup was found right; `error` says where it has not.

        `forward` is called now and then while the store still takes what waits for it.
        """
        try:
            if self.error is None and self._encryption is not None:
                await asyncio.to_thread(self._encryption.end)
                self._refuse_cut()
        except Exception as error:  # noqa: BLE001 — as in `give`
            self._drop(CopyError(f"{self.target.name}: the copy cannot be encrypted ({type(error).__name__})"))
        if self.error is not None:
            await self.abort(self.error)
            return
        self._ending = True
        await self._channel.end()
        if (late := await self._late(forward)) is not None:
            await self.abort(StoreUnreachableError(f"{self.target.name}: {late}"))
            return
        stored = self._putting.result()
        if stored is not None and stored != self.size:
            text = f"{self.target.name}: the store has {stored} bytes of {self.name.data}, and was given {self.size}"
            self._drop(CopyError(text))

    def _refuse_cut(self) -> None:
        """Drop out where what was encrypted has a size that the whole backup cannot have."""
        if not self._at_least <= self.size <= self._at_most:
            bounds = f"{self._at_least} to {self._at_most}"
            text = f"{self.target.name}: age printed {self.size} bytes, and the encrypted backup has {bounds}"
            self._drop(CopyError(text))

    def break_off(self, error: BackupdError) -> None:
        """Take no more bytes, and let the store begin to clear up."""
        self._drop(error)
        if self._encryption is not None:
            self._encryption.abort()
        if not self._putting.cancelling():  # a second cancellation would break off the clearing up
            self._putting.cancel()

    async def _late(self, forward: Callable[[], None]) -> str | None:
        """Wait until the store has all; return in words what took too long, if anything did."""
        loop = asyncio.get_running_loop()
        taken, since = self._channel.taken, loop.time()
        while not self._putting.done():
            await asyncio.wait([self._putting], timeout=min(FORWARD_SECONDS, FINISH_SECONDS))
            if self._channel.taken != taken:
                taken, since = self._channel.taken, loop.time()
                forward()
            elif self.waiting and loop.time() - since >= STALL_SECONDS:
                return f"took nothing for {STALL_SECONDS:g} s"
            elif loop.time() - since >= FINISH_SECONDS:
                return f"was not done within {FINISH_SECONDS:g} s"
        return None

    async def abort(self, error: BackupdError) -> None:
        """Leave nothing behind: when this returns the store has cleared up what it was given, unless it is stuck.

        A copy that has `ended` stays.
        """
        if self.ended:
            return
        self.break_off(error)
        await asyncio.wait([self._putting], timeout=STALL_SECONDS)
        if self._is_stored():
            with suppress(BackupdError):  # the first error is the one to tell; without a manifest it is cleared away
                await self.target.store.delete(self.name.data)

    def _is_stored(self) -> bool:
        """Return whether the store said that the data has its name, though it was cancelled right afterwards."""
        return self._putting.done() and self._stored is not None

    def _take(self, piece: bytes) -> None:
        if self._sha256 is not None:
            self._sha256.update(piece)
        if len(self._beginning) < BEGINNING:
            self._beginning += bytes(piece[: BEGINNING - len(self._beginning)])
        self.size += len(piece)
        self._channel.send(piece)

    def _drop(self, error: BackupdError) -> None:
        self.error = self.error or error

    async def _settled(self, error: BackupdError) -> int | None:
        """Return how many bytes were stored though the answer was lost; None if none were, or that is not known."""
        lost = self._ending and isinstance(error, StoreError) and error.transient
        there = lost and await stands(self.target.store, self.name.data, self._beginning, self.size)
        return self.size if there else None

    async def _put(
        self, store: Store, content: AsyncGenerator[bytes, None], size: int | None, at_most: int
    ) -> int | None:
        """Store what comes, and return how many bytes the store has; None where it has not."""
        try:
            self._stored = (await store.put(self.name.data, content, size=size, at_most=at_most)).size
        except BackupdError as error:
            self._stored = await self._settled(error)
            if self._stored is None:
                self._drop(error)
        except Exception as error:  # noqa: BLE001 — an engine's own bug, which must not end the other stores' copies
            self._drop(CopyError(f"{self.target.name}: the copy cannot be stored ({type(error).__name__}: {error})"))
        finally:
            await self._channel.close()
        return self._stored
