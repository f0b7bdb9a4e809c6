"""The things in the sandbox: users, keys, nodes, servers and backups, as mutable records without rules.

The rules are in `checks` and `world`, the panel's own settings in `settings`; how the records look as JSON is in
`shapes`.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from daemon.sandbox.archive import Archive, Flavour
from daemon.sandbox.files import Files, Packed
from daemon.sandbox.settings import Digest, Kind

EVERYTHING = ("*",)
"""The permissions of an owner and of an administrator."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account."""

    name: str
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: `ptlc_…` of a client, or `ptla_…` of an application, which the client API refuses."""

    token: str
    user: User
    allowed_ips: tuple[str, ...] = ()

    @property
    def for_application(self) -> bool:
        """Whether it is of the kind that the client API refuses."""
        return self.token.startswith(("ptla_", "papp_"))


class NodeState(StrEnum):
    """How a node meets the panel: HANGING takes the request and never answers."""

    UP = "up"
    DOWN = "down"
    HANGING = "hanging"


class Pulls(StrEnum):
    """What a node makes of a file that it is to pull from a private address: REFUSED says so, SILENT does not."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(slots=True)
class Node:
    """The machine that servers run on.

    `answer_seconds` is how long it lets the panel wait (the panel gives up after 15). `error` is the status that it
    answers every request with, None for none. `url` is where it serves downloads. `backup_host` is whether a Pelican
    keeps backups for its servers anywhere. A file that it pulls has come after `pull_seconds`, an archive is unpacked
    after `unpack_seconds`, and no upload is larger than `upload_limit` bytes.
    """

    name: str
    url: str
    state: NodeState = NodeState.UP
    maintenance: bool = False
    answer_seconds: float = 0.0
    error: int | None = None
    backup_host: bool = True
    pulls: Pulls = Pulls.ALLOWED
    pull_seconds: float = 1.0
    unpack_seconds: float = 0.0
    upload_limit: int = 100 * 2**20


class BackupEnding(StrEnum):
    """How a backup ends. STUCK never does."""

    GOOD = "good"
    FAILED = "failed"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Work:
    """What happens to a backup once it is asked for: after `seconds` it ends with `outcome`, and is `size` bytes large.

    `late` seconds after its creation the node reports success after all, whatever it said before.
    """

    seconds: float = 1.0
    size: int = 20_000
    outcome: BackupEnding = BackupEnding.GOOD
    late: float | None = None
    flavour: Flavour = Flavour.WHOLE


class State(StrEnum):
    """What the panel knows of a backup."""

    GOOD = "good"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(slots=True, eq=False)
class Backup:
    """One row of the panel's table, and the file on the node behind it.

    `claimed_bytes` and `claimed_checksum` replace the true ones in what the panel says. `file_gone` means that the
    node lost the file. `scheduled` says that one of the panel's own schedules made it, where it is a Pelican. `packed`
    holds the server's very files; without it the file is made up.
    """

    uuid: str
    name: str
    created_at: datetime
    locked: bool = False
    ignored: tuple[str, ...] = ()
    successful: bool = False
    completed_at: datetime | None = None
    size: int = 20_000
    flavour: Flavour = Flavour.WHOLE
    claimed_bytes: int | None = None
    claimed_checksum: str | None = None
    file_gone: bool = False
    scheduled: bool = False
    packed: Packed | None = None

    @property
    def state(self) -> State:
        """Good, failed or pending."""
        if self.successful:
            return State.GOOD
        return State.PENDING if self.completed_at is None else State.FAILED

    @property
    def archive(self) -> Archive | Packed:
        """The bytes of the file."""
        return self.packed or Archive(self.uuid, self.size, self.flavour)

    @property
    def bytes(self) -> int:
        """The size that the panel tells: 0 unless good."""
        if not self.successful:
            return 0
        return self.archive.size if self.claimed_bytes is None else self.claimed_bytes

    def checksum(self, digest: Digest) -> str | None:
        """Return the checksum that the panel tells: None unless good."""
        if not self.successful:
            return None
        return self.claimed_checksum or f"{digest.value}:{self.archive.digest(digest.value)}"


