"""What `backups list` can be narrowed to and ordered by."""

from enum import StrEnum


class Only(StrEnum):
    """What a list can be narrowed to."""

    GOOD = "good"
    FAILED = "failed"
    PENDING = "pending"
    SUSPICIOUS = "suspicious"
    STRANGE = "strange"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    OWN = "own"
    FOREIGN = "foreign"
    KEEP = "keep"
    DELETE = "delete"
    IGNORE = "ignore"


class Sort(StrEnum):
    """What a list can be ordered by; of each the greatest comes first, but for names."""

    CREATED = "created"
    SIZE = "size"
    TOOK = "took"
    NAME = "name"
