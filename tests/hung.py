"""A disk that hangs and answers again, in the same order each time, for tests on virtual time."""

from collections.abc import Callable

from daemon.state import Worker


class Disk(Worker):
    """Does at once what its thread would do; from `hangs` on nothing, until it `answers`."""

    def __init__(self, *, hangs: bool = False) -> None:
        super().__init__()
        self.hangs = hangs
        self._left: list[Callable[[], None]] = []

    def answer(self) -> None:
        """Do all that was left, and hang no longer."""
        self.hangs = False
        while self._left:
            self._left.pop(0)()

    def _put(self, work: Callable[[], None]) -> None:
        if self.hangs:
            self._left.append(work)
        else:
            work()
