"""Waiting to join a cluster, while its database cannot be asked: who may act for what is not known then."""

from daemon.clock import Clock
from daemon.errors import JournalBusyError, StateError
from daemon.log import get_logger
from daemon.state import Leadership

LOOK_SECONDS = 2.0

log = get_logger()


class Lost:
    """Other members of the cluster act, or may, for what this one acts for."""


async def may_act(leadership: Leadership) -> str:
    """Try to join the daemons that act; return why we must stand by, empty if we are one of them.

    What does not pass by itself is told with what to do.
    """
    try:
        await leadership.join()
    except StateError as error:
        advice = "" if isinstance(error, JournalBusyError) or not error.hint else f"; {error.hint}"
        return f"the cluster's database cannot be asked: {error.text}{advice}"
    return ""


async def stand_by(leadership: Leadership, clock: Clock, why: str) -> None:
    """Wait until we act, and log why we do not yet whenever that changes."""
    while why:
        log.info("standing_by", reason=why)
        said = why
        while why == said:
            await clock.sleep(LOOK_SECONDS)
            why = await may_act(leadership)
