"""The one file that a Pelican's SQLite is: what is to be written waits for whoever is writing.

A create and a restore write before they ask the node, and hold the file until it has answered. So six creates at once
against a limit of one come through one after another, and a slow node holds up everybody (measured: 7.6 s for a GET).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.sandbox.records import Kind


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
