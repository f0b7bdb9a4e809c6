"""The state folder: what is made in it is private, and belongs to whoever owns the folder.

A `sudo ptero-backupd rotate` beside a daemon with a user of its own must not leave files that the daemon cannot open;
so what root makes is given to the owner of the folder that it is made in. Files are never reached through a symbolic
link, since that owner may be less trusted than root. OSErrors pass: the callers know what they were doing.
"""

import os
from pathlib import Path
from tempfile import TemporaryFile

FOLDER_MODE = 0o700
FILE_MODE = 0o600
BLOCK = 4096


def make_folder(path: Path) -> None:
    """Make `path`, and what is missing above it, for its owner alone; a folder that exists stays as it is."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:  # somebody else was quicker
            continue
        if _given_by_root(folder.parent):
            os.chown(folder, *_owner(folder.parent), follow_symlinks=False)


def try_folder(path: Path) -> None:
    """Find out whether files could be made and filled in `path`, or it be made where it is missing; nothing is left."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    with TemporaryFile(dir=there, buffering=0) as file:  # without a name wherever the system can do that
        file.write(bytes(BLOCK))


def open_private(path: Path, flags: int = 0) -> int:
    """Open `path` for reading and writing, making it (0600) where it is missing; return its descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, FILE_MODE)
    try:
        if _given_by_root(path.parent) and os.fstat(descriptor).st_uid == 0:
            os.fchown(descriptor, *_owner(path.parent))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _given_by_root(folder: Path) -> bool:
    """Whether we are root in somebody else's folder."""
    return os.geteuid() == 0 and folder.stat().st_uid != 0


def _owner(folder: Path) -> tuple[int, int]:
    """The user and group that `folder` belongs to."""
    status = folder.stat()
    return status.st_uid, status.st_gid
