"""What is brought onto a server: a backup from its node or a copy from its store, read whole before that is touched.

What must hold: `read` says that an archive is whole only where every byte of it came, with the panel's checksum, and
its files were looked into; the index that it returns is of these very bytes.
"""

from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from daemon.copies.age import read_identities
from daemon.copies.errors import EncryptionError, ReadError
from daemon.copies.fetch import fetch_into
from daemon.copies.jobs import Job, ToProve
from daemon.copies.manifest import Manifest
from daemon.copies.reading import problems_of, read
from daemon.copies.results import ProofFound
from daemon.copies.source import node_source
from daemon.copies.workers import ProofWorker
from daemon.core.files import MOST_REMEMBERED, ArchiveIndex
from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.operations.archive import ReadResult, Watching, fetched_parts
from daemon.operations.operation import Operation
from daemon.operations.proofs import Recorded, depth_to_bring, record_brought, record_copy_brought, to_bring
from daemon.rotation.preview import Preview
from daemon.rotation.run import RotationContext
from daemon.stores.base import GivesLinks
from daemon.stores.open import open_store
from daemon.transfer.download import download
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.progress import ProgressListener
from daemon.transfer.receive import Source
from daemon.transfer.threads import in_thread

LINK_SECONDS = 3600
"""A node begins to fetch at once; a link that is used until its end may be slow."""


async def read_to_bring(
    operation: Operation,
    seen: Preview,
    backup: Backup,
    worker: ProofWorker,
    listener: ProgressListener,
    *,
    indexed: int = 0,
) -> tuple[ProofFound, Recorded]:
    """Have a backup of the operation's server, which was just `seen`, read before it is brought onto one.

    What is found is recorded as a proof. If the archive ended its reader, that is told as a problem, but once is
    no proof. Raises as `read` does.
    """
    context = operation.run.context
    job, asked = to_bring(seen, backup, operation.clock.now(), indexed=indexed)
    began = operation.clock.monotonic()
    listener.said(f"reading {format_size(backup.bytes)}")
    link = partial(operation.client.download_link, operation.config.id, backup.uuid)
    try:
        found = await read(worker, job, asked, listener, link)
    except ReadError as error:
        if error.code is WrongFileError.code:  # it came, and is not what the panel says
            await record_brought(context, seen, backup, asked, ProofFound(None, (error.text,)), began=began)
        raise
    if found.died:
        return found, Recorded()
    return found, await record_brought(context, seen, backup, asked, found, began=began)


class BackupArchive:
    """A backup of the operation's server, from its node or the panel's object store."""

    def __init__(
        self, operation: Operation, seen: Preview, backup: Backup, watching: Watching, worker: ProofWorker
    ) -> None:
        """`worker` reads it; the server was just `seen`."""
        self._operation = operation
        self._seen = seen
        self._backup = backup
        self._watching = watching
        self._worker = worker

    @property
    def backup(self) -> Backup:
        """The backup."""
        return self._backup

    async def read(self) -> ReadResult:
        """Have its file read to the end."""
        with self._watching(self._backup.name, self._backup.bytes) as listener:
            found, recorded = await read_to_bring(
                self._operation, self._seen, self._backup, self._worker, listener, indexed=MOST_REMEMBERED
            )
        return replace(_result(found), lacks=recorded.lacks, unrecorded=recorded.trouble)

    async def link(self) -> SecretStr:
        """Ask the panel for a link."""
        return await self._operation.client.download_link(self._operation.config.id, self._backup.uuid)

    async def fetch(self, path: Path) -> None:
        """Download it."""
        expected = Expected.of(self._backup)
        with self._watching(self._backup.name, expected.size) as listener:
            listener.said(f"fetching {format_size(expected.size)}")
            source = self._source(listener)
            await in_thread(lambda: download(source, expected, path))

    def parts(self, folder: Path, most: int) -> AsyncGenerator[Path, None]:
        """Download it, and split it."""
        return fetched_parts(self, folder, most)

    def _source(self, listener: ProgressListener) -> Source:
        config = self._operation.config
        return node_source(
            self._operation.client,
            config.id,
            self._backup,
            clock=self._operation.clock,
            listener=listener,
            clear=config.panel.clear_links,
        )


def must_have_key(manifest: Manifest, identity: SecretStr | None) -> None:
    """Raise EncryptionError for an encrypted copy without an identity."""
    if manifest.encryption is not None and identity is None:
        raise EncryptionError("the copy is encrypted", hint="give the private key with --identity")


class CopyArchive:
    """A copy in a store, decrypted here if it is encrypted."""

    def __init__(
        self,
        job: Job,
        manifest: Manifest,
        identity: SecretStr | None,
        watching: Watching,
        worker: ProofWorker,
        *,
        context: RotationContext,
        spool_in: Path,
    ) -> None:
        """`worker` reads the copy by `job`, which is `job_of_copy`'s; the journal of `context` gets what it finds. An
        encrypted copy needs an identity, as `must_have_key` says. `spool_in` is as in `fetch_to`.
        """
        (store,) = job.stores.values()
        self._job = job
        self._settings = store.settings
        self._manifest = manifest
        self._identity = identity
        self._watching = watching
        self._worker = worker
        self._context = context
        self._spool_in = spool_in.absolute()

    @property
    def backup(self) -> Backup:
        """The backup that was copied."""
        return self._manifest.as_copy().backup

    async def read(self) -> ReadResult:
        """Have the copy read to its end. If it ends its reader, once is no proof."""
        size = self._manifest.stored.bytes
        level, expect = depth_to_bring(self._job.config.policy)
        asked = ToProve(
            self.backup.uuid,
            level,
            self._job.listing.taken_at.toordinal(),
            self._settings.name,
            expect,
            indexed=MOST_REMEMBERED,
            bytes=size,
            manifest=self._manifest,
            identities=self._identity,
            spool_in=self._spool_in,
        )
        with self._watching(self.backup.name, self.backup.bytes) as listener:
            listener.said(f"reading {format_size(size)} from {self._settings.name}")
            began = self._context.clock.monotonic()
            found = await read(self._worker, self._job, asked, listener)
        if found.died:
            return _result(found)
        recorded = await record_copy_brought(self._context, self._job, self.backup, asked, found, began=began)
        return replace(_result(found), lacks=recorded.lacks, unrecorded=recorded.trouble)

    async def link(self) -> SecretStr | None:
        """Let the store sign an address, where it can and the copy is the archive itself."""
        async with open_store(self._settings) as store:
            if self._manifest.encryption is not None or not isinstance(store, GivesLinks):
                return None
            return store.link(self._manifest.stored.key, LINK_SECONDS)

    async def fetch(self, path: Path) -> None:
        """Fetch the copy, decrypted."""
        async with open_store(self._settings) as store:
            with self._watching(self.backup.name, self.backup.bytes) as listener:
                listener.said(f"fetching {format_size(self._manifest.stored.bytes)} from {self._settings.name}")
                identities = [] if self._identity is None else read_identities(self._identity.get_secret_value())
                await fetch_into(store, self._manifest, path, identities, listener.moved)

    def parts(self, folder: Path, most: int) -> AsyncGenerator[Path, None]:
        """Fetch it, and split it."""
        return fetched_parts(self, folder, most)


def _result(found: ProofFound) -> ReadResult:
    """Return what a reading found; one that told no file has found something wrong."""
    return ReadResult(problems_of(found), found.index or ArchiveIndex())
