"""What comes of a job in the stores: plain values, so that they cross a pipe.

What must hold: a result holds nothing that is read from an archive but what is told of a proof, in short and printable
texts, and a bounded index of its files where that was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from daemon.core.applied import AppliedRetention
from daemon.core.files import ArchiveIndex
from daemon.core.proof import Level
from daemon.core.units import rfc3339
from daemon.errors import BackupdError, ProblemCode
from daemon.state import CopyEvent, CopyRecord, ShelfRecord

Raised = TypeVar("Raised", bound=BackupdError)


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
class Cleared:
    """What was in the way of a copy, and was cleared away: its key, its bytes, `what` it was, and since when, by our
    own clock, it had not changed.
    """

    key: str
    bytes: int
    what: str
    since: datetime

    @property
    def text(self) -> str:
        """Why it went, for people."""
        return f"{self.what}, unchanged since {rfc3339(self.since)}"

    def record(self, server: str, server_uuid: str, store: str, now: datetime) -> CopyRecord:
        """Return what the journal keeps of it."""
        return CopyRecord(
            CopyEvent.CLEARED, now, server, server_uuid, store, backup=self.key, bytes=self.bytes, text=self.text
        )


@dataclass(frozen=True, slots=True)
class Mended:
    """A copy whose manifest was gone, and was written back: its backup by uuid and name, and the key of its data."""

    backup: str
    name: str
    key: str

    @property
    def text(self) -> str:
        """What was done, for people."""
        return f"the manifest of {self.key} was gone, and was written back"

    def record(self, server: str, server_uuid: str, store: str, now: datetime) -> CopyRecord:
        """Return what the journal keeps of it."""
        return CopyRecord(CopyEvent.MENDED, now, server, server_uuid, store, self.backup, self.name, text=self.text)


@dataclass(frozen=True, slots=True)
class LookResult:
    """What the stores want, the newest backup first. `remembered` is what is to be kept in the catalogue.

    `troubles` are the stores that cannot be used; `problems` hold up none of the copies that a store still wants.
    `cleared` is, by store, what was in the way, and `mended` whose manifests were written back.
    """

    wanted: tuple[WantedCopy, ...] = ()
    troubles: Mapping[str, Failure] = field(default_factory=dict)
    problems: tuple[tuple[str, Failure], ...] = ()
    remembered: tuple[ShelfRecord, ...] = ()
    cleared: tuple[tuple[str, Cleared], ...] = ()
    mended: tuple[tuple[str, Mended], ...] = ()


@dataclass(frozen=True, slots=True)
class CopyDone:
    """What came of one backup in one store: how many bytes lie there now, or why there is no copy.

    It came from the store `source`; None for the node.
    """

    store: str
    bytes: int | None
    failure: Failure | None = None
    source: str | None = None


def came_from(source: str | None) -> str:
    """Return in words what a record says of a copy that was made; nothing for one that came from the node."""
    return "" if source is None else f"from {source}"


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
class PruneResult:
    """What was deleted from one store, the oldest first, and how many copies are `renewed`: locked for longer now.

    `refused` is why nothing was deleted, or what is held since the store's rules were changed. `applied` is what to
    record as applied to it (None: what was known). `failure` is what ended it early, or why nothing was decided;
    `trouble` says whether the store is to blame for it. `problems` hindered nothing else.
    """

    deleted: tuple[Pruned, ...] = ()
    renewed: int = 0
    cleared: tuple[Cleared, ...] = ()
    refused: str = ""
    applied: AppliedRetention | None = None
    failure: Failure | None = None
    trouble: bool = False
    remembered: tuple[ShelfRecord, ...] = ()
    problems: tuple[Failure, ...] = ()


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
class Fetched:
    """The names of the files that hold it, in their order; or why it is not there."""

    parts: tuple[str, ...] = ()
    failure: Failure | None = None
