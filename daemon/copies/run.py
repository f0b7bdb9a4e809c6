"""What a server's stores lack, copied now: the newest first, each backup fetched once for all that want it.

A store that fails is left out for the rest of the run; the others go on (invariant 16).
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from daemon.clock import Clock
from daemon.config.values import StoreConfig
from daemon.copies.alone import alone
from daemon.copies.branch import Target
from daemon.copies.elsewhere import Elsewhere, InStore, recipients_of
from daemon.copies.errors import CopyError
from daemon.copies.feed import node_feed, store_feed
from daemon.copies.look import Look
from daemon.copies.make import Made, Origin, Stands, Targets, carry_copy, copy_backup
from daemon.copies.manifest import Manifest
from daemon.copies.outcome import CopyOutcome, Looked, ServerResult
from daemon.copies.shelves import Shelves
from daemon.copies.source import Links, node_source
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.copies.workers import AskLeave, always, unheard
from daemon.core.copies_wanted import Choice, Wanted, wanted
from daemon.core.copies_ways import ways
from daemon.core.model import Backup
from daemon.errors import BackupdError
from daemon.state import Locks
from daemon.stores.base import Store
from daemon.stores.errors import ObjectExistsError, ObjectMissingError, StoreError
from daemon.stores.open import open_store
from daemon.stores.values import DirectoryLocation, StoreSettings
from daemon.transfer.errors import WrongFileError
from daemon.transfer.progress import ProgressListener

Watch = Callable[[str, int], AbstractContextManager[ProgressListener]]
"""Given a backup's name and size, watch its transfer."""

OnCopy = Callable[[str, Manifest, str | None], Awaitable[None]]
"""Hears that a store has its whole copy, with its manifest, and from which store it came; None for the node."""

OpenStore = Callable[[StoreSettings], AbstractAsyncContextManager[Store]]
"""Open a store, and close it at the block's end."""


