"""The folder of a store, and what is below it: reached through no symbolic link, so never outside.

The store's own folder may be a link, since its owner configured it; it is never made, since a mount that is not there
would be taken for an empty store, and the copies would fill this machine's own disk. Everything here blocks.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.files import FOLDER_MODE, as_owner
from daemon.stores.errors import StoreError, StoreRefusedError, StoreUnreachableError
from daemon.stores.keys import is_key

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_OURS = "lost+found"  # stands at the top of a file system, and only root may read it

Found = tuple[str, os.stat_result]


@contextmanager
def opened(root: Path, folders: Iterable[str], *, make: bool = False) -> Iterator[int]:
    """Yield the descriptor of a folder below the root; with `make`, what is missing of it is made (0700). Raises
    OSError.
    """
    descriptor = _opened_root(root)
    try:
        for name in folders:
            if make:
                _make(descriptor, name)
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def files_below(root: Path, folder: str) -> Iterator[Found]:
    """Yield every regular file in a folder ("" or "a/b/") and below it, by its path from the root. Raises OSError.

    What goes away meanwhile is left out; so is what has no name that a key could have, and whatever is no file.
    """
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            yield from _files_in(root, current, waiting)
        except FileNotFoundError:
            continue


def _files_in(root: Path, folder: str, waiting: list[str]) -> Iterator[Found]:
    """Yield the files of one folder, and append the folders in it to those still to be read."""
    with opened(root, folder.split("/")[:-1]) as descriptor, os.scandir(descriptor) as found:
        for each in found:
            path = folder + each.name
            if each.is_dir(follow_symlinks=False):
                if is_key(path) and path != _NOT_OURS:
                    waiting.append(f"{path}/")
            elif (status := _status(descriptor, each.name)) and stat.S_ISREG(status.st_mode):
                yield path, status


def _status(descriptor: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:  # it went since the folder was read
        return None


def _opened_root(root: Path) -> int:
    try:
        return os.open(root, _FOLDER)
    except NotADirectoryError:
        what = "is a file" if os.path.isfile(root) else "lies below a file"  # noqa: PTH113 — which raises nothing
        failure: StoreError = StoreRefusedError(f"{root} {what}", hint="let the store's url name a folder")
    except FileNotFoundError:
        hint = "make the folder, or mount what belongs there; it is not made by itself, since a mount may be missing"
        failure = StoreUnreachableError(f"there is no folder {root}", hint=hint)
    raise failure


def _make(parent: int, name: str) -> None:
    try:
        with as_owner(parent):
            os.mkdir(name, FOLDER_MODE, dir_fd=parent)
    except FileExistsError:
        return
    os.fsync(parent)
