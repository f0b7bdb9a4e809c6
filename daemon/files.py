"""Private files in the state folder, owned by the folder's owner.

Beside a daemon with its own user, `sudo ptero-backupd rotate` must neither leave files that the daemon cannot open, nor
be misled by that user, who is less trusted than root. So root opens and creates files in another user's folder with
that user's rights. Every file is opened through the open folder and through no symbolic link; it must be a regular file
with one name, owned by the folder's owner or by us. OSErrors pass through: the callers know what they were doing.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp

FOLDER_MODE = 0o700
FILE_MODE = 0o600
BLOCK = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make_folder(path: Path) -> None:
    """Create `path` and its missing parents, for the owner alone; leave an existing folder as it is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with (
            opened_folder(folder.parent) as parent,
            as_owner(parent),
            suppress(FileExistsError),
        ):  # by one that is quicker
            os.mkdir(folder.name, FOLDER_MODE, dir_fd=parent)


def try_folder(path: Path) -> None:
    """Check that files can be created and filled in `path`, or that a missing `path` can be created; leave nothing
    behind.
    """
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    with (
        opened_folder(there) as folder,
        as_owner(folder),
        TemporaryFile(dir=f"/proc/self/fd/{folder}", buffering=0) as file,  # without a name wherever the system can
    ):
        file.write(bytes(BLOCK))


@contextmanager
def opened_folder(path: Path, inner: str | None = None) -> Iterator[int]:
    """Return a descriptor of a folder, or of `name` in it, which is created if missing and is never a link."""
    with _closed_at_the_end(os.open(path, _FOLDER)) as folder:
        if inner is None:
            yield folder
            return
        with as_owner(folder):
            with suppress(FileExistsError):
                os.mkdir(inner, FOLDER_MODE, dir_fd=folder)
            descriptor = os.open(inner, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        with _closed_at_the_end(descriptor):
            yield descriptor


def open_private(folder: int, name: str, flags: int = 0) -> int:
    """Open a file in that folder for reading and writing, creating it (0600) if missing; return its descriptor.

    Raises OSError for anything that should not be there, as `refuse_foreign` does.
    """
    descriptor = open_in(folder, name, flags)
    try:
        _refuse(os.fstat(descriptor), folder)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_in(folder: int, name: str, flags: int = 0) -> int:
    """As `open_private`, but open whatever file is there: the caller checks it before use."""
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with as_owner(folder):
        return os.open(name, how | flags, FILE_MODE, dir_fd=folder)


def refuse_foreign(folder: int, name: str) -> None:
    """Raise OSError if that name exists and is a link, has a second name, or belongs to another user."""
    with suppress(FileNotFoundError):
        _refuse(os.stat(name, dir_fd=folder, follow_symlinks=False), folder)


def is_plain(found: os.stat_result) -> bool:
    """Return whether it is a regular file with one name; a second name may make it another user's file."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


@contextmanager
def as_owner(folder: int) -> Iterator[None]:
    """In another user's folder, let root open and create files in this block with that user's rights.

    It affects this thread alone, since another may be reading a key that only root can read; setfsuid(2) is made for
    this.
    """
    owner = os.fstat(folder)
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    from ctypes import CDLL  # noqa: PLC0415 — for root alone

    system = CDLL(None)
    group, user = system.setfsgid(owner.st_gid), system.setfsuid(owner.st_uid)
    try:
        yield
    finally:
        system.setfsuid(user)
        system.setfsgid(group)


def _refuse(found: os.stat_result, folder: int) -> None:
    if not is_plain(found):
        raise OSError(errno.EPERM, "it is no plain file: a link, or a file with a second name, is not followed")
    if found.st_uid not in {os.geteuid(), os.fstat(folder).st_uid}:
        raise OSError(errno.EPERM, "it belongs to somebody else")


@contextmanager
def _closed_at_the_end(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# Folders that live as long as the process that made them ------------------------------------------------------------


RESTORE = "restore-"
"""How the names of folders begin in which a command keeps what it sends to a node."""


@contextmanager
def held_folder(within: Path | None, prefix: str) -> Iterator[Path]:
    """Return a new folder for a block: in `within`, once what was left there is removed; anywhere if that is None."""
    if within is not None:
        remove_left(within, prefix)
    folder, lock = _made(within, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _made(within: Path | None, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(mkdtemp(prefix=prefix, dir=within))
        with suppress(FileNotFoundError):
            lock = os.open(folder, _FOLDER | os.O_NOFOLLOW)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def remove_left(within: Path, prefix: str) -> None:
    """Remove the folders of processes that have ended; nothing is raised, since the disk may be in trouble."""
    for folder in within.glob(f"{prefix}*"):
        with suppress(OSError):
            _remove_left(folder)


def _remove_left(folder: Path) -> None:
    lock = os.open(folder, _FOLDER | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # else somebody uses it
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
