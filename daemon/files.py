"""The state folder: what is made in it is private, and belongs to whoever owns the folder.

A `sudo ptero-backupd rotate` beside a daemon with a user of its own must neither leave files that the daemon cannot
open, nor be led astray by that user, who is less trusted than root. So root opens and makes what is in somebody's
folder with that somebody's rights. What is opened is reached through the open folder and no symbolic link, and is a
regular file with one name that belongs to the folder's owner or to us. OSErrors pass: the callers know what they were
doing.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

FOLDER_MODE = 0o700
FILE_MODE = 0o600
BLOCK = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make_folder(path: Path) -> None:
    """Make `path`, and what is missing above it, for its owner alone; a folder that exists stays as it is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with (
            opened_folder(folder.parent) as parent,
            as_owner(parent),
            suppress(FileExistsError),
        ):  # by one that is quicker
            os.mkdir(folder.name, FOLDER_MODE, dir_fd=parent)


def try_folder(path: Path) -> None:
    """Find out whether files could be made and filled in `path`, or it be made where it is missing; nothing is left."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    with (
        opened_folder(there) as folder,
        as_owner(folder),
        TemporaryFile(dir=f"/proc/self/fd/{folder}", buffering=0) as file,  # without a name wherever the system can
    ):
        file.write(bytes(BLOCK))


@contextmanager
def opened_folder(path: Path, inner: str | None = None) -> Iterator[int]:
    """The descriptor of a folder, or of the one in it, which is made where it is missing and is never a link."""
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
    """Open a file in that folder for reading and writing, making it (0600) where it is missing; its descriptor.

    OSError for anything that should not be there, as `refuse_foreign` has it.
    """
    descriptor = open_in(folder, name, flags)
    try:
        _refuse(os.fstat(descriptor), folder)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_in(folder: int, name: str, flags: int = 0) -> int:
    """The same, whatever the file is that is there: the caller looks at it before it is used."""
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with as_owner(folder):
        return os.open(name, how | flags, FILE_MODE, dir_fd=folder)


def refuse_foreign(folder: int, name: str) -> None:
    """Raise OSError where a file of that name is there, and is a link, has a second name or is somebody else's."""
    with suppress(FileNotFoundError):
        _refuse(os.stat(name, dir_fd=folder, follow_symlinks=False), folder)


def is_plain(found: os.stat_result) -> bool:
    """Whether it is a regular file with one name: whoever gave it a second one may mean another's file."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1


@contextmanager
def as_owner(folder: int) -> Iterator[None]:
    """As root in somebody else's folder: open and make files in this block with that somebody's rights.

    For this thread alone, since another may read a key meanwhile that only root can; setfsuid(2) is made for that.
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
