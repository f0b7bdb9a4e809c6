"""One copy back out of its store: into a file or a stream, checked against its manifest, decrypted where that is asked.

What must hold: a file gets its name only when the bytes have the SHA-256 that the manifest tells; where the copy was
decrypted, that of the archive, and the panel's own checksum too.
"""

import asyncio
import hashlib
import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from daemon.copies.age import decrypt
from daemon.copies.manifest import Manifest
from daemon.stores.base import Store
from daemon.transfer.errors import WrongFileError, disk_error
from daemon.transfer.expected import USUAL, Expected
from daemon.transfer.files import PartFile, is_there, require_room

Take = Callable[[bytes], object]


class _Checked:
    """A file that is written to: sums up what is taken, and compares it in the end."""

    def __init__(self, take: Take, manifest: Manifest) -> None:
        self._take = take
        self._sha256 = hashlib.sha256()
        told = manifest.backup.checksum
        self._checksum = told if told and told.startswith(("sha1:", "sha256:")) else None
        self._panel = hashlib.new((self._checksum or USUAL).partition(":")[0], usedforsecurity=False)
        self._wanted = manifest.backup.sha256

    def write(self, piece: bytes) -> int:
        """Take bytes of the archive."""
        self._sha256.update(piece)
        self._panel.update(piece)
        self._take(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def compare(self) -> None:
        """Raise WrongFileError where it is not the archive that was copied."""
        if self._sha256.hexdigest() != self._wanted:
            raise WrongFileError("what came has another SHA-256 than the copy's manifest tells", hint=_DAMAGED)
        if self._checksum and self._checksum.partition(":")[2] != self._panel.hexdigest():
            raise WrongFileError(f"its {self._panel.name} is not the one that the panel gave", hint=_DAMAGED)


_DAMAGED = "the copy in this store is damaged; `copies list` shows where there is another"


async def fetch_to(
    store: Store, manifest: Manifest, take: Take, identities: Sequence[object], *, spool_in: Path
) -> None:
    """Hand a copy to `take`, as the archive or, where it is encrypted and there are no identities, as it is stored.

    What is decrypted is written to the folder `spool_in` before, encrypted and without a name. Raises StoreError,
    EncryptionError, DiskError, and WrongFileError where it is not what its manifest tells.
    """
    if manifest.encryption is None:
        checked = _Checked(take, manifest)
        await _read(store, manifest, checked.write)
        checked.compare()
    elif not identities:
        await _read(store, manifest, take)
    else:
        with ExitStack() as held:
            try:
                require_room(spool_in, manifest.stored.bytes)
                spool = held.enter_context(TemporaryFile(dir=spool_in, buffering=0))
                await _read(store, manifest, lambda piece: _write(spool, piece))
                spool.seek(0)
            except OSError as error:
                failure = disk_error(error, f"the encrypted copy cannot be kept in {spool_in}")
                raise failure from None
            await asyncio.to_thread(_decrypt, cast("BinaryIO", spool), manifest, take, identities)


async def fetch_into(
    store: Store,
    manifest: Manifest,
    path: Path,
    identities: Sequence[object],
    moved: Callable[[int], None],
    *,
    replace: bool = False,
) -> bool:
    """The same into a file, which has its name only when it is right; return False if it already was there.

    The store is not read where another file has the name and may not be replaced. Raises TransferError as well.
    """
    if is_there(path, _expected(manifest, decrypted=bool(identities)), replace=replace):
        return False
    with PartFile(path) as part:
        if part.tally.size:
            part.restart()
        decrypts = manifest.encryption is not None and bool(identities)
        part.foresee(manifest.stored.bytes + (manifest.backup.bytes if decrypts else 0))  # both are there for a while

        def take(piece: bytes) -> None:
            part.add(piece)
            moved(part.tally.size)

        await fetch_to(store, manifest, take, identities, spool_in=path.parent)
        part.publish(replace=replace)
    return True


def _expected(manifest: Manifest, *, decrypted: bool) -> Expected:
    """Return what the file is to be: the archive, or what is stored of it."""
    part = manifest.backup if decrypted else manifest.stored
    return Expected(part.bytes, f"sha256:{part.sha256}", said_by="the copy's manifest")


def _write(spool: io.FileIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[spool.write(view) :]


def _decrypt(spool: BinaryIO, manifest: Manifest, take: Take, identities: Sequence[object]) -> None:
    checked = _Checked(take, manifest)
    decrypt(spool, checked, identities)
    checked.compare()


async def _read(store: Store, manifest: Manifest, take: Take) -> None:
    """Read the data as it is stored; raises WrongFileError where it is not what the manifest tells."""
    sha256 = hashlib.sha256()
    async with aclosing(store.get(manifest.stored.key)) as pieces:
        async for piece in pieces:
            sha256.update(piece)
            take(piece)
    if sha256.hexdigest() != manifest.stored.sha256:
        raise WrongFileError("what is stored has another SHA-256 than the copy's manifest tells", hint=_DAMAGED)
