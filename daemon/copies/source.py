"""Where a backup's file comes from, for a download that runs in a thread of its own beside the event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from daemon.clock import Clock
from daemon.core.model import Backup
from daemon.panel.client import PanelClient
from daemon.panel.download import FileHost
from daemon.transfer.receive import ProgressListener, Source

T = TypeVar("T")


def node_source(
    client: PanelClient, server: str, backup: Backup, *, clock: Clock, listener: ProgressListener, clear: bool
) -> Source:
    """Return the way to a backup's file on its node; `clear` lets its link be plain http.

    The panel is asked for links by the loop that runs now, and waits are waited for there too.
    """
    loop = asyncio.get_running_loop()

    def on_loop(call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    return Source(
        host=FileHost(clock=clock, clear=clear),
        link=lambda: on_loop(client.download_link(server, backup.uuid)),
        pause=lambda seconds: on_loop(clock.sleep(seconds)),
        listener=listener,
    )
