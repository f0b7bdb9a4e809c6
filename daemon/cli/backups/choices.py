"""How `backups list` can be filtered and sorted."""

from enum import StrEnum


class Only(StrEnum):
    """A filter for the list."""

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
    """A sort order for the list: greatest first, except for names."""

    CREATED = "created"
    SIZE = "size"
    TOOK = "took"
    NAME = "name"
