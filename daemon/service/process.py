"""What the process sets up before anything else, so that no signal is lost and no memory is left behind.

Loading the daemon takes half a second. Within it, a signal would be lost if the process is the first of a container
(the kernel keeps none for it without a handler), and would otherwise end it, even a request to reload. So signals are
blocked until there are handlers. A core dump would hold the panels' keys.
"""

import resource
import signal
from contextlib import suppress

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_DUMPABLE = 4  # prctl(2)
_M_ARENA_MAX = -8  # mallopt(3)


def hold_signals() -> None:
    """Block the signals that the daemon handles; call it before any thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def take_signals() -> None:
    """Unblock the signals, those that came meanwhile included."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def leave_no_core() -> None:
    """Have a crash leave no core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def share_one_heap() -> None:
    """Have all threads share one heap, where the C library can do that; call it before any thread is started.

    glibc has one for each, and each keeps what is freed in it: half a MiB of a daemon at rest.
    """
    with suppress(ImportError, OSError, AttributeError, MemoryError):
        import ctypes  # noqa: PLC0415 — only the daemon needs it

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def hide_memory() -> None:
    """Keep our memory from other processes of the user, and from core dump handlers that ignore the limit (core(5)).

    It costs 10 ms and 0.7 MiB, so only the daemon does it. Where it is impossible, the limit has to do.
    """
    with suppress(ImportError, OSError, AttributeError, MemoryError):
        import ctypes  # noqa: PLC0415 — see above

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
