"""The values that every decision is made of.

Everything here is frozen, and every moment is timezone-aware. Nothing here reads a clock or knows of HTTP: what the
panel said arrives as these values, and what is decided leaves as these values.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """What a backup is worth; a lock is independent of it."""

    GOOD = "good"
    FAILED = "failed"
    PENDING = "pending"
    SUSPICIOUS = "suspicious"
    STRANGE = "strange"


class Scope(StrEnum):
    """What a policy may delete: only what it named itself, or any unlocked backup."""

    OWN = "own"
    ALL = "all"


class Action(StrEnum):
    """What becomes of a backup."""

    KEEP = "keep"
    DELETE = "delete"
    IGNORE = "ignore"


class Completeness(StrEnum):
    """How far a listing can be trusted to hold every backup (invariant 5).

    COMPLETE: the distinct rows of one pass were as many as the panel's `total`.
    STEADY: never so, but two passes gave the same rows: the panel's `total` is plainly wrong.
    PARTIAL: neither; nothing may be deleted by it.
    """

    COMPLETE = "complete"
    STEADY = "steady"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup as the panel describes it.

    `bytes` is 0 until it is completed. `created_at` is None only where the panel's text could not be read; then
    `unreadable` says why, and the backup is strange. `ignored` is what the panel understood of the ignore list.
    """

    uuid: str
    name: str
    successful: bool
    locked: bool
    bytes: int
    created_at: datetime | None
    completed_at: datetime | None
    checksum: str | None = None
    ignored: tuple[str, ...] = ()
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Every backup of one server, as read in full passes over all pages.

    `taken_at` is the panel's own clock (its `Date` header) when the last pass began; `total` is what the panel
    claimed; `pages` is the number of requests that one pass takes. `earlier` are the good backups of the last complete
    listing, if this one is not complete and that one is known: sizes are compared with theirs too. `doubt` says why the
    clock cannot be trusted; empty if it can.
    """

    backups: tuple[Backup, ...]
    total: int
    taken_at: datetime
    completeness: Completeness
    pages: int = 1
    earlier: tuple[Backup, ...] = ()
    doubt: str = ""


class Obstacle(StrEnum):
    """The states of a server in which the panel answers every backup call with 409, in words."""

    SUSPENDED = "suspended"
    INSTALL_FAILED = "not installed (install_failed)"
    REINSTALL_FAILED = "not installed (reinstall_failed)"
    INSTALLING = "installing"
    TRANSFERRING = "transferring"
    RESTORING = "restoring a backup"
    MAINTENANCE = "on a node under maintenance"

    @property
    def passes(self) -> bool:
        """Whether it ends by itself."""
        return self not in {Obstacle.SUSPENDED, Obstacle.INSTALL_FAILED, Obstacle.REINSTALL_FAILED}


@dataclass(frozen=True, slots=True)
class Server:
    """One game server as the panel describes it.

    `backup_limit` 0 means that the panel allows no backups. `permissions` is None where the answer did not hold
    them (the server list does not); `frozenset({"*"})` means all. `owned` says that the key's user owns the server.
    `disk_limit` is how many bytes its files may take, None if the panel sets no limit, or does not say.
    """

    uuid: str
    identifier: str
    name: str
    node: str
    backup_limit: int
    status: str | None = None
    suspended: bool = False
    installing: bool = False
    transferring: bool = False
    node_under_maintenance: bool = False
    description: str = ""
    permissions: frozenset[str] | None = None
    owned: bool = False
    disk_limit: int | None = None

    @property
    def obstacle(self) -> Obstacle | None:
        """Why the panel would answer every backup call with 409; None if it would not, as far as is known.

        After a failed reinstallation Pelican answers so, since it counts the server as installing; Pterodactyl does
        not. A status that is not named here is left to the panel's own answer.
        """
        states = (
            (self.suspended or self.status == "suspended", Obstacle.SUSPENDED),
            (self.status == "install_failed", Obstacle.INSTALL_FAILED),
            (self.status == "reinstall_failed" and self.installing, Obstacle.REINSTALL_FAILED),
            (self.installing or self.status == "installing", Obstacle.INSTALLING),
            (self.transferring, Obstacle.TRANSFERRING),
            (self.status == "restoring_backup", Obstacle.RESTORING),
            (self.node_under_maintenance, Obstacle.MAINTENANCE),
        )
        return next((obstacle for holds, obstacle in states if holds), None)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a verdict. `rule` and `slot` are for machines ("weekly", "2026-W14"), `text` is for people."""

    rule: str
    slot: str | None
    text: str


ASKED = "asked"
"""The rule of the reason that says of a backup that its deletion was asked for and not completed."""


class Verdict(NamedTuple):
    """What becomes of one backup, and why: at least one reason, in the order of the rules.

    `because` are the words for its state, whether or not a lock or another's name decides what becomes of it.
    A named tuple, since a judgement makes one of every backup and a dataclass takes twice as long.
    """

    backup: Backup
    state: State
    own: bool
    action: Action
    reasons: tuple[Reason, ...]
    because: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is good and, as far as is known, has its file: no deletion of it was left half done."""
        return self.state is State.GOOD and all(reason.rule != ASKED for reason in self.reasons)
