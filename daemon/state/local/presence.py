"""Which daemons run on a state folder: for a warning at the start, and for `status`.

Each daemon locks one byte of the same file, whose position is its process id: so each is known for as long as it lives,
and says who it is without writing anything. Trouble with the file stops no daemon; the daemon is just not known.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from daemon.files import make_folder, open_private, opened_folder
from daemon.state.local.locks import first_lock, lock, locked_at

_FILE = "daemon.lock"
_PROCESSES = 2**22  # Linux counts no further: pid_max in proc(5)


@contextmanager
def daemon_present(state_dir: Path) -> Iterator[int | None]:
    """Be known as a daemon of that folder; give the process id of another one that is known there, or None."""
    other = None
    with ExitStack() as held:
        with suppress(OSError):
            make_folder(state_dir)
            with opened_folder(state_dir) as folder:
                descriptor = open_private(folder, _FILE)
            held.callback(os.close, descriptor)
            other = _join(descriptor)
        yield other


def daemon_of(state_dir: Path) -> int | None:
    """Return the process id of a daemon that is known to run on that folder; None if there is none."""
    return _process(locked_at(state_dir / _FILE))


def _join(descriptor: int) -> int | None:
    """Lock a byte that tells our process id, and return the id of any other process that has locked one.

    Two containers, each with its own process ids, may hold daemons of the same id: there is room for any number of
    them.
    """
    next(place for place in count(os.getpid(), _PROCESSES) if lock(descriptor, place, 1))
    return _process(first_lock(descriptor))


def _process(place: int | None) -> int | None:
    return None if place is None else place % _PROCESSES
