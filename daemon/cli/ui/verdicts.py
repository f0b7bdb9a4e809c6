"""Verdicts for people: each backup, what becomes of it, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.cli.ui.moments import to_the_minute
from daemon.cli.ui.tables import cell, is_wide, table
from daemon.core.model import Action, Backup, Verdict
from daemon.core.units import format_size

if TYPE_CHECKING:
    from rich.table import Table

StoresWith = Mapping[str, Sequence[str]]
"""The stores that have a copy of each backup, by its uuid."""


def verdict_table(verdicts: Sequence[Verdict], zone: ZoneInfo, stores: StoresWith | None = None) -> "Table":
    """One row a backup, in the order given; on a narrow terminal all but the verdict stands below the name.

    With `stores` each row says which of them have a copy.
    """
    if is_wide():
        copies = [] if stores is None else ["copied to"]
        columns = ("created", "name", "state", "size", "whose", *copies, "verdict", "why")
        return table(columns, (_row(verdict, zone, stores) for verdict in verdicts), right=("size",))
    return table(("verdict", "backup"), (_narrow_row(verdict, zone, stores) for verdict in verdicts))


def _row(verdict: Verdict, zone: ZoneInfo, stores: StoresWith | None) -> Sequence[object]:
    backup = verdict.backup
    return (
        created(backup, zone),
        backup.name,
        verdict.state.value,
        size(backup),
        whose(verdict),
        *([] if stores is None else [", ".join(stores.get(backup.uuid, ())) or "-"]),
        verdict.action.value,
        because(verdict),
    )


def _narrow_row(verdict: Verdict, zone: ZoneInfo, stores: StoresWith | None) -> Sequence[object]:
    facts = [created(verdict.backup, zone), verdict.state.value, size(verdict.backup), whose(verdict)]
    if stores and (have := stores.get(verdict.backup.uuid)):
        facts.append(f"copied to {', '.join(have)}")
    details = cell(f"{', '.join(facts)}: {because(verdict)}", "dim")
    return (verdict.action.value, cell("\n").join((cell(verdict.backup.name), details)))


def because(verdict: Verdict) -> str:
    """Return all reasons in one line."""
    return "; ".join(reason.text for reason in verdict.reasons)


def whose(verdict: Verdict) -> str:
    """Own or foreign, and whether it is locked."""
    owner = "own" if verdict.own else "foreign"
    return f"{owner}, locked" if verdict.backup.locked else owner


def size(backup: Backup) -> str:
    """Return the size, once there is one."""
    return format_size(backup.bytes) if backup.completed_at or backup.bytes else "-"


def created(backup: Backup, zone: ZoneInfo) -> str:
    """Return when it was created."""
    return to_the_minute(backup.created_at, zone) if backup.created_at else "unreadable"


def summary(verdicts: Sequence[Verdict], *, refused: bool = False) -> str:
    """Return the line below the table."""
    count = Counter(verdict.action for verdict in verdicts)
    beyond = count[Action.DELETE]
    deletes = f"deletes 0 of {beyond} beyond retention" if refused else f"deletes {beyond}"
    return f"keeps {count[Action.KEEP]}, {deletes}, ignores {count[Action.IGNORE]}"
