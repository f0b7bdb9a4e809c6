"""What the daemon says of itself: one line for `systemctl status`, and what it warns of."""

from daemon.config.values import Config
from daemon.core.words import first_few
from daemon.fleet.fleet import Fleet
from daemon.log import get_logger

log = get_logger()

NAMED = 5
"""How many servers are named; more are counted."""


def status(fleet: Fleet) -> str:
    """Return what is running, and the next start."""
    following = fleet.next_start()
    start = f"next start {following[1]:%Y-%m-%d %H:%M:%S} UTC ({following[0]})" if following else "no starts"
    return f"{under_way(fleet)}; {start}"


def under_way(fleet: Fleet) -> str:
    """Return the servers that are being worked on."""
    names = fleet.running()
    return f"under way: {first_few(names, NAMED)}" if names else "nothing under way"


def size(config: Config) -> dict[str, int]:
    """Return how much is configured."""
    return {"servers": len(config.servers), "panels": len(config.panels)}


def say_warnings(config: Config) -> None:
    """Log what is odd about the configuration."""
    for warning in config.warnings:
        log.warning("configuration_warning", text=warning)


def say_slow() -> None:
    """Log that the state is waited for."""
    log.warning("state_waited_for", text="the disk does not answer, or another process holds the journal")
