"""Standing by in a cluster: wait until the member that acts lets go, or is not heard of for its whole lease."""

from daemon.clock import Clock
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.state import Leadership

LOOK_SECONDS = 2.0

log = get_logger()


class Lost:
    """Another member of the cluster acts now, or may."""


async def may_act(leadership: Leadership) -> str:
    """Try to become the daemon that acts; return why we must stand by, empty if we act."""
    try:
        other = await leadership.take()
    except StateError as error:
        return f"the cluster's database cannot be asked: {error.text}"
    return f"member {other} acts" if other else ""


async def stand_by(leadership: Leadership, clock: Clock, why: str) -> None:
    """Wait until we act, and log why we do not yet whenever that changes."""
    while why:
        log.info("standing_by", reason=why)
        said = why
        while why == said:
            await clock.sleep(LOOK_SECONDS)
            why = await may_act(leadership)
