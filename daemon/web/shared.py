"""One answer for all who ask for the same within a second: what a page costs does not grow with who looks at it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Shared:
    """Answers that are being made, and those that are no older than `seconds`; nothing is held for longer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, address: str, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """Return the answer at that address; raises what `make` raises. Who goes away leaves the others theirs."""
        answer = self._answers.get(address)
        if answer is None:
            answer = self._answers[address] = asyncio.create_task(make())
            answer.add_done_callback(lambda done: self._age(address, done))
        return await asyncio.shield(answer)

    def _age(self, address: str, answer: asyncio.Task[bytes]) -> None:
        """From now on it grows old; one that failed is at once."""
        if self._seconds and not answer.cancelled() and answer.exception() is None:
            asyncio.get_running_loop().call_later(self._seconds, self._answers.pop, address)
        else:
            del self._answers[address]
