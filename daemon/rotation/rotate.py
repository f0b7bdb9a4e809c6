"""One rotation of one server: gather → adopt or create → wait → look → gather → decide → delete → report.

The order is what makes it safe: nothing is deleted before the new backup was seen to be good (but for the one that
makes room at the panel's limit), and every deletion is decided on a listing taken after the last wait.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager

from daemon.core.model import Backup, Server
from daemon.core.shares import node_part
from daemon.errors import BackupdError, ElsewhereError, JournalBusyError, ProblemCode, ServerBusyError, StateError
from daemon.log import bind, bound, get_logger, unbind
from daemon.panel.client import PanelClient
from daemon.panel.errors import OutcomeUnknownError, PanelError, ServerStateError
from daemon.rotation.create import obtain
from daemon.rotation.gather import gather, say_incomplete
from daemon.rotation.judging import judge
from daemon.rotation.order import Halt, Order, Stage
from daemon.rotation.outcome import (
    LOOKED_AT_NEXT,
    NO_BACKUPS,
    NO_RIGHT_TO_DELETE,
    Outcome,
    Problem,
    Result,
    Retry,
)
from daemon.rotation.preview import must_be_free
from daemon.rotation.prune import prune
from daemon.rotation.report import begin, newest_good_at, report
from daemon.rotation.run import RotationContext, Run
from daemon.rotation.setup import mend_state, recover_journal
from daemon.rotation.wait import Expectation, expected, wait
from daemon.state import Rotation

BUSY_DELAYS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between looks at a journal that another process holds."""


async def rotate(order: Order, client: PanelClient, context: RotationContext) -> Outcome:
    """Run one rotation to its end and report; raises nothing but cancellation and bugs.

    A cancelled rotation leaves its journal row open, so that the next one picks it up.
    """
    server = order.server
    with bound(server=server.name, policy=server.policy.name):
        run = context.under_way[server.name] = Run(order, client, context, get_logger())
        try:
            await recover_journal(run, waits=True)
            return await _reported(run, _rotate(run))
        except asyncio.CancelledError:
            _say_left(run)
            raise
        finally:
            run.release_slot()
            del context.under_way[server.name]
            unbind("rotation")


def _say_left(run: Run) -> None:
    """Log how far a cancelled rotation came; the panel goes on with a backup that it was asked for."""
    backup = {"backup": run.created.name} if run.created is not None else {}
    hint = "the panel goes on with what it was asked for; the server's next rotation picks it up"
    run.log.warning("rotation_left", stage=run.stage.value, **backup, hint=hint)
    run.context.on_abandoned(run)


async def _reported(run: Run, steps: Awaitable[Outcome | None]) -> Outcome:
    """Return the outcome of these steps, or report how they ended."""
    try:
        return await steps or await report(run, None)
    except Halt as halt:
        return await report(run, halt)
    except BackupdError as error:
        return await report(run, halted_by(error))


async def _rotate(run: Run) -> Outcome:
    """Report before the lock is given back: the next holder would find the row open, as a killed rotation leaves it."""
    server = await _see(run)
    async with _locked(run, server.uuid):
        return await _reported(run, _steps(run))


async def _steps(run: Run) -> None:
    await _take_turn(run)
    rows = await _begin(run)
    await _take_slot(run)
    await _look_at_rights(run)
    backup, expectation = await _obtain(run, rows)
    await _close(run, rows)
    run.stage = Stage.WAITING
    run.created, fresh = await wait(run, backup, expectation)
    run.release_slot()
    run.stage = Stage.DELETING
    await prune(run, fresh or await gather(run))


async def _obtain(run: Run, rows: list[Rotation]) -> tuple[Backup, Expectation]:
    """Return the backup to wait for, and what is expected of it.

    The listing is let go, and what was made of it: in a large fleet hundreds of rotations wait at a time, each with
    hundreds of backups, which the memory had to hold and Python's garbage collector to look through.
    """
    before = await gather(run)
    say_incomplete(run, before.listing)
    run.stage = Stage.CREATING
    backup = run.created = await obtain(run, before, rows)
    verdicts = run.verdicts or (await judge(run, run.config, before.listing)).verdicts
    expectation = expected(before.listing, verdicts)
    run.verdicts, run.good_seen_at = (), newest_good_at(verdicts, besides=backup)
    return backup, expectation


async def _see(run: Run) -> Server:
    """Read the server's view, and check that the panel would let it be backed up at all."""
    run.server = server = await run.read(lambda: run.client.seen_server(run.server_id))
    run.context.on_server(run.config, server)
    must_be_free(server)
    if server.backup_limit == 0:
        raise Halt(Result.REFUSED, NO_BACKUPS)
    return server


