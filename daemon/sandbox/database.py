"""A Pelican's SQLite is one file: each write waits for the one before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.sandbox.settings import Kind


class OneFile:
    """A Pterodactyl's MariaDB holds nobody up."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def held(self, to_the_end: bool, kind: Kind) -> AsyncIterator[None]:
        """Wait until nobody holds it, and hold it for as long as the block lasts where that is asked for."""
        if kind is Kind.PTERODACTYL:
            yield
            return
        async with self._lock:
            if to_the_end:
                yield
                return
        yield
