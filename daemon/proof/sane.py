"""What a game needs, in one archive: each file that a reader knows is given to it as it comes.

Games are recognised by their files, never by a configuration. What is not known is passed over: an archive without
anything known is neither sane nor damaged, and `games` is empty.
"""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from zlib import crc32

from daemon.core.proof import MOST_WORLDS
from daemon.proof import bedrock
from daemon.proof.bedrock import BedrockCheck
from daemon.proof.findings import Findings
from daemon.proof.nbt import NbtError, check_level
from daemon.proof.region import RegionReader
from daemon.proof.sqlite import DatabaseReader, Steps, settle
from daemon.transfer.tar import Member
from daemon.transfer.verify import Sanity

JAVA, BEDROCK, SQLITE = "Minecraft Java", "Minecraft Bedrock", "SQLite"
LARGEST_LEVEL = 4 * 2**20  # bytes of a level.dat
LONGEST_PATH = 4096  # characters, Linux's bound
MOST_REMEMBERED, MOST_CHARACTERS = 50_000, 8 * 2**20  # names of worlds and databases; no server has so many

_REGION = re.compile(
    r"(?P<world>.*?)(?:^|/)(?:(?:DIM-?\d+|dimensions/[^/]+/[^/]+)/)?(?:region|entities|poi)/[^/]+\.mca"
)
_DATABASES = (".db", ".sqlite", ".sqlite3", ".db3")
_JOURNALS = ("-journal", "-wal")
_PLAYED = frozenset({"session.lock", "level.dat_old", "playerdata"})
"""What stands beside a world's level.dat once a server has run it."""


class _Level:
    """A world's level.dat, kept until it has ended; then only what it is, which `told` hears."""

    def __init__(self, path: str, told: Callable[[str], object], findings: Findings) -> None:
        self._path, self._told, self._findings = path, told, findings
        self._data = bytearray()

    def add(self, piece: bytes) -> None:
        self._data += piece

    def end(self) -> None:
        try:
            self._told(check_level(bytes(self._data)))
        except NbtError as error:
            self._findings.add(self._path, str(error))
        self._data = bytearray()


@dataclass(slots=True)
class _Memory:
    """How much may be remembered of an archive: names in all, and their characters."""

    names: int
    characters: int

    def takes(self, name: str) -> bool:
        """Whether one more name may be remembered; it counts."""
        self.names -= 1
        self.characters -= len(name)
        return self.names >= 0 and self.characters >= 0

    @property
    def is_over(self) -> bool:
        """Whether some was not."""
        return self.names < 0 or self.characters < 0


def salt_of(day: int) -> int:
    """Return which eighth is sampled on a day, as a number to add.

    Within eight days each has its turn. The order differs from one such week to the next: readings at a regular
    interval, of 24 days for instance, would else come to the same eighth each time.
    """
    return day + crc32(str(day // 8).encode())


class SanityCheck:
    """All readers over one archive. `salt` chooses what is sampled; two checks with one salt look at the same."""

    def __init__(self, salt: int = 0) -> None:
        self._salt = salt
        self._findings = Findings()
        self._games: set[str] = set()
        self._memory = _Memory(MOST_REMEMBERED, MOST_CHARACTERS)
        self._levels: set[str] = set()
        self._java: set[str] = set()
        self._bedrock = BedrockCheck(self._findings, salt, self._memory.takes)
        self._regions: set[str] = set()
        self._apart: set[str] = set()
        self._chunks: set[str] = set()
        self._played: set[str] = set()
        self._databases: list[DatabaseReader] = []
        self._journals: set[str] = set()
        self._steps = Steps()

    def open(self, path: str, size: int) -> Member | None:
        """Return who reads this file; None if nobody does."""
        path = posixpath.normpath(path).lstrip("/")
        if len(path) > LONGEST_PATH:
            return None  # no system has such a file, so no game can open it
        folder, name = posixpath.split(path)
        self._note(folder, name, path, size)
        if name.endswith(".mca") and (region := _REGION.fullmatch(path)):
            self._games.add(JAVA)
            self._remember(self._regions, region["world"])
            return RegionReader(path, size, self._findings, self._salt, partial(self._remember, self._apart))
        if posixpath.basename(folder) == bedrock.FOLDER and (reader := self._bedrock.open(folder, name, path, size)):
            return reader
        return self._small(folder, name, path, size)

    def _small(self, folder: str, name: str, path: str, size: int) -> Member | None:
        """Return who reads a file that is read as a whole, or looked at in the end."""
        if name == "level.dat" and self._remember(self._levels, folder):
            if size <= LARGEST_LEVEL:
                return _Level(path, partial(self._of_game, folder), self._findings)
            self._findings.add(path, f"{size} bytes, and no game writes more than {LARGEST_LEVEL}; it is not read")
        if name.endswith(_DATABASES) and self._memory.takes(path):
            self._databases.append(DatabaseReader(path, size, self._steps))
            return self._databases[-1]
        return None

    def _of_game(self, world: str, game: str) -> None:
        """A level.dat says of which game its world is."""
        self._games.add(game)
        if game == BEDROCK:
            self._bedrock.note(world)
        else:
            self._remember(self._java, world)

    def _note(self, folder: str, name: str, path: str, size: int) -> None:
        """Remember what other files are looked at with."""
        if name == bedrock.MARK and self._memory.takes(path):
            self._bedrock.mark(folder)
        elif name in _PLAYED:
            self._remember(self._played, folder)
        elif posixpath.basename(folder) in _PLAYED:
            self._remember(self._played, posixpath.dirname(folder))
        elif name.endswith(_JOURNALS) and size:
            self._remember(self._journals, path)
        elif name.endswith(".mcc") and size:
            self._remember(self._chunks, path)

    def _remember(self, names: set[str], name: str) -> bool:
        """Add a name, unless it is one too many; return whether it is there."""
        if name not in names and self._memory.takes(name):
            names.add(name)
        return name in names

    def sanity(self) -> Sanity:
        """The archive has ended: return what was found."""
        if self._memory.is_over:
            self._findings.add(".", f"more than {MOST_REMEMBERED} worlds and databases, which no server has")
        if self._bedrock.settle(self._levels, java=self._java, complete=not self._memory.is_over):
            self._games.add(BEDROCK)
        for world in sorted(self._regions - self._levels):
            if world in self._played:
                self._findings.add(posixpath.join(world, "level.dat"), "missing, though the world has regions")
        for path in () if self._memory.is_over else sorted(self._apart - self._chunks):
            self._findings.add(path, "missing or empty, though its region says that this chunk is in it")
        for database in self._databases:
            if database.is_database:
                self._games.add(SQLITE)
            settle(database, self._journals, self._findings)
        told = tuple(map(str, self._findings.first))
        worlds = tuple(sorted(world or "." for world in self._regions | self._levels))[:MOST_WORLDS]
        return Sanity(tuple(sorted(self._games)), told, self._findings.count, worlds)
