"""What a game needs, in one archive: each file that a reader knows is given to it as it comes.

Games are recognised by their files, never by a configuration. What is not known is passed over: an archive without
anything known is neither sane nor damaged, and `games` is empty.
"""

import posixpath
import re
from dataclasses import dataclass, field

from daemon.proof.findings import Findings
from daemon.proof.leveldb import TableReader, manifest_named
from daemon.proof.nbt import NbtError, check_level
from daemon.proof.region import RegionReader
from daemon.proof.sqlite import DatabaseReader, settle
from daemon.transfer.tar import Member
from daemon.transfer.verify import Sanity

JAVA, BEDROCK, SQLITE = "Minecraft Java", "Minecraft Bedrock", "SQLite"
LARGEST_WHOLE = 4 * 2**20  # bytes of a file that is kept to be read whole
MOST_WORLDS = 100
MOST_KEPT = 10_000  # databases and journals that are remembered; no server has so many

_REGION = re.compile(
    r"(?P<world>.*?)(?:^|/)(?:(?:DIM-?\d+|dimensions/[^/]+/[^/]+)/)?(?:region|entities|poi)/[^/]+\.mca"
)
_DATABASES = (".db", ".sqlite", ".sqlite3", ".db3")
_JOURNALS = ("-journal", "-wal")
_PLAYED = frozenset({"session.lock", "level.dat_old", "playerdata"})
"""What stands beside a world's level.dat once a server has run it."""


@dataclass(slots=True)
class _Whole:
    """A small file, kept to be read when it has ended."""

    path: str
    data: bytearray = field(default_factory=bytearray)

    def add(self, piece: bytes) -> None:
        self.data += piece

    def end(self) -> None:
        """It is read once the archive has ended."""


class SanityCheck:
    """All readers over one archive. `salt` chooses what is sampled; two checks with one salt look at the same."""

    def __init__(self, salt: int = 0) -> None:
        self._salt = salt
        self._findings = Findings()
        self._games: set[str] = set()
        self._levels: dict[str, _Whole] = {}
        self._currents: dict[str, _Whole] = {}
        self._manifests: set[str] = set()
        self._regions: set[str] = set()
        self._played: set[str] = set()
        self._databases: list[DatabaseReader] = []
        self._journals: set[str] = set()

    def open(self, path: str, size: int) -> Member | None:
        """Return who reads this file; None if nobody does."""
        path = posixpath.normpath(path).lstrip("/")
        folder, name = posixpath.split(path)
        self._note(folder, name, path, size)
        if name.endswith(".mca") and (region := _REGION.fullmatch(path)):
            self._games.add(JAVA)
            self._regions.add(region["world"])
            return RegionReader(path, size, self._findings, self._salt)
        if name in {"level.dat", "CURRENT"}:
            return self._keep(self._levels if name == "level.dat" else self._currents, folder, path, size)
        if name.endswith((".ldb", ".sst")) and posixpath.basename(folder) == "db":
            return TableReader(path, size, self._findings, self._salt)
        if name.endswith(_DATABASES) and len(self._databases) < MOST_KEPT:
            self._databases.append(DatabaseReader(path, size))
            return self._databases[-1]
        return None

    def _note(self, folder: str, name: str, path: str, size: int) -> None:
        """Remember what other files are looked at with."""
        if name in _PLAYED:
            self._played.add(folder)
        elif posixpath.basename(folder) in _PLAYED:
            self._played.add(posixpath.dirname(folder))
        elif name.startswith("MANIFEST-") and size:
            self._manifests.add(path)
        elif name.endswith(_JOURNALS) and size and len(self._journals) < MOST_KEPT:
            self._journals.add(path)

    def _keep(self, kept: dict[str, _Whole], folder: str, path: str, size: int) -> Member | None:
        if size > LARGEST_WHOLE or len(kept) >= MOST_KEPT:
            return None
        kept[folder] = _Whole(path)
        return kept[folder]

    def sanity(self) -> Sanity:
        """The archive has ended: return what was found."""
        for level in self._levels.values():
            self._level(level)
        for folder, current in self._currents.items():
            self._current(folder, current)
        for world in sorted(self._regions - self._levels.keys()):
            if world in self._played:
                self._findings.add(posixpath.join(world, "level.dat"), "missing, though the world has regions")
        for database in self._databases:
            if database.is_database:
                self._games.add(SQLITE)
                settle(database, self._journals, self._findings)
        told = tuple(map(str, self._findings.first))
        worlds = tuple(sorted(world or "." for world in self._regions | self._levels.keys()))[:MOST_WORLDS]
        return Sanity(tuple(sorted(self._games)), told, self._findings.count, worlds)

    def _level(self, level: _Whole) -> None:
        try:
            self._games.add(check_level(bytes(level.data)))
        except NbtError as error:
            self._findings.add(level.path, str(error))

    def _current(self, folder: str, current: _Whole) -> None:
        """A folder with CURRENT is a database of LevelDB's, and Bedrock's if a level.dat stands beside it."""
        if posixpath.basename(folder) != "db" or posixpath.dirname(folder) not in self._levels:
            return
        self._games.add(BEDROCK)
        named = manifest_named(bytes(current.data))
        if named is None:
            self._findings.add(current.path, "it names no MANIFEST")
        elif posixpath.join(folder, named) not in self._manifests:
            self._findings.add(current.path, f"it names {named}, which is missing or empty")
