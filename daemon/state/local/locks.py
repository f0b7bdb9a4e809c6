"""One rotation at a time per server: a lock by the server's uuid in the state folder.

It excludes other processes and other tasks of this one alike, because the lock belongs to the open file description
(an OFD lock, fcntl(2)) and each holder opens the file anew. It ends with the process, however that ends. The file is
never deleted: between opening and locking, a deleted file would leave two holders of two files with one name. Asking
whether one is held never takes it, so a `status` cannot make a rotation fail.
"""

import fcntl
import hashlib
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemon.clock import pause
from daemon.errors import ServerBusyError, StateError
from daemon.files import make_folder, open_private, opened_folder, try_folder

LOOKS = 10
MOMENT_SECONDS = 0.002
_FOLDER = "locks"
_FLOCK = "hhqqi"  # struct flock: type, whence, start, length, pid


@contextmanager
def server_lock(state_dir: Path, server_uuid: str) -> Iterator[None]:
    """Hold the server's lock, or raise ServerBusyError at once if another holds it; StateError without a folder."""
    path = _path(state_dir, server_uuid)
    try:
        make_folder(state_dir)
        with opened_folder(state_dir, _FOLDER) as folder:
            descriptor = open_private(folder, path.name)
    except OSError as error:
        raise StateError(f"the lock {path} cannot be opened: {error.strerror}") from error
    try:
        _take(descriptor, path, server_uuid)
        yield
    finally:
        os.close(descriptor)


def check_locks(state_dir: Path) -> None:
    """Find out whether locks can be made in that folder, and make none; raises StateError if they cannot."""
    folder = state_dir / _FOLDER
    if folder.is_symlink():
        raise StateError(f"the locks {folder} are a link, which is not followed")
    try:
        try_folder(folder)
    except OSError as error:
        raise StateError(f"the locks {folder} cannot be opened: {error.strerror}") from error


def is_locked(state_dir: Path, server_uuid: str) -> bool:
    """Return whether the server is known to be rotated now; never takes the lock, and raises nothing."""
    return locked_at(_path(state_dir, server_uuid)) is not None


def _take(descriptor: int, path: Path, server_uuid: str) -> None:
    """Lock the file and leave our process id in it, for the next process that finds it locked."""
    try:
        taken = lock(descriptor)
    except OSError as error:
        raise StateError(f"the lock {path} cannot be taken: {error.strerror}") from error
    if not taken:
        raise ServerBusyError(server_uuid, _holder(descriptor))
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    """Return the process that holds the lock, as it wrote its id; one that has just taken it does so in a moment."""
    for _ in range(LOOKS):
        if holder := os.pread(descriptor, 20, 0).decode("ascii", "replace").strip():
            return holder
        pause(MOMENT_SECONDS)
    return ""


def lock(descriptor: int, start: int = 0, length: int = 0) -> bool:
    """Lock bytes of an open file, or all if no length is given; return False if another holds one of them."""
    ours = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, ours)
    except (BlockingIOError, PermissionError):  # fcntl(2) names both for a lock that is held
        return False
    return True


def first_lock(descriptor: int) -> int | None:
    """Return the place of the first lock in the file that this descriptor does not hold."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, place, *_ = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, question))
    return None if kind == fcntl.F_UNLCK else int(place)


def locked_at(path: Path) -> int | None:
    """Return the place of the first lock in the file; None also if the file cannot be read."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return first_lock(descriptor)
        finally:
            os.close(descriptor)
    return None


def _path(state_dir: Path, server_uuid: str) -> Path:
    """Return the lock's file. The uuid comes from the panel: one that cannot be a file's name is hashed."""
    plain = re.fullmatch(r"[0-9a-zA-Z-]{1,64}", server_uuid)
    name = server_uuid if plain else hashlib.sha256(server_uuid.encode("utf-8", "surrogatepass")).hexdigest()
    return state_dir / _FOLDER / f"{name}.lock"
