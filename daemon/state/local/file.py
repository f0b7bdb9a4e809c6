"""The journal's file: opened, and set aside if it is damaged.

Several processes have it open at once (the daemon, `status`, a `rotate` by hand). Each holds a shared lock on a file
beside it, so that only a process that is alone with a damaged journal sets it aside. What is committed survives a kill
of the process at once, and a power cut once the disk has it: `synced` waits for that, with everything written before.
What a power cut takes is always the newest, never a part from the middle.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from daemon.clock import pause
from daemon.errors import DiskFullError, JournalBusyError, JournalDamagedError, StateError
from daemon.files import as_owner, make_folder, open_private, opened_folder, refuse_foreign
from daemon.state.local.schema import migrate

BUSY_SECONDS = 1.0  # the daemon itself stands still so long; others write for milliseconds
_WITHOUT_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
LOOKS = 20  # at a lock that another holds, within BUSY_SECONDS
KEPT = ("locking_mode = EXCLUSIVE",)  # before anything is read
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside the file, which it opens by its name and through any link."""

SETTINGS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cache_size = -256",  # KiB: what a rotation touches fits, and SQLite's own 2 MiB would stay in a daemon at rest
)


@contextmanager
def opened(
    path: Path, *, to_look: bool = False, keep: bool = False
) -> Iterator[tuple[sqlite3.Connection, Path | None]]:
    """The journal's connection, and where a damaged file was set aside; folder and file are made where missing.

    Who only wants `to_look` leaves a damaged file where it is. To `keep` the file is, for one that is alone with it, to
    let nobody else in meanwhile: then SQLite needs no index beside it that processes share (see `lacks_index`).
    """
    make_folder(path.parent)
    with ExitStack() as held:
        folder = held.enter_context(opened_folder(path.parent))
        lock = open_private(folder, path.with_suffix(".lock").name)
        held.callback(os.close, lock)
        with as_owner(folder):
            for suffix in ("", *BESIDE):
                refuse_foreign(folder, path.name + suffix)
            alone = _share(lock)
            keep = keep and alone
            aside = None
            if path.exists() and _damaged(path, keep=keep):
                if to_look:
                    raise JournalDamagedError(f"the journal {path} is damaged")
                aside = _set_aside(path, alone=alone)
            connection = held.enter_context(connected(path, keep=keep))
            migrate(connection, str(path))
        if not keep:
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield connection, aside


def lacks_index(error: sqlite3.Error) -> bool:
    """Return whether the journal could not be opened for lack of the index that processes share, as on a full disk."""
    return error.sqlite_errorcode & 0xFF in _WITHOUT_ROOM


@contextmanager
def in_memory() -> Iterator[sqlite3.Connection]:
    """Return a connection to a journal that ends with it."""
    with connected(None) as connection:
        migrate(connection, "in memory")
        yield connection


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what sqlite3 and the system raise into StateError, or into the error for trouble that passes by itself."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        kind = JournalBusyError if is_busy(error) else DiskFullError if _is_full(error) else StateError
        raise kind(f"{doing}: {reason}") from error


def is_busy(error: Exception) -> bool:
    """Return whether another process holds the file, and nothing else is wrong with it."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    return isinstance(error, BlockingIOError)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file holds no database, or a damaged one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_full(error: sqlite3.Error | OSError) -> bool:
    """Return whether nothing is wrong but that the disk is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def set_patience(connection: sqlite3.Connection, seconds: float) -> None:
    """Wait at most that long for other processes before a call fails; the whole process blocks meanwhile."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def _share(lock: int) -> bool:
    """Join the processes that have the journal open; return whether we are alone with it, and so hold it exclusively.

    Raises BlockingIOError if a process that is just opening it takes longer than BUSY_SECONDS, or was stopped in the
    middle of that.
    """
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        pause(BUSY_SECONDS / LOOKS)
    raise BlockingIOError(errno.EAGAIN, "another process holds its lock")


@contextmanager
def connected(path: Path | None, *, keep: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection with our settings, closed at the end; the file is made private before SQLite sees it.

    To `keep` it is to let nobody else in, and to do without the index that SQLite's processes share.
    """
    if path:
        # One that exists is not touched: closing it would drop SQLite's own locks.
        with opened_folder(path.parent) as folder, suppress(FileExistsError):
            os.close(open_private(folder, path.name, os.O_EXCL))
    connection = sqlite3.connect(path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        for setting in (*(KEPT if keep else ()), *SETTINGS):
            connection.execute(f"PRAGMA {setting}")
        yield connection
    finally:
        connection.close()


@contextmanager
def synced(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit this block to the disk before it ends, and everything before it too."""
    connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


def _set_aside(path: Path, *, alone: bool) -> Path:
    """Set a damaged file aside and return where; raises JournalDamagedError if others have it open."""
    if not alone:
        text = f"the journal {path} is damaged, and another process has it open"
        raise JournalDamagedError(text, hint=f"stop the daemon; {JournalDamagedError.default_hint}")
    number = next(n for n in range(1, 10**6) if not os.path.lexists(f"{path}.damaged-{n}"))
    aside = path.with_name(f"{path.name}.damaged-{number}")
    for suffix in ("-wal", "-shm", ""):  # the file itself last: a kill in between leaves it damaged, not half there
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _damaged(path: Path, *, keep: bool) -> bool:
    """Return whether SQLite finds the file damaged; other trouble passes as sqlite3.Error."""
    try:
        with connected(path, keep=keep) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return True
        raise
