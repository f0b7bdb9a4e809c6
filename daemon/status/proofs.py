"""How the backups of each server are proven: read from the journal when asked, at most every few seconds.

So it also knows what `prove` in another process found, and what a drill or a restore found on a server whose policy
asks for no proof: a failed one freezes that as well.

Since when proofs are asked for of a server stands in the journal, so that no restart begins the wait of one that was
never read anew, and `status` counts from the same moment.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daemon.config.values import Config, ServerConfig
from daemon.core.clocks import was_set
from daemon.core.model import State
from daemon.core.proof import PANEL, Level, Proof, Proofs
from daemon.core.proof_due import ProofRules, provable, unread
from daemon.core.proof_late import late_at
from daemon.core.units import format_duration
from daemon.errors import StateError
from daemon.rotation.run import RotationContext
from daemon.state import Journal, ProofAsked, ProofRecord
from daemon.status.history import Good, ServerHistory
from daemon.status.lately import Lately


@dataclass(frozen=True, slots=True)
class ProofStatus:
    """How a server's backups are proven, at the `level` that its policy asks for, or at the usual one.

    `wanted` says whether the policy asks for any proof. `proven` is the reading of the newest backup that is proven.
    `read_at` is when something was last read and found right, by how deep it was. `frozen` is the failed proof that
    nothing is deleted for. `unproven` is how many of the good backups are not proven, as they were last seen. `read` is
    the reading of the newest backup that was read, however it ended. `late_at` is from when on there is none of a newer
    one for too long; None while nothing waits. `known` is all that was read of the server.
    """

    level: Level
    proven: Proof | None = None
    read_at: Mapping[Level, datetime] = field(default_factory=dict)
    frozen: Proof | None = None
    unproven: int = 0
    read: Proof | None = None
    late_at: datetime | None = None
    known: Collection[Proof] = field(default=(), compare=False, repr=False)
    wanted: bool = True

    @property
    def tells(self) -> bool:
        """Whether there is anything to show: proofs are asked for, or one that failed freezes the server."""
        return self.wanted or self.frozen is not None

    def words_of(self, backup: str, now: datetime) -> str:
        """Return how a backup, by its uuid, is known to be right at the panel, and since when; "" if it is not.

        What passed through the walker on its way to a store was right when it was downloaded (invariant 17).
        """
        mine = [one for one in self.known if one.backup == backup]
        proofs = Proofs(mine)
        right = [one for one in proofs if one.store == PANEL and one.reached is not None]
        if not right or proofs.failed(backup) is not None:
            return ""
        deepest = max(right, key=lambda one: one.asked.depth)
        copied = any(one.store != PANEL and (one.at, one.asked) == (deepest.at, deepest.asked) for one in mine)
        what = "contents proven at download" if copied else f"proven {(deepest.reached or deepest.asked).value}"
        return f"{what}, {format_duration(max(now - deepest.at, timedelta(0)))} ago"

    def words(self, now: datetime) -> str:
        """Return how deep the newest proven backup was read, and when; or that there is none."""
        if self.proven is None:
            return "not yet" if self.frozen is None else "not sound"
        ago = format_duration(max(now - self.proven.at, timedelta(0)))
        return f"{(self.proven.reached or self.proven.asked).value}, {ago} ago"

    def late(self, now: datetime) -> bool:
        """Return whether a newer backup should have been read by then."""
        return self.late_at is not None and now >= self.late_at


@dataclass(slots=True)
class ProofCounts:
    """What the daemon read since it began, by server."""

    proofs: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)


AllAsked = Mapping[tuple[str, str], ProofAsked]
"""Since when proofs are asked for, by panel and identifier."""


def proof_status(
    server: ServerConfig, known: Collection[Proof], history: ServerHistory, asked: AllAsked
) -> ProofStatus:
    """Return how a server stands by all that is known of it.

    A server that was never read is not late while nothing in `asked` says since when a proof so deep is asked for, and
    none is of which no proof is asked for. Readings in a store that it is not copied to any more say nothing.
    """
    wanted, places = server.policy.prove is not None, {PANEL, *server.policy.copies}
    rules = server.policy.prove or ProofRules()
    if not wanted and not known:
        return ProofStatus(rules.level, wanted=False)
    proofs = Proofs(one for one in known if one.store in places)
    read = [one for one in proofs if one.store == PANEL]
    proven = [one for one in read if proofs.proven(one.backup, rules.level)]
    read_at: dict[Level, datetime] = {}
    for one in read:
        if one.reached is not None:
            read_at[one.reached] = max(one.at, read_at.get(one.reached, one.at))
    verdicts = history.snapshot.verdicts if history.snapshot else ()
    good = [one.backup.uuid for one in verdicts if one.state is State.GOOD]
    last_read = proofs.newest_read(rules.level)
    waiting = unread(provable(verdicts, server.policy.scope), last_read) if wanted else []
    if wanted and (newest := history.good) is not None and (last_read is None or _is_newer(newest, last_read)):
        waiting.append(newest.at)  # another process may have made it since those were seen
    begun = asked.get(_key(server))
    since = begun.since if begun and begun.level is rules.level and was_set(begun.since) else None
    return ProofStatus(
        rules.level,
        max(proven, key=lambda one: (one.made_at, one.at), default=None),
        read_at,
        proofs.freezes(),
        sum(proofs.proven(uuid, rules.level) is None for uuid in good),
        last_read,
        late_at(
            waiting,
            last_read.made_at if last_read else None,
            asked=since,
            within=rules.newest_within,
            starts=server.starts,
        ),
        known,
        wanted,
    )


def _is_newer(good: Good, read: Proof) -> bool:
    return good.uuid != read.backup and good.at > read.made_at


class ProofsTracker:
    """How all servers are proven."""

    def __init__(self, context: RotationContext) -> None:
        self._context = context
        self.counts = ProofCounts()
        self._asked: AllAsked = {}
        self._servers: Mapping[str, ServerConfig] = {}
        self._agrees: Journal | None = None
        """The journal that says the same of both."""

        self._seen: Lately[Mapping[str, list[Proof]]] = Lately(context, self._look)

    def follow(self, config: Config) -> None:
        """Watch the servers of a configuration that was just read."""
        now, self._servers = self._context.clock.now(), config.servers
        servers = config.servers.values()
        asked = {_key(one): ProofAsked(*_key(one), rules.level, now) for one in servers if (rules := one.policy.prove)}
        self._asked = _earliest(asked, self._asked, now)
        self._agrees = None
        self._seen.changed()

    def forget(self) -> None:
        """Know nothing of any proof until the journal is read again."""
        self._seen.forget()
        self._agrees = None

    async def agree(self) -> None:
        """Let the journal and this daemon say the same of since when proofs are asked for: once after each reload, and
        again with a journal that is opened anew. Where that fails, what is known here stands until the next call.

        What another member of a cluster may still ask for is not replaced: that waits until all members agree. Nor is
        anything written of a moment that was told by a clock that was not set: it is now, once that is.
        """
        journal, before = self._context.journal, self._asked
        if self._agrees is journal or self._context.opening_trouble is not None:
            return
        with suppress(StateError):
            stored = by_key(await journal.proofs_asked())
            if self._asked is not before:
                return  # a reload came meanwhile, or another call was faster
            asked = self._asked = _earliest(before, stored, self._context.clock.now())
            replaced, disputed = self._replaced(stored)
            unset = [key for key, one in asked.items() if not was_set(one.since)]
            waiting = disputed.union(unset)
            new = [one for key, one in asked.items() if stored.get(key) != one and key not in waiting]
            no_more = replaced - asked.keys()
            if new or no_more:
                await journal.ask_proofs(new, no_more)
            if self._asked is asked and not waiting:
                self._agrees = journal

    def _replaced(self, stored: AllAsked) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Return of which configured servers another proof than the stored one is asked for, or none: first those of
        which this daemon decides, then those on which other members of a cluster differ from it.
        """
        found: tuple[set[tuple[str, str]], set[tuple[str, str]]] = set(), set()
        for one in self._servers.values() if stored else ():
            rules, key = one.policy.prove, _key(one)
            if key in stored and (rules is None or rules.level is not stored[key].level):
                found[bool(self._context.disputed(one))].add(key)
        return found

    def proved(self, record: ProofRecord, size: int, seconds: float) -> None:
        """Take in a proof that was done."""
        self._seen.changed()
        name, counts = record.server, self.counts
        counts.proofs[name] += 1
        counts.failed[name] += bool(record.proof.problems)
        counts.bytes[name] += size
        counts.seconds[name] = counts.seconds.get(name, 0.0) + seconds

    async def of(self, server: ServerConfig, history: ServerHistory) -> ProofStatus | None:
        """Return how a server is proven; None while that is not known."""
        seen = await self._seen.value()
        if seen is None:
            return None
        return proof_status(server, seen.get(server.name, ()), history, self._asked)

    async def _look(self) -> Mapping[str, list[Proof]]:
        await self.agree()
        return by_server(await self._context.journal.proofs())


def by_server(records: list[ProofRecord]) -> dict[str, list[Proof]]:
    """Return the proofs of each server, by its configured name."""
    found: dict[str, list[Proof]] = {}
    for record in records:
        found.setdefault(record.server, []).append(record.proof)
    return found


def by_key(asked: Iterable[ProofAsked]) -> AllAsked:
    """Return since when proofs are asked for of each server, as `proof_status` takes it."""
    return {one.server: one for one in asked}


def _key(server: ServerConfig) -> tuple[str, str]:
    return server.panel.name, server.identifier


def _earliest(asked: AllAsked, known: AllAsked, now: datetime) -> AllAsked:
    """Return what is asked for, since the earlier moment of both where a proof so deep was asked for before. Where
    neither moment was told by a clock that was set, it is `now`.
    """

    def earlier(one: ProofAsked) -> ProofAsked:
        other = known.get(one.server)
        both = [one, *([other] if other and other.level is one.level else [])]
        told = [each for each in both if was_set(each.since)]
        return min(told, key=lambda each: each.since) if told else replace(one, since=now)

    return {key: earlier(one) for key, one in asked.items()}
