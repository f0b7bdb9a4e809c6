"""The specification of the rules: one list of backups, many policies, and what each keeps.

The list is 2026's start on one server, told by day and hour. Each row of the table reads: this policy keeps these.
"""

import pytest

from daemon.core.model import Action
from tests.core.build import at, good, those, verdicts

LIST = """
    2024-12-31 23   2025-06-30 04   2025-12-28 04   2025-12-29 04   2026-01-01 00   2026-01-31 04   2026-02-01 04
    2026-02-28 04   2026-03-01 04   2026-03-22 04   2026-03-23 04   2026-03-29 04   2026-03-30 04   2026-03-31 04
    2026-03-31 16   2026-03-31 22   2026-04-01 04   2026-04-01 10   2026-04-01 11
"""
# The newest is 2026-04-01 11, a Wednesday in week 14. 2025-12-29 is a Monday of 2026's week 1; 2025-12-28 is the Sunday
# of 2025's week 52; 2026-03-22 and 29 are Sundays.

TABLE = [
    ("last=1", "0401-11"),
    ("last=2", "0401-11 0401-10"),
    ("last=3", "0401-11 0401-10 0401-04"),
    ("last=18", "all but 2024-1231-23"),
    ("last=19", "all"),
    ("last=100", "all"),
    ("last=-1", "all"),
    ("hourly=1", "0401-11"),
    ("hourly=3", "0401-11 0401-10 0401-04"),
    ("hourly=-1", "all"),
    ("daily=1", "0401-11"),
    ("daily=2", "0401-11 0331-22"),
    ("daily=3", "0401-11 0331-22 0330-04"),
    ("daily=7", "0401-11 0331-22 0330-04 0329-04 0323-04 0322-04 0301-04"),
    ("daily=-1", "all but 0401-10 0401-04 0331-16 0331-04"),
    ("weekly=1", "0401-11"),
    ("weekly=2", "0401-11 0329-04"),
    ("weekly=3", "0401-11 0329-04 0322-04"),
    ("weekly=4", "0401-11 0329-04 0322-04 0301-04"),
    ("weekly=6", "0401-11 0329-04 0322-04 0301-04 0201-04 0101-00"),
    ("weekly=7", "0401-11 0329-04 0322-04 0301-04 0201-04 0101-00 2025-1228-04"),
    ("weekly=-1", "0401-11 0329-04 0322-04 0301-04 0201-04 0101-00 2025-1228-04 2025-0630-04 2024-1231-23"),
    ("monthly=1", "0401-11"),
    ("monthly=3", "0401-11 0331-22 0228-04"),
    ("monthly=6", "0401-11 0331-22 0228-04 0131-04 2025-1229-04 2025-0630-04"),
    ("monthly=7", "0401-11 0331-22 0228-04 0131-04 2025-1229-04 2025-0630-04 2024-1231-23"),
    ("monthly=12", "0401-11 0331-22 0228-04 0131-04 2025-1229-04 2025-0630-04 2024-1231-23"),
    ("yearly=1", "0401-11"),
    ("yearly=2", "0401-11 2025-1229-04"),
    ("yearly=3", "0401-11 2025-1229-04 2024-1231-23"),
    ("yearly=10", "0401-11 2025-1229-04 2024-1231-23"),
    ("yearly=-1", "0401-11 2025-1229-04 2024-1231-23"),
    ("last=2,daily=2", "0401-11 0401-10 0331-22"),
    ("daily=2,weekly=2,monthly=2", "0401-11 0331-22 0329-04"),
    ("last=3,weekly=2,yearly=2", "0401-11 0401-10 0401-04 0329-04 2025-1229-04"),
    ("within=1h", "0401-11 0401-10"),
    ("within=7h", "0401-11 0401-10 0401-04"),
    ("within=6h", "0401-11 0401-10"),
    ("within=24h", "0401-11 0401-10 0401-04 0331-22 0331-16"),
    ("within=1d", "0401-11 0401-10 0401-04 0331-22 0331-16 0331-04"),
    ("within=1d7h", "0401-11 0401-10 0401-04 0331-22 0331-16 0331-04"),
    ("within=1d20h", "0401-11 0401-10 0401-04 0331-22 0331-16 0331-04 0330-04"),
    ("within=1mo", "0401-11 0401-10 0401-04 0331-22 0331-16 0331-04 0330-04 0329-04 0323-04 0322-04 0301-04"),
    ("within=3mo", "all but 2025-1229-04 2025-1228-04 2025-0630-04 2024-1231-23"),
    ("within=100y", "all"),
    ("within=3000y", "all"),
    ("within_hourly=2d", "0401-11 0401-10 0401-04 0331-22 0331-16 0331-04 0330-04"),
    ("within_daily=2d", "0401-11 0331-22 0330-04"),
    ("within_daily=2w", "0401-11 0331-22 0330-04 0329-04 0323-04 0322-04"),
    ("within_weekly=1mo", "0401-11 0329-04 0322-04 0301-04"),
    ("within_monthly=1y", "0401-11 0331-22 0228-04 0131-04 2025-1229-04 2025-0630-04"),
    ("within_yearly=10y", "0401-11 2025-1229-04 2024-1231-23"),
    ("within_yearly=1y", "0401-11 2025-1229-04"),
    ("last=1,within_monthly=3mo", "0401-11 0331-22 0228-04 0131-04"),
    ("within=6h,monthly=2", "0401-11 0401-10 0331-22"),
    ("all", "all"),
]


def short(uuid: str) -> str:
    """Given "20260401-110000", return "0401-11"; other years are written out."""
    year, day, hour = uuid[:4], uuid[4:8], uuid[9:11]
    return f"{day}-{hour}" if year == "2026" else f"{year}-{day}-{hour}"


BACKUPS = [good(at(f"{' '.join(pair)}:00")) for pair in zip(*[iter(LIST.split())] * 2, strict=True)]


@pytest.mark.parametrize(("policy", "kept"), TABLE, ids=[policy for policy, _ in TABLE])
def test_policy_keeps(policy: str, kept: str) -> None:
    """Each policy keeps exactly what its row says, and deletes the rest."""
    names = [short(backup.uuid) for backup in reversed(BACKUPS)]
    expected = kept.split()
    if expected[0] == "all":
        expected = [name for name in names if name not in expected[2:]]
    assert [short(uuid) for uuid in those(verdicts(BACKUPS, policy), Action.KEEP)] == expected


def test_the_table_is_as_long_as_promised() -> None:
    """At least forty policies on one list."""
    assert len({policy for policy, _ in TABLE}) == len(TABLE) >= 40