@asynccontextmanager
async def _locked(run: Run, uuid: str) -> AsyncIterator[None]:
    """Hold the server's lock, for one rotation at a time; if the state folder fails, at least within this process.

    In a cluster a daemon's rotation is made by the member that holds the server's node, and by hand from anywhere.
    """
    node = node_part(run.config.panel.name, run.known_server.node)
    part = None if run.order.trigger == "manual" else node
    async with AsyncExitStack() as held:
        try:
            await held.enter_async_context(run.context.engine.locks.held(uuid, part))
        except ServerBusyError:
            raise
        except StateError as error:
            run.context.lock_trouble = error
            run.journal_failed(error)
            await held.enter_async_context(run.context.own_locks.held(uuid))
        yield


async def _take_turn(run: Run) -> None:
    """Let all others run once. Otherwise rotations that learn of their servers by one page of the list would open their
    rows all at once, and everything else would wait for that.
    """
    async with run.context.turn:
        await run.context.clock.sleep(0)


async def _begin(run: Run) -> list[Rotation]:
    """Open the journal's row; return earlier ones, newest first, that may have asked for this start's backup.

    These are the rows that killed rotations left open, and those of earlier attempts at the same start. A journal that
    another process holds is waited for, and one that was taken away is opened anew: nothing was done yet that it would
    have to know of.
    """
    mended = False
    for delay in (*BUSY_DELAYS, None):
        try:
            rows = await run.context.journal.of_start(run.known_server.uuid, run.order.start_at)
            row = run.row = await begin(run)
        except JournalBusyError as error:
            if delay is None:
                run.journal_failed(error)
                break
            run.log.warning("journal_waited_for", text=error.text, again_in=delay)
            run.stage = Stage.QUEUED
            await run.context.clock.sleep(delay)
        except StateError as error:
            await mend_state(run.context)
            if mended or run.context.state_trouble is not None:
                run.journal_failed(error)
                break
            mended = True
        else:
            bind(rotation=row.number)
            run.log.info("rotation_began", trigger=run.order.trigger)
            return rows
    return []


async def _close(run: Run, rows: list[Rotation]) -> None:
    """Close the rows that killed rotations left open: this rotation took over from them."""
    if run.row is None:
        return
    for left_open in (row for row in rows if row.ended_at is None):
        try:
            await run.row.journal.end(
                left_open.id,
                at=run.context.clock.now(),
                result="interrupted",
                summary={"taken_over_by": run.row.number},
            )
        except StateError as error:
            run.journal_failed(error)


async def _take_slot(run: Run) -> None:
    """Wait for a place on the node; after a long wait the server may have changed, so it is viewed again."""
    run.stage = Stage.QUEUED
    run.slot = await run.context.slots.take(
        run.config.panel.name,
        run.known_server.node,
        places=run.config.panel.backups_per_node,
        hold=run.config.policy.node_hold.total_seconds(),
        patient=run.order.trigger != "manual",
    )
    if not run.config.is_same_server(run.context.current_config(run.config.name)):
        text = "the server is gone from the configuration while it queued for its node"
        raise Halt(Result.SKIPPED, Problem(ProblemCode.GONE, text))
    await _see(run)


async def _look_at_rights(run: Run) -> None:
    """If the key may not delete, report it before the backup is made; it is made all the same."""
    if run.config.policy.retention.keep.everything:
        return
    run.may_delete = await run.client.may_delete(run.server_id, run.known_server)
    if not run.may_delete:
        run.problem(NO_RIGHT_TO_DELETE.code, NO_RIGHT_TO_DELETE.text, NO_RIGHT_TO_DELETE.hint)


def halted_by(error: BackupdError) -> Halt:
    """Translate what ended the rotation. What passes is tried again, though the new backup is good: then there is
    something left to delete, and the next try takes that backup over.
    """
    if isinstance(error, ServerStateError):
        return _obstructed(error)
    hint = LOOKED_AT_NEXT if isinstance(error, OutcomeUnknownError) else error.hint
    problem = Problem(error.code, error.text, hint)
    if isinstance(error, ServerBusyError):
        retry = Retry.ELSEWHERE if isinstance(error, ElsewhereError) else Retry.UNTIL_NEXT_START
        return Halt(Result.SKIPPED, problem, passing=True, retry=retry)
    transient = isinstance(error, PanelError) and error.transient
    retry_after = error.retry_after if isinstance(error, PanelError) else None
    return Halt(
        Result.FAILED,
        problem,
        retry=Retry.UNTIL_NEXT_START if transient else Retry.NO,
        retry_after=retry_after,
    )


def _obstructed(error: ServerStateError) -> Halt:
    """Return the Halt for a server's state. A suspended server is skipped; in a passing state, the daemon tries again.

    An installation that failed is neither: somebody has to see to it, or the server is never backed up.
    """
    retry = Retry.UNTIL_NEXT_START if error.transient else Retry.NO
    problem = Problem(ProblemCode.SERVER_STATE, error.text, error.hint)
    result = Result.SKIPPED if error.transient or error.suspended else Result.FAILED
    return Halt(result, problem, passing=error.transient, retry=retry)
