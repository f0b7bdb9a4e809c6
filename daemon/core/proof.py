"""How far a backup, or a copy of one, is known to be restorable."""

from enum import StrEnum


class Level(StrEnum):
    """What was read and found right, each level more than the one before.

    READ is size and checksum, WALKED the archive to its end, SANE what a game needs of its files.
    """

    READ = "read"
    WALKED = "walked"
    SANE = "sane"


def reached(*, walked: bool, games: tuple[str, ...] | None) -> Level:
    """Return the level that a check without problems reached; an unknown game cannot be sane.

    `games` are those that the archive's files were recognised as, None if nobody looked into them.
    """
    if not walked:
        return Level.READ
    return Level.SANE if games else Level.WALKED