class Copier:
    """Copies servers' backups, one after the other. `opens` opens a store.

    `stores` are those that are copied to, and others that may have what they lack. What slow ones have yet to take goes
    to `room`. A copy is in the catalogue, and `on_copy` hears of it, as soon as it stands, however long the other
    stores still take. `leave` is asked right before anything is cleared away.
    """

    def __init__(
        self,
        stores: Mapping[str, StoreConfig],
        shelves: Shelves,
        installation: str,
        clock: Clock,
        watch: Watch,
        *,
        locks: Locks,
        opens: OpenStore = open_store,
        room: SpoolRoom = NO_ROOM,
        on_copy: OnCopy = unheard,
        leave: AskLeave = always,
    ) -> None:
        self._stores = stores
        self._locks = locks
        self._shelves = shelves
        self._installation = installation
        self._elsewhere = Elsewhere(shelves, stores, installation)
        self._clock = clock
        self._watch = watch
        self._opens = opens
        self._room = room
        self._on_copy = on_copy
        self._look = Look(stores, shelves, self._elsewhere, installation, clock, leave)

    async def copy(self, seen: Looked, links: Links) -> ServerResult:
        """Copy what the server's stores want of what its panel has; raises nothing; every trouble is in the result."""
        result = ServerResult(seen.config)
        try:
            async with alone(self._locks, seen.server.uuid), AsyncExitStack() as held:
                opened = await self._open(held, seen.config.policy.copies, result)
                for one in await self._wanted(seen, opened, result):
                    await self._copy_one(one, _At(seen, opened, links, result))
        except BackupdError as error:
            result.error = error
        return result

    async def wanted(self, seen: Looked, stores: Collection[str], result: ServerResult) -> tuple[Wanted, ...]:
        """Look into these stores and return what they want, the newest first; trouble is told in the result.

        The caller holds the lock of the server's copies.
        """
        async with AsyncExitStack() as held:
            return await self._wanted(seen, await self._open(held, stores, result), result)

    async def copy_one(self, seen: Looked, one: Wanted, links: Links, result: ServerResult) -> None:
        """Copy one backup to the stores that want it; what came of it is told in the result. Lock as above."""
        async with AsyncExitStack() as held:
            await self._copy_one(one, _At(seen, await self._open(held, one.stores, result), links, result))

    async def _open(self, held: AsyncExitStack, stores: Collection[str], result: ServerResult) -> dict[str, Store]:
        """Open these stores until `held` ends."""
        opened = {}
        for name in stores:
            settings = replace(self._stores[name].settings, parts_in=self._room.folder)
            try:
                opened[name] = await held.enter_async_context(self._opens(settings))
            except BackupdError as error:
                result.troubles[name] = error
        return opened

    async def _wanted(self, seen: Looked, opened: Mapping[str, Store], result: ServerResult) -> tuple[Wanted, ...]:
        by_store: dict[str, list[Choice]] = {}
        for name, store in opened.items():
            try:
                by_store[name] = await self._look.into(name, store, seen, result)
            except BackupdError as error:
                result.troubles[name] = error
        return wanted(by_store)

    async def _copy_one(self, one: Wanted, at: "_At") -> None:
        """Copy one backup to the stores that are not in trouble, by one way after the other; note what came of it."""
        seen, result = at.seen, at.result
        left = [name for name in one.stores if name in at.opened and name not in result.troubles]
        copies = await self._elsewhere.copies_of(one.backup, seen.config.panel.name, seen.server.uuid)
        wants = {name: recipients_of(self._stores[name]) for name in left}
        on_panel = any(verdict.backup.uuid == one.backup.uuid for verdict in seen.verdicts)
        failure: BackupdError = CopyError("no store that can be read has it")
        for way in ways([held for held, _ in copies.values()], wants, on_panel=on_panel):
            stores = [name for name in way.stores if name in left]
            if not stores or way.source in result.troubles or way.source in result.unread:
                continue
            targets = [self._target(name, at.opened[name], doubt=seen.doubt(self._clock)) for name in stores]
            try:
                copy = copies.get(way.source or "")
                made = await self._made(one.backup, copy, targets, at, partial(self._stands, way.source, result))
            except BackupdError as error:
                failure = _not_had(way.source, error, result)
            else:
                await self._explain(made, seen, one.backup)
                self._note(made, one.backup, way.source, stores, result)
                left = [name for name in left if name not in stores]
        self._note(Made({}, dict.fromkeys(left, failure)), one.backup, None, left, result)

    async def _stands(self, source: str | None, result: ServerResult, store: str, manifest: Manifest) -> None:
        """Remember a copy, and tell of it."""
        with result.remembering(store):
            await self._shelves.add(store, manifest)
        await self._on_copy(store, manifest, source)

    async def _explain(self, made: Made, seen: Looked, backup: Backup) -> None:
        """Say in the hint of an error what is in the way of a copy."""
        for name, error in made.errors.items():
            if isinstance(error, ObjectExistsError):
                error.hint = await self._look.what_is_there(name, seen, backup)

    def _note(
        self, made: Made, backup: Backup, source: str | None, stores: Iterable[str], result: ServerResult
    ) -> None:
        """Note what came of a backup in these stores."""
        for name in stores:
            manifest, failure = made.manifests.get(name), made.errors.get(name)
            result.copies.append(CopyOutcome(name, backup, manifest, failure, source))
            if isinstance(failure, StoreError) and not isinstance(failure, ObjectExistsError):
                result.troubles[name] = failure

    def _target(self, name: str, store: Store, *, doubt: str) -> Target:
        """Return the store as a target. While the clock is in doubt nothing is locked: if it is years ahead, nobody
        could end the lock. The next prune by a clock that can be trusted locks the copy (invariant 15).
        """
        config = self._stores[name]
        return Target(name, store, config.recipients, None if doubt else config.object_lock)

    def _spooled(self, stores: Sequence[Target], size: int) -> SpoolRoom:
        """Where this pass may spool: beside a plain copy in a folder first, since an encrypted one's may be read there
        by others.
        """
        places = [(one, self._stores[one.name].settings.location) for one in stores]
        folders = [place.path for one, place in places if isinstance(place, DirectoryLocation) and not one.recipients]
        return self._room.beside(folders, size)

    async def _made(
        self, backup: Backup, copy: InStore | None, stores: Sequence[Target], at: "_At", stands: Stands
    ) -> Made:
        """Copy a backup from its node, or from the copy of it that a store holds."""
        seen, clock = at.seen, self._clock
        targets = Targets(stores, self._spooled(stores, backup.bytes), stands)
        config = seen.config
        origin = Origin(self._installation, config.panel.name, seen.server.uuid, config.name, seen.server.name)
        with self._watch(f"{config.name}: {backup.name}", backup.bytes) as listener:
            if copy is None:
                clear = config.panel.clear_links
                source = node_source(at.links, config.id, backup, clock=clock, listener=listener, clear=clear)
                return await copy_backup(node_feed(source), backup, origin, targets, clock)
            held, manifest = copy
            listener.said(f"from {held.store}")
            async with self._opens(self._stores[held.store].settings) as store:
                feed = store_feed(store, manifest, clock, listener)
                if manifest.encryption is not None:
                    return await carry_copy(feed, manifest, self._installation, targets, clock)
                return await copy_backup(feed, backup, origin, targets, clock)


@dataclass(frozen=True)
class _At:
    """What a server's copies are made with: its open stores, who gives links, and where it is told what came of it."""

    seen: Looked
    opened: Mapping[str, Store]
    links: Links
    result: ServerResult


def _not_had(source: str | None, error: BackupdError, result: ServerResult) -> BackupdError:
    """Record that a backup could not be read from a store (None: the node); return why."""
    if source is None:
        return error
    failure = CopyError(f"it cannot be fetched from {source}: {error.text}", hint=error.hint)
    if isinstance(error, WrongFileError):
        result.problems.append((source, failure))
    elif isinstance(error, StoreError) and not isinstance(error, ObjectMissingError):
        result.unread.add(source)
    return failure
