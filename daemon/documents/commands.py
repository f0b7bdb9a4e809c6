"""The JSON documents: values in, dictionaries out. Scripts rely on these keys; the golden tests hold them.

Everywhere: times are RFC 3339 in UTC with a Z, spans are seconds, sizes are bytes, and what is not known is null. The
number of the schema is put on top where a document is written. No clock, no I/O, and nothing heavy is loaded for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daemon.core.model import Backup, Completeness, Listing, Server, Verdict
from daemon.core.plan import Plan
from daemon.core.units import rfc3339
from daemon.errors import BackupdError

if TYPE_CHECKING:
    from daemon.config.errors import ConfigIssue
    from daemon.config.values import ServerConfig
    from daemon.core.backlog import Backlog
    from daemon.operations.findings import Finding
    from daemon.rotation.outcome import Outcome
    from daemon.state import CopyRecord, Rotation

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """Which server something is about; the panel and its id are None for saved lists."""

    server: str
    panel: str | None = None
    id: str | None = None


def moment(value: datetime | None) -> str | None:
    """Return a moment as every document has it."""
    return None if value is None else rfc3339(value)


# plan, backups -----------------------------------------------------------------------------------------------------


def planned(
    about: About,
    listing: Listing,
    decided: Plan,
    backlog: "Backlog | None" = None,
    stores: Mapping[str, Sequence[str]] | None = None,
) -> Document:
    """Return one server of `plan` whose backups could be judged; with a `backlog` also what waits for copies.

    With `stores`, each backup by uuid tells the stores that have a copy of it.
    """
    return {
        **_about(about),
        "complete": listing.completeness is Completeness.COMPLETE,
        "refused": decided.refused,
        "error": None,
        "backups": [{**judged(verdict), **_held_in(stores, verdict)} for verdict in decided.verdicts],
        **({} if backlog is None else {"uncopied": _uncopied(backlog)}),
    }


def _held_in(stores: Mapping[str, Sequence[str]] | None, verdict: Verdict) -> Document:
    return {} if stores is None else {"stores": sorted(stores.get(verdict.backup.uuid, ()))}


def _uncopied(backlog: "Backlog") -> Document:
    return {"backups": backlog.backups, "stores": list(backlog.stores), "full_at": moment(backlog.full_at)}


def unplanned(about: About, error: BackupdError) -> Document:
    """Return one server of `plan` that could not be viewed."""
    return {**_about(about), "complete": False, "refused": None, "error": _error(error), "backups": []}


def judged(verdict: Verdict) -> Document:
    """Return one backup and its verdict."""
    return {
        "uuid": verdict.backup.uuid,
        "name": verdict.backup.name,
        "created_at": moment(verdict.backup.created_at),
        "completed_at": moment(verdict.backup.completed_at),
        "bytes": verdict.backup.bytes,
        "state": verdict.state.value,
        "locked": verdict.backup.locked,
        "own": verdict.own,
        "verdict": verdict.action.value,
        "reasons": [{"rule": reason.rule, "slot": reason.slot, "text": reason.text} for reason in verdict.reasons],
    }


def listed(about: About, listing: Listing, verdicts: Iterable[Verdict]) -> Document:
    """Return the document of `backups list`."""
    return {
        **_about(about),
        "complete": listing.completeness is Completeness.COMPLETE,
        "total": len(listing.backups),
        "backups": [detailed(verdict) for verdict in verdicts],
    }


def shown(about: About, verdict: Verdict) -> Document:
    """Return the document of `backups show`."""
    return {**_about(about), "backup": detailed(verdict)}


def detailed(verdict: Verdict) -> Document:
    """Return one backup with all that the panel says of it."""
    backup = verdict.backup
    return {
        **judged(verdict),
        "seconds": seconds_taken(backup),
        "checksum": backup.checksum,
        "ignored": list(backup.ignored),
        "unreadable": backup.unreadable,
    }


def seconds_taken(backup: Backup) -> int | None:
    """Return how long the backup took; None while it is not known."""
    if backup.created_at is None or backup.completed_at is None:
        return None
    return int((backup.completed_at - backup.created_at).total_seconds())


def _about(about: About) -> Document:
    return {"server": about.server, "panel": about.panel, "id": about.id}


def _error(error: BackupdError) -> Document:
    return {"code": error.code, "text": error.text, "hint": error.hint}


# rotate, schedule --------------------------------------------------------------------------------------------------


def rotated(outcomes: Iterable["Outcome"], *, dry_run: bool) -> Document:
    """Return the document of `rotate`."""
    return {"dry_run": dry_run, "servers": [_outcome(outcome) for outcome in outcomes]}


def _outcome(outcome: "Outcome") -> Document:
    return {
        "server": outcome.server,
        "result": outcome.result.value,
        "created": None if outcome.created is None else _named(outcome.created),
        "deleted": [_named(backup) for backup in outcome.deleted],
        "undeleted": [_named(backup) for backup in outcome.undeleted],
        "kept": outcome.kept,
        "retry_at": moment(outcome.retry_at),
        "problems": [{"code": one.code, "text": one.text, "hint": one.hint} for one in outcome.problems],
    }


def _named(backup: Backup) -> Document:
    return {
        "uuid": backup.uuid,
        "name": backup.name,
        "created_at": moment(backup.created_at),
        "completed_at": moment(backup.completed_at),
        "bytes": backup.bytes,
    }


def scheduled(starts: Mapping[str, Sequence[datetime]]) -> Document:
    """Return the document of `schedule`."""
    return {"servers": [{"server": name, "starts": [moment(start) for start in of]} for name, of in starts.items()]}


# check, servers ----------------------------------------------------------------------------------------------------


def checked(findings: Iterable["Finding"], problems: Iterable["ConfigIssue"] = ()) -> Document:
    """Return the document of `check`: the findings, or what is wrong with the configuration."""
    return {"problems": [_problem(problem) for problem in problems], "findings": [_finding(f) for f in findings]}


def _problem(problem: "ConfigIssue") -> Document:
    return {
        "file": problem.file,
        "key": problem.key,
        "value": problem.value,
        "reason": problem.reason,
        "suggestion": problem.suggestion,
    }


def _finding(finding: "Finding") -> Document:
    return {
        "level": finding.level.value,
        "code": finding.code,
        "panel": finding.panel,
        "server": finding.server,
        "text": finding.text,
        "hint": finding.hint,
    }


def visible(panel: str, server: Server, covered: "ServerConfig | None", why_not: str | None) -> Document:
    """Return one server of `servers`: `covered` because it is configured, or because it was discovered."""
    by = None if covered is None else {"server": covered.name, "policy": covered.policy.name}
    return {
        "panel": panel,
        "id": server.identifier,
        "uuid": server.uuid,
        "name": server.name,
        "node": server.node,
        "backup_limit": server.backup_limit,
        "obstacle": server.obstacle,
        "configured": by if covered and not covered.discovered else None,
        "discovered": by if covered and covered.discovered else None,
        "skipped": why_not,
    }


def invisible(panel: str, error: BackupdError) -> Document:
    """Return one panel of `servers` that could not be asked."""
    return {"panel": panel, **_error(error)}


# history, status ---------------------------------------------------------------------------------------------------


def recorded(rotation: "Rotation") -> Document:
    """Return one rotation as it was journalled."""
    summary = rotation.summary
    return {
        "rotation": rotation.id,
        "server": rotation.server,
        "uuid": rotation.server_uuid,
        "panel": rotation.panel,
        "policy": rotation.policy,
        "trigger": rotation.trigger,
        "start_at": moment(rotation.start_at),
        "began_at": moment(rotation.began_at),
        "ended_at": moment(rotation.ended_at),
        "result": rotation.result,
        "retry_at": moment(rotation.retry_at),
        "good": summary.get("good"),
        "created": summary.get("created"),
        "deleted": summary.get("deleted", []),
        "kept": summary.get("kept"),
        "problems": summary.get("problems", []),
    }


def recorded_whole(rotation: "Rotation") -> Document:
    """Return one rotation of `history`, with its steps."""
    steps = [{"name": step.name, "at": moment(step.at), "detail": dict(step.detail)} for step in rotation.steps]
    return {**recorded(rotation), "steps": steps}


def copy_recorded(record: "CopyRecord") -> Document:
    """Return what became of one copy as it was journalled."""
    return {
        "event": record.event.value,
        "at": moment(record.at),
        "server": record.server,
        "store": record.store,
        "backup": None if record.backup_uuid is None else {"uuid": record.backup_uuid, "name": record.backup},
        "bytes": record.bytes,
        "text": record.text,
    }
