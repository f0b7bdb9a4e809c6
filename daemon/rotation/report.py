"""The end of a rotation: its outcome, its row in the journal, its line in the log, and when to try again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from daemon.core.calendar import hand_over_delay, retry_delay
from daemon.core.model import Backup, Verdict
from daemon.core.units import rfc3339
from daemon.errors import ProblemCode, StateError
from daemon.rotation.order import Halt, Stage
from daemon.rotation.outcome import Outcome, Problem, Result, Retry
from daemon.rotation.run import JournalRow, Run
from daemon.state import Rotation


async def begin(run: Run) -> JournalRow:
    """Open the rotation's row in the journal; raises StateError."""
    order, config, journal = run.order, run.config, run.context.journal
    number = await journal.begin(
        server_uuid=run.server.uuid if run.server else config.id,
        server=config.name,
        panel=config.panel.name,
        policy=config.policy.name,
        trigger=order.trigger,
        start_at=order.start_at,
        at=run.context.clock.now(),
    )
    return JournalRow(journal, number)


async def report(run: Run, halt: Halt | None) -> Outcome:
    """Report the outcome; a rotation that ended before it had a row gets one, so that the attempt is known."""
    run.stage = Stage.REPORTING
    if halt is not None:
        run.problem(halt.problem.code, halt.problem.text, halt.problem.hint)
    stays = tuple(verdict for verdict in run.verdicts if verdict.backup not in run.deleted)
    outcome = Outcome(
        server=run.config.name,
        panel=run.config.panel.name,
        policy=run.config.policy.name,
        result=halt.result if halt else Result.DONE,
        created=run.created,
        deleted=tuple(run.deleted),
        undeleted=tuple(backup for backup, _ in run.undeleted.values()),
        kept=len(stays) if run.planned else None,
        problems=tuple(run.problems),
        passing=halt.passing if halt else False,
        retry_at=_retry_at(run, halt),
        seen=run.server,
        verdicts=stays,
        good_seen_at=newest_good_at(run.verdicts, besides=run.created) or run.good_seen_at,
        steps=tuple(run.steps),
        handed_over=halt is not None and halt.retry is Retry.ELSEWHERE,
    )
    try:
        row = run.row or await begin(run)
        await row.journal.end(
            row.number,
            at=run.context.clock.now(),
            result=outcome.result.value,
            retry_at=outcome.retry_at,
            backup_uuid=run.created.uuid if run.created else None,
            summary=_summary(run, outcome),
        )
    except StateError as error:
        run.journal_failed(error)
        outcome = replace(outcome, problems=tuple(run.problems))
    run.log.info(
        "rotation_ended",
        result=outcome.result.value,
        created=run.created.name if run.created else None,
        deleted=len(run.deleted),
        **({"undeleted": len(run.undeleted)} if run.undeleted else {}),
        kept=outcome.kept,
        **({"retry_at": rfc3339(outcome.retry_at)} if outcome.retry_at else {}),
    )
    return outcome


def newest_good_at(verdicts: Sequence[Verdict], *, besides: Backup | None) -> datetime | None:
    """Given verdicts, newest first, return when the policy's newest good backup was made, without the new one.

    One whose deletion was left half done may have no file, and does not count as good.
    """
    new = besides.uuid if besides else None
    good = (one.backup for one in verdicts if one.own and one.whole)
    return next((backup.created_at for backup in good if backup.uuid != new), None)


def made_a_failed_one(row: Rotation) -> bool:
    """Return whether a journalled rotation reported that its backup was made and failed."""
    return any(problem.get("code") == ProblemCode.BACKUP_FAILED for problem in row.summary.get("problems", ()))


def was_handed_over(row: Rotation) -> bool:
    """Return whether a journalled rotation was another member's of the cluster to make, and asked for nothing."""
    return bool(row.summary.get("handed_over"))


def _retry_at(run: Run, halt: Halt | None) -> datetime | None:
    """Return when the daemon tries again, unless the next start comes first; by hand nothing is tried again."""
    order = run.order
    if halt is None or halt.retry is Retry.NO or order.trigger == "manual":
        return None
    if halt.retry is Retry.ONCE and order.failed > 0:
        return None
    now = run.context.clock.now()
    elsewhere = halt.retry is Retry.ELSEWHERE
    own_delay = hand_over_delay(order.hand_overs + 1) if elsewhere else retry_delay(order.attempt + 1)
    delay = max(own_delay, timedelta(seconds=halt.retry_after or 0))
    config = run.context.current_config(run.config.name) or run.config
    return now + delay if now + delay < config.starts.after(now) else None


def _summary(run: Run, outcome: Outcome) -> dict[str, Any]:
    return {
        "good": run.good,
        "passing": outcome.passing,
        "created": _named(run.created) if run.created else None,
        "deleted": [_named(backup) for backup in outcome.deleted],
        "undeleted": [_named(backup) for backup in outcome.undeleted],
        "kept": outcome.kept,
        "good_seen_at": rfc3339(outcome.good_seen_at) if outcome.good_seen_at else None,
        "problems": [_problem(problem) for problem in outcome.problems],
        **({"handed_over": True} if outcome.handed_over else {}),
    }


def _named(backup: Backup) -> dict[str, Any]:
    return {"uuid": backup.uuid, "name": backup.name, "bytes": backup.bytes}


def _problem(problem: Problem) -> dict[str, str]:
    return {"code": problem.code, "text": problem.text, "hint": problem.hint}
