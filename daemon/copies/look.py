"""One look into a store: what it has and wants of a server; and what is in the way there, cleared away."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.clock import Clock
from daemon.config.values import StoreConfig
from daemon.copies.clear import Clearing, clear_leftovers, clear_lonely, look_for_begun
from daemon.copies.elsewhere import Elsewhere
from daemon.copies.errors import CopyError
from daemon.copies.mend import write_back
from daemon.copies.outcome import Looked, ServerResult
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.copies.workers import AskLeave
from daemon.core.copies_layout import CopyName
from daemon.core.copies_lock import lock_until
from daemon.core.copies_wanted import Choice, Taken, by_maker, choices
from daemon.core.model import Backup
from daemon.core.units import rfc3339
from daemon.stores.base import Store


@dataclass(frozen=True)
class Look:
    """Looks into stores. `elsewhere` knows what the others hold; `leave` is asked right before anything is cleared."""

    stores: Mapping[str, StoreConfig]
    shelves: Shelves
    elsewhere: Elsewhere
    installation: str
    clock: Clock
    leave: AskLeave

    async def into(self, name: str, store: Store, seen: Looked, result: ServerResult) -> list[Choice]:
        """Return what the store has, wants and refuses, without what a damaged copy is in the way of.

        What went and what is wrong is told in the result. Raises StoreError.
        """
        clearing = Clearing(self.leave)
        try:
            return await self._choices(name, store, seen, result, clearing)
        finally:
            result.cleared += [(name, one) for one in clearing.cleared]
            result.problems += [(name, problem) for problem in clearing.problems()]

    async def _choices(
        self, name: str, store: Store, seen: Looked, result: ServerResult, clearing: Clearing
    ) -> list[Choice]:
        panel, server = seen.config.panel.name, seen.server.uuid
        shelf = await self.shelves.see(name, store, panel, server)
        shelf = await look_for_begun(store, panel, server, shelf, self.clock.now())
        # Both by one moment: while the store is asked, our clock may be set.
        doubt, moment = seen.doubt(self.clock), self.clock.now()
        shelf = await self._mended(name, store, shelf, result, None if doubt else moment)
        with result.remembering(name):
            await self.shelves.remember(name, panel, server, shelf)
        if not doubt:
            await clear_leftovers(store, shelf, moment, clearing)
        # Pruning goes by our own clock: what the panel's has not come to yet would be copied, pruned, and copied again.
        policy, now = seen.config.policy.retention, max(seen.listing.taken_at, self.clock.now())
        there = await self.elsewhere.backups_for(name, panel, server)
        rules, (copies, foreign) = self.stores[name].rules, by_maker(shelf.copies(), self.installation)
        chosen = choices(seen.verdicts, copies, rules, policy, now=now, elsewhere=there, foreign=foreign)
        keys = {one.backup.uuid: self._key(seen, name, one.backup) for one in chosen if one.taken is Taken.WANTED}
        cleared: frozenset[str] = frozenset()
        if not doubt:
            ours = self.installation
            cleared = await clear_lonely(store, shelf, keys.values(), moment, clearing, installation=ours)
        elif self.stores[name].object_lock is not None and Taken.WANTED in {one.taken for one in chosen}:
            result.problems.append((name, CopyError(f"copied without a lock: {doubt}", hint=_LOCKED_LATER)))
        if damaged := shelf.damaged.keys() - cleared:
            result.problems.append((name, _damaged(shelf, damaged)))
        return [one for one in chosen if keys.get(one.backup.uuid) not in damaged]

    async def _mended(
        self, name: str, store: Store, shelf: Shelf, result: ServerResult, moment: datetime | None
    ) -> Shelf:
        """Return the shelf with the manifests that were written back, locked from that moment as new ones are; not at
        all while our clock is in doubt: the next prune by one that can be trusted locks them.
        """
        span = self.stores[name].object_lock
        until = None if span is None or moment is None else lock_until(span, moment)
        done = await write_back(store, shelf, self.installation, until)
        result.mended += [(name, one) for one in done.mended]
        result.problems += [(name, done.error)] if done.error else []
        return done.shelf

    def _key(self, seen: Looked, store: str, backup: Backup) -> str:
        """Return the key of a backup's data in that store."""
        encrypted = bool(self.stores[store].recipients)
        return CopyName.of(seen.config.panel.name, seen.server.uuid, backup, encrypted=encrypted).data

    async def what_is_there(self, name: str, seen: Looked, backup: Backup) -> str:
        """Say in a hint what is in the way of a backup's copy, as far as the last look knows."""
        shelf = await self.shelves.of(name, seen.config.panel.name, seen.server.uuid)
        there = shelf.loose.get(self._key(seen, name, backup)) if shelf else None
        if there is None:
            return _IN_THE_WAY
        return f"{_IN_THE_WAY}; it was first seen at {rfc3339(there.since)}"


def _damaged(shelf: Shelf, keys: Collection[str]) -> CopyError:
    """Return the problem to report about damaged copies, which stay as they are."""
    first, *others = sorted(keys)
    more = f", and {len(others)} more" if others else ""
    return CopyError(f"damaged: {first}: {shelf.damaged[first]}{more}", hint=_BY_HAND)


_LOCKED_LATER = "let this machine's clock follow NTP; the first prune after that locks the copies"
_BY_HAND = "look with `copies verify` for another good copy, then remove this one by hand: the next run copies it anew"
_IN_THE_WAY = "data without a manifest, as a crash leaves it, is cleared away once it was seen unchanged for 48 hours"
