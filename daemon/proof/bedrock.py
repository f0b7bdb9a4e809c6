"""The databases of Bedrock's worlds in one archive: CURRENT names a MANIFEST, and that lists the tables.

What must hold: a table that the database does not list is not judged, since the game was only about to write it, or
done with it, when the backup was made. Where nothing tells which are listed, all are judged. A world whose database is
gone is told: its level.dat is Bedrock's own, or `MARK` is beside it.
"""

import posixpath
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from daemon.proof.findings import Findings
from daemon.proof.leveldb import LONGEST_CURRENT, TableError, TableReader, manifest_named
from daemon.proof.manifest import tables_in
from daemon.transfer.tar import Member

FOLDER = "db"
MARK = "levelname.txt"
"""Bedrock's game writes it into the folder of each world."""

MOST_TABLES = 100_000
"""How many are remembered, at 2 MiB each far more than any server has."""

MOST_BYTES = 2 * 2**20
"""How much of all MANIFESTs is read; the game writes some kilobytes."""

_DIGITS = 20  # more have no number of LevelDB's


@dataclass(slots=True)
class _Current:
    """A file CURRENT, of which more than its first bytes would be none of LevelDB's."""

    data: bytes = b""

    def add(self, piece: bytes) -> None:
        self.data += piece[: LONGEST_CURRENT - len(self.data)]

    def end(self) -> None:
        """It is read once the archive has ended."""


@dataclass(slots=True)
class _Manifest:
    """A MANIFEST, kept until it has ended; then only which tables it lists, None if that cannot be told."""

    kept: bool
    tables: frozenset[int] | None = None
    problem: str = ""
    _data: bytearray = field(default_factory=bytearray)

    def add(self, piece: bytes) -> None:
        if self.kept:
            self._data += piece

    def end(self) -> None:
        try:
            self.tables = tables_in(bytes(self._data)) if self.kept else None
        except TableError as error:
            self.problem = str(error)
        self._data.clear()


@dataclass(slots=True)
class _Database:
    """What an archive has of one database: which tables, by their numbers, and what is wrong with them."""

    current: _Current | None = None
    manifests: dict[str, _Manifest] = field(default_factory=dict)
    present: set[int] = field(default_factory=set)
    damaged: list[tuple[int, str, str]] = field(default_factory=list)


class BedrockCheck:
    """All databases of one archive. `takes` says whether one more name may be remembered."""

    def __init__(self, findings: Findings, salt: int, takes: Callable[[str], bool]) -> None:
        self._findings = findings
        self._salt = salt
        self._takes = takes
        self._databases: dict[str, _Database] = {}
        self._worlds: set[str] = set()  # those whose level.dat is Bedrock's
        self._marked: set[str] = set()
        self._tables_left = MOST_TABLES
        self._bytes_left = MOST_BYTES

    def open(self, folder: str, name: str, path: str, size: int) -> Member | None:
        """Return who reads this file of a folder `db`; None if nobody does."""
        if name.endswith((".ldb", ".sst")):
            return self._table(folder, name, path, size)
        if name == "CURRENT" and (database := self._of(folder)) is not None:
            database.current = _Current()
            return database.current
        if name.startswith("MANIFEST-") and size and self._takes(path) and (database := self._of(folder)) is not None:
            self._bytes_left -= size
            database.manifests[name] = _Manifest(self._bytes_left >= 0)
            return database.manifests[name]
        return None

    def note(self, world: str) -> None:
        """The level.dat in this folder is Bedrock's."""
        self._worlds.add(world)

    def mark(self, world: str) -> None:
        """This folder holds Bedrock's mark."""
        self._marked.add(world)

    def _of(self, folder: str) -> _Database | None:
        """Return the database of that folder; None if it is one too many."""
        if folder not in self._databases and self._takes(folder):
            self._databases[folder] = _Database()
        return self._databases.get(folder)

    def _table(self, folder: str, name: str, path: str, size: int) -> Member | None:
        database, stem = self._of(folder), name.partition(".")[0]
        number = int(stem) if stem.isascii() and stem.isdigit() and len(stem) <= _DIGITS else -1
        self._tables_left -= 1
        if database is not None and self._tables_left >= 0:
            database.present.add(number)

        def tell(problem: str) -> None:
            if database is not None and self._takes(path):
                database.damaged.append((number, path, problem))
            else:
                self._findings.add(path, problem)

        return TableReader(size, self._salt, tell)

    def settle(self, levels: Collection[str], *, java: Collection[str], complete: bool) -> bool:
        """The archive has ended, with a level.dat in the folders `levels`, in those `java` one of Java's: say what is
        wrong; return if any world is Bedrock's. Nothing is missed unless the names that are remembered are `complete`.
        """
        whole = [one for one, kept in self._databases.items() if kept.current and self._is_of_world(one, levels)]
        for folder, database in self._databases.items():
            listed = self._listed(folder, database) if folder in whole else None
            for number, path, problem in database.damaged:
                if listed is None or number in listed:
                    self._findings.add(path, problem)
            for number in sorted(listed - database.present) if listed is not None else ():
                self._findings.add(f"{folder}/{number:06}.ldb", "missing, though the database lists it")
        known = {one for one in self._marked if one in levels or posixpath.join(one, FOLDER) in self._databases}
        worlds = self._worlds | known.difference(java)
        for world in sorted(worlds) if complete else ():
            self._look_for(world, levels, whole)
        return bool(whole or worlds)

    def _is_of_world(self, folder: str, levels: Collection[str]) -> bool:
        world = posixpath.dirname(folder)
        return world in levels or world in self._marked

    def _look_for(self, world: str, levels: Collection[str], whole: Collection[str]) -> None:
        """Tell what one of Bedrock's worlds lacks and cannot be without."""
        if world not in levels:
            self._findings.add(posixpath.join(world, "level.dat"), "missing, though the world has a database")
        if (folder := posixpath.join(world, FOLDER)) not in whole:
            self._findings.add(posixpath.join(folder, "CURRENT"), "missing, so the world cannot be opened")

    def _listed(self, folder: str, database: _Database) -> frozenset[int] | None:
        """Return which tables a database consists of, as far as its files tell, and say what is wrong with these."""
        named = manifest_named(database.current.data) if database.current else None
        manifest = database.manifests.get(named) if named else None
        if named is None:
            self._findings.add(f"{folder}/CURRENT", "it names no MANIFEST")
        elif manifest is None:
            self._findings.add(f"{folder}/CURRENT", f"it names {named}, which is missing or empty")
        elif manifest.problem:
            self._findings.add(f"{folder}/{named}", manifest.problem)
        elif self._tables_left >= 0:
            return manifest.tables
        return None
