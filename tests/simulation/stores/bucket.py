"""What one store really holds, whatever it says; and how it may fail. Its objects are bytes in memory.

Nothing here decides whether something is right: who listens to `on_change` and `on_listing` does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from daemon.clock import Clock
from daemon.stores.base import Entry, Unfinished
from daemon.stores.errors import ObjectLockedError, StorePermissionError, StoreRefusedError

IN_THE_PAST = "would end in the past"
"""A service goes by its own clock: it refuses the lock of a machine whose clock is far behind."""


class Call(StrEnum):
    """What a store is asked for."""

    PUT = "put"
    GET = "get"
    LIST = "list"
    HEAD = "head"
    DELETE = "delete"
    LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Stored:
    """One object. `sent` is what was to be stored, which is not what lies there where the store lied.

    Until `locked_until` nobody deletes it.
    """

    data: bytes
    sent: bytes
    modified: datetime
    locked_until: datetime | None = None


@dataclass(slots=True)
class Begun:
    """What is being written, or was when its process was killed."""

    key: str
    id: str
    changed: datetime
    data: bytearray = field(default_factory=bytearray)

    def shown(self) -> Unfinished:
        """As the contract has it."""
        return Unfinished(self.key, self.id, len(self.data), self.changed)


class Faults(Protocol):
    """What goes wrong in a store. Every call may raise a StoreError, and may take its time."""

    async def before(self, call: Call, key: str) -> None:
        """A call arrives."""
        ...

    async def after(self, call: Call, key: str) -> None:
        """It was done, and its answer is on its way."""
        ...

    def kept(self, key: str, sent: bytes) -> bytes | None:
        """What the store really keeps of it; None for nothing."""
        ...

    def listed(self, entries: Sequence[Entry]) -> list[Entry]:
        """What a listing shows of what is there."""
        ...


class NoFaults:
    """A store in which everything works."""

    async def before(self, call: Call, key: str) -> None:
        """Nothing goes wrong."""

    async def after(self, call: Call, key: str) -> None:
        """Nothing goes wrong."""

    def kept(self, key: str, sent: bytes) -> bytes | None:
        """All of it."""
        return sent

    def listed(self, entries: Sequence[Entry]) -> list[Entry]:
        """All of them."""
        return list(entries)


Change = Callable[["Bucket", Call, str, bytes], None]
"""Somebody who is told before an object is stored or deleted by the daemon, with what is to be stored."""


class Bucket:
    """One store. `clock` is its own. One that is `lockable` keeps locks as S3 does in compliance mode."""

    def __init__(self, name: str, clock: Clock, faults: Faults | None = None, *, lockable: bool = False) -> None:
        self.name = name
        self.clock = clock
        self.lockable = lockable
        self.faults: Faults = faults or NoFaults()
        self.objects: dict[str, Stored] = {}
        self.gone: dict[str, Stored] = {}
        self.begun: dict[str, Begun] = {}
        self.on_ask: list[Callable[[Bucket, Call, str], None]] = []
        self.on_change: list[Change] = []
        self.on_listing: list[Callable[[Bucket, str, list[Entry]], None]] = []
        self.on_lock: list[Callable[[Bucket, str, datetime], None]] = []
        self.on_refusal: list[Callable[[Bucket, str], None]] = []
        self._begun = 0

    def asked(self, call: Call, key: str) -> None:
        """A call leaves its process."""
        for tell in self.on_ask:
            tell(self, call, key)

    def begin(self, key: str) -> Begun:
        """Begin to write an object."""
        self._begun += 1
        begun = Begun(key, f"{self._begun:012x}", self.clock.now())
        self.begun[begun.id] = begun
        return begun

    def store(self, key: str, sent: bytes, locked_until: datetime | None = None) -> None:
        """Let an object have its name, or what the store makes of it."""
        if locked_until is not None:
            self._begin_lock(key, locked_until)
        for tell in self.on_change:
            tell(self, Call.PUT, key, sent)
        kept = self.faults.kept(key, sent)
        if kept is not None:
            self.objects[key] = Stored(kept, sent, self.clock.now(), locked_until)

    def lock(self, key: str, until: datetime) -> None:
        """Lock an object; a lock is never made shorter."""
        self._begin_lock(key, until)
        one = self.objects[key]
        if one.locked_until is not None and until < one.locked_until:
            raise StorePermissionError(f"{self.name}: the lock of {key} cannot be made shorter")
        self.objects[key] = replace(one, locked_until=until)

    def _begin_lock(self, key: str, until: datetime) -> None:
        for tell in self.on_lock:
            tell(self, key, until)
        if until <= self.clock.now():
            raise StoreRefusedError(f"{self.name}: the lock of {key} {IN_THE_PAST}")

    def is_locked(self, key: str) -> bool:
        """Whether an object is there that is locked now."""
        one = self.objects.get(key)
        return one is not None and one.locked_until is not None and one.locked_until > self.clock.now()

    def delete(self, key: str) -> None:
        """Delete an object, unless it is locked."""
        if self.is_locked(key):
            for hear in self.on_refusal:
                hear(self, key)
            raise ObjectLockedError(f"{self.name}: {key} is locked", until=self.objects[key].locked_until)
        for tell in self.on_change:
            tell(self, Call.DELETE, key, b"")
        if key in self.objects:
            self.gone[key] = self.objects.pop(key)

    def entries(self, folder: str) -> list[Entry]:
        """What a listing of that folder shows."""
        there = [Entry(key, len(one.data), one.modified) for key, one in sorted(self.objects.items())]
        shown = [entry for entry in self.faults.listed(there) if entry.key.startswith(folder)]
        for tell in self.on_listing:
            tell(self, folder, shown)
        return shown
