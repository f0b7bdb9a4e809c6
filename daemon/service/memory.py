"""Memory that is given back to the system once much of it was freed.

glibc keeps what lies between things that stay. Reading thousands of servers leaves 10 MiB of that, and each reading
anew leaves them again.
"""

from contextlib import suppress

LARGE = 1000
"""From how many servers on it is worth the milliseconds."""


def give_back(servers: int) -> None:
    """Give back what was freed as the configuration of so many servers was read, where the C library can do that."""
    if servers < LARGE:
        return
    with suppress(ImportError, OSError, AttributeError):
        from ctypes import CDLL  # noqa: PLC0415 — for large configurations alone

        CDLL(None).malloc_trim(0)
