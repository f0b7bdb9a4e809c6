"""What the daemon asks of the worker that touches the stores, and the results: plain values, so that they cross a pipe.

The daemon decides what is copied and when, and keeps the state; a `CopyWorker` lists, writes, reads and deletes. What
must hold: no job holds a panel's key, and a result holds nothing that is read from an archive but what is told of a
proof, in short and printable texts, and a bounded index of its files where that was asked for.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import SecretStr

from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.core.applied import NOTHING, AppliedRetention
from daemon.core.files import ArchiveIndex
from daemon.core.model import Listing, Server, Verdict
from daemon.core.proof import PANEL, Level
from daemon.errors import BackupdError, ProblemCode
from daemon.state import ShelfRecord
from daemon.transfer.progress import ProgressListener

if TYPE_CHECKING:
    from daemon.copies.manifest import Manifest

Raised = TypeVar("Raised", bound=BackupdError)


@dataclass(frozen=True, slots=True)
class Job:
    """One server as the panel shows it now, and the stores that are meant, by name.

    The `others` may have what these lack. `remembered` is what the catalogue holds of that server in each of them all.
    What slow stores have yet to take may wait in `room`.
    """

    config: ServerConfig
    server: Server
    listing: Listing
    verdicts: tuple[Verdict, ...]
    stores: Mapping[str, StoreConfig]
    remembered: tuple[ShelfRecord, ...]
    installation: str
    others: Mapping[str, StoreConfig] = field(default_factory=dict)
    room: SpoolRoom = NO_ROOM

    def without_key(self) -> "Job":
        """Return the job as it is sent to another process, which has no business with the panel."""
        panel = replace(self.config.panel, api_key=SecretStr(""))
        return replace(
            self, config=replace(self.config, panel=panel), stores=dict(self.stores), others=dict(self.others)
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was not done."""

    code: ProblemCode
    text: str
    hint: str = ""

    @classmethod
    def of(cls, error: BackupdError) -> "Failure":
        """Return the failure that an error describes."""
        return cls(error.code, error.text, error.hint)

    def as_error(self, kind: type[Raised]) -> Raised:
        """Return an error of that kind that says the same; where there is no hint, the kind's own."""
        error = kind(self.text, hint=self.hint or None)
        error.code = self.code
        return error


