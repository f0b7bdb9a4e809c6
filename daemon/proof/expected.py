"""Files that must be in an archive, whatever game it is of: by wildcards that an operator configured."""

import posixpath
from collections.abc import Sequence
from fnmatch import fnmatchcase

from daemon.proof.sane import SanityCheck
from daemon.transfer.tar import Member
from daemon.transfer.verify import Sanity


class Expecting:
    """Looks for files by these patterns, and lets `inner` read them, if anybody is to look into them.

    A pattern with a slash is of the whole path, any other of a file's name in whatever folder.
    """

    def __init__(self, patterns: Sequence[str], inner: SanityCheck | None) -> None:
        self._missing = list(dict.fromkeys(patterns))
        self._inner = inner

    def open(self, path: str, size: int) -> Member | None:
        """Note the file; return who reads it."""
        whole = posixpath.normpath(path).lstrip("/")
        name = posixpath.basename(whole)
        self._missing = [one for one in self._missing if not fnmatchcase(whole if "/" in one else name, one)]
        return None if self._inner is None else self._inner.open(path, size)

    def sanity(self) -> Sanity:
        """The archive has ended: return what was found, with what is missing first."""
        found = Sanity((), (), 0) if self._inner is None else self._inner.sanity()
        gone = tuple(f"{one}: expected, and no such file is in it" for one in self._missing)
        return Sanity(found.games, (*gone, *found.problems), found.count + len(gone), found.worlds)
