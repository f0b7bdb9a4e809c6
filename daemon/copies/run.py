"""What a server's stores lack, copied now: the newest first, each backup fetched once for all that want it.

A store that fails is left out for the rest of the run; the others go on (invariant 16).
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from daemon.clock import Clock
from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.alone import alone
from daemon.copies.branch import Target
from daemon.copies.clear import LEFTOVER, clear_leftovers, clear_lonely, look_for_begun
from daemon.copies.elsewhere import Elsewhere, InStore, recipients_of
from daemon.copies.errors import CopyError
from daemon.copies.feed import node_feed, store_feed
from daemon.copies.make import Made, Origin, Stands, Targets, carry_copy, copy_backup, unheard
from daemon.copies.manifest import Manifest
from daemon.copies.outcome import CopyResult, ServerResult
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.copies.source import Links, node_source
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.copies.undeleted import Undeleted
from daemon.core.clocks import jumped
from daemon.core.copies_layout import CopyName
from daemon.core.copies_wanted import Choice, Taken, Wanted, by_maker, choices, wanted
from daemon.core.copies_ways import ways
from daemon.core.model import Backup, Listing, Server, Verdict
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


@dataclass(frozen=True)
class Looked:
    """One server as the panel shows it now."""

    config: ServerConfig
    server: Server
    listing: Listing
    verdicts: Sequence[Verdict]


class Copier:
    """Copies servers' backups, one after the other. `opens` opens a store.

    `stores` are those that are copied to, and others that may have what they lack. What slow ones have yet to take goes
    to `room`. A copy is in the catalogue, and `on_copy` hears of it, as soon as it stands, however long the other
    stores still take.
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
                by_store[name] = await self._choices(seen, name, store, result)
            except BackupdError as error:
                result.troubles[name] = error
        return wanted(by_store)

    async def _choices(self, seen: Looked, name: str, store: Store, result: ServerResult) -> list[Choice]:
        """Return what the store has, wants and refuses, without what a damaged copy is in the way of."""
        panel, server = seen.config.panel.name, seen.server.uuid
        shelf = await self._shelves.see(name, store, panel, server)
        shelf = await look_for_begun(store, panel, server, shelf, self._clock.now())
        with result.remembering(name):
            await self._shelves.remember(name, panel, server, shelf)
        # Both by one moment: while the store is asked, our clock may be set.
        doubt, moment, uncleared = self._doubt(seen), self._clock.now(), Undeleted()
        if not doubt:
            await clear_leftovers(store, shelf, moment, undeleted=uncleared)
        # Pruning goes by our own clock: what the panel's has not come to yet would be copied, pruned, and copied again.
        policy, now = seen.config.policy.retention, max(seen.listing.taken_at, self._clock.now())
        there = await self._elsewhere.backups_for(name, panel, server)
        rules, (copies, foreign) = self._stores[name].rules, by_maker(shelf.copies(), self._installation)
        chosen = choices(seen.verdicts, copies, rules, policy, now=now, elsewhere=there, foreign=foreign)
        keys = {one.backup.uuid: self._key(seen, name, one.backup) for one in chosen if one.taken is Taken.WANTED}
        cleared: frozenset[str] = frozenset()
        if not doubt:
            ours = self._installation
            cleared = await clear_lonely(store, shelf, keys.values(), ours, moment, undeleted=uncleared)
        elif self._stores[name].object_lock is not None and Taken.WANTED in {one.taken for one in chosen}:
            result.problems.append((name, CopyError(f"copied without a lock: {doubt}", hint=_LOCKED_LATER)))
        if (left := uncleared.as_error(LEFTOVER)) is not None:
            result.problems.append((name, left))
        if damaged := shelf.damaged.keys() - cleared:
            result.problems.append((name, _damaged(shelf, damaged)))
        return [one for one in chosen if keys.get(one.backup.uuid) not in damaged]

    def _key(self, seen: Looked, store: str, backup: Backup) -> str:
        """Return the key of a backup's data in that store."""
        encrypted = bool(self._stores[store].recipients)
        return CopyName.of(seen.config.panel.name, seen.server.uuid, backup, encrypted=encrypted).data

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
            targets = [self._target(name, at.opened[name], doubt=self._doubt(seen)) for name in stores]
            try:
                copy = copies.get(way.source or "")
                made = await self._made(one.backup, copy, targets, at, partial(self._stands, way.source, result))
            except BackupdError as error:
                failure = _not_had(way.source, error, result)
            else:
                self._note(made, one.backup, way.source, stores, result)
                left = [name for name in left if name not in stores]
        self._note(Made({}, dict.fromkeys(left, failure)), one.backup, None, left, result)

    async def _stands(self, source: str | None, result: ServerResult, store: str, manifest: Manifest) -> None:
        """Remember a copy, and tell of it."""
        with result.remembering(store):
            await self._shelves.add(store, manifest)
        await self._on_copy(store, manifest, source)

    def _note(
        self, made: Made, backup: Backup, source: str | None, stores: Iterable[str], result: ServerResult
    ) -> None:
        """Note what came of a backup in these stores."""
        for name in stores:
            manifest, failure = made.manifests.get(name), made.errors.get(name)
            result.copies.append(CopyResult(name, backup, manifest, failure, source))
            if isinstance(failure, StoreError) and not isinstance(failure, ObjectExistsError):
                result.troubles[name] = failure

    def _target(self, name: str, store: Store, *, doubt: str) -> Target:
        """Return the store as a target. While the clock is in doubt nothing is locked: if it is years ahead, nobody
        could end the lock. The next prune by a clock that can be trusted locks the copy (invariant 15).
        """
        config = self._stores[name]
        return Target(name, store, config.recipients, None if doubt else config.object_lock)

    def _doubt(self, seen: Looked) -> str:
        """Why our clock is not to be trusted, as it was when the panel was looked at, or was set since; else empty."""
        return seen.listing.doubt or jumped(self._clock.was_set_by())

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


def _damaged(shelf: Shelf, keys: Collection[str]) -> CopyError:
    """Return the problem to report about damaged copies, which stay as they are."""
    first, *others = sorted(keys)
    more = f", and {len(others)} more" if others else ""
    return CopyError(f"damaged: {first}: {shelf.damaged[first]}{more}", hint=_BY_HAND)


_LOCKED_LATER = "let this machine's clock follow NTP; the first prune after that locks the copies"
_BY_HAND = "look with `copies verify` for another good copy, then remove this one by hand: the next run copies it anew"
