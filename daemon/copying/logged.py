"""A transfer's progress in the log, for the daemon's own work beside the rotations."""

from daemon.core.units import format_size
from daemon.log import get_logger

log = get_logger()


class Logged:
    """A ProgressListener that logs: how far the transfer is as the event `moved`, what happens as `said`."""

    def __init__(self, *, moved: str, said: str, **about: str) -> None:
        self._moved, self._said, self._about = moved, said, about

    def moved(self, size: int) -> None:
        """Log how far it is."""
        log.debug(self._moved, **self._about, moved=format_size(size))

    def said(self, text: str) -> None:
        """Log what happened."""
        log.info(self._said, **self._about, text=text)
