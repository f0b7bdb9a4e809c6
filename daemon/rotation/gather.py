"""Read the listing, with its age by our own clock and the names under which it shows our backups."""

from dataclasses import dataclass, replace

from daemon.core.model import Completeness, Listing
from daemon.errors import ProblemCode
from daemon.rotation.naming import compare_listed
from daemon.rotation.run import Run
from daemon.state import StepName


@dataclass(frozen=True, slots=True)
class DatedListing:
    """A listing, and a moment of the monotonic clock that the listing is not older than."""

    listing: Listing
    read_at: float


async def gather(run: Run) -> DatedListing:
    """Read all pages; raise PanelError if the panel does not return them."""
    listing, read_at = await run.read(lambda: run.client.dated_backups(run.server_id))
    if listing.completeness is not Completeness.COMPLETE:
        listing = replace(listing, earlier=await run.earlier())
    dated = DatedListing(listing, read_at)
    await run.step(
        StepName.GATHERED,
        backups=len(listing.backups),
        total=listing.total,
        completeness=listing.completeness.value,
    )
    await compare_listed(run, listing)
    return dated


def say_incomplete(run: Run, listing: Listing) -> None:
    """Tell the operator if the panel's listing is inconsistent."""
    rows = len(listing.backups)
    said = any(problem.code == ProblemCode.WRONG_TOTAL for problem in run.problems)
    if listing.completeness is Completeness.STEADY and not said:
        run.problem(
            ProblemCode.WRONG_TOTAL,
            f"the panel counts {listing.total} backups but lists {rows}, twice the same ones: only these are judged, "
            "and total_size has no effect",
        )