@dataclass(frozen=True, slots=True)
class WantedCopy:
    """One backup, by uuid, with its name and its size in bytes, and the stores that want it."""

    backup: str
    name: str
    bytes: int
    stores: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookResult:
    """What the stores want, the newest backup first. `remembered` is what is to be kept in the catalogue.

    `troubles` are the stores that cannot be used; `problems` hold up none of the copies that a store still wants.
    """

    wanted: tuple[WantedCopy, ...] = ()
    troubles: Mapping[str, Failure] = field(default_factory=dict)
    problems: tuple[tuple[str, Failure], ...] = ()
    remembered: tuple[ShelfRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyDone:
    """What came of one backup in one store: how many bytes lie there now, or why there is no copy.

    It came from the store `source`; None for the node.
    """

    store: str
    bytes: int | None
    failure: Failure | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What came of one backup. The rest is as in LookResult."""

    copies: tuple[CopyDone, ...] = ()
    troubles: Mapping[str, Failure] = field(default_factory=dict)
    problems: tuple[tuple[str, Failure], ...] = ()
    remembered: tuple[ShelfRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Pruned:
    """A copy that was deleted: its backup by uuid and name, its size in the store, and why."""

    backup: str
    name: str
    bytes: int
    text: str


@dataclass(frozen=True, slots=True)
class PruneInputs:
    """What is known of a server whose copies are pruned: which backups an operator `accepted` as good, what was last
    `applied` to it in that store, and why our clock is in `doubt`, if it is. If they are `frozen` their locks are
    renewed, and none is deleted.
    """

    accepted: frozenset[str] = frozenset()
    applied: AppliedRetention = NOTHING
    doubt: str = ""
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What was deleted from one store, the oldest first, and how many copies are `renewed`: locked for longer now.

    `refused` is why nothing was deleted, or what is held since the store's rules were changed. `applied` is what to
    record as applied to it (None: what was known). `failure` is what ended it early, or why nothing was decided;
    `trouble` says whether the store is to blame for it. `problems` hindered nothing else.
    """

    deleted: tuple[Pruned, ...] = ()
    renewed: int = 0
    cleared: int = 0
    refused: str = ""
    applied: AppliedRetention | None = None
    failure: Failure | None = None
    trouble: bool = False
    remembered: tuple[ShelfRecord, ...] = ()
    problems: tuple[Failure, ...] = ()


MOST_INDEXED = 10_000
"""Files that the daemon lets itself be told of an archive: it holds them in memory until a drill has ended."""


@dataclass(frozen=True, slots=True)
class ToProve:
    """A backup to read to its end as deep as `level`: from its node, or its copy in `store`, which is a store's name.

    `day` chooses what is sampled. Files by the patterns of `expect` must be in it. Of its files, at most so many are
    `indexed`: they are told. It has `bytes` bytes, 0 if that is not known.

    A copy is the one that the `manifest` tells of, where that is at hand, else the one that is remembered. It is
    decrypted by these `identities`, as a file of age's holds them; what is decrypted lies in `spool_in` before.
    `detailed` asks for all that a person would be told.
    """

    backup: str
    level: Level
    day: int
    store: str = PANEL
    expect: tuple[str, ...] = ()
    indexed: int = 0
    bytes: int = 0
    manifest: "Manifest | None" = None
    identities: SecretStr | None = None
    spool_in: Path = Path()
    detailed: bool = False


@dataclass(frozen=True, slots=True)
class Details:
    """What a person is told of a reading beyond what is recorded of it: what is wrong or odd, each by its code.

    `size` and `checksum` are those of what came; `games` is as in `VerifyResult`. If the archive ended its reader, that
    `died`, and once is not enough for a failed proof.
    """

    size: int = 0
    checksum: str = ""
    problems: tuple[tuple[ProblemCode, str], ...] = ()
    warnings: tuple[tuple[ProblemCode, str], ...] = ()
    games: tuple[str, ...] | None = None
    entries: int = 0
    died: bool = False


@dataclass(frozen=True, slots=True)
class ProofFound:
    """What a reading found: how deep it could look, or what is wrong.

    `files`, `bytes` and `worlds` are what the archive holds. `failure` is why it could not be read at all, which says
    nothing of the backup.
    """

    reached: Level | None
    problems: tuple[str, ...] = ()
    files: int | None = None
    bytes: int | None = None
    worlds: tuple[str, ...] = ()
    failure: Failure | None = None
    index: ArchiveIndex | None = None
    details: Details | None = None

    @property
    def died(self) -> bool:
        """Whether the archive is known to have ended its reader."""
        return self.details is not None and self.details.died


@dataclass(frozen=True, slots=True)
class ToFetch:
    """A backup to fetch into a folder of ours, as archives of at most `most` bytes. It has `bytes` bytes itself."""

    backup: str
    folder: Path
    most: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """The names of the files that hold it, in their order; or why it is not there."""

    parts: tuple[str, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What a worker in another process is asked: to copy a `backup`, to prune the store `prunes`, to prove, to fetch,
    else to look.
    """

    job: Job
    proves: ToProve | None = None
    fetches: ToFetch | None = None
    backup: str | None = None
    prunes: str | None = None
    inputs: PruneInputs = PruneInputs()


@dataclass(frozen=True, slots=True)
class Link:
    """A signed link that the worker asked for."""

    url: SecretStr


@dataclass(frozen=True, slots=True)
class NoLink:
    """Why the panel gave no link, whether it may give one later, and after how many seconds, if it said so."""

    failure: Failure
    transient: bool
    retry_after: float | None


def came_from(source: str | None) -> str:
    """Return in words what a record says of a copy that was made; nothing for one that came from the node."""
    return "" if source is None else f"from {source}"


@dataclass(frozen=True, slots=True)
class Leave:
    """The answer to a worker that asks whether it may delete: why not, empty if it may."""

    hindrance: str


AskLeave = Callable[[], Awaitable[str]]
"""Ask, right before a deletion, why it must not be done now; empty if it may be done (invariants 17 and 20)."""


async def always() -> str:
    """Return that nothing hinders."""
    return ""


GiveLink = Callable[[], Awaitable[SecretStr]]
"""Ask the panel for a new link to the file that is being copied; raises PanelError."""


class CopyListener(ProgressListener, Protocol):
    """Hears how far a backup is, and of each copy as soon as it stands."""

    async def copied(self, done: CopyDone, seen: ShelfRecord) -> None:
        """A store has its whole copy, while others may still take theirs; `seen` is what it holds of the server."""
        ...


class CopyWorker(Protocol):
    """Touches the stores, one job at a time. What a store does wrong is told in the result.

    A worker that meets a bug raises WorkerError, one that dies or hangs WorkerDiedError; the next job gets a new one.
    """

    async def look(self, job: Job) -> LookResult:
        """Look into the job's stores: what do they want of the verdicts' backups?"""
        ...

    async def copy(self, job: Job, backup: str, link: GiveLink, listener: CopyListener) -> CopyResult:
        """Copy one backup, by its uuid, to the job's stores."""
        ...

    async def prune(self, job: Job, store: str, inputs: PruneInputs, leave: AskLeave = always) -> PruneResult:
        """Delete from a store what its rules let go; `leave` is asked right before each deletion."""
        ...

    async def close(self) -> None:
        """End the worker; the next job starts another one."""
        ...


class ProofWorker(Protocol):
    """Reads archives to their end, one at a time; it raises as a CopyWorker does."""

    async def prove(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        """Read one backup of the job's listing, or its copy in one of the job's stores, to the end."""
        ...

    async def close(self) -> None:
        """End the worker; the next job starts another one."""
        ...


class FetchWorker(ProofWorker, Protocol):
    """A ProofWorker that fetches archives, too."""

    async def fetch(self, job: Job, what: ToFetch, link: GiveLink, listener: ProgressListener) -> Fetched:
        """Fetch one backup of the job's listing, checked, and split it where it is too large."""
        ...
