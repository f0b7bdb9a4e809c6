"""Who looks into the files of an archive, by what was asked for on the command line."""

from collections.abc import Sequence

from daemon.cli.options import Depth
from daemon.clock import Clock
from daemon.proof.sane import SanityCheck
from daemon.transfer.verify import Inspect


def inspection(level: Depth, clock: Clock) -> Inspect | None:
    """Return who looks into an archive's files; None if only its end is wanted.

    Other chunks of a world are looked into each day, so that a check every day sees them all.
    """
    if level is Depth.WALKED:
        return None
    day = clock.now().toordinal()
    return lambda: SanityCheck(day)


def games(known: Sequence[str]) -> str:
    """Return in words what an archive's files were recognised as."""
    return f"looked into: {', '.join(known)}" if known else "of no game that is known, so only read to its end"
