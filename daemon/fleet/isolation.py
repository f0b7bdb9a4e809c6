"""Isolation: a bug ends no more than the block that it is in (invariant 12)."""

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.log import get_logger

log = get_logger()


@contextmanager
def surviving(**about: str) -> Iterator[None]:
    """Log any exception of the block, with `about`, and go on after it."""
    try:
        yield
    except Exception:
        log.exception("bug", **about)
