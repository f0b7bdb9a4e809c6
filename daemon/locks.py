"""One rotation at a time per server: a lock by the server's uuid in the state folder; and which daemons run there.

It excludes other processes and other tasks of this one alike, because the lock belongs to the open file description
(an OFD lock, fcntl(2)) and each holder opens the file anew. It ends with the process, however that ends. The file is
never deleted: between opening and locking, a deleted file would leave two holders of two files with one name. Asking
who holds a lock never takes it, so a `status` cannot make a rotation fail.
"""

import fcntl
import hashlib
import os
import re
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from daemon.errors import ServerBusyError, StateError
from daemon.folder import make_folder, open_private, try_folder

_FOLDER = "locks"
_DAEMON = "daemon.lock"
_FLOCK = "hhqqi"  # struct flock: type, whence, start, length, pid
_held: set[str] = set()  # the servers locked in this process where there is no state folder


@contextmanager
def server_lock(state_dir: Path | None, server_uuid: str) -> Iterator[None]:
    """Hold the server's lock, or raise ServerBusyError at once where another holds it; StateError without a folder.

    With `state_dir` None only the tasks of this process exclude each other.
    """
    if state_dir is None:
        with _lock_in_process(server_uuid):
            yield
        return
    path = _path(state_dir, server_uuid)
    try:
        make_folder(path.parent)
        descriptor = open_private(path)
    except OSError as error:
        raise StateError(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        _take(descriptor, path, server_uuid)
        yield
    finally:
        os.close(descriptor)


def check_locks(state_dir: Path) -> None:
    """Find out whether locks can be made in that folder, and make none; StateError where they cannot."""
    folder = state_dir / _FOLDER
    try:
        try_folder(folder)
    except OSError as error:
        raise StateError(f"the locks {folder} cannot be opened: {error.strerror}") from error


def is_locked(state_dir: Path | None, server_uuid: str) -> bool:
    """Whether somebody rotates the server now; never takes the lock. Without a folder: somebody in this process."""
    if state_dir is None:
        return server_uuid in _held
    return _locked_at(_path(state_dir, server_uuid)) is not None


@contextmanager
def daemon_present(state_dir: Path | None) -> Iterator[int | None]:
    """Be known as a daemon of that folder; gives the process of another one there, or None.

    Each daemon locks one byte of the same file, whose place is its process id: so each is known for as long as it
    lives, and says who it is without writing anything. Nothing hinders a daemon that cannot do so.
    """
    other = None
    with ExitStack() as held:
        with suppress(OSError):
            if state_dir is not None:
                make_folder(state_dir)
                descriptor = open_private(state_dir / _DAEMON)
                held.callback(os.close, descriptor)
                other = _join(descriptor)
        yield other


def daemon_of(state_dir: Path | None) -> int | None:
    """The process of a daemon that runs on that folder; None where none does, or without a folder."""
    return None if state_dir is None else _locked_at(state_dir / _DAEMON)


@contextmanager
def _lock_in_process(server_uuid: str) -> Iterator[None]:
    if server_uuid in _held:
        raise ServerBusyError(server_uuid)
    _held.add(server_uuid)
    try:
        yield
    finally:
        _held.discard(server_uuid)


def _take(descriptor: int, path: Path, server_uuid: str) -> None:
    """Lock the file and leave our process id in it, for the one that finds it locked."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError) as error:  # fcntl(2) names both for a lock that is held
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise ServerBusyError(server_uuid, holder) from error
    except OSError as error:
        raise StateError(f"the lock {path} cannot be taken: {error.strerror}") from error
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _join(descriptor: int) -> int | None:
    """Lock the byte that is ours, and return whose else is locked."""
    ours = os.getpid()
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, ours, 1, 0))
    except (BlockingIOError, PermissionError):  # a daemon of another container, with a count of its own
        return ours
    return _first_lock(descriptor)


def _locked_at(path: Path) -> int | None:
    """The place of the first lock that somebody holds in the file, which may be missing; takes none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return _first_lock(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"the lock {path} cannot be looked at: {error.strerror}") from error


def _first_lock(descriptor: int) -> int | None:
    """The place of the first lock in the file that is not held by this very descriptor."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, place, *_ = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))
    return None if kind == fcntl.F_UNLCK else int(place)


def _path(state_dir: Path, server_uuid: str) -> Path:
    """The lock's file. The uuid comes from the panel: one that would not do as a file's name is hashed."""
    plain = re.fullmatch(r"[0-9a-zA-Z-]{1,64}", server_uuid)
    name = server_uuid if plain else hashlib.sha256(server_uuid.encode("utf-8", "surrogatepass")).hexdigest()
    return state_dir / _FOLDER / f"{name}.lock"
