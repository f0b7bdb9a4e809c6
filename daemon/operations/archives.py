"""What is brought onto a server: a backup from its node or a copy from its store, read whole before that is touched.

What must hold: `read` says that an archive is whole only where every byte of it came, with the panel's checksum, and
its files were looked into; the index that it returns is of these very bytes.
"""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from pydantic import SecretStr

from daemon.copies.errors import EncryptionError
from daemon.copies.fetch import fetch_into
from daemon.copies.manifest import Manifest
from daemon.copies.source import node_source
from daemon.copies.verify import Reading, verify_copy
from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.operations.archive import ReadResult, Watching, fetched_parts
from daemon.operations.operation import Operation
from daemon.proof.indexing import Indexing, indexed
from daemon.proof.sane import SanityCheck
from daemon.stores.base import GivesLinks
from daemon.stores.open import open_store
from daemon.stores.values import StoreSettings
from daemon.transfer.download import download
from daemon.transfer.expected import Expected
from daemon.transfer.receive import ProgressListener, Source
from daemon.transfer.threads import in_thread
from daemon.transfer.verify import verify

LINK_SECONDS = 3600
"""A node begins to fetch at once; a link that is used until its end may be slow."""


class BackupArchive:
    """A backup of the operation's server, from its node or the panel's object store."""

    def __init__(self, operation: Operation, backup: Backup, watching: Watching) -> None:
        self._operation = operation
        self._backup = backup
        self._watching = watching

    @property
    def backup(self) -> Backup:
        """The backup."""
        return self._backup

    async def read(self) -> ReadResult:
        """Read its file to the end."""
        expected, inspect = Expected.of(self._backup), Indexing(SanityCheck)
        with self._watching(self._backup.name, expected.size) as listener:
            listener.said(f"reading {format_size(expected.size)}")
            source = self._source(listener)
            found = await in_thread(lambda: verify(source, expected, inspect))
        return ReadResult(found.problems, indexed(inspect.index, found.contents), found.level)

    async def link(self) -> SecretStr | None:
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


class CopyArchive:
    """A copy in a store, decrypted here if it is encrypted."""

    def __init__(
        self,
        settings: StoreSettings,
        manifest: Manifest,
        identities: Sequence[object],
        watching: Watching,
        spool_in: Path,
    ) -> None:
        """Raises EncryptionError for an encrypted copy without an identity. `spool_in` is as in `fetch_to`."""
        if manifest.encryption is not None and not identities:
            raise EncryptionError("the copy is encrypted", hint="give the private key with --identity")
        self._settings = settings
        self._manifest = manifest
        self._identities = identities
        self._watching = watching
        self._spool_in = spool_in

    @property
    def backup(self) -> Backup:
        """The backup that was copied."""
        return self._manifest.as_copy().backup

    async def read(self) -> ReadResult:
        """Read the copy to its end."""
        inspect = Indexing(SanityCheck)
        async with open_store(self._settings) as store:
            with self._watching(self.backup.name, self.backup.bytes) as listener:
                listener.said(f"reading {format_size(self._manifest.stored.bytes)} from {self._settings.name}")
                reading = Reading(self._identities, inspect)
                found = await verify_copy(store, self._manifest, reading, listener.moved, spool_in=self._spool_in)
        return ReadResult(found.problems, indexed(inspect.index, found.contents), found.level)

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
                await fetch_into(store, self._manifest, path, self._identities, listener.moved)

    def parts(self, folder: Path, most: int) -> AsyncGenerator[Path, None]:
        """Fetch it, and split it."""
        return fetched_parts(self, folder, most)
