"""Deleting by hand: what an operator names, or exactly what `plan` says.

What must hold: nothing goes that is locked, whatever its state, or still being made, though the panel would delete
both; each is read again right before its DELETE; only what was shown goes.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from daemon.config.values import ServerConfig
from daemon.core.model import Backup, Listing, State, Verdict
from daemon.core.states import age
from daemon.errors import BackupdError, StateError
from daemon.operations.operation import Errand
from daemon.operations.result import Handled, ended_by, refused
from daemon.panel.errors import NotFoundError
from daemon.rotation.delete import delete_decided, undeleted
from daemon.rotation.deletion import ChangedError, delete_seen
from daemon.rotation.gather import gather, say_incomplete
from daemon.rotation.outcome import Result, refusal
from daemon.rotation.run import Halt
from daemon.rotation.setup import recover_journal
from daemon.rotation.survey import Survey
from daemon.state import Journal

BEYOND = "backups delete {server} --beyond-retention"
UNLOCK = "if you really want to delete it, run `ptero-backupd backups unlock` first"


def gone(uuid: str) -> Handled:
    """A backup that is not there any more."""
    nothing = Backup(uuid, "", successful=False, locked=False, bytes=0, created_at=None, completed_at=None)
    return Handled(nothing, Result.DONE)


def obstacle(backup: Backup, state: State | None = None) -> Handled | None:
    """Why this backup is not to be deleted as it stands; None where nothing is in the way."""
    if backup.locked:
        return refused(backup, "backup-locked", f"{backup.name} is locked", UNLOCK, state)
    if backup.completed_at is None:
        text = f"{backup.name} is still being made; the node would go on writing what nobody knows of"
        return refused(backup, "pending", text, "wait until it is completed, or until the panel marks it failed", state)
    return None


def loss(verdicts: Sequence[Verdict], chosen: Sequence[Verdict]) -> tuple[Backup, str] | None:
    """Given all verdicts, newest first, and those to be deleted, return the newest good one and words, if it goes.

    One whose deletion was left half done may have no file, so it is not the one that is left.
    """
    whole = [verdict.backup for verdict in verdicts if verdict.whole]
    good = whole or [verdict.backup for verdict in verdicts if verdict.state is State.GOOD]
    going = {verdict.backup.uuid for verdict in chosen}
    if not good or good[0].uuid not in going:
        return None
    left = next((backup.name for backup in good if backup.uuid not in going), None)
    then = f"the newest is then {left}" if left else "NO good backup is left then"
    return good[0], f"{good[0].name} is the newest good backup; {then}"


async def delete(errand: Errand, seen: Survey, chosen: Sequence[Verdict]) -> tuple[Handled, ...]:
    """Delete these, the oldest first; already gone is done, and one that fails does not stop the others."""
    oldest_first = sorted(chosen, key=lambda verdict: age(verdict.backup))
    handled = [await _delete(errand, verdict) for verdict in oldest_first]
    lost, words = loss(seen.plan.verdicts, chosen) or (None, "")
    return tuple(
        one.with_problem("newest_good", words) if one.changed and one.backup == lost else one for one in handled
    )


async def _delete(errand: Errand, verdict: Verdict) -> Handled:
    listed = verdict.backup
    hindered = obstacle(listed, verdict.state)
    if hindered is not None:
        return hindered
    errand.tell(f"deleting {listed.name}")
    _remember(errand, lambda journal, server: journal.ask(server, listed.uuid, errand.clock.now()))
    try:
        existed = await delete_seen(errand.client, errand.clock, errand.config.id, listed, seen_at=None)
    except ChangedError:
        return await _changed(errand, verdict)
    except BackupdError as error:
        return ended_by(error, listed)
    _remember(errand, lambda journal, server: journal.asked_no_more(server, listed.uuid))
    _remember(errand, lambda journal, server: journal.deleted_by_hand(server, listed.uuid, errand.clock.now()))
    return Handled(listed, Result.DONE, verdict.state, changed=existed)


def _remember(errand: Errand, write: Callable[[Journal, str], object]) -> None:
    """Let rotations know of a deletion that is half done, and whoever deletes again that it is gone.

    Where that cannot be remembered, it goes all the same.
    """
    if errand.run.server is not None:
        with suppress(StateError):
            write(errand.run.tools.journal, errand.run.server.uuid)


async def _changed(errand: Errand, verdict: Verdict) -> Handled:
    """It is another than the operator saw: gone, locked, or a failed one that turned good. Gone is what was wanted."""
    listed = verdict.backup
    try:
        now = await errand.client.backup(errand.config.id, listed.uuid)
    except NotFoundError:
        return Handled(listed, Result.DONE, verdict.state)
    except BackupdError as error:
        return ended_by(error, listed)
    changed = refused(now, "changed", f"{listed.name} changed since it was listed", "look at it again")
    return obstacle(now) or changed


async def delete_beyond_retention(errand: Errand, shown: Collection[str]) -> tuple[Handled, ...]:
    """Delete what the plan deletes, of what was shown (uuids), by the rotation's own way of doing it."""
    run = errand.run
    try:
        recover_journal(run)
        async with errand.alone():
            gathered = await gather(run)
            say_incomplete(run, gathered.listing)
            settled = await delete_decided(
                run, gathered, lambda config, listing: _decide(errand, config, listing, shown)
            )
        if run.undeleted:
            raise undeleted(run)
        end = Handled(None, Result.DONE) if settled else Handled(None, Result.SKIPPED, passing=True)
    except (BackupdError, Halt) as error:
        end = ended_by(error)
    end = replace(end, problems=tuple(dict.fromkeys((*run.problems, *end.problems))))
    deleted = tuple(Handled(backup, Result.DONE, changed=True) for backup in run.deleted)
    return (*deleted, end) if end.problems else deleted


def _decide(errand: Errand, config: ServerConfig, listing: Listing, shown: Collection[str]) -> tuple[Verdict, ...]:
    plan = errand.run.judge(config, listing)
    if plan.refused is not None:
        errand.run.tell_held(config, listing, plan.held)
        raise Halt(Result.REFUSED, refusal(config.name, plan.code, plan.refused, again=BEYOND))
    errand.run.let_through(config, listing, plan)
    if plan.waits is not None:
        hindered = refusal(config.name, "max_deletions", plan.waits, again=BEYOND)
        errand.run.problem(hindered.code, hindered.text, hindered.hint)
    decided = tuple(verdict for verdict in plan.deletions if verdict.backup.uuid in shown)
    for verdict in decided:
        errand.tell(f"deleting {verdict.backup.name}")
    return decided
