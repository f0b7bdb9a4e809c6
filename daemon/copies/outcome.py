"""What came of one server's copies in all its stores, and the server as the panel showed it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from daemon.clock import Clock
from daemon.config.values import ServerConfig
from daemon.copies.manifest import Manifest
from daemon.copies.results import Cleared, Mended
from daemon.core.clocks import jumped
from daemon.core.model import Backup, Listing, Server, Verdict
from daemon.errors import BackupdError, StateError


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """What came of one copy: the manifest that stands now, or why there is none.

    It came from the store `source`; None for the node.
    """

    store: str
    backup: Backup
    manifest: Manifest | None
    error: BackupdError | None
    source: str | None = None


@dataclass(slots=True)
class ServerResult:
    """The result for one server: its copies, the newest backup first, and the stores that could not be used at all.

    `problems` are, by store, what holds up none of the copies that it still wants; `cleared` is, by store, what was in
    the way of copies, and `mended` whose manifests were written back. The stores `unread` could not be read from.
    """

    config: ServerConfig
    copies: list[CopyOutcome] = field(default_factory=list)
    troubles: dict[str, BackupdError] = field(default_factory=dict)
    problems: list[tuple[str, BackupdError]] = field(default_factory=list)
    cleared: list[tuple[str, Cleared]] = field(default_factory=list)
    mended: list[tuple[str, Mended]] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    error: BackupdError | None = None

    @property
    def failed(self) -> bool:
        """Whether a copy is not there that should be."""
        return bool(self.error or self.troubles or any(copy.error for copy in self.copies))

    @contextmanager
    def remembering(self, store: str) -> Iterator[None]:
        """Log that the state cannot be written to, and go on: what is remembered of a store is only a cache."""
        try:
            yield
        except StateError as error:
            if (store, error.text) not in [(other, problem.text) for other, problem in self.problems]:
                self.problems.append((store, error))


@dataclass(frozen=True)
class Looked:
    """One server as the panel shows it now."""

    config: ServerConfig
    server: Server
    listing: Listing
    verdicts: Sequence[Verdict]

    def doubt(self, clock: Clock) -> str:
        """Why our clock is not to be trusted, as it was when the panel was looked at, or was set since; else empty."""
        return self.listing.doubt or jumped(clock.was_set_by())
