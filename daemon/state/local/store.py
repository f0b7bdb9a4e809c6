"""The journal's file in use: transactions, trouble, and closing.

A write is complete when its call returns, and survives a kill of the process. What a power cut must not lose either is
synced to the disk: what is announced before its request, since a create whose unique name was lost would be made twice,
and what an operator accepted. Everything else is written without that wait of milliseconds.

If the journal cannot be read or written, the call raises StateError and leaves nothing half done. The next call tries
again, and `trouble` says what was wrong until something could be written again. Within a process one thread uses it,
and no call waits for longer than the file's busy timeout. After finding it locked by another process, no call waits
again until it was free: a daemon with hundreds of rotations would stand still for minutes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from daemon.errors import StateError
from daemon.files import try_folder
from daemon.state.local import file
from daemon.state.local.file import in_memory, lacks_index, opened, set_patience, synced, translated
from daemon.state.local.schema import transaction

FILE_NAME = "history.sqlite3"
_SUFFIXES = ("", "-wal", "-shm")  # of the files that stay as long as it is open


class Store:
    """The open file, or the database in memory. Make it by `open` or `memory`, and close it."""

    def __init__(
        self, path: Path | None, *, to_look: bool = False, keep: bool = False, patience: float | None = None
    ) -> None:
        self.set_aside: Path | None = None
        self.trouble: StateError | None = None
        self._path = path
        with ExitStack() as held:
            if path is None:
                self._connection = held.enter_context(in_memory())
            else:
                self._connection, self.set_aside = held.enter_context(opened(path, to_look=to_look, keep=keep))
                self._inodes = _inodes(path)
            self._patience = file.BUSY_SECONDS if patience is None else patience
            set_patience(self._connection, self._patience)
            self._held = held.pop_all()

    @classmethod
    def open(cls, state_dir: Path, patience: float | None = None) -> Self:
        """Open the journal in that folder, making both where they are missing.

        A call waits at most `patience` seconds for another process that holds the file; the default is BUSY_SECONDS.

        A damaged file is set aside, and a new one begun: then `set_aside` is where the old one lies. StateError where
        that cannot be done, or the file was written by a newer version.
        """
        path = state_dir / FILE_NAME
        with translated(f"the journal {path} cannot be opened"):
            return cls(path, patience=patience)

    @classmethod
    def look(cls, state_dir: Path) -> Self | None:
        """Open the journal for reading; None if there is none, since reading creates none.

        Raises JournalDamagedError if it is damaged, and leaves it where it is. A full disk matters only while others
        have it open: a process that is alone with it does without the index that they would share.
        """
        path = state_dir / FILE_NAME
        with translated(f"the journal {path} cannot be opened"):
            if not path.exists():
                return None
            try:
                return cls(path, to_look=True)
            except sqlite3.Error as error:
                if not lacks_index(error):
                    raise
                return cls(path, to_look=True, keep=True)

    @classmethod
    def check(cls, state_dir: Path) -> None:
        """Find out whether `open` would succeed, and create nothing; StateError says why not."""
        with translated(f"the journal {state_dir / FILE_NAME} cannot be opened"):
            try_folder(state_dir)
        if journal := cls.look(state_dir):
            journal.close()

    @classmethod
    def memory(cls) -> Self:
        """Return a journal that ends with the process, for `state_dir = "none"`."""
        return cls(None)

    @property
    def persistent(self) -> bool:
        """Whether what is written outlives the process."""
        return self._path is not None

    def look_after(self) -> None:
        """Find out whether the file is still the one that was opened; raises StateError if it is not."""
        with self._noticed(), translated(f"{self._title} cannot be used"):
            self._still_there()

    def probe(self) -> None:
        """Write something that changes nothing; raises StateError if that is impossible."""
        with self._writing("probe") as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with suppress(sqlite3.Error, OSError):
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """Give the connection itself, for what concerns all tables alike."""
        with translated(f"{self._title} cannot be used"):
            yield self._connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._noticed(), translated(f"{self._title} cannot be read"):
            try:
                yield self._connection
            except (ValueError, TypeError, OverflowError, RecursionError) as error:  # a row that we did not write so
                raise StateError(f"{self._title} holds what cannot be read: {error}") from error

    @contextmanager
    def _writing(self, what: str) -> Iterator[sqlite3.Connection]:
        """Run one transaction, completely or not at all."""
        with self._noticed(), translated(f"the {what} cannot be written to {self._title}"):
            self._still_there()
            with transaction(self._connection):
                yield self._connection
        if self.trouble is not None:
            self.trouble = None
            set_patience(self._connection, self._patience)

    @contextmanager
    def _synced(self) -> Iterator[None]:
        with self._noticed(), translated(f"{self._title} cannot be written"), synced(self._connection):
            yield

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Remember trouble, and wait for no other process while it lasts."""
        try:
            yield
        except StateError as error:
            self.trouble = error
            with suppress(sqlite3.Error):
                set_patience(self._connection, 0)
            raise

    @property
    def _title(self) -> str:
        return f"the journal {self._path}" if self._path else "the journal in memory"

    def _still_there(self) -> None:
        """Raise StateError if somebody deleted or replaced one of the files: SQLite would go on writing where no
        restart finds it.
        """
        if self._path is None:
            return
        found = _inodes(self._path)
        for name, inode in self._inodes.items():
            if found.get(name) != inode:
                text = f"{self._title}: {name} was removed or replaced while it was open"
                raise StateError(text, hint="a daemon opens it anew")


def _inodes(path: Path) -> dict[str, int]:
    """Return which files a journal consists of at the moment, by their names: the database, and those beside it."""
    beside, name, found = str(path), path.name, {}
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            found[name + suffix] = os.lstat(beside + suffix).st_ino  # before each write, so no paths are built
    return found
