"""Notifications to systemd: ready, reloading, stopping, alive, and a line of status (sd_notify(3)).

Without $NOTIFY_SOCKET nothing happens, and nothing here ever raises: a service manager that does not listen must not
cost a backup. Debian 12's systemd has no `Type=notify-reload`, so a reload is reported in full: `reloading` with the
monotonic time, then `ready` again, also if the reload failed.
"""

import socket
from collections.abc import Mapping

from daemon.clock import Clock

SEND_SECONDS = 1.0


class Notifier:
    """The connection to the service manager that started us, if one did."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._clock = clock
        self.watchdog_seconds = _seconds(environ.get("WATCHDOG_USEC", ""))
        """How often at least `watchdog` must be called, twice as often for safety; None where nobody watches."""

    @property
    def active(self) -> bool:
        """Whether there is a service manager to notify."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """Report that the configuration is loaded and the scheduler runs, or that a reload has ended, well or badly."""
        self._send("READY=1", *_status(status))

    def reloading(self, status: str = "") -> None:
        """Report that a reload begins; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={round(self._clock.monotonic() * 1e6)}", *_status(status))

    def status(self, status: str) -> None:
        """Report in one line what is going on, for `systemctl status`."""
        self._send(*_status(status))

    def stopping(self, status: str = "") -> None:
        """Report that no new work is begun."""
        self._send("STOPPING=1", *_status(status))

    def watchdog(self) -> None:
        """Report that the event loop and the scheduler are alive."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Ask for that much time, counted from now, while starting, reloading or stopping."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def _send(self, *lines: str) -> None:
        if self._address is None or not lines:
            return
        message = "\n".join(lines).encode("utf-8", "replace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
                sending.settimeout(SEND_SECONDS)
                sending.sendto(message, self._address)
        except OSError:
            return  # nobody listens; there is nobody to tell it


def _address(text: str) -> str | None:
    """Return the socket's address: a path, or a name in the abstract namespace, which '@' stands for."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _seconds(microseconds: str) -> float | None:
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else None


def _status(text: str) -> tuple[str, ...]:
    """Return a status on one line; an empty one keeps the previous one."""
    return (f"STATUS={' '.join(text.split())}",) if text.strip() else ()
