"""A plan for people: the table of verdicts, and one line on what follows from it."""

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.cli.ui.tables import cell
from daemon.cli.ui.verdicts import StoresWith, summary, verdict_table
from daemon.core.model import Completeness, Listing
from daemon.core.plan import Plan

if TYPE_CHECKING:
    from rich.console import RenderableType


def plan_parts(
    decided: Plan, listing: Listing, zone: ZoneInfo, hint: str = "", stores: StoresWith | None = None
) -> "list[RenderableType]":
    """Return the parts that show a plan; `hint` tells what can be done if it is refused.

    `stores` as in `verdict_table`.
    """
    refused = decided.refused is not None
    parts: list[RenderableType] = [verdict_table(decided.verdicts, zone, stores)] if decided.verdicts else []
    line = f"{summary(decided.verdicts, refused=refused)} (times in {zone.key})" if decided.verdicts else "no backups"
    parts.append(cell(line, "bold"))
    if listing.completeness is Completeness.STEADY:
        text = f"the panel says there are {listing.total} backups, and shows {len(listing.backups)} each time"
        parts.append(cell(text, "yellow"))
    if decided.refused is not None:
        parts.append(cell(f"refused: {decided.refused}", "bold red"))
    if hint:
        parts.append(cell(f"hint: {hint}", "dim"))
    return parts
