"""One backup, or one copy of it, read to its end as deep as was asked, and what was found in words.

What must hold (invariant 17): only what was read says anything. That it cannot be had now is no finding: it is raised.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from daemon.copies.errors import CopyError
from daemon.copies.jobs import ProofFound, ToProve
from daemon.copies.manifest import Manifest
from daemon.copies.verify import Reading, Verified, verify_copy
from daemon.core.model import Backup
from daemon.core.proof import Level
from daemon.proof.expected import Expecting
from daemon.proof.indexing import Indexing, indexed
from daemon.proof.sane import SanityCheck
from daemon.stores.base import Store
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.receive import Source
from daemon.transfer.threads import in_thread
from daemon.transfer.verify import Inspect, VerifyResult, verify

MOST_TOLD = 10
LONGEST = 300
"""How many problems are reported, and how long each may be: they hold names out of the archive."""

MOST_INDEXED = 10_000
"""Files that are told of an archive: the daemon holds them in memory until a drill has ended."""


async def prove_backup(source: Source, backup: Backup, asked: ToProve) -> ProofFound:
    """Read a backup from its node; raises HostError, PanelError and TransferError where it cannot be read."""
    expected, inspect = Expected.of(backup), _inspect(asked)
    index = Indexing(inspect) if inspect is not None and asked.indexed else None
    try:
        found = await in_thread(lambda: verify(source, expected, index or inspect))
    except WrongFileError as error:
        return ProofFound(None, (_plain(error.text),))
    return replace(found_in(found), index=indexed(index.index.told(MOST_INDEXED), found.contents) if index else None)


async def prove_copy(store: Store, manifest: Manifest, asked: ToProve, moved: Callable[[int], None]) -> ProofFound:
    """Read a copy from its store, an encrypted one as it is stored; raises StoreError where it cannot be read."""
    found = await verify_copy(store, manifest, Reading(inspect=_inspect(asked)), moved, spool_in=Path())
    return found_in(found)


def found_in(found: VerifyResult | Verified) -> ProofFound:
    """Return what a check found, as it is told and recorded."""
    contents = found.contents
    texts = [_plain(problem.text) for problem in found.problems]
    more = [f"{len(texts) - MOST_TOLD} more such problems"] if len(texts) > MOST_TOLD else []
    files, size = (contents.files, contents.bytes) if contents else (None, None)
    worlds = tuple(map(_plain, found.worlds))
    return ProofFound(found.level, (*texts[:MOST_TOLD], *more), files, size, worlds)


def manifest_of(manifests: Iterable[Manifest], backup: str) -> Manifest:
    """Return the manifest of a backup's copy; raises CopyError if there is none."""
    found = next((one for one in manifests if one.backup.uuid == backup), None)
    if found is None:
        raise CopyError("the store is not known to have this copy any more")
    return found


def _inspect(asked: ToProve) -> Inspect | None:
    """Return what looks into the archive's files; each day at other chunks of a world, so that all are seen in time."""
    if asked.level is not Level.SANE and not asked.expect:
        return None
    return lambda: Expecting(asked.expect, SanityCheck(asked.day) if asked.level is Level.SANE else None)


def _plain(text: str) -> str:
    """Return text out of an archive as it may be shown anywhere: printable, and not too long."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST])
