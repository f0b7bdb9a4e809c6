"""Waiting for the new backup with few requests: how long earlier ones took says when to look first.

Where one page holds all backups the look is the listing itself, which is then the fresh listing that deletions need.
"""

from datetime import timedelta

from daemon.core.model import Backup, Listing
from daemon.core.waiting import durations_of, next_look
from daemon.panel.errors import NotFoundError, PanelError
from daemon.rotation.gather import Gathered, gather
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import Halt, Run


async def wait(run: Run, backup: Backup, before: Listing) -> tuple[Backup, Gathered | None]:
    """Return the backup once it is completed, with the listing that showed it where one was read.

    Raises Halt when it is still pending after `timeout` (by its `created_at`), or vanished.
    """
    durations = durations_of(run.judge(run.config, before).verdicts)
    by_list = True
    while True:
        waited = run.panel_now() - (backup.created_at or run.panel_now())
        if backup.completed_at is not None:
            return backup, None
        if waited >= run.config.policy.timeout:
            _still_pending(run, backup, waited)
        await _sleep(run, min(next_look(waited, durations), run.config.policy.timeout - waited))
        seen, gathered = await _look(run, backup, by_list=by_list)
        if seen.completed_at is not None:
            return seen, gathered
        by_list = before.pages == 1
        backup = seen


async def _look(run: Run, backup: Backup, *, by_list: bool) -> tuple[Backup, Gathered | None]:
    """Look once; passing trouble of the panel is waited out, since the node goes on meanwhile."""
    try:
        if not by_list:
            return await run.client.backup(run.server_id, backup.uuid), None
        gathered = await gather(run)
        for seen in gathered.listing.backups:
            if seen.uuid == backup.uuid:
                return seen, gathered
        return await run.client.backup(run.server_id, backup.uuid), None
    except NotFoundError as error:
        text = f"{backup.name} vanished from the panel while it was being made"
        raise Halt(Result.FAILED, Problem("vanished", text, "did someone delete it?")) from error
    except PanelError as error:
        if not error.transient:
            raise
        run.log.warning("look_failed", text=error.text)
        return backup, None


async def _sleep(run: Run, delay: timedelta) -> None:
    """Sleep, giving the node's slot back on the way when it was held for long enough."""
    seconds = max(1.0, delay.total_seconds())
    remaining = run.slot.remaining() if run.slot else None
    if run.slot is not None and remaining is not None and remaining < seconds:
        await run.tools.clock.sleep(remaining)
        run.slot.release()
        run.log.info("slot_given_back", reason="held for node_hold")
        seconds -= remaining
    await run.tools.clock.sleep(seconds)


def _still_pending(run: Run, backup: Backup, waited: timedelta) -> None:
    hours = waited.total_seconds() / 3600
    text = f"{backup.name} is still pending after {hours:.1f} h (timeout {run.config.policy.timeout}); it is left alone"
    raise Halt(Result.FAILED, Problem("timeout", text, "look at the node's log"))
