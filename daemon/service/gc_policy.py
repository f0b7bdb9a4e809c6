"""When Python looks for garbage: not while all else would have to wait for it.

A full collection looks at every object that there is. Of ten thousand servers that is a tenth of a second in which no
start comes in time and no answer is read, and nothing is found: what a daemon holds once it has started stays.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """Look for no garbage in this block: for what makes many objects that stay, or that end by themselves."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def look_again() -> None:
    """Look for garbage though a block that should be left alone has not ended: what hangs in it may never end."""
    gc.enable()


@contextmanager
def settled() -> Iterator[None]:
    """Take what is there now for what stays: within this block only what came later is looked at."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
