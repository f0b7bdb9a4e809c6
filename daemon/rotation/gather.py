"""Reading the listing, knowing how old it is by our own clock, and by which names it shows what is ours."""

from dataclasses import dataclass, replace

from daemon.core.model import Completeness, Listing
from daemon.rotation.naming import compare_listed
from daemon.rotation.run import Run


@dataclass(frozen=True, slots=True)
class Gathered:
    """A listing, and the moment (of the monotonic clock) that it is not older than."""

    listing: Listing
    read_at: float


async def gather(run: Run) -> Gathered:
    """Read all pages; raises PanelError where the panel does not give them."""
    listing, read_at = await run.read(lambda: run.client.dated_backups(run.server_id))
    if listing.completeness is not Completeness.COMPLETE:
        listing = replace(listing, earlier=run.earlier())
    gathered = Gathered(listing, read_at)
    run.step(
        "gathered",
        backups=len(listing.backups),
        total=listing.total,
        completeness=listing.completeness.value,
    )
    compare_listed(run, listing)
    return gathered


def say_incomplete(run: Run, listing: Listing) -> None:
    """Tell the operator when the panel's listing did not hold together."""
    rows = len(listing.backups)
    said = any(problem.code == "wrong_total" for problem in run.problems)
    if listing.completeness is Completeness.STEADY and not said:
        run.problem(
            "wrong_total",
            f"the panel says {listing.total} backups and gives {rows}, twice the same: these are judged, "
            "and total_size does not act",
        )
