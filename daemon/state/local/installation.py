"""This installation's id, which every manifest of a copy names: a small file in the state folder, made once."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from daemon.files import as_owner, make_folder, open_private, opened_folder

FILE_NAME = "installation"


def installation_of(state_dir: Path, new: str | None = None) -> str:
    """Return the id, made at the first call, or `new` then; OSError passes."""
    make_folder(state_dir)
    with opened_folder(state_dir) as folder:
        return _read(folder) or _made(folder, new or str(uuid4()))


def _made(folder: int, made: str) -> str:
    """Make the id; of two processes that do so at the same moment one waits for the other, and takes its id."""
    new = f"{FILE_NAME}.new"
    with os.fdopen(open_private(folder, new), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if known := _read(folder):
            with as_owner(folder), suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)
            return known
        file.truncate()
        file.write(f"{made}\n".encode())
        file.flush()
        os.fsync(file.fileno())
        with as_owner(folder):
            os.rename(new, FILE_NAME, src_dir_fd=folder, dst_dir_fd=folder)
        return made


def _read(folder: int) -> str | None:
    """Return what is in the file; None if there is none."""
    try:
        os.stat(FILE_NAME, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    with os.fdopen(open_private(folder, FILE_NAME), "rb") as file:
        return file.read(1000).decode(errors="replace").strip()
