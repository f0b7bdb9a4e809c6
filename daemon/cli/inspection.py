"""How deep an archive is read, and what came of it in words."""

from collections.abc import Sequence

from daemon.cli.options import Depth
from daemon.core.proof import Level


def level_of(depth: Depth) -> Level:
    """Return the level that was asked for on the command line."""
    return Level(depth.value)


def games(known: Sequence[str]) -> str:
    """Return in words what an archive's files were recognised as."""
    return f"looked into: {', '.join(known)}" if known else "of no known game, so only read to its end"
