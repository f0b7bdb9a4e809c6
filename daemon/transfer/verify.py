"""Check one backup as a download would fetch it, and write nothing: size, checksum, the archive to its end."""

from dataclasses import dataclass, field

from daemon.errors import ProblemCode
from daemon.transfer.expected import USUAL, Expected, Tally
from daemon.transfer.gzip import GzipError, Unpacker
from daemon.transfer.receive import Source, Transfer
from daemon.transfer.tar import Names, TarError, Walker


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with a backup's file. `code` is for scripts, `text` for people."""

    code: ProblemCode
    text: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file contains: regular files, their bytes, and all entries."""

    files: int
    bytes: int
    entries: int


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The result of a check. `contents` is None if the archive could not be read to its end."""

    size: int
    checksum: str
    contents: Contents | None
    problems: tuple[Complaint, ...] = ()
    warnings: tuple[Complaint, ...] = ()


def verify(source: Source, expected: Expected) -> VerifyResult:
    """Fetch a backup and check it; raises TransferError, HostError, PanelError if that is impossible."""
    reader = ArchiveReader(expected.algorithm)
    difference = Transfer(source, reader, expected).run()
    return reader.finding(expected, difference)


@dataclass(slots=True)
class _Archive:
    """A `.tar.gz` that is read as it comes, up to the first damage."""

    walker: Walker = field(default_factory=Walker)
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

    def __init__(self, algorithm: str = USUAL) -> None:
        self._algorithm = algorithm
        self.restart()

    def restart(self) -> None:
        """Forget what was read."""
        self.tally = Tally(self._algorithm)
        self._archive = _Archive()

    def add(self, piece: bytes) -> None:
        """Read on."""
        self.tally.add(piece)
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
        contents = None if damage else Contents(walker.files, walker.bytes, walker.entries)
        return VerifyResult(self.tally.size, self.tally.checksum, contents, tuple(problems), tuple(warnings))


def _listed(what: str, names: Names) -> str:
    """Return a text that counts the names and gives the first of them."""
    more = f" and {names.count - len(names.first)} more" if names.count > len(names.first) else ""
    count = "1 name" if names.count == 1 else f"each of {names.count} names"
    return f"{count} {what}: {', '.join(names.first)}{more}"
