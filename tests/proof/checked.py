"""What is found in an archive of some files."""

from collections.abc import Mapping

from daemon.proof.sane import SanityCheck
from daemon.transfer.tar import Walker
from daemon.transfer.verify import Sanity
from tests.proof.worlds import tar


def checked(files: Mapping[str, bytes], *, salt: int = 0, step: int = 10_000) -> Sanity:
    """What is found in an archive of these files, read in pieces of that size."""
    check = SanityCheck(salt)
    walker = Walker(check.open)
    data = tar(files)
    for begin in range(0, len(data), step):
        walker.add(data[begin : begin + step])
    walker.end()
    return check.sanity()


def problems(files: Mapping[str, bytes], *, salt: int = 0) -> list[str]:
    """The problems, in words."""
    return list(checked(files, salt=salt).problems)
