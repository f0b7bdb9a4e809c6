"""What is wrong with a server, the worst first, each in a sentence, with what the operator can do about it.

Alerts, too, take these words, so that they and the page say the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig
from daemon.core.states import PLAINLY
from daemon.core.units import format_duration, format_moment
from daemon.errors import ProblemCode
from daemon.rotation.outcome import UNDELETED_HINT, Result, thawing
from daemon.status.copies import CopyStatus
from daemon.status.drills import DrillStatus
from daemon.status.history import ServerHistory, age_of
from daemon.status.proofs import ProofStatus
from daemon.status.timetable import Times


class Kind(StrEnum):
    """What can be wrong with a server, the worst first."""

    OVERDUE = "overdue"
    FAILING = "failing"
    SUSPICIOUS = "suspicious"
    UNPROVEN = "unproven"
    DRILL = "drill failed"
    UNCOPIED = "uncopied"
    UNDELETABLE = "undeletable"
    LIMIT = "limit full"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: what, in a sentence, and what the operator can do about it."""

    kind: Kind
    text: str
    hint: str = ""


def troubles_of(
    server: ServerConfig,
    history: ServerHistory,
    times: Times,
    now: datetime,
    *,
    copies: Iterable[CopyStatus],
    proof: ProofStatus | None,
    drill: DrillStatus | None,
) -> tuple[Trouble, ...]:
    """Return all that is wrong with a server, the worst first."""
    found = (
        _overdue(server, history, times, now),
        None if proof is not None and history.last and history.last.frozen else _failing(server, history),
        _suspicious(server, history),
        _shrunk(server, history),
        None if proof is None else _unproven(server, proof, now),
        None if drill is None else _drill_failed(server, drill),
        _uncopied(server, history, copies, now),
        _undeletable(server, history),
        _limit_full(history),
        _held(server, history),
    )
    return tuple(trouble for trouble in found if trouble is not None)


def _overdue(server: ServerConfig, history: ServerHistory, times: Times, now: datetime) -> Trouble | None:
    if now < times.overdue_at:
        return None
    due = format_moment(times.due_at, server.policy.zone)
    age = age_of(history.good_at, now)
    if age is None:
        return Trouble(Kind.OVERDUE, f"There is no good backup at all; the first was due at {due}.")
    return Trouble(Kind.OVERDUE, f"The newest good backup is {format_duration(age)} old; one was due at {due}.")


def _failing(server: ServerConfig, history: ServerHistory) -> Trouble | None:
    last = history.last
    if last is None or last.result not in {Result.FAILED, Result.REFUSED}:
        return None
    problem = last.problems[-1] if last.problems else None
    if last.held or (problem is not None and problem.code in {ProblemCode.BACKUP_SUSPICIOUS, ProblemCode.UNDELETABLE}):
        return None  # each has a trouble of its own
    before = history.failures - 1
    row = f", and {before} before it did not succeed either" if before > 0 else ""
    said = f": {problem.text}" if problem else ""
    again = f" It is tried again at {format_moment(last.retry_at, server.policy.zone)}." if last.retry_at else ""
    verb = "was refused" if last.result is Result.REFUSED else "failed"
    return Trouble(
        Kind.FAILING, f"The last rotation {verb}{row}{said.rstrip('.')}.{again}", problem.hint if problem else ""
    )


def _suspicious(server: ServerConfig, history: ServerHistory) -> Trouble | None:
    newest = history.snapshot.newest_suspicious if history.snapshot else None
    if newest is None:
        return None
    lasting = server.policy.retention.suspicious_for
    because = newest.because or PLAINLY[newest.state].words  # an older version kept no words
    hint = (
        "Look at the server's files. If it is right that it shrank: "
        f"`ptero-backupd backups accept {server.name} {newest.backup.uuid}`. "
        f"Three or more alike are believed once they last for {format_duration(lasting)}."
    )
    return Trouble(Kind.SUSPICIOUS, f"The newest backup, {newest.backup.name}, is suspicious: {because}.", hint)


def _shrunk(server: ServerConfig, history: ServerHistory) -> Trouble | None:
    """Nobody may have looked yet, and the last whole one stays for a month only."""
    snapshot = history.snapshot
    if snapshot is None or snapshot.last_whole is None or snapshot.newest_suspicious is not None:
        return None
    name, stays = snapshot.last_whole
    newest = snapshot.newest_good.backup.uuid if snapshot.newest_good else "BACKUP"
    return Trouble(
        Kind.SUSPICIOUS,
        f"The backups are far smaller than they were, and that now counts as normal: {name} is {stays}.",
        f"Look at the server's files. If it is right: `ptero-backupd backups accept {server.name} {newest}`.",
    )


