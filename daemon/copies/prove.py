"""One backup, or one copy of it, read to its end as deep as was asked, and what was found in words.

What must hold (invariant 17): only what was read says anything. That it cannot be had now is no finding: it is raised.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from daemon.copies.age import read_identities
from daemon.copies.errors import CopyError
from daemon.copies.jobs import ToProve
from daemon.copies.manifest import Manifest
from daemon.copies.results import Details, ProofFound
from daemon.copies.verify import Reading, Verified, verify_copy
from daemon.core.model import Backup
from daemon.core.proof import Level
from daemon.proof.expected import Expecting
from daemon.proof.indexing import Indexing, indexed
from daemon.proof.sane import SanityCheck, salt_of
from daemon.stores.base import Store
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.receive import Source
from daemon.transfer.threads import in_thread
from daemon.transfer.verify import Inspect, VerifyResult, verify

MOST_TOLD = 10
LONGEST = 300
"""How many problems are reported, and how long each may be: they hold names out of the archive."""

LONGEST_DETAIL = 4096
"""The longest text for somebody who waits: it names several files."""


async def prove_backup(source: Source, backup: Backup, asked: ToProve) -> ProofFound:
    """Read a backup from its node; raises HostError, PanelError and TransferError where it cannot be read."""
    expected, looking = Expected.of(backup), _Looking(asked)
    try:
        found = await in_thread(lambda: verify(source, expected, looking.inspect))
    except WrongFileError as error:
        if asked.detailed:
            raise
        return ProofFound(None, (_plain(error.text),))
    return looking.found_in(found)


async def prove_copy(store: Store, manifest: Manifest, asked: ToProve, moved: Callable[[int], None]) -> ProofFound:
    """Read a copy from its store, an encrypted one as it is stored unless its key is at hand.

    Raises StoreError, EncryptionError and DiskError where it cannot be read.
    """
    looking = _Looking(asked)
    identities = [] if asked.identities is None else read_identities(asked.identities.get_secret_value())
    reading = Reading(identities, looking.inspect)
    return looking.found_in(await verify_copy(store, manifest, reading, moved, spool_in=asked.spool_in))


class _Looking:
    """What looks into one archive's files, as deep as was asked, and what it then tells."""

    def __init__(self, asked: ToProve) -> None:
        inspect = _inspect(asked)
        self._asked = asked
        self._index = Indexing(inspect) if inspect is not None and asked.indexed else None
        self.inspect: Inspect | None = self._index or inspect

    def found_in(self, found: VerifyResult | Verified) -> ProofFound:
        """Return what a check found, with all that was asked for."""
        index = None
        if self._index is not None:
            index = indexed(self._index.index.told(self._asked.indexed), found.contents)
        return replace(found_in(found), index=index, details=_details(found) if self._asked.detailed else None)


def found_in(found: VerifyResult | Verified) -> ProofFound:
    """Return what a check found, as it is told and recorded."""
    contents = found.contents
    texts = [_plain(problem.text) for problem in found.problems]
    more = [f"{len(texts) - MOST_TOLD} more such problems"] if len(texts) > MOST_TOLD else []
    files, size = (contents.files, contents.bytes) if contents else (None, None)
    worlds = tuple(map(_plain, found.worlds))
    return ProofFound(found.level, (*texts[:MOST_TOLD], *more), files, size, worlds)


def _details(found: VerifyResult | Verified) -> Details:
    """Return all of it, as it may be shown."""
    problems, warnings = (
        tuple((one.code, _plain(one.text, LONGEST_DETAIL)) for one in told) for told in (found.problems, found.warnings)
    )
    size, checksum = (found.size, found.checksum) if isinstance(found, VerifyResult) else (0, "")
    return Details(size, checksum, problems, warnings, found.games, found.contents.entries if found.contents else 0)


def manifest_of(manifests: Iterable[Manifest], backup: str) -> Manifest:
    """Return the manifest of a backup's copy; raises CopyError if there is none."""
    found = next((one for one in manifests if one.backup.uuid == backup), None)
    if found is None:
        raise CopyError("the store is not known to have this copy any more")
    return found


def _inspect(asked: ToProve) -> Inspect | None:
    """Return what looks into the archive's files; each day at other chunks of a world, so that all are seen in time."""
    if asked.level is not Level.SANE and not asked.expect and not asked.indexed:
        return None
    return lambda: Expecting(asked.expect, SanityCheck(salt_of(asked.day)) if asked.level is Level.SANE else None)


def _plain(text: str, longest: int = LONGEST) -> str:
    """Return text out of an archive as it may be shown anywhere: printable, and not too long."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:longest])
