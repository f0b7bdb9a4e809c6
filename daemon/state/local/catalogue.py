"""What was last seen in the stores of copies: one small file a store and server, in the folder `copies` of the state.

It is a cache of what the stores themselves hold, so a file that is missing or damaged costs a look into the store and
nothing else. The text is the writer's own. Beside it lies the installation's id, which every manifest names; that is
no cache, and is made once.
"""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from daemon.errors import StateError
from daemon.files import as_owner, make_folder, open_private, opened_folder

_FOLDER = "copies"
_INSTALLATION = "installation"
_FILE = re.compile(r"([a-z0-9][a-z0-9-]*)\.([a-z0-9][a-z0-9-]*)\.([0-9a-f-]{36})\.json")
_LARGEST = 64 * 2**20


class Catalogue:
    """The files of one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def installation(self) -> str:
        """Return this installation's id, made at the first call; raises StateError."""
        try:
            make_folder(self._state_dir)
            with opened_folder(self._state_dir) as folder:
                if known := _read(folder, _INSTALLATION):
                    return known.strip()
                _write_once(folder, _INSTALLATION, f"{uuid4()}\n")
                return (_read(folder, _INSTALLATION) or "").strip()
        except OSError as error:
            raise _trouble(error) from None

    def read(self, store: str, panel: str, server: str) -> str | None:
        """Return what was last written of that server's copies in that store; None where nothing can be read."""
        with suppress(OSError, UnicodeDecodeError), opened_folder(self._state_dir, _FOLDER) as folder:
            return _read(folder, _name(store, panel, server))
        return None

    def write(self, store: str, panel: str, server: str, text: str) -> None:
        """Remember that; raises StateError."""
        try:
            make_folder(self._state_dir)
            with opened_folder(self._state_dir, _FOLDER) as folder:
                _write(folder, _name(store, panel, server), text)
        except OSError as error:
            raise _trouble(error) from None

    def forget(self, store: str, panel: str, server: str) -> None:
        """Remember nothing of that server in that store; raises StateError."""
        try:
            with opened_folder(self._state_dir, _FOLDER) as folder, suppress(FileNotFoundError), as_owner(folder):
                os.unlink(_name(store, panel, server), dir_fd=folder)
        except OSError as error:
            raise _trouble(error) from None

    def known(self) -> list[tuple[str, str, str]]:
        """Return the store, panel and server of all that is remembered, sorted."""
        with suppress(OSError), opened_folder(self._state_dir, _FOLDER) as folder:
            found = map(_FILE.fullmatch, os.listdir(folder))  # noqa: PTH208 — the open folder, not a path
            return sorted((one[1], one[2], one[3]) for one in found if one)
        return []


def _name(store: str, panel: str, server: str) -> str:
    return f"{store}.{panel}.{server}.json"


def _read(folder: int, name: str) -> str | None:
    """Return what is in the file; None if there is none."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    with os.fdopen(open_private(folder, name), "rb") as file:
        return file.read(_LARGEST).decode() or None


def _write_once(folder: int, name: str, text: str) -> None:
    """Write the file unless it is there; of two processes that do so at the same moment one waits for the other."""
    new = f"{name}.new"
    with os.fdopen(open_private(folder, new), "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _read(folder, name) is not None:
            with as_owner(folder), suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)
            return
        file.truncate()
        _finish(folder, file, name, text)


def _write(folder: int, name: str, text: str) -> None:
    """Replace the file as a whole."""
    new = f"{name}.new"
    with os.fdopen(open_private(folder, new, os.O_TRUNC), "wb") as file:
        _finish(folder, file, name, text)


def _finish(folder: int, file: BinaryIO, name: str, text: str) -> None:
    """Fill the file that is new, and give it its name."""
    file.write(text.encode())
    file.flush()
    os.fsync(file.fileno())
    with as_owner(folder):
        os.rename(f"{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)


def _trouble(error: OSError) -> StateError:
    return StateError(f"the catalogue of copies cannot be used: {error.strerror or error}")
