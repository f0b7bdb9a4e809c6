"""Backups, listings and policies for the tests of the core, told by what matters and nothing else."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, Completeness, Listing, Scope, Verdict
from daemon.core.names import Ownership, Template
from daemon.core.plan import Refusal
from daemon.core.retention import Retention, judge

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
TEMPLATE = Template.parse("auto-{server}-{time}-{id}")
OURS = Ownership((TEMPLATE,), "survival")
SIZE = 1_000_000


def at(text: str, zone: ZoneInfo = ZONE) -> datetime:
    """Given "2026-04-01 06:00" as a wall clock shows it, return the moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def good(created: datetime | str, *, size: int = SIZE, locked: bool = False, name: str = "", uuid: str = "") -> Backup:
    """A backup that succeeded within a minute; own unless it is given another name."""
    moment = at(created) if isinstance(created, str) else created
    uuid = uuid or f"{moment:%Y%m%d-%H%M%S}"
    name = name or TEMPLATE.render("survival", moment, f"{crc32(uuid.encode()):08x}")
    done = moment + timedelta(minutes=1)
    return Backup(uuid, name, successful=True, locked=locked, bytes=size, created_at=moment, completed_at=done)


def failed(created: datetime | str, *, locked: bool = False, name: str = "") -> Backup:
    """A backup that ended a minute after it began, and failed."""
    return but(good(created, locked=locked, name=name), successful=False, bytes=0)


def pending(created: datetime | str, *, locked: bool = False, name: str = "") -> Backup:
    """A backup that has not ended."""
    return but(good(created, locked=locked, name=name), successful=False, bytes=0, completed_at=None)


def but(backup: Backup, **changes: object) -> Backup:
    """The same backup, but for the changes."""
    values = {name: getattr(backup, name) for name in Backup.__slots__}
    return Backup(**(values | changes))


def retention(keep: str = "last=3", **changes: Any) -> Retention:
    """A policy that keeps so, for its own backups, in UTC."""
    values: dict[str, Any] = {"keep": Keep.parse(keep), "zone": ZONE, "scope": Scope.OWN}
    return Retention(**(values | changes))


def listing(backups: Iterable[Backup], completeness: Completeness = Completeness.COMPLETE) -> Listing:
    """A listing taken now."""
    rows = tuple(backups)
    return Listing(rows, len(rows), NOW, completeness)


def roomy(answer: Verdict | Refusal) -> Verdict:
    """The verdict on the one that makes room, where one does."""
    assert isinstance(answer, Verdict), answer
    return answer


def refused(answer: Verdict | Refusal) -> Refusal:
    """The refusal, where no room is made."""
    assert isinstance(answer, Refusal), answer
    return answer


def verdicts(
    backups: Iterable[Backup],
    policy: Retention | str = "last=3",
    *,
    now: datetime = NOW,
    accepted: Collection[str] = (),
) -> dict[str, Verdict]:
    """The verdict on each backup, by uuid, newest first."""
    asked = retention(policy) if isinstance(policy, str) else policy
    judged = judge(tuple(backups), asked, ownership=OURS, now=now, accepted=accepted)
    return {verdict.backup.uuid: verdict for verdict in judged}


def those(judged: dict[str, Verdict], action: Action) -> list[str]:
    """The uuids that have this verdict, newest first."""
    return [uuid for uuid, verdict in judged.items() if verdict.action is action]


def texts(verdict: Verdict) -> list[str]:
    """What is said about it."""
    return [reason.text for reason in verdict.reasons]
