"""Whether a store can be used for copies: a small object is written, listed, read and deleted again."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from uuid import uuid4

from daemon.config.values import StoreConfig
from daemon.copies.age import recipients_of
from daemon.errors import BackupdError
from daemon.stores.base import Store
from daemon.stores.errors import StoreCutError, StoreError
from daemon.stores.open import open_store

_FOLDER = "ptero-backupd-check/"
_CONTENT = b"written by `ptero-backupd check`, and may be deleted\n"


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of it: `could` names what worked; `failed` what did not, and why. None: all of it worked."""

    store: str
    could: tuple[str, ...] = ()
    failed: str | None = None
    error: BackupdError | None = None


async def probe(config: StoreConfig) -> Probe:
    """Try a store, and leave nothing in it if it lets us."""
    key = f"{_FOLDER}{uuid4()}"
    could: list[str] = []
    step = "be opened"
    try:
        if config.recipients:
            recipients_of(config.recipients)
        async with open_store(config.settings) as store:
            for step, call in _STEPS.items():
                await call(store, key)
                could.append(step)
    except BackupdError as error:
        await _clear(config, key, could)
        return Probe(config.name, tuple(could), step, error)
    return Probe(config.name, tuple(could))


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


async def _delete(store: Store, key: str) -> None:
    await store.delete(key)


_STEPS: dict[str, Callable[[Store, str], Awaitable[None]]] = {
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
