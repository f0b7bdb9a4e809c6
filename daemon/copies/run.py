"""What a server's stores lack, copied now: the newest first, each backup fetched once for all that want it.

A store that fails is left out for the rest of the run; the others go on (invariant 16).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from daemon.clock import Clock
from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.alone import alone
from daemon.copies.branch import Target
from daemon.copies.clear import clear_lonely, clear_loose
from daemon.copies.errors import CopyError
from daemon.copies.make import Made, Origin, copy_backup
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.copies.source import node_source
from daemon.core.copies_layout import CopyName
from daemon.core.copies_wanted import Choice, Taken, choices, wanted
from daemon.core.model import Backup, Listing, Server, Verdict
from daemon.errors import BackupdError, StateError
from daemon.panel.client import PanelClient
from daemon.state import Locks
from daemon.stores.base import Store
from daemon.stores.errors import ObjectExistsError, StoreError
from daemon.stores.open import open_store
from daemon.transfer.receive import ProgressListener

Watch = Callable[[str, int], AbstractContextManager[ProgressListener]]
"""Given a backup's name and size, watch its transfer."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What came of one copy: the manifest that stands now, or why there is none."""

    store: str
    backup: Backup
    manifest: Manifest | None
    error: BackupdError | None


@dataclass(slots=True)
class ServerResult:
    """What came of one server: its copies, the newest backup first, and the stores that could not be used at all.

    `problems` are, by store, what holds up none of the copies that it still wants.
    """

    config: ServerConfig
    copies: list[CopyResult] = field(default_factory=list)
    troubles: dict[str, BackupdError] = field(default_factory=dict)
    problems: list[tuple[str, BackupdError]] = field(default_factory=list)
    error: BackupdError | None = None

    @property
    def failed(self) -> bool:
        """Whether a copy is not there that should be."""
        return bool(self.error or self.troubles or any(copy.error for copy in self.copies))

    @contextmanager
    def remembering(self, store: str) -> Iterator[None]:
        """Note that the state cannot be written to: what is remembered of a store is a cache, and no copy waits."""
        try:
            yield
        except StateError as error:
            if (store, error.text) not in [(other, problem.text) for other, problem in self.problems]:
                self.problems.append((store, error))


@dataclass(frozen=True)
class Looked:
    """One server as the panel shows it now."""

    config: ServerConfig
    server: Server
    listing: Listing
    verdicts: Sequence[Verdict]


class Copier:
    """Copies servers' backups, one after the other."""

    def __init__(
        self,
        stores: Mapping[str, StoreConfig],
        shelves: Shelves,
        installation: str,
        clock: Clock,
        watch: Watch,
        *,
        locks: Locks,
    ) -> None:
        self._stores = stores
        self._locks = locks
        self._shelves = shelves
        self._installation = installation
        self._clock = clock
        self._watch = watch

    async def copy(self, seen: Looked, client: PanelClient) -> ServerResult:
        """Copy what the server's stores want of what its panel has; nothing is raised but what is a bug."""
        result = ServerResult(seen.config)
        try:
            async with alone(self._locks, seen.server.uuid):
                await self._copy_all(seen, client, result)
        except BackupdError as error:
            result.error = error
        return result

    async def _copy_all(self, seen: Looked, client: PanelClient, result: ServerResult) -> None:
        async with AsyncExitStack() as held:
            opened: dict[str, Store] = {}
            by_store: dict[str, list[Choice]] = {}
            for name in seen.config.policy.copies:
                try:
                    opened[name] = await held.enter_async_context(open_store(self._stores[name].settings))
                    by_store[name] = await self._choices(seen, name, opened[name], result)
                except BackupdError as error:
                    result.troubles[name] = error
            for one in wanted(by_store):
                if stores := [name for name in one.stores if name not in result.troubles]:
                    targets = [Target(name, opened[name], self._stores[name].recipients) for name in stores]
                    await self._copy_one(seen, one.backup, targets, client, result)

    async def _choices(self, seen: Looked, name: str, store: Store, result: ServerResult) -> list[Choice]:
        """What the store has, wants and refuses, without what a damaged copy is in the way of."""
        panel, server = seen.config.panel.name, seen.server.uuid
        shelf = await self._shelves.see(name, store, panel, server)
        with result.remembering(name):
            await self._shelves.remember(name, panel, server, shelf)
        await clear_loose(store, shelf, self._clock.now())
        policy, now = seen.config.policy.retention, seen.listing.taken_at
        chosen = choices(seen.verdicts, backups_on(shelf), self._stores[name].rules, policy, now=now)
        keys = {one.backup.uuid: self._key(seen, name, one.backup) for one in chosen if one.taken is Taken.WANTED}
        cleared = await clear_lonely(store, shelf, keys.values(), self._installation, self._clock.now())
        if damaged := shelf.damaged.keys() - cleared:
            result.problems.append((name, _damaged(shelf, damaged)))
        return [one for one in chosen if keys.get(one.backup.uuid) not in damaged]

    def _key(self, seen: Looked, store: str, backup: Backup) -> str:
        """The key of a backup's data in that store."""
        encrypted = bool(self._stores[store].recipients)
        return CopyName.of(seen.config.panel.name, seen.server.uuid, backup, encrypted=encrypted).data

    async def _copy_one(
        self, seen: Looked, backup: Backup, targets: Sequence[Target], client: PanelClient, result: ServerResult
    ) -> None:
        """Copy one backup; note what came of it."""
        try:
            made = await self._made(seen, backup, targets, client)
        except BackupdError as error:
            made = Made({}, dict.fromkeys((target.name for target in targets), error))
        for target in targets:
            manifest, failure = made.manifests.get(target.name), made.errors.get(target.name)
            result.copies.append(CopyResult(target.name, backup, manifest, failure))
            if isinstance(failure, StoreError) and not isinstance(failure, ObjectExistsError):
                result.troubles[target.name] = failure
            if manifest is not None:
                with result.remembering(target.name):
                    await self._shelves.add(target.name, manifest)

    async def _made(self, seen: Looked, backup: Backup, targets: Sequence[Target], client: PanelClient) -> Made:
        config = seen.config
        origin = Origin(self._installation, config.panel.name, seen.server.uuid, config.name, seen.server.name)
        with self._watch(f"{config.name}: {backup.name}", backup.bytes) as listener:
            source = node_source(
                client, config.id, backup, clock=self._clock, listener=listener, clear=config.panel.clear_links
            )
            return await copy_backup(source, backup, origin, targets, self._clock)


def _damaged(shelf: Shelf, keys: Collection[str]) -> CopyError:
    """What is to be said of damaged copies that stay as they are."""
    first, *others = sorted(keys)
    more = f", and {len(others)} more" if others else ""
    return CopyError(f"damaged: {first}: {shelf.damaged[first]}{more}", hint=_BY_HAND)


_BY_HAND = "look with `copies verify` for another good copy, then remove this one by hand: the next run copies it anew"


def backups_on(shelf: Shelf) -> list[Backup]:
    """Return what the whole copies on a shelf are copies of."""
    return [copy.backup for copy in shelf.copies()]