class Storage(StrEnum):
    """Where a server's backups are kept, which decides the kind of download link. OTHER is unknown to the panel."""

    NODE = "node"
    S3 = "s3"
    OTHER = "other"


class Power(StrEnum):
    """Whether a server's process runs."""

    OFFLINE = "offline"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(slots=True, eq=False)
class Server:
    """A game server. `backups` are in the order of their insertion, which is the order the panel lists them in.

    `subusers` maps a user's name to permissions. `work` is what becomes of its backups; `coming` holds that of the
    next ones, used up first. A restore takes `restore_seconds`, and fails if `restores_fail`. `recent` are those made
    of late, deleted ones included, for the creation throttle. `folder` is where its files are, None where nobody looks
    at them; what it holds goes into backups and comes back from them, and may be `disk` MiB. It starts, and stops,
    within `power_seconds`, and one that `crashes` is offline again once it ran for so long; one that `hangs` stops only
    where it is killed. Each start empties `console`, and `says` is what it writes there once it runs. It runs since
    `started_at`, in the world's seconds; for a minute where that is not known.
    """

    uuid: str
    number: int
    name: str
    owner: User
    node: Node
    limit: int | None = 10
    description: str = ""
    status: str | None = None
    transferring: bool = False
    subusers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    work: Work = Work()
    coming: deque[Work] = field(default_factory=deque)
    storage: Storage = Storage.NODE
    restore_seconds: float = 1.0
    restores_fail: bool = False
    folder: Path | None = None
    disk: int = 1024
    power: Power = Power.RUNNING
    power_seconds: float = 1.0
    crashes: float | None = None
    hangs: bool = False
    says: tuple[str, ...] = ()
    console: list[str] = field(default_factory=list)
    started_at: float | None = None
    backups: dict[str, Backup] = field(default_factory=dict)
    recent: deque[Backup] = field(default_factory=deque)

    def installing(self, kind: Kind) -> bool:
        """Return whether the panel says that it is: a Pelican does so too of one whose reinstallation failed."""
        failed = {"install_failed", "reinstall_failed"} if kind is Kind.PELICAN else {"install_failed"}
        return self.status == "installing" or self.status in failed

    @property
    def files(self) -> Files:
        """Its files."""
        return Files(self.folder)

    @property
    def identifier(self) -> str:
        """The short id, the first eight characters of the uuid."""
        return self.uuid[:8]

    def is_full(self) -> bool:
        """Return whether the panel refuses one more backup; only failed ones do not count."""
        return sum(backup.state is not State.FAILED for backup in self.backups.values()) >= (self.limit or 0)

    def permissions(self, user: User) -> tuple[str, ...] | None:
        """Return what `user` may do here; `("*",)` is everything, None means that the user does not see the server."""
        if user.admin or user == self.owner:
            return EVERYTHING
        return self.subusers.get(user.name)


class Change(StrEnum):
    """What can happen to a backup or, from RESTORING on, to a server. FILE_DELETED leaves the panel's row."""

    CREATED = "created"
    COMPLETED = "completed"
    FAILED = "failed"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    RENAMED = "renamed"
    DELETED = "deleted"
    FILE_DELETED = "file deleted"
    RESTORING = "restoring"
    RESTORED = "restored"
    RESTORE_FAILED = "restore failed"
    PULLING = "pulling"
    UPLOADED = "uploaded"
    UNPACKED = "unpacked"
    FILES_DELETED = "files deleted"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: what happened to which backup, when by the panel's clock, and by whom.

    `locked` and `state` are those that the backup had just before; of a new one, those it was made with. `by` is the
    user's name, "node", "panel", or any name that a test gives. `truncate` is what a restore was asked for with.
    """

    at: datetime
    change: Change
    server: str
    backup: str
    name: str
    locked: bool
    state: State
    by: str
    truncate: bool | None = None
