"""Where a backup's file comes from, for a download that runs in a thread of its own beside the event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.model import Backup
from daemon.panel.download import FileHost
from daemon.transfer.progress import ProgressListener
from daemon.transfer.receive import Source

T = TypeVar("T")


class Links(Protocol):
    """Gives download links: the panel's client, or the process that has one."""

    async def download_link(self, server_id: str, uuid: str, /) -> SecretStr:
        """Return a new link to a backup's file; it is used once. Raises PanelError."""
        ...


def node_source(
    links: Links, server: str, backup: Backup, *, clock: Clock, listener: ProgressListener, clear: bool
) -> Source:
    """Return the way to a backup's file on its node; `clear` lets its link be plain http.

    Links are asked for by the loop that runs now, and waits are waited for there too.
    """
    loop = asyncio.get_running_loop()

    def on_loop(call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    return Source(
        host=FileHost(clock=clock, clear=clear),
        link=lambda: on_loop(links.download_link(server, backup.uuid)),
        pause=lambda seconds: on_loop(clock.sleep(seconds)),
        listener=listener,
    )
