"""Setting up what rotations are done with: the journal, the node slots, and a client for each panel."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from daemon.clock import Clock
from daemon.config.values import PanelConfig, ServerConfig
from daemon.errors import StateError
from daemon.history import Journal
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.run import Run, Tools
from daemon.rotation.slots import NodeSlots

HINT = "look at state_dir: it must be a folder that this user can write, with room left"


def open_tools(
    state_dir: Path | None, clock: Clock, in_force: Callable[[str], ServerConfig | None], randomness: random.Random
) -> Tools:
    """Open the journal; where a configured state folder cannot be used, go on without deleting."""
    journal, trouble = _open_journal(state_dir)
    return Tools(
        clock=clock,
        journal=journal,
        state_dir=state_dir,
        slots=NodeSlots(clock),
        in_force=in_force,
        random=randomness,
        state_trouble=trouble,
    )


def recover_journal(run: Run) -> None:
    """At the beginning of a rotation, try a journal again that could not be opened before."""
    tools = run.tools
    if tools.state_trouble is not None:
        tools.journal, tools.state_trouble = _open_journal(tools.state_dir)
    if tools.state_trouble is not None:
        run.journal_failed(tools.state_trouble)


def _open_journal(state_dir: Path | None) -> tuple[Journal, StateError | None]:
    if state_dir is None:
        return Journal.memory(), None
    try:
        journal = Journal.open(state_dir)
    except StateError as error:
        return Journal.memory(), error
    if journal.set_aside is not None:
        get_logger().warning("journal_set_aside", moved_to=str(journal.set_aside), reason="it was damaged")
    return journal, None


def open_client(panel: PanelConfig, clock: Clock) -> PanelClient:
    """A client for the panel; the caller closes it."""
    return PanelClient(
        panel.name,
        panel.url,
        panel.api_key,
        clock=clock,
        reserve=panel.reserve,
        all_servers=panel.all_servers,
    )


@asynccontextmanager
async def open_clients(panels: Iterable[PanelConfig], clock: Clock) -> AsyncIterator[dict[str, PanelClient]]:
    """A client for each panel, by its name, closed at the end."""
    async with AsyncExitStack() as held:
        yield {panel.name: await held.enter_async_context(open_client(panel, clock)) for panel in panels}
