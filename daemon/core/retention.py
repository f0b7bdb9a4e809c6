"""The judgement: what becomes of every backup of a server, and why.

One pure call, as restic's `ApplyPolicy` is, but `now` is an argument and nothing given to it is changed. What must
hold: a locked backup is kept whatever else is true; what is pending, strange, suspicious or out of scope is
neither deleted nor counted; failed ones displace no good one; the newest `min_good` good ones survive; and a backup
that a whole listing keeps is never deleted from a part of it (`complete=False`), where the whole is known of `earlier`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, compress, groupby
from zoneinfo import ZoneInfo

from daemon.core.keep import Keep
from daemon.core.look import look
from daemon.core.model import ASKED, Action, Backup, Reason, Scope, State, Verdict
from daemon.core.names import Ownership
from daemon.core.rules import Candidates, opinions
from daemon.core.shrunk import stays_since_it_shrank
from daemon.core.states import PLAINLY, StateFinding
from daemon.core.suspicion import Guard
from daemon.core.units import format_duration, format_moment, format_size

SHORTEST_FAILED_AFTER = timedelta(hours=12)
"""A slow node can still turn a failed backup good: the panel gives up on one after 6 hours, and twice that is safe."""

DOUBTFUL = Reason(ASKED, None, "its deletion was asked for and not completed, so it may have no file")
"""Added to the reasons for a backup that displaces no other any more, whatever its verdict is."""

Fate = tuple[Action, tuple[Reason, ...]]


@dataclass(frozen=True, slots=True)
class Retention:
    """What a policy keeps, and within which bounds it may delete. `failed_after` None means never."""

    keep: Keep
    zone: ZoneInfo
    scope: Scope
    min_good: int = 1
    total_size: int | None = None
    failed_after: timedelta | None = timedelta(days=2)
    suspicious: float = 0.5
    suspicious_for: timedelta = timedelta(days=3)

    def __post_init__(self) -> None:
        """Refuse what would take away the last good backup, or contradicts itself."""
        if self.min_good < 1:
            raise ValueError(
                f"min_good = {self.min_good}: at least the newest good backup must survive, so write 1 or more"
            )
        if self.total_size is not None and self.total_size < 1:
            raise ValueError(f'total_size = {self.total_size}: write a size such as "50GiB", or leave it out')
        if self.total_size is not None and self.keep.everything:
            raise ValueError('keep = "all" deletes nothing, so total_size can do nothing: write keep = { last = -1 }')
        if self.failed_after is not None and self.failed_after < SHORTEST_FAILED_AFTER:
            raise ValueError(
                'failed_after must be at least 12h, since a slow node can still turn a failed one good; or "never"'
            )
        if not 0 <= self.suspicious < 1:
            raise ValueError(f"suspicious = {self.suspicious}: write a share from 0 (off) to below 1, such as 0.5")

    @property
    def guard(self) -> Guard:
        """When a backup is too small to be believed."""
        return Guard(self.suspicious, self.suspicious_for, together=self.scope is Scope.ALL)

    def most_kept(self) -> int | None:
        """Return how many unlocked good backups can be kept at once, at most; None if there is no bound.

        The newest `min_good` are as if by a `last` of their own; what `last` keeps anyhow is not counted again.
        """
        most = self.keep.most_kept()
        return None if most is None else most + max(0, self.min_good - max(1, self.keep.last))


def judge(
    backups: Sequence[Backup],
    retention: Retention,
    *,
    ownership: Ownership,
    now: datetime,
    accepted: Collection[str] = frozenset(),
    asked: Collection[str] = frozenset(),
    earlier: Collection[Backup] = (),
    coming: Backup | None = None,
    complete: bool = True,
) -> tuple[Verdict, ...]:
    """Given every backup of a server and what its policy keeps, return a verdict on each, newest first.

    `now` is the panel's own clock. `accepted` are the uuids that an operator accepted in spite of their size.
    `complete=False` says that the listing may lack some: then `total_size` does not act, and sizes are compared with
    those of `earlier` ones too, which the last complete listing held. A `coming` one counts as good, whatever its size.

    The deletion of those `asked` was asked for and not completed, so that they may have no file. They displace nothing:
    all others are judged as if they were absent. Each of them is judged as if it alone were there and good, and so it
    is never the last one that goes.
    """
    seen = look(backups, retention.guard, ownership, now=now, accepted=accepted, earlier=earlier)
    if coming is not None:
        seen = seen.with_coming(coming)
    ordered, own, found = seen.ordered, seen.own, seen.findings
    everyone, good = retention.scope is Scope.ALL, PLAINLY[State.GOOD]
    eligible = [
        finding is good and not backup.locked and (mine or everyone)
        for backup, mine, finding in zip(ordered, own, found, strict=True)
    ]
    certain = [ok and backup.uuid not in asked for backup, ok in zip(ordered, eligible, strict=True)]

    def ruled(chosen: Sequence[bool]) -> Iterator[Verdict]:
        candidates, owned = list(compress(ordered, chosen)), list(compress(own, chosen))
        stays = stays_since_it_shrank(candidates, owned, seen.shrinks, retention.zone, now)
        return iter(_ruled(candidates, owned, retention, stays, complete=complete))

    def doubtful(backup: Backup) -> Verdict:
        alone = ruled([sure or other is backup for other, sure in zip(ordered, certain, strict=True)])
        verdict = next(verdict for verdict in alone if verdict.backup is backup)
        return verdict._replace(reasons=(*verdict.reasons, DOUBTFUL))

    def unruled(backup: Backup, mine: bool, finding: StateFinding) -> Verdict:
        action, reasons = _settled(backup, finding, mine or everyone, retention, now)
        doubt = (DOUBTFUL,) if finding is good and backup.uuid in asked else ()
        return Verdict(backup, finding.state, mine, action, (*reasons, *doubt), finding.words)

    ours = ruled(certain)
    return tuple(
        next(ours) if sure else doubtful(backup) if candidate else unruled(backup, mine, finding)
        for backup, mine, finding, candidate, sure in zip(ordered, own, found, eligible, certain, strict=True)
    )


def _settled(backup: Backup, finding: StateFinding, in_scope: bool, retention: Retention, now: datetime) -> Fate:
    """Return what becomes of a backup that the rules do not judge."""
    if backup.locked:
        return Action.KEEP, (Reason("locked", None, "locked"),)
    if not in_scope:
        return Action.IGNORE, (Reason("foreign", None, "not made by this policy"),)
    if finding.state is State.FAILED:
        return _failed(backup, retention, now)
    return Action.IGNORE, (Reason(finding.state.value, None, finding.words),)


def _failed(backup: Backup, retention: Retention, now: datetime) -> Fate:
    delay, ended = retention.failed_after, backup.completed_at
    if retention.keep.everything:
        return Action.KEEP, (Reason("failed", None, 'failed; keep = "all" deletes nothing'),)
    if delay is None or ended is None:
        return Action.KEEP, (Reason("failed", None, "failed; failed_after = never"),)
    waited = max(now - ended, timedelta(0))
    if waited >= delay:
        return Action.DELETE, (Reason("failed", None, f"failed, and ended more than {format_duration(delay)} ago"),)
    until = format_moment(now + delay - waited, retention.zone)
    return Action.KEEP, (Reason("failed", None, f"failed; kept until {until}, in case it still turns good"),)


def _ruled(
    candidates: Sequence[Backup],
    own: Sequence[bool],
    retention: Retention,
    stays: Mapping[int, Reason],
    *,
    complete: bool,
) -> list[Verdict]:
    """Return the verdicts of the rules, `min_good` and `total_size` on the candidates, newest first.

    `stays` are the places that are kept besides, and that `total_size` neither counts nor takes.
    """
    names = [backup.name for backup in candidates]
    moments = [backup.created_at for backup in candidates if backup.created_at is not None]
    said = opinions(retention.keep, Candidates(names, moments, retention.zone))
    kept: dict[int, list[Reason]] = {}
    for opinion in said:
        for place, reason in opinion.keeps.items():
            kept.setdefault(place, []).append(reason)
    for place in range(min(retention.min_good, len(candidates))):
        kept.setdefault(
            place, [Reason("min_good", None, f"among the newest good ones, min_good = {retention.min_good}")]
        )
    for place, reason in stays.items():
        kept.setdefault(place, []).append(reason)

    state, delete = State.GOOD, Action.DELETE
    alike = groupby(zip(*(opinion.drops for opinion in said), strict=True))
    dropped = (reasons for reasons, neighbours in alike for _ in neighbours)  # neighbours share one tuple
    verdicts = [
        Verdict(backup, state, mine, delete, reasons)
        for backup, mine, reasons in zip(candidates, own, dropped, strict=True)
    ]
    for place, because in kept.items():
        verdicts[place] = Verdict(candidates[place], state, own[place], Action.KEEP, tuple(because))
    if complete and retention.total_size is not None:
        for place, reason in _too_much(
            candidates, sorted(kept.keys() - stays.keys()), retention.total_size, retention.min_good
        ):
            verdicts[place] = Verdict(candidates[place], state, own[place], delete, (reason,))
    return verdicts


def _too_much(
    candidates: Sequence[Backup], kept: Sequence[int], total_size: int, min_good: int
) -> Iterator[tuple[int, Reason]]:
    """Yield the kept places that `total_size` takes: the oldest until the rest fits, never the newest `min_good`."""
    limit = format_size(total_size)
    for place, size in zip(kept, accumulate(candidates[place].bytes for place in kept), strict=True):
        if size > total_size and place >= min_good:
            yield (
                place,
                Reason("total_size", None, f"{format_size(size)} with the newer ones, over total_size = {limit}"),
            )
