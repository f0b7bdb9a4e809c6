"""What the process does with itself before anything else, so that no signal is lost and no memory is left behind.

To load the daemon takes half a second. A signal within it would be lost where the process is the first of a container
(the kernel keeps no signal for it that nobody handles), and would else end it, a reload too. So signals wait until
somebody handles them. A core dump would hold the panels' keys.
"""

import resource
import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_DUMPABLE = 4  # prctl(2)


def hold_signals() -> None:
    """Let the signals that the daemon obeys wait; to be called before any thread is begun."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def take_signals() -> None:
    """Let those that waited, and those to come, have their effect."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def leave_no_core() -> None:
    """Have a crash leave no core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_memory() -> None:
    """Let no other process of the user read our memory, nor a handler of core dumps that knows no limit (core(5)).

    Costs 10 ms and 0.7 MiB, so it is for the daemon alone. Where it cannot be done the limit has to do.
    """
    try:
        import ctypes  # noqa: PLC0415 — see above

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (ImportError, OSError, AttributeError, MemoryError):
        return
