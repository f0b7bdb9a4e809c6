"""The files of an archive, taken note of while somebody else looks into them."""

from dataclasses import replace

from daemon.core.files import ArchiveIndex
from daemon.transfer.tar import Member
from daemon.transfer.verify import Contents, Inspect, Inspector, Sanity


class IndexingCheck:
    """Takes note of each file of an archive, and lets `inner` read it."""

    def __init__(self, inner: Inspector) -> None:
        self.index = ArchiveIndex()
        self._inner = inner

    def open(self, name: str, size: int) -> Member | None:
        """Take note of a file, and return who reads it."""
        self.index.add(name, size)
        return self._inner.open(name, size)

    def sanity(self) -> Sanity:
        """Return what was found."""
        return self._inner.sanity()


class Indexing:
    """Makes a new check each time that an archive is read from its beginning; `index` is the latest one's."""

    def __init__(self, inspect: Inspect) -> None:
        self._inspect = inspect
        self._latest = IndexingCheck(inspect())

    def __call__(self) -> IndexingCheck:
        """Begin again."""
        self._latest = IndexingCheck(self._inspect())
        return self._latest

    @property
    def index(self) -> ArchiveIndex:
        """The files of what was read last."""
        return self._latest.index


def indexed(index: ArchiveIndex, contents: Contents | None) -> ArchiveIndex:
    """Return the index with the names of all that is outermost, however many files were told."""
    if contents is None:
        return index
    return replace(index, outermost=contents.outermost, more_outermost=contents.more_outermost)
