"""The contract that every engine keeps, and the values that go through it; one suite, tests/stores, runs over all.

Keys are relative to the store's own prefix. A *folder* is "" or a key with "/" at its end. Whatever goes wrong is a
StoreError; an engine never repeats what may have been done, and a key that may not be one is a ValueError.

Whole: an object has its name only from the moment when all its bytes are stored. What a kill leaves is `unfinished`.
Two looks: `Unfinished` of the same value twice, 48 h apart by the caller's own clock, is dead (invariant 13).
"""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from daemon.stores.errors import StoreTroubleError


class Capability(StrEnum):
    """What an engine may lack; everything else in the contract is kept by all of them."""

    ATOMIC_CREATE = "atomic-create"
    """Of two writers of one key at the same moment, one gets ObjectExistsError. Without it, the store only looks first,
    and the second may replace the first."""
    UNFINISHED = "unfinished"
    """`unfinished` finds what a kill left, and `clear` removes it."""
    LOCK = "lock"
    """An object can be locked until a given moment; nobody can delete it earlier."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. `size` is in bytes; `modified` is aware, and by the store's clock."""

    key: str
    size: int
    modified: datetime


def of_size(entry: Entry, size: int, store: str) -> Entry:
    """Return the entry; raises StoreTroubleError unless it is as large as what was sent (`size`, in bytes)."""
    if entry.size != size:
        raise StoreTroubleError(f"{store}: {entry.key} has {entry.size} bytes, and {size} were stored")
    return entry


@dataclass(frozen=True, slots=True)
class Details:
    """One object, looked at by itself. `held` is a legal hold: a lock without an end.

    `lock_known` is false if there may be a lock that this installation's key does not let it see.
    """

    entry: Entry
    locked_until: datetime | None = None
    held: bool = False
    lock_known: bool = True


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was begun for `key`, and not finished. Equal to what an earlier look found: nothing was added meanwhile.

    `id` tells it from others of the same key; `size` is what has come so far, in bytes; `changed` is when the last of
    it came, by the store's clock.
    """

    key: str
    id: str
    size: int
    changed: datetime


@dataclass(frozen=True, slots=True)
class Traits:
    """What the store's owner set up; None where the store does not say, or this key may not ask.

    `versioned`: a delete leaves what it deletes behind, as an older version, and it still costs its bytes.
    `lockable`: objects can be locked. `default_lock`: each new object is locked for so long by itself.
    """

    versioned: bool | None = None
    lockable: bool | None = None
    default_lock: timedelta | None = None


@dataclass(frozen=True, slots=True)
class OlderVersions:
    """What deletes left in a store that keeps versions. `complete` is false if there are more than were counted."""

    count: int
    bytes: int
    complete: bool


@runtime_checkable
class KeepsVersions(Protocol):
    """A store that can say what deletes leave in it."""

    async def older_versions(self) -> OlderVersions:
        """Count what is there and in no listing: all of it, or the first ten thousand; raises StoreError."""
        ...


@runtime_checkable
class GivesLinks(Protocol):
    """A store that can let others get an object without its key."""

    def link(self, key: str, seconds: int) -> SecretStr:
        """Return a signed URL from which anybody can download the object for `seconds` seconds; it is a secret."""
        ...


class Store(Protocol):
    """One open store."""

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """What this engine cannot do, each with a reason that is shown to the operator."""
        ...

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,
        lock_until: datetime | None = None,
    ) -> Entry:
        """Store the content under a name that is free, and return what stands there now.

        Raises ObjectExistsError if something has the name, StoreCutError unless it is exactly `size` bytes (None: any).
        `at_most`, in bytes, is for a size that is not known: a service of parts has to know how large they must be.
        If the content raises, or the task is cancelled, what was begun is cleared away, and nothing has the name. After
        a transient error, or where it is cancelled while a remote store gives the name, the object may be there all the
        same, since only the answer was lost: `head` says.
        `lock_until` locks the object from its first moment; raises StoreUnusableError where the engine cannot.
        """
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` up to `end` (exclusive; None: all of them), which must lie within the object.

        Raises ObjectMissingError if nothing has the name, StoreCutError if fewer bytes come than there are. Close it
        with `contextlib.aclosing` if it may not be read to its end.
        """
        ...

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Return every whole object in a folder and below it, sorted by key: all of them, or a StoreError.

        A folder that is not there is an empty one. What cannot be one of our keys is left out.
        """
        ...

    async def head(self, key: str) -> Details:
        """Look at one object; raises ObjectMissingError if nothing has the name."""
        ...

    async def delete(self, key: str) -> None:
        """Delete one object; none of that name is no error. Raises ObjectLockedError if it is locked."""
        ...

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """Return what was begun in a folder and below it, and not finished: all of it, or a StoreError."""
        ...

    async def clear(self, begun: Unfinished) -> bool:
        """Remove what was begun; False, and nothing is removed, if it changed since it was looked at, or is in use."""
        ...

    async def lock(self, key: str, until: datetime) -> None:
        """Lock an object until then; a lock that lasts longer stays as it is.

        Raises StoreUnusableError where nothing can be locked, ObjectMissingError if nothing has the name.
        """
        ...

    async def traits(self) -> Traits:
        """Ask what the store's owner set up."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
