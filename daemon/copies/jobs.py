"""What the daemon asks of the worker that touches the stores: plain values, so that they cross a pipe.

The daemon decides what is copied and when, and keeps the state; a worker (`workers`) lists, writes, reads and deletes,
and tells the `results`. What must hold: no job holds a panel's key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from daemon.config.values import ServerConfig, StoreConfig
from daemon.copies.results import Failure
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.core.applied import NOTHING, AppliedRetention
from daemon.core.model import Listing, Server, Verdict
from daemon.core.proof import PANEL, Level
from daemon.state import ShelfRecord

if TYPE_CHECKING:
    from daemon.copies.manifest import Manifest


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
class PruneInputs:
    """What is known of a server whose copies are pruned: which backups an operator `accepted` as good, what was last
    `applied` to it in that store, and why our clock is in `doubt`, if it is. If they are `frozen` their locks are
    renewed, and none is deleted.
    """

    accepted: frozenset[str] = frozenset()
    applied: AppliedRetention = NOTHING
    doubt: str = ""
    frozen: bool = False


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
class ToFetch:
    """A backup to fetch into a folder of ours, as archives of at most `most` bytes. It has `bytes` bytes itself."""

    backup: str
    folder: Path
    most: int
    bytes: int


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


@dataclass(frozen=True, slots=True)
class Leave:
    """The answer to a worker that asks whether it may delete: why not, empty if it may."""

    hindrance: str
