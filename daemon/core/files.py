"""The files of a server as its panel lists them, and what an archive should leave there. Pure.

What must hold: what was not looked at is not said to be right. An index is bounded, so that an archive of millions of
files takes no more memory than one of thousands; what is beyond is counted, and told as not looked at.
"""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MOST_REMEMBERED = 50_000
"""Files of an archive that are remembered by name."""

MOST_FOLDERS = 200
"""Folders of a server that are listed: each takes a request, and a panel allows some hundred a minute."""


LONGEST_PATH = 1000
"""Characters of a file's path that is told to another process; Linux allows four times as many."""


class Power(StrEnum):
    """Whether a server's process runs, in the panel's words; UNKNOWN for a word that is not known."""

    OFFLINE = "offline"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file or folder of a server. `size` is in bytes, and means nothing for a folder."""

    name: str
    size: int
    is_file: bool


@dataclass(frozen=True, slots=True)
class ServerRoom:
    """How many bytes a server's files may take, and how many they take now."""

    limit: int
    used: int

    def lacks(self, archive: int, unpacked: int, *, emptied: bool) -> int:
        """Return by how many bytes an archive and its files are too large; 0 if they fit.

        The archive comes before anything is deleted, and lies there until all of it is unpacked.
        """
        kept = 0 if emptied else self.used
        return max(0, archive + max(self.used, kept + unpacked) - self.limit)


@dataclass(slots=True)
class ArchiveIndex:
    """The regular files of an archive: of each folder ("" is the outermost) the names and sizes. `count` counts all,
    which have `bytes` bytes.

    `outermost` are the names at its top of whatever kind, links and empty folders too; it has others as well if
    `more_outermost`.
    """

    folders: dict[str, dict[str, int]] = field(default_factory=dict)
    count: int = 0
    bytes: int = 0
    remembered: int = 0
    outermost: frozenset[str] = frozenset()
    more_outermost: bool = False

    def add(self, path: str, size: int) -> None:
        """Take note of a file; a later one of the same name takes its place, as it does where it is unpacked."""
        self.count += 1
        self.bytes += size
        if self.remembered >= MOST_REMEMBERED:
            return
        folder, _, name = posixpath.normpath(path).rpartition("/")
        files = self.folders.setdefault(folder, {})
        if name in files:
            self.count -= 1
            self.bytes -= files[name]
        else:
            self.remembered += 1
        files[name] = size

    def told(self, most: int) -> "ArchiveIndex":
        """Return an index that another process may be told: of at most so many files, whose names are text of no more
        than LONGEST_PATH. The others are counted alone.
        """
        found = ArchiveIndex(count=self.count, bytes=self.bytes)
        for folder, files in self.folders.items():
            for name, size in files.items():
                if found.remembered < most and _is_text(f"{folder}/{name}"):
                    found.folders.setdefault(folder, {})[name] = size
                    found.remembered += 1
        return found

    def top(self) -> list[str]:
        """Return the names of what is outermost, as far as they are remembered."""
        folders = {folder.partition("/")[0] for folder in self.folders if folder}
        return sorted({*self.folders.get("", {}), *folders, *self.outermost} - {"", ".", ".."})

    def to_look_at(self) -> list[str]:
        """Return the folders to list, the outer ones first."""
        return sorted(self.folders, key=lambda folder: (folder.count("/"), folder))[:MOST_FOLDERS]

    def looked_at(self, folders: Iterable[str]) -> int:
        """Return how many of the files lie in these folders."""
        return sum(len(self.folders[folder]) for folder in folders)

    def differences(self, seen: Mapping[str, Iterable[FileEntry]]) -> list[str]:
        """Given what is in some of the folders, return what is missing or of another size, in words."""
        wrong = []
        for folder, entries in seen.items():
            there = {entry.name: entry.size for entry in entries if entry.is_file}
            for name, size in self.folders[folder].items():
                path = f"{folder}/{name}".lstrip("/")
                if name not in there:
                    wrong.append(f"{path} is missing")
                elif there[name] != size:
                    wrong.append(f"{path} has {there[name]} bytes instead of {size}")
        return wrong


def _is_text(path: str) -> bool:
    """Return whether a path can be told as text: a tar archive may hold any bytes."""
    return len(path) <= LONGEST_PATH and not any("\ud800" <= one <= "\udfff" for one in path)
