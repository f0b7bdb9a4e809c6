"""One server as it is in life: 120 backups on three pages, and what becomes of every one.

97 good own ones, one a day at 04:00; 7 locked ones (3 good, 2 failed, 2 pending); 5 failed, 1 pending and 10 foreign.
"""

from datetime import timedelta

import pytest

from daemon.core.brake import Brake
from daemon.core.model import Action, Backup, Scope
from daemon.core.plan import plan
from tests.core.build import OURS, at, but, failed, good, listing, pending, retention

LAST = at("2026-04-01 04:00")
DAILY = [good(LAST - timedelta(days=days)) for days in range(97)]
LOCKED = [
    *(but(good(LAST - timedelta(days=days, hours=1)), locked=True) for days in (0, 50, 200)),
    *(failed(LAST - timedelta(days=days, hours=2), locked=True) for days in (10, 90)),
    *(pending(LAST - timedelta(days=days, hours=3), locked=True) for days in (1, 60)),
]
FAILED = [
    *(failed(LAST - timedelta(days=days, hours=4)) for days in (3, 20, 80)),
    *(failed(LAST - timedelta(days=days, hours=4)) for days in (0, 1)),
]
PENDING = [pending(LAST - timedelta(hours=5))]
FOREIGN = [good(LAST - timedelta(days=30 * number, hours=6), name=f"before update {number}") for number in range(10)]
ALL = [*DAILY, *LOCKED, *FAILED, *PENDING, *FOREIGN]
KEEP = "last=3,daily=7,weekly=4,monthly=6"


def day(text: str) -> str:
    """The uuid of the daily one of that day."""
    return f"{text.replace('-', '')}-040000"


OWN_KEPT = {
    *(
        day(f"2026-{text}") for text in ("04-01", "03-31", "03-30", "03-29", "03-28", "03-27", "03-26")
    ),  # last and daily
    *(day(f"2026-{text}") for text in ("03-22", "03-15")),  # weekly, with 04-01 and 03-29
    *(day(text) for text in ("2026-02-28", "2026-01-31", "2025-12-31")),  # monthly, with 04-01 and 03-31
    day("2025-12-26"),  # the oldest, while fewer than 6 months are covered
}


def uuids(backups: list[Backup]) -> set[str]:
    """Their uuids."""
    return {backup.uuid for backup in backups}


def outcome(scope: Scope) -> dict[Action, set[str]]:
    """What becomes of all 120, without the brake."""
    made = plan(listing(ALL), retention(KEEP, scope=scope), ownership=OURS, brake=Brake())
    assert made.refused is None
    assert {verdict.backup.uuid for verdict in made.deletions} == {
        verdict.backup.uuid for verdict in made.verdicts if verdict.action is Action.DELETE
    }
    return {action: {verdict.backup.uuid for verdict in made.verdicts if verdict.action is action} for action in Action}


def test_there_are_a_hundred_and_twenty() -> None:
    """As many as fill three pages of 50."""
    assert len(ALL) == len(uuids(ALL)) == 120


def test_with_scope_own_only_ours_go() -> None:
    """The rules keep 13, the locked stay, young failures wait, and what is foreign or pending is not touched."""
    ended = outcome(Scope.OWN)
    assert ended[Action.KEEP] == OWN_KEPT | uuids(LOCKED) | uuids(FAILED[3:])
    assert ended[Action.IGNORE] == uuids(FOREIGN) | uuids(PENDING)
    assert ended[Action.DELETE] == uuids(ALL) - ended[Action.KEEP] - ended[Action.IGNORE]
    assert uuids(FAILED[:3]) <= ended[Action.DELETE]


def test_with_scope_all_foreign_ones_are_judged_with_ours() -> None:
    """Where one made by hand is the newest of its day or month it takes that place; the locked and pending stay."""
    ended = outcome(Scope.ALL)
    by_hand = {"20260331-220000", "20251231-220000", "20251101-220000"}
    assert by_hand < uuids(FOREIGN)
    displaced = {day("2025-12-31"), day("2025-12-26")}
    assert ended[Action.KEEP] == (OWN_KEPT - displaced) | by_hand | uuids(LOCKED) | uuids(FAILED[3:])
    assert ended[Action.IGNORE] == uuids(PENDING)


@pytest.mark.parametrize(("scope", "count"), [(Scope.OWN, 84), (Scope.ALL, 93)])
def test_the_default_brake_stops_it_and_says_what_would_go(scope: Scope, count: int) -> None:
    """So a first run over an old mess, or a narrowed policy, costs nothing."""
    made = plan(listing(ALL), retention(KEEP, scope=scope), ownership=OURS, brake=Brake(10))
    assert (made.code, made.deletions) == ("max-deletions", ())
    assert (made.refused or "").startswith(f"would delete {count} good backups, more than max_deletions = 10: ")
