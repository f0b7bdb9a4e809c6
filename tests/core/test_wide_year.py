"""A year of rotations by one policy, judged after every single backup."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from daemon.core.model import Action
from daemon.core.retention import judge
from tests.core.build import OURS, at, good, retention

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_year_of_hourly_backups_ends_with_what_the_policy_says() -> None:
    """Pruned after every single one, in a zone with clock changes, with one listing never longer than it must be."""
    policy = retention("hourly=24,daily=7,weekly=4,monthly=12", zone=BERLIN)
    left, moment, longest = [], at("2025-04-01 00:00", BERLIN), 0
    while moment < at("2026-04-01 00:00", BERLIN):
        left.append(good(moment))
        longest = max(longest, len(left))
        judged = judge(left, policy, ownership=OURS, now=moment)
        left = [verdict.backup for verdict in judged if verdict.action is Action.KEEP]
        moment += timedelta(hours=1)
    local = sorted((row.created_at.astimezone(BERLIN) for row in left if row.created_at), reverse=True)
    assert [f"{t:%m-%d %H}" for t in local[:24]] == [f"03-31 {hour:02}" for hour in range(23, -1, -1)]
    assert [f"{t:%m-%d %H}" for t in local[24:32]] == [
        "03-30 23",
        "03-29 23",
        "03-28 23",
        "03-27 23",
        "03-26 23",
        "03-25 23",
        "03-22 23",
        "03-15 23",
    ]
    assert [f"{t:%Y-%m}" for t in local[32:]] == [
        "2026-02",
        "2026-01",
        "2025-12",
        "2025-11",
        "2025-10",
        "2025-09",
        "2025-08",
        "2025-07",
        "2025-06",
        "2025-05",
        "2025-04",
    ]
    most = policy.keep.most_kept()
    assert most is not None
    assert longest <= most + 1
