"""One copy read back from its store, to the end, and compared with its manifest; nothing is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.copies.fetch import fetch_to
from daemon.copies.manifest import Manifest
from daemon.core.proof import Level, reached
from daemon.errors import ProblemCode
from daemon.stores.base import Store
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.verify import ArchiveReader, Complaint, Contents, Inspect


@dataclass(frozen=True, slots=True)
class Verified:
    """What a copy was found to be. `contents` is None where the archive was not walked: it is encrypted, or damaged;
    `games` is as in `VerifyResult`.
    """

    contents: Contents | None
    problems: tuple[Complaint, ...] = ()
    warnings: tuple[Complaint, ...] = ()
    games: tuple[str, ...] | None = None
    worlds: tuple[str, ...] = ()

    @property
    def level(self) -> Level | None:
        """What the copy was shown to be; None if something is wrong with it."""
        return None if self.problems else reached(walked=self.contents is not None, games=self.games)


@dataclass(frozen=True, slots=True)
class Reading:
    """How copies are read: with which private keys, and who looks into the archive's files, if anybody does."""

    identities: Sequence[object] = ()
    inspect: Inspect | None = None


async def verify_copy(
    store: Store,
    manifest: Manifest,
    reading: Reading,
    moved: Callable[[int], None],
    *,
    spool_in: Path,
) -> Verified:
    """Read a copy, and walk its archive unless it is encrypted and there is no identity.

    `spool_in` is as in `fetch_to`. Raises StoreError, EncryptionError and DiskError where it cannot be read.
    """
    if manifest.encryption is not None and not reading.identities:
        return await _sealed(store, manifest, moved, spool_in)
    told = manifest.backup
    expected = Expected(told.bytes, told.checksum)
    reader = ArchiveReader(expected.algorithm, reading.inspect)

    def take(piece: bytes) -> None:
        reader.add(piece)
        moved(reader.tally.size)

    wrong: tuple[Complaint, ...] = ()
    try:
        await fetch_to(store, manifest, take, reading.identities, spool_in=spool_in)
    except WrongFileError as error:
        wrong = (Complaint(ProblemCode.CHECKSUM, error.text),)
    found = reader.finding(expected, None)
    return Verified(found.contents, (*wrong, *found.problems), found.warnings, found.games, found.worlds)


async def _sealed(store: Store, manifest: Manifest, moved: Callable[[int], None], spool_in: Path) -> Verified:
    """Read a copy as it is stored: what it holds only the private key can tell."""
    come = 0

    def take(piece: bytes) -> None:
        nonlocal come
        come += len(piece)
        moved(come)

    try:
        await fetch_to(store, manifest, take, (), spool_in=spool_in)
    except WrongFileError as error:
        return Verified(None, (Complaint(ProblemCode.CHECKSUM, error.text),))
    return Verified(None)
