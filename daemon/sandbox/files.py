"""The files of a server, in a folder of this machine: what a node does with them, and backups that hold them.

A server without a folder has files that nobody looks at: its list is empty, and its node can put nothing there.
"""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PIECE = 65_536


class NoFileError(Exception):
    """There is no such file or folder, or the server has none at all."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A backup that holds a server's very files; the same face as `Archive`."""

    data: bytes

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.data)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes."""
        for start in range(0, len(self.data), PIECE):
            yield self.data[start : start + PIECE]

    def digest(self, algorithm: str) -> str:
        """Return the checksum by that algorithm of hashlib's, in hex."""
        return hashlib.new(algorithm, self.data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file or folder, as a list shows it."""

    name: str
    size: int
    is_file: bool
    modified_at: datetime


class Files:
    """What a node does in a server's folder. Every path is relative to it, and none leads out of it."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def rows(self, directory: str) -> list[FileRow]:
        """Return what is in a folder; raises NoFileError where it is none."""
        if self._root is None and not directory.strip("/"):
            return []
        folder = self._at(directory)
        if not folder.is_dir():
            raise NoFileError(directory)
        return [_row(path) for path in sorted(folder.iterdir())]

    def size(self) -> int:
        """Return how many bytes all files have."""
        return sum(path.stat().st_size for path in self._at("").rglob("*") if path.is_file())

    def write(self, path: str, data: bytes) -> None:
        """Write a file; its folders are made."""
        target = self._at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def read(self, path: str) -> bytes:
        """Return a file; raises NoFileError where it is none."""
        target = self._at(path)
        if not target.is_file():
            raise NoFileError(path)
        return target.read_bytes()

    def delete(self, root: str, names: Sequence[str]) -> None:
        """Delete files and folders; what is not there is passed over, as a node does."""
        for name in names:
            target = self._at(f"{root}/{name}")
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def empty(self) -> None:
        """Delete everything."""
        self.delete("", [row.name for row in self.rows("")])

    def unpack(self, root: str, data: bytes) -> None:
        """Unpack a `.tar.gz` over what is there; raises tarfile.TarError, OSError."""
        target = self._at(root)
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            archive.extractall(target, filter="data")

    def pack(self) -> bytes:
        """Return a `.tar.gz` of everything."""
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1) as archive:
            for row in self.rows(""):
                archive.add(self._at(row.name), row.name)
        return held.getvalue()

    def _at(self, path: str) -> Path:
        if self._root is None:
            raise NoFileError(path)
        target = (self._root / path.strip("/")).resolve()
        if not target.is_relative_to(self._root.resolve()):
            raise NoFileError(path)
        return target


def _row(path: Path) -> FileRow:
    found = path.stat()
    return FileRow(path.name, found.st_size, path.is_file(), datetime.fromtimestamp(found.st_mtime, UTC))