def _unproven(server: ServerConfig, proof: ProofStatus, now: datetime) -> Trouble | None:
    """A proof failed, or there is none of a new backup for too long."""
    if (bad := proof.frozen) is not None:
        newer = f"a newer copy{bad.where}" if bad.store else "a newer backup"
        hint = f"Look at the server's files. {thawing(server.name, bad)}."
        return Trouble(Kind.UNPROVEN, f"{bad.wrong}. Nothing is deleted until {newer} is proven.", hint)
    if proof.late_at is None or not proof.late(now):
        return None
    hint = f"`ptero-backupd prove --plan {server.name}` shows what waits; the daemon's log says why."
    return Trouble(Kind.UNPROVEN, late_text(proof, proof.late_at, server.policy.zone), hint)


def late_text(proof: ProofStatus, late_at: datetime, zone: ZoneInfo) -> str:
    """Return that no new backup was proven in time, in a sentence: which was read last, and when that was due."""
    since = f" newer than {proof.read.name} ({format_moment(proof.read.made_at, zone)})" if proof.read else ""
    return f"No backup{since} is proven; that was due at {format_moment(late_at, zone)}."


def _drill_failed(server: ServerConfig, drill: DrillStatus) -> Trouble | None:
    bad = drill.failed
    if bad is None:
        return None
    began = format_moment(bad.began_at, server.policy.zone)
    said = f": {bad.text.rstrip('.')}" if bad.text else ""
    hint = f"Look at the console and the files of {bad.spare}. `ptero-backupd drill {bad.drill}` tries again."
    return Trouble(Kind.DRILL, f"The drill of {bad.name} on {bad.spare}, begun at {began}, failed{said}.", hint)


def _uncopied(
    server: ServerConfig, history: ServerHistory, copies: Iterable[CopyStatus], now: datetime
) -> Trouble | None:
    late = [one for one in copies if one.late(now)]
    if not late:
        return None
    hint = f"look at `ptero-backupd stores`; `ptero-backupd copies run {server.name}` tries it now"
    return Trouble(Kind.UNCOPIED, uncopied_texts(server, history, late, now), hint)


def uncopied_texts(server: ServerConfig, history: ServerHistory, late: Sequence[CopyStatus], now: datetime) -> str:
    """Return that these stores lack a copy for too long: each with its newest one and the last error, and when the
    panel's limit is reached, if backups stay there until these stores have them.
    """
    texts = [uncopied_text(one, server.policy.zone, now) for one in late]
    snapshot = history.snapshot
    held = snapshot.waiting if snapshot else None
    if snapshot and held and any(one.store in held.stores for one in late):
        words = held.backlog(snapshot.limit, server.starts, now).words(now)
        texts.append(f"{words[0].upper()}{words[1:]}.")
    return " ".join(texts)


def uncopied_text(copy: CopyStatus, zone: ZoneInfo, now: datetime) -> str:
    """Return that a store lacks a copy, in a sentence: how old the newest one is, and why there is none newer."""
    error = f": {copy.error}" if copy.error else ""
    again = f" It is tried again at {format_moment(copy.next_at, zone)}." if copy.next_at else ""
    if copy.newest is None:
        return f"There is no copy in {copy.store}{error.rstrip('.')}.{again}"
    age = format_duration(max(now - copy.newest, timedelta(0)))
    return f"The newest copy in {copy.store} is of a backup that is {age} old{error.rstrip('.')}.{again}"


def _undeletable(server: ServerConfig, history: ServerHistory) -> Trouble | None:
    """The backups are good, and some that are to go stay, since the panel does not delete them."""
    last = history.last
    if last is None or not history.undeleted:
        return None
    what = "a backup that is" if history.undeleted == 1 else f"{history.undeleted} backups that are"
    found = next((problem for problem in reversed(last.problems) if problem.code == ProblemCode.UNDELETABLE), None)
    said = f": {found.text}" if found else ""
    again = f" It is tried again at {format_moment(last.retry_at, server.policy.zone)}." if last.retry_at else ""
    return Trouble(
        Kind.UNDELETABLE,
        f"The panel does not delete {what} to go{said.rstrip('.')}.{again}",
        found.hint if found else UNDELETED_HINT,
    )


def _limit_full(history: ServerHistory) -> Trouble | None:
    snapshot = history.snapshot
    if snapshot is None or not snapshot.limit or snapshot.tally.used < snapshot.limit:
        return None
    return Trouble(
        Kind.LIMIT,
        f"All {snapshot.limit} backups that the panel allows are there, so that the next needs one deleted first.",
        "Raise the limit in the panel, keep fewer, or unlock some.",
    )


def _held(server: ServerConfig, history: ServerHistory) -> Trouble | None:
    """Nothing is wrong with the backups: their deletion waits for the operator. Which they are, the server's page says.

    The problem's own text is left out: it names every backup, which takes a paragraph.
    """
    last, since = history.last, history.held_since
    if last is None or since is None:
        return None
    beyond = history.held
    what = "1 good backup" if beyond == 1 else f"{beyond or 'some'} good backups"
    when = format_moment(since, server.policy.zone)
    made = "The new backup is good; t" if last.held else "T"
    hint = last.problems[-1].hint if last.held else ""
    return Trouble(
        Kind.HELD,
        f"{made}he brake holds the deletion of {what} since {when}.",
        hint or f"look at `ptero-backupd plan {server.name}`",
    )
