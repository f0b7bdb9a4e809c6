"""What a test opens and does not close itself is closed at its end.

Otherwise it would be closed whenever the garbage collector finds it, in whatever thread that is; SQLite refuses to
close a connection in another thread than its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Closable(Protocol):
    """What can be closed, also twice."""

    def close(self) -> None:
        """Close it."""
        ...


Opened = TypeVar("Opened", bound=Closable)
_OPENED: list[Closable] = []


def closed_in_the_end(opened: Opened) -> Opened:
    """Return the same; it is closed at the end of the test, or of the run where a fixture of many tests opened it."""
    _OPENED.append(opened)
    return opened


@contextmanager
def closing() -> Iterator[None]:
    """Close what the block opens."""
    before = len(_OPENED)
    try:
        yield
    finally:
        while len(_OPENED) > before:
            _OPENED.pop().close()
