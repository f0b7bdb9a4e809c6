"""Which server waits to be copied to which store, which comes next, and when a failed one is tried again.

What must hold: the newest backups go first, and no server waits for ever; a store in trouble is asked once for all its
servers, with a growing pause, and holds up nothing that waits for another store (invariant 16). A row is removed only
once the store had all that it wanted, so that nothing is lost by a kill.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daemon.core.backoff import Backoff

SERVER_PAUSES = Backoff(timedelta(minutes=10), timedelta(days=1))
"""After a copy failed that the store is not to blame for. A file that its node has lost is asked for once a day."""

STORE_PAUSES = Backoff(timedelta(minutes=2), timedelta(hours=1))
"""While a store is in trouble: it costs one request, and one that comes back should not wait for half a day."""

Place = tuple[str, str]
"""A server and a store, by their names in the configuration."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A server whose backups are to be copied to a store, as far as that wants them.

    It waits `since` it was first asked for. It is `fresh` if a new backup may be waiting, and not if only older ones
    are left. After so many `tries` failed, for the reason in `text`, the next one is at `next_at` (None: at once).
    """

    server: str
    store: str
    since: datetime
    fresh: bool = True
    tries: int = 0
    next_at: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class StoreTrouble:
    """A store that cannot be used `since` that moment, after so many `tries`. It is asked again at `next_at`."""

    store: str
    since: datetime
    tries: int
    next_at: datetime
    text: str


@dataclass(frozen=True)
class CopyQueue:
    """All that waits, by server and store, and the stores that are in trouble, by name. Changes return another one."""

    waiting: Mapping[Place, Waiting] = field(default_factory=dict)
    troubles: Mapping[str, StoreTrouble] = field(default_factory=dict)

    def asked(self, server: str, stores: Iterable[str], now: datetime, *, fresh: bool) -> "CopyQueue":
        """Let the server wait for these stores.

        With `fresh` there is a new backup, so one that waits already is tried at once; otherwise it stays as it is.
        """
        changed = {}
        for store in stores:
            known = self.waiting.get((server, store))
            if known is None:
                changed[server, store] = Waiting(server, store, now, fresh)
            elif fresh:
                changed[server, store] = replace(known, fresh=True, next_at=None)
        return self._with(changed)

    def done(self, server: str, stores: Iterable[str]) -> "CopyQueue":
        """These stores have all of the server that they want."""
        gone = {(server, store) for store in stores}
        return replace(self, waiting={place: one for place, one in self.waiting.items() if place not in gone})

    def left(self, server: str, stores: Iterable[str], now: datetime) -> "CopyQueue":
        """Older backups are left for these stores: the server lines up again, behind those with new ones."""
        again = ((place, self.waiting[place]) for place in self._known(server, stores))
        return self._with({place: replace(one, since=now, fresh=False, next_at=None, text="") for place, one in again})

    def failed(self, server: str, stores: Iterable[str], now: datetime, text: str) -> "CopyQueue":
        """A copy to these stores failed, and they are not to blame: the server is tried again later."""
        changed = {}
        for place in self._known(server, stores):
            tries = self.waiting[place].tries + 1
            next_at = now + SERVER_PAUSES.pause(tries)
            changed[place] = replace(self.waiting[place], fresh=False, tries=tries, next_at=next_at, text=text)
        return self._with(changed)

    def postponed(self, server: str, stores: Iterable[str], until: datetime, text: str = "") -> "CopyQueue":
        """Nothing can be done for the server before that moment, for the reason in `text`, and nobody is to blame."""
        known = ((place, self.waiting[place]) for place in self._known(server, stores))
        return self._with({place: replace(one, next_at=until, text=text or one.text) for place, one in known})

    def store_failed(self, store: str, now: datetime, text: str, *, server: str = "") -> "CopyQueue":
        """The store cannot be used: whatever waits for it goes on waiting, and it is asked again later.

        Then another one than this `server` has its turn: it may be its backup that the store does not take.
        """
        known = self.troubles.get(store)
        tries = known.tries + 1 if known else 1
        trouble = StoreTrouble(store, known.since if known else now, tries, now + STORE_PAUSES.pause(tries), text)
        tried = {
            place: replace(self.waiting[place], tries=self.waiting[place].tries + 1)
            for place in self._known(server, [store])
        }
        return replace(self._with(tried), troubles={**self.troubles, store: trouble})

    def store_worked(self, store: str) -> "CopyQueue":
        """The store did what it was asked: its trouble has passed."""
        return replace(self, troubles={name: one for name, one in self.troubles.items() if name != store})

    def following(self, wanted: Mapping[str, Collection[str]]) -> "CopyQueue":
        """Given the stores of each configured server, forget what is not configured any more."""
        stores = {store for named in wanted.values() for store in named}
        return CopyQueue(
            {place: one for place, one in self.waiting.items() if one.store in wanted.get(one.server, ())},
            {name: one for name, one in self.troubles.items() if name in stores},
        )

    def of(self, servers: Collection[str]) -> "CopyQueue":
        """Return what waits of these servers, and all troubles."""
        return replace(self, waiting={place: one for place, one in self.waiting.items() if one.server in servers})

    def without(self, servers: Collection[str], stores: Collection[str]) -> "CopyQueue":
        """Return this queue without what waits of these servers, and without the troubles of these stores."""
        return CopyQueue(
            {place: one for place, one in self.waiting.items() if one.server not in servers},
            {name: one for name, one in self.troubles.items() if name not in stores},
        )

    def recalling(self, known: "CopyQueue") -> "CopyQueue":
        """Given the queue that an earlier daemon left, return this one with what that knows of the same places, and of
        the stores that are not in trouble yet.
        """
        waiting = {
            place: replace(known.waiting[place], fresh=one.fresh or known.waiting[place].fresh)
            if place in known.waiting
            else one
            for place, one in self.waiting.items()
        }
        stores = {store for _, store in waiting}
        recalled = {name: one for name, one in known.troubles.items() if name in stores}
        return CopyQueue(waiting, {**recalled, **self.troubles})

    def next_visit(self, now: datetime) -> "Visit | None":
        """Return the server that comes next and the stores to fill; None while nothing is due.

        New backups come before older ones, what was not tried yet before what failed, and of equals the one that has
        waited longest.
        """
        due: dict[str, list[Waiting]] = {}
        for one in self.waiting.values():
            if self._due_at(one, now) <= now:
                due.setdefault(one.server, []).append(one)
        if not due:
            return None
        rows = min(due.values(), key=_turn)
        return Visit(rows[0].server, tuple(one.store for one in rows), any(one.fresh for one in rows))

    def next_at(self, now: datetime) -> datetime | None:
        """Return when the next visit is due, which may be now; None if nothing waits."""
        return min((self._due_at(one, now) for one in self.waiting.values()), default=None)

    def _due_at(self, one: Waiting, now: datetime) -> datetime:
        """Return when both the server and the store are to be tried.

        A moment further ahead than any pause was written by a clock that has been set back since.
        """
        trouble = self.troubles.get(one.store)
        moments = [
            (one.next_at, SERVER_PAUSES.most),
            (trouble.next_at if trouble else None, STORE_PAUSES.most),
        ]
        return max((at for at, most in moments if at is not None and at <= now + most), default=now)

    def _known(self, server: str, stores: Iterable[str]) -> list[Place]:
        return [(server, store) for store in stores if (server, store) in self.waiting]

    def _with(self, changed: Mapping[Place, Waiting]) -> "CopyQueue":
        return replace(self, waiting={**self.waiting, **changed})


@dataclass(frozen=True, slots=True)
class Visit:
    """A server whose turn it is, and the stores that are to be filled; `fresh` as in Waiting."""

    server: str
    stores: tuple[str, ...]
    fresh: bool


def _turn(rows: Collection[Waiting]) -> tuple[bool, int, datetime, str]:
    """Return the place of a server in the line, by its rows that are due."""
    fresh = any(one.fresh for one in rows)
    return not fresh, min(one.tries for one in rows), min(one.since for one in rows), next(iter(rows)).server
