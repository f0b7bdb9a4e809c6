"""Whether a store can be used for copies: a small object is written, listed, read and deleted again.

Of a bucket it is also said whether it can lock copies as it should, and what deletes leave in it.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from daemon.config.values import StoreConfig
from daemon.copies.age import recipients_of
from daemon.core.units import format_duration, format_moment, format_size
from daemon.errors import BackupdError
from daemon.stores.base import KeepsVersions, Store
from daemon.stores.errors import ObjectLockedError, StoreCutError, StoreError, StoreUnusableError
from daemon.stores.open import open_store

UTC = ZoneInfo("UTC")
_FOLDER = "ptero-backupd-check/"
_ABANDONED = timedelta(hours=1)
"""After how long, by the store's clock, an object of an earlier check is left over; no check takes so long."""
_CONTENT = b"written by `ptero-backupd check`, and may be deleted\n"


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of it: `could` names what worked; `failed` what did not, and why. None: all of it worked.

    `notes` say what the store's owner set up that costs, or is not known.
    """

    store: str
    could: tuple[str, ...] = ()
    failed: str | None = None
    error: BackupdError | None = None
    notes: tuple[str, ...] = ()


async def probe(config: StoreConfig) -> Probe:
    """Try a store, and delete what was written, if it lets us."""
    key = f"{_FOLDER}{uuid4()}"
    could: list[str] = []
    notes: tuple[str, ...] = ()
    step = "be opened"
    try:
        if config.recipients:
            recipients_of(config.recipients)
        async with open_store(config.settings) as store:
            for step, call in _STEPS.items():
                if (note := await call(store, key)) is None:
                    could.append(step)
                else:
                    notes = (*notes, note)
            step = "lock objects"
            notes = (*notes, *await _set_up(store, could, lock=config.object_lock is not None))
    except BackupdError as error:
        await _clear(config, key, could)
        return Probe(config.name, tuple(could), step, error)
    return Probe(config.name, tuple(could), notes=notes)


async def _set_up(store: Store, could: list[str], *, lock: bool) -> tuple[str, ...]:
    """Ask what the store's owner set up; raises StoreUnusableError if copies are to be locked there and cannot be."""
    traits = await store.traits()
    notes = []
    if lock and traits.lockable is False:
        raise StoreUnusableError("the bucket cannot lock objects, and object_lock is set", hint=_MADE_WITH)
    if lock and traits.lockable:
        could.append("lock objects")
    elif lock:
        notes.append("its key may not ask whether the bucket locks objects (s3:GetBucketObjectLockConfiguration)")
    if traits.versioned:
        notes.append(f"it keeps versions, so what is deleted still costs: {await _left_behind(store)}")
    return tuple(notes)


_MADE_WITH = 'make a new bucket with Object Lock, or set object_lock = "off"'


async def _left_behind(store: Store) -> str:
    """Return what deletes left in a store, in words."""
    if not isinstance(store, KeepsVersions):
        return _BY_A_RULE
    try:
        older = await store.older_versions()
    except StoreError:
        return f"how much is not known, since its key may not ask (s3:ListBucketVersions); {_BY_A_RULE}"
    most = "" if older.complete else "at least "
    return f"{most}{older.count} older versions with {format_size(older.bytes)} now; {_BY_A_RULE}"


_BY_A_RULE = "a lifecycle rule of the bucket's removes them (NoncurrentVersionExpiration)"


async def _write(store: Store, key: str) -> None:
    async def once() -> AsyncGenerator[bytes, None]:
        yield _CONTENT

    await store.put(key, once(), size=len(_CONTENT))


async def _list(store: Store, key: str) -> None:
    if key not in [entry.key for entry in await store.list_all(_FOLDER)]:
        raise StoreCutError(f"{key} was written, and is not in the store's listing")


async def _read(store: Store, key: str) -> None:
    read = bytearray()
    async with aclosing(store.get(key)) as pieces:
        async for piece in pieces:
            read += piece
    if read != _CONTENT:
        raise StoreCutError(f"{key} holds something else than was written")


async def _delete(store: Store, key: str) -> str | None:
    """Delete it, and what earlier checks left. A bucket that locks each new object is no failure: that is said."""
    await _clear_earlier(store, key)
    try:
        await store.delete(key)
    except ObjectLockedError as error:
        span = (await store.traits()).default_lock
        if span is None:
            raise
        until = f" until {format_moment(error.until, UTC)}" if error.until else ""
        return (
            f"the bucket locks each new object for {format_duration(span)} by itself (its default retention), so"
            f" nothing is deleted sooner; this check's own {key} stays{until}, and a later check removes it"
        )
    return None


async def _clear_earlier(store: Store, key: str) -> None:
    """Remove what checks left that were broken off, or that the bucket had locked; what cannot be removed is left."""
    with suppress(StoreError):
        modified = {entry.key: entry.modified for entry in await store.list_all(_FOLDER)}
        for other, moment in modified.items():
            if key in modified and modified[key] - moment > _ABANDONED:
                with suppress(ObjectLockedError):
                    await store.delete(other)


_STEPS: dict[str, Callable[[Store, str], Awaitable[str | None]]] = {
    "write": _write,
    "list": _list,
    "read": _read,
    "delete": _delete,
}


async def _clear(config: StoreConfig, key: str, could: list[str]) -> None:
    """Take away what was written before a later step failed; what cannot be deleted was said."""
    if could and "delete" not in could:
        with suppress(StoreError):
            async with open_store(config.settings) as store:
                await store.delete(key)
