"""What a store's own rules take of a server's good backups, worked out a second time.

From the words of `docs/stores.md`, as loops over plain rows. A copy's row has its key in the store in place of a uuid.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation import oracle
from tests.simulation.oracle import Row
from tests.simulation.stores.scenario import EVERY

KEY = re.compile(r"main/([0-9a-f-]{36})/(\d{8}T\d{6}Z)_([0-9a-f-]{36})\.tar\.gz(\.json)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULTS = {"keep": "all", "min_good": 1, "max_deletions": 10}


def keeps(policy: Mapping[str, Any], table: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a store keeps of a server with that policy, as a policy."""
    of_the_panel = {"total_size", "keep", "copy_before_delete", "prove"}
    return {
        **{key: value for key, value in policy.items() if key not in of_the_panel},
        "scope": "all",
        "failed_after": "never",
        "max_share": 0.5,
        **{key: table.get(key, default) for key, default in DEFAULTS.items()},
    }


def backup_of(copy: Row) -> str:
    """The uuid of the backup that a copy is of."""
    return str(KEY.fullmatch(copy.uuid)[3])  # type: ignore[index]  # they all are such keys


def wanted(
    good: Sequence[Row], copies: Sequence[Row], table: Mapping[str, Any], policy: Mapping[str, Any], now: datetime
) -> list[Row]:
    """What a store lacks of the good backups, newest first: `every` and `backfill` first, then what it keeps."""
    have = {backup_of(row) for row in copies}
    first = min((row.created for row in copies), default=None)
    taken = {_period(row, table) for row in copies}
    candidates = []
    for place, row in enumerate(good):
        since = first is not None and row.created > first
        backfill = table["backfill"]
        too_old = backfill != "all" and place >= (1 if backfill == "none" else int(backfill)) and not since
        if row.uuid in have or _period(row, table) in taken or too_old:
            continue
        candidates.append(row)
        taken.add(_period(row, table))
    copied = (replace(row, uuid=backup_of(row)) for row in copies)  # the uuid tells apart those of one second
    both = [_plain(row) for row in (*copied, *candidates)]
    going = oracle.judge(both, {**keeps(policy, table), "suspicious": 0}, "", now).deletions
    return [row for row in candidates if row.uuid not in going]


def good_ones(rows: Sequence[Row], policy: Mapping[str, Any], server: str, now: datetime) -> list[Row]:
    """The good backups in scope, newest first."""
    states = oracle.judge(rows, policy, server, now).states
    mine = (row for row in rows if policy["scope"] == "all" or oracle.owns(policy, server, row.name))
    return sorted((row for row in mine if states[row.uuid] == "good"), key=age, reverse=True)


def age(row: Row) -> tuple[datetime, str]:
    """What backups are sorted by."""
    return (row.created, row.uuid)


def _period(row: Row, table: Mapping[str, Any]) -> object:
    """Of which only one is taken; each backup has its own where there is no `every`."""
    if "every" not in table:
        return row.uuid
    return (row.created - EPOCH) // timedelta(seconds=EVERY[table["every"]])


def _plain(row: Row) -> Row:
    """A backup that is as good as its copy would be."""
    return Row(row.uuid, row.name, True, False, max(1, row.bytes), row.created, row.created)
