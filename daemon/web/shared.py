"""One answer for all requests for the same page within a second: the cost of a page does not grow with its readers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Shared:
    """Answers that are being made, and those that are no older than `seconds`; nothing is kept for longer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, address: str, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """Return the answer at that address; raises what `make` raises. A caller that goes away leaves the others
        theirs.
        """
        answer = self._answers.get(address)
        if answer is None:
            answer = self._answers[address] = asyncio.create_task(make())
            answer.add_done_callback(lambda done: self._age(address, done))
        return await asyncio.shield(answer)

    def _age(self, address: str, answer: asyncio.Task[bytes]) -> None:
        """Let it age from now on; one that failed expires at once."""
        if self._seconds and not answer.cancelled() and answer.exception() is None:
            asyncio.get_running_loop().call_later(self._seconds, self._answers.pop, address)
        else:
            del self._answers[address]
