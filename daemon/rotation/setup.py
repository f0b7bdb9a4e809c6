"""Set up what rotations need: the journal, the node slots, and a client for each panel."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from daemon.clock import Clock
from daemon.config.values import PanelConfig, ServerConfig
from daemon.errors import JournalBusyError, StateError
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.run import RotationContext, Run
from daemon.rotation.slots import NodeSlots
from daemon.state import Journal, lacks_room
from daemon.state.local.locks import check_locks

Tell = Callable[[str], None]
"""A callback that gets each step when it begins, in words for the operator."""


def open_context(
    state_dir: Path | None,
    clock: Clock,
    current_config: Callable[[str], ServerConfig | None],
    randomness: random.Random,
) -> RotationContext:
    """Open the journal; where a configured state folder cannot be used, go on without deleting."""
    journal, trouble = _open_journal(state_dir)
    return RotationContext(
        clock=clock,
        journal=journal,
        state_dir=state_dir,
        slots=NodeSlots(clock),
        current_config=current_config,
        random=randomness,
        opening_trouble=trouble,
    )


def recover_journal(run: Run, *, waits: bool = False) -> None:
    """At the beginning of a rotation, try again to use a state that could not be used before.

    With `waits` a journal that another process holds is not given up yet: the caller waits for it.
    """
    context = run.context
    mend_state(context)
    trouble = context.state_trouble
    if trouble is not None and not (
        waits and trouble is context.journal.trouble and isinstance(trouble, JournalBusyError)
    ):
        run.journal_failed(trouble)


def keep_state(context: RotationContext) -> None:
    """Notice where the journal's file was taken away or replaced, and mend whatever of the state was in trouble."""
    with suppress(StateError):
        context.journal.look_after()
    mend_state(context)


def mend_state(context: RotationContext) -> None:
    """Find out whether a state that could not be used can be used now: the journal is opened anew, unless it is only
    held by another process for the moment, or has no room.
    """
    before = context.state_trouble
    if before is None:
        return
    _mend_journal(context)
    context.lock_trouble = _lock_trouble(context.state_dir)
    if context.state_trouble is None:
        get_logger().warning("state_used_again", text=f"what was wrong before: {before.text}")


def _mend_journal(context: RotationContext) -> None:
    if context.opening_trouble is None:
        try:
            context.journal.probe()
        except StateError as error:
            if isinstance(error, JournalBusyError) or lacks_room(error):
                return
        else:
            return
    context.journal.close()
    context.journal, context.opening_trouble = _open_journal(context.state_dir)
    context.opened_anew()


def _lock_trouble(state_dir: Path | None) -> StateError | None:
    try:
        if state_dir is not None:
            check_locks(state_dir)
    except StateError as error:
        return error
    return None


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


def open_client(panel: PanelConfig, clock: Clock, tell: Tell = lambda _: None) -> PanelClient:
    """A client for the panel; the caller closes it. `tell` is told in words when it waits for the API limit."""
    return PanelClient(
        panel.name,
        panel.url,
        panel.api_key,
        clock=clock,
        reserve=panel.reserve,
        all_servers=panel.all_servers,
        tell=tell,
    )


@asynccontextmanager
async def open_clients(
    panels: Iterable[PanelConfig], clock: Clock, tell: Tell = lambda _: None
) -> AsyncIterator[dict[str, PanelClient]]:
    """A client for each panel, by its name, closed at the end."""
    async with AsyncExitStack() as held:
        yield {panel.name: await held.enter_async_context(open_client(panel, clock, tell)) for panel in panels}
