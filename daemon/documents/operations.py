"""The JSON documents of the writing commands, by the rules of `documents`; the golden tests hold their keys."""

from collections.abc import Sequence
from dataclasses import asdict

from daemon.core.model import Backup, State
from daemon.documents.commands import About, Document, moment
from daemon.operations.drill import Drilled
from daemon.operations.onto import Brought
from daemon.operations.restore import Restored
from daemon.operations.result import OperationResult
from daemon.rotation.outcome import Problem


def one_written(about: About, outcome: OperationResult) -> Document:
    """Return the document of `backups create` and `backups accept`."""
    return {
        **asdict(about),
        "result": outcome.result.value,
        "changed": outcome.changed,
        "backup": _known(outcome),
        "problems": _problems(outcome.problems),
    }


def many_written(about: About, outcomes: Sequence[OperationResult]) -> Document:
    """Return the document of `backups lock`, `unlock` and `delete`; problems of no single backup stand beside them."""
    return {
        **asdict(about),
        "backups": [
            {
                **_backup(one.backup, one.state),
                "result": one.result.value,
                "changed": one.changed,
                "problems": _problems(one.problems),
            }
            for one in outcomes
            if one.backup is not None
        ],
        "problems": _problems([problem for one in outcomes if one.backup is None for problem in one.problems]),
    }


def restored(about: About, ended: Restored, *, truncate: bool) -> Document:
    """Return the document of `backups restore`."""
    return {
        **one_written(about, ended.outcome),
        "truncate": truncate,
        "safety_backup": _known(ended.safety),
        "ended": ended.ended,
        "activity_log": ended.log_says,
    }


def brought(about: About, source: str, ended: Brought, *, truncate: bool, into: str) -> Document:
    """Return the document of a restore onto another server, or from a copy; `source` is whose backup it is."""
    compared = ended.compared
    return {
        **one_written(about, ended.outcome),
        "source": source,
        "truncate": truncate,
        "into": into,
        "safety_backup": _known(ended.safety),
        "way": ended.way,
        "files": compared.right if compared else None,
        "files_unseen": compared.unseen if compared else None,
    }


def drilled(about: About, drill: str, source: str, ended: Drilled) -> Document:
    """Return the document of `drill`; `about` is the spare server, `source` the one whose backup was tried."""
    return {
        **one_written(about, ended.brought.outcome),
        "drill": drill,
        "source": source,
        "way": ended.brought.way,
        "files": ended.brought.compared.right if ended.brought.compared else None,
        "seconds": None if ended.seconds is None else round(ended.seconds, 3),
    }


def _known(outcome: OperationResult | None) -> Document | None:
    return None if outcome is None or outcome.backup is None else _backup(outcome.backup, outcome.state)


def _backup(backup: Backup, state: State | None) -> Document:
    """Return one backup as last seen; its state is null if it was not judged."""
    return {
        "uuid": backup.uuid,
        "name": backup.name or None,
        "created_at": moment(backup.created_at),
        "completed_at": moment(backup.completed_at),
        "bytes": backup.bytes,
        "state": None if state is None else state.value,
        "locked": backup.locked,
        "ignored": list(backup.ignored),
    }


def _problems(problems: Sequence[Problem]) -> list[Document]:
    return [{"code": problem.code, "text": problem.text, "hint": problem.hint} for problem in problems]
