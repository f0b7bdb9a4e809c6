"""SQLite's database files: the size that the header tells, and, of small ones, SQLite's own quick check.

The header is that of the page "Database File Format" of SQLite's documentation. A file of another program may have
the same name, and is not judged; but none begins with as many zeros as one that lost its first page.
"""

import sqlite3
from contextlib import closing

from daemon.proof.findings import Findings

MAGIC = b"SQLite format 3\0"
HEADER = 100
FIRST = 512  # bytes of the smallest first page, and of a sector of a disk
LARGEST_CHECKED = 16 * 2**20  # bytes, which are held in memory twice
HEAP = LARGEST_CHECKED + 8 * 2**20
"""Bytes that SQLite needs for that; a process that reads what others wrote lets it have no more."""

_BETWEEN, MOST_STEPS = 100_000, 5_000  # the virtual machine's instructions between two looks, and how many looks
_LEGACY = b"\x01\x01"
"""The two version bytes of a database without a write-ahead log: one in memory can be no other."""

_KIND = 0xFF
"""These bits of an error's code say what it is; the others what exactly."""

_DAMAGED_FORMAT = "unsupported file format"
"""Of all that SQLite calls an error of SQL, not of the file, only this says that the file is wrong. The rest is about
what the database's own program adds to SQLite: collations, functions, tokenizers.
"""


class Steps:
    """How much SQLite may still do for one archive, be it for one database or for many."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def __call__(self) -> int:
        """SQLite asks, now and then, whether it is to stop."""
        self.left -= 1
        return int(self.left < 0)


class DatabaseReader:
    """One file that may be a database; what it is shows in its first bytes.

    What is wrong is kept until the archive has ended: a database with a journal beside it may be in the middle of a
    change, which SQLite finishes or takes back when it is opened.
    """

    def __init__(self, path: str, size: int, steps: Steps) -> None:
        self.path = path
        self._steps = steps
        self.problem = ""
        self._size = size
        self._data = bytearray()
        self._kept = size if size <= LARGEST_CHECKED else FIRST

    @property
    def is_database(self) -> bool:
        """Whether it begins as a database does."""
        return self._data.startswith(MAGIC)

    @property
    def _begins_with_zeros(self) -> bool:
        return not any(self._data[: len(MAGIC)])

    def add(self, piece: bytes) -> None:
        """Read on; of what is no database, and of a large one, only the beginning is kept."""
        if len(self._data) < self._kept:
            self._data += piece[: self._kept - len(self._data)]
            if len(self._data) >= len(MAGIC) and not self.is_database:
                self._kept = FIRST if self._begins_with_zeros else len(MAGIC)
                del self._data[self._kept :]

    def end(self) -> None:
        """Look at the header, and at the whole of a small one."""
        if self.is_database:
            self.problem = self._header_problem() or (self._content_problem() if self._kept == self._size else "")
            del self._data[HEADER:]
            return
        if len(self._data) >= FIRST and not any(self._data):
            self.problem = f"its first {FIRST} bytes are zeros, where a database's header is"
        self._data.clear()

    def _header_problem(self) -> str:
        if self._size < HEADER:
            return f"{self._size} bytes, less than its header has"
        page = int.from_bytes(self._data[16:18])
        page = 65536 if page == 1 else page
        if page < 512 or page & (page - 1):  # noqa: PLR2004 — the smallest page
            return f"its header says pages of {page} bytes"
        changed, pages, valid_for = (int.from_bytes(self._data[at : at + 4]) for at in (24, 28, 92))
        if changed == valid_for and pages * page > self._size:
            return f"{self._size} bytes, where its header says {pages * page}"
        return ""

    def _content_problem(self) -> str:
        """Let SQLite look; what is too much for its bounds, or needs what only its own program has, is not wrong."""
        self._data[18:20] = _LEGACY
        with closing(sqlite3.connect(":memory:")) as database:
            try:
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("PRAGMA ignore_check_constraints = ON")  # they may be made to take days
                database.deserialize(self._data)
                database.set_progress_handler(self._steps, _BETWEEN)
                ((said,),) = database.execute("PRAGMA quick_check(1)").fetchall()
            except MemoryError:
                return ""
            except sqlite3.OperationalError as error:
                kind = error.sqlite_errorcode & _KIND
                added = kind == sqlite3.SQLITE_ERROR and str(error) != _DAMAGED_FORMAT
                return "" if added or self._steps.left < 0 else f"SQLite cannot read it: {error}"
            except (sqlite3.Error, ValueError) as error:
                return f"SQLite cannot read it: {error}"
        return "" if said == "ok" else f"SQLite finds it damaged: {str(said)[:100]}"


def settle(reader: DatabaseReader, journals: set[str], findings: Findings) -> None:
    """Once the archive has ended, tell what is wrong with a database that has no journal beside it."""
    if reader.problem and not journals & {f"{reader.path}-journal", f"{reader.path}-wal"}:
        findings.add(reader.path, reader.problem)
