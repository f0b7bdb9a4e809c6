"""Set up what rotations need: the journal, the node slots, and a client for each panel."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from daemon.clock import Clock
from daemon.config.values import PanelConfig, ServerConfig
from daemon.errors import DiskFullError, JournalBusyError, StateError
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.panel.hindrance import Hindrance, unhindered
from daemon.panel.rate_limiter import Portion, undivided
from daemon.rotation.run import RotationContext, Run
from daemon.rotation.slots import NodeSlots
from daemon.state import Engine, Journal, MemoryEngine

Tell = Callable[[str], None]
"""A callback that gets each step when it begins, in words for the operator."""


async def open_context(
    engine: Engine,
    clock: Clock,
    current_config: Callable[[str], ServerConfig | None],
    randomness: random.Random,
) -> RotationContext:
    """Open the journal; where a configured state folder cannot be used, go on without deleting."""
    journal, trouble = await _open_journal(engine)
    return RotationContext(
        clock=clock,
        engine=engine,
        journal=journal,
        slots=NodeSlots(clock),
        current_config=current_config,
        random=randomness,
        opening_trouble=trouble,
    )


async def recover_journal(run: Run, *, waits: bool = False) -> None:
    """At the beginning of a rotation, try again to use a state that could not be used before.

    With `waits`, a journal that another process holds is not given up yet: the caller waits for it.
    """
    context = run.context
    await mend_state(context)
    trouble = context.state_trouble
    if trouble is not None and not (
        waits and trouble is context.journal.trouble and isinstance(trouble, JournalBusyError)
    ):
        run.journal_failed(trouble)


async def keep_state(context: RotationContext) -> None:
    """Notice if the journal's file was removed or replaced, and repair what was in trouble."""
    with suppress(StateError):
        await context.journal.look_after()
    await mend_state(context)


async def mend_state(context: RotationContext) -> None:
    """Find out whether a state that could not be used can be used now: open the journal again, unless another process
    holds it at the moment, or there is no room.
    """
    if context.state_trouble is not None:
        async with context.mending:
            await _mend(context)


async def _mend(context: RotationContext) -> None:
    before = context.state_trouble
    if before is None:
        return  # another rotation has mended it meanwhile
    await _mend_journal(context)
    context.lock_trouble = await _lock_trouble(context.engine)
    if context.state_trouble is None:
        get_logger().warning("state_used_again", text=f"what was wrong before: {before.text}")


async def _mend_journal(context: RotationContext) -> None:
    if context.opening_trouble is None:
        try:
            await context.journal.probe()
        except StateError as error:
            if isinstance(error, JournalBusyError | DiskFullError):
                return
        else:
            return
        await context.journal.close()
        context.journal, context.opening_trouble = await _open_journal(context.engine)
    else:
        await _leave_memory(context)
    if context.opening_trouble is None:
        await context.opened_anew()


async def _leave_memory(context: RotationContext) -> None:
    """Open the journal in place of the one in memory, which others use until then."""
    in_memory = context.journal
    try:
        context.journal = await _open(context.engine)
    except StateError as error:
        context.opening_trouble = error
    else:
        context.opening_trouble = None
        await in_memory.close()


async def _lock_trouble(engine: Engine) -> StateError | None:
    try:
        await engine.locks.check()
    except StateError as error:
        return error
    return None


async def _open_journal(engine: Engine) -> tuple[Journal, StateError | None]:
    try:
        return await _open(engine), None
    except StateError as error:
        return await MemoryEngine().open(), error


async def _open(engine: Engine) -> Journal:
    journal = await engine.open()
    if journal.set_aside is not None:
        get_logger().warning("journal_set_aside", moved_to=str(journal.set_aside), reason="it was damaged")
    return journal


def open_client(
    panel: PanelConfig,
    clock: Clock,
    tell: Tell = lambda _: None,
    *,
    hindrance: Hindrance = unhindered,
    portion: Callable[[float], Portion] = undivided,
) -> PanelClient:
    """Return a client for the panel; the caller closes it. `tell` is called with a text when it waits for the API
    limit. No write leaves for which `hindrance` has a reason; `portion` is of the API limit.
    """
    return PanelClient(
        panel.name,
        panel.url,
        panel.api_key,
        clock=clock,
        reserve=panel.reserve,
        all_servers=panel.all_servers,
        key_from=panel.key_from,
        tell=tell,
        hindrance=hindrance,
        portion=portion,
    )


@asynccontextmanager
async def open_clients(
    panels: Iterable[PanelConfig], clock: Clock, tell: Tell = lambda _: None, *, hindrance: Hindrance = unhindered
) -> AsyncIterator[dict[str, PanelClient]]:
    """Return a client for each panel, by its name; all are closed at the end."""
    async with AsyncExitStack() as held:
        opened = {panel.name: open_client(panel, clock, tell, hindrance=hindrance) for panel in panels}
        yield {name: await held.enter_async_context(client) for name, client in opened.items()}
