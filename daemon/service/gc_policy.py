"""When Python collects garbage: not while everything else would have to wait for it.

A full collection visits every object. With ten thousand servers that takes a tenth of a second in which no start comes
in time and no answer is read, and it finds nothing: what a daemon holds once it has started stays.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """Collect no garbage in this block, which makes many objects that stay, or that end by themselves."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def look_again() -> None:
    """Collect garbage again though such a block has not ended: what hangs in it may never end."""
    gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """Exempt the objects that exist now: within this block only later ones are visited."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
