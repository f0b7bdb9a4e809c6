"""One backup as files of a folder, none of them larger than asked: for a node that takes no large file."""

from daemon.copies.jobs import ToFetch
from daemon.transfer.download import download
from daemon.transfer.expected import Expected
from daemon.transfer.files import require_room
from daemon.transfer.receive import Source
from daemon.transfer.split import check_split, split

NAME = "archive.tar.gz"


def fetch_parts(source: Source, expected: Expected, what: ToFetch) -> tuple[str, ...]:
    """Fetch a backup, and return the names of the files that hold it: itself, or its parts if it is too large.

    Raises TransferError, HostError, PanelError, and SplitError where it cannot be split so.
    """
    path = what.folder / NAME
    download(source, expected, path)
    size = path.stat().st_size
    if size <= what.most:
        return (NAME,)
    check_split(path, what.most)
    require_room(what.folder, size)  # the parts are there before the whole one goes
    names: list[str] = []
    for part in split(path, what.folder, what.most):
        names.append(f"part-{len(names) + 1}.tar.gz")
        part.rename(what.folder / names[-1])
    path.unlink()
    return tuple(names)
