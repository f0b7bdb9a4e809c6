"""Check one backup as a download would fetch it, and write nothing: size, checksum, the archive to its end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from daemon.core.proof import Level, reached
from daemon.errors import ProblemCode
from daemon.transfer.expected import USUAL, Expected, Tally
from daemon.transfer.gzip import GzipError, Unpacker
from daemon.transfer.receive import Source, Transfer
from daemon.transfer.tar import Member, Names, TarError, Walker


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with a backup's file. `code` is for scripts, `text` for people."""

    code: ProblemCode
    text: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file contains: regular files, their bytes, and all entries.

    `outermost` are the names at its top; it has others too if `more_outermost`.
    """

    files: int
    bytes: int
    entries: int
    outermost: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    more_outermost: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sanity:
    """What was found in the files of an archive: the games that they are of, and what is wrong; `count` counts all.

    `worlds` are the folders of the first worlds.
    """

    games: tuple[str, ...]
    problems: tuple[str, ...]
    count: int
    worlds: tuple[str, ...] = field(default=(), compare=False)


class Inspector(Protocol):
    """Reads the files in one archive."""

    def open(self, name: str, size: int) -> Member | None:
        """Return who reads this file; None if nobody does."""
        ...

    def sanity(self) -> Sanity:
        """The archive has come to its end: return what was found."""
        ...


Inspect = Callable[[], Inspector]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The result of a check. `contents` is None if the archive could not be read to its end; `games` are those that its
    files are of, None if nobody looked into these.
    """

    size: int
    checksum: str
    contents: Contents | None
    problems: tuple[Complaint, ...] = ()
    warnings: tuple[Complaint, ...] = ()
    games: tuple[str, ...] | None = None
    worlds: tuple[str, ...] = ()

    @property
    def level(self) -> Level | None:
        """What the backup was shown to be; None if something is wrong with it."""
        return None if self.problems else reached(walked=self.contents is not None, games=self.games)


def verify(source: Source, expected: Expected, inspect: Inspect | None = None) -> VerifyResult:
    """Fetch a backup and check it; raises TransferError, HostError, PanelError if that is impossible.

    `inspect` gives who reads the files in it, a new one each time that the archive is read from its beginning.
    """
    reader = ArchiveReader(expected.algorithm, inspect)
    difference = Transfer(source, reader, expected).run()
    return reader.finding(expected, difference)


@dataclass(slots=True)
class _Archive:
    """A `.tar.gz` that is read as it comes, up to the first damage."""

    walker: Walker
    damage: str | None = None
    unpacker: Unpacker = field(init=False)

    def __post_init__(self) -> None:
        self.unpacker = Unpacker(self.walker.add)

    def add(self, piece: bytes) -> None:
        if self.damage is None:
            try:
                self.unpacker.add(piece)
            except (GzipError, TarError) as error:
                self.damage = str(error)

    def end(self) -> None:
        if self.damage is None:
            try:
                self.unpacker.end()
                self.walker.end()
            except (GzipError, TarError) as error:
                self.damage = str(error)


class ArchiveReader:
    """A sink that reads the archive and keeps none of it."""

    rewinds = True

    def __init__(self, algorithm: str = USUAL, inspect: Inspect | None = None) -> None:
        self._algorithm = algorithm
        self._inspect = inspect
        self.restart()

    def restart(self) -> None:
        """Forget what was read."""
        self.tally = Tally(self._algorithm)
        self._inspector = self._inspect() if self._inspect else None
        self._archive = _Archive(Walker(self._inspector.open) if self._inspector else Walker())

    def add(self, piece: bytes) -> None:
        """Read on."""
        self.tally.add(piece)
        self.walk(piece)

    def walk(self, piece: bytes) -> None:
        """Read on in the archive alone, where the tally is kept beside it."""
        self._archive.add(piece)

    def finding(self, expected: Expected, difference: str | None) -> VerifyResult:
        """Given what is wrong with size or checksum, return that and all else that was found."""
        self._archive.end()
        walker, damage = self._archive.walker, self._archive.damage
        problems = []
        if difference is not None:
            problems.append(
                Complaint(ProblemCode.SIZE if self.tally.size != expected.size else ProblemCode.CHECKSUM, difference)
            )
        if damage is not None:
            problems.append(Complaint(ProblemCode.ARCHIVE, damage))
        if walker.escaping.count:
            problems.append(Complaint(ProblemCode.ESCAPING, _listed("leads out of the folder", walker.escaping)))
        warnings = [] if expected.unchecked is None else [Complaint(ProblemCode.UNCHECKED, expected.unchecked)]
        if walker.outward.count:
            warnings.append(
                Complaint(ProblemCode.OUTWARD_LINK, _listed("is a link to somewhere outside", walker.outward))
            )
        outermost = frozenset(walker.outermost), walker.more_outermost
        contents = None if damage else Contents(walker.files, walker.bytes, walker.entries, *outermost)
        games: tuple[str, ...] | None = None
        worlds: tuple[str, ...] = ()
        if self._inspector is not None and damage is None:
            sanity = self._inspector.sanity()
            games, worlds = sanity.games, sanity.worlds
            problems += _not_sane(sanity)
        size, checksum = self.tally.size, self.tally.checksum
        return VerifyResult(size, checksum, contents, tuple(problems), tuple(warnings), games, worlds)


def _not_sane(sanity: Sanity) -> list[Complaint]:
    """Return what is wrong in the archive's files, as complaints."""
    more = sanity.count - len(sanity.problems)
    texts = [*sanity.problems, *([f"{more} more such problems"] if more else [])]
    return [Complaint(ProblemCode.NOT_SANE, text) for text in texts]


def _listed(what: str, names: Names) -> str:
    """Return a text that counts the names and gives the first of them."""
    more = f" and {names.count - len(names.first)} more" if names.count > len(names.first) else ""
    count = "1 name" if names.count == 1 else f"each of {names.count} names"
    return f"{count} {what}: {', '.join(names.first)}{more}"
