"""One rotation at a time per server: a lock by the server's uuid in the state folder.

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
from contextlib import contextmanager, suppress
from pathlib import Path

from daemon.errors import ServerBusyError, StateError
from daemon.folder import make_folder, open_private, try_folder

_FOLDER = "locks"
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
    path = _path(state_dir, server_uuid)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            answer = fcntl.fcntl(
                descriptor, fcntl.F_OFD_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            )
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StateError(f"the lock {path} cannot be looked at: {error.strerror}") from error
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


@contextmanager
def _lock_in_process(server_uuid: str) -> Iterator[None]:
    if server_uuid in _held:
        raise ServerBusyError(f"server {server_uuid} is being rotated already")
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
        by = f" by process {holder}" if holder else ""
        raise ServerBusyError(f"server {server_uuid} is being rotated already{by}") from error
    except OSError as error:
        raise StateError(f"the lock {path} cannot be taken: {error.strerror}") from error
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _path(state_dir: Path, server_uuid: str) -> Path:
    """The lock's file. The uuid comes from the panel: one that would not do as a file's name is hashed."""
    plain = re.fullmatch(r"[0-9a-zA-Z-]{1,64}", server_uuid)
    name = server_uuid if plain else hashlib.sha256(server_uuid.encode("utf-8", "surrogatepass")).hexdigest()
    return state_dir / _FOLDER / f"{name}.lock"
