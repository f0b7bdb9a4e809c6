"""The keys that scripts rely on: each document, whole."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from daemon.config.errors import ConfigIssue as Mistake
from daemon.core.backlog import Backlog
from daemon.core.model import Action, Backup, Completeness, Listing, Reason, Server, State, Verdict
from daemon.core.plan import Plan
from daemon.documents import commands as documents
from daemon.documents.commands import About
from daemon.errors import ProblemCode, StateError
from daemon.operations.findings import Finding, Severity
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.state import Rotation, Step

NOON = datetime(2026, 4, 1, 12, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
BACKUP = Backup(
    "u-1",
    "auto-1",
    successful=True,
    locked=True,
    bytes=5,
    created_at=NOON,
    completed_at=NOON + timedelta(minutes=2),
    checksum="sha1:0a",
    ignored=("logs/",),
)
VERDICT = Verdict(BACKUP, State.GOOD, own=True, action=Action.KEEP, reasons=(Reason("locked", None, "locked"),))
LISTING = Listing((BACKUP,), 1, NOON, Completeness.COMPLETE)
ABOUT = About("survival", "main", "1a7ce997")
ERROR = StateError("no", hint="do")
JUDGED = {
    "uuid": "u-1",
    "name": "auto-1",
    "created_at": "2026-04-01T10:00:00Z",
    "completed_at": "2026-04-01T10:02:00Z",
    "bytes": 5,
    "state": "good",
    "locked": True,
    "own": True,
    "verdict": "keep",
    "reasons": [{"rule": "locked", "slot": None, "text": "locked"}],
}
DETAILED = JUDGED | {"seconds": 120, "checksum": "sha1:0a", "ignored": ["logs/"], "unreadable": None}
NAMED = {key: JUDGED[key] for key in ("uuid", "name", "created_at", "completed_at", "bytes")}
ROTATION = Rotation(
    id=7,
    server_uuid="s-1",
    server="survival",
    panel="main",
    policy="standard",
    trigger="schedule",
    start_at=NOON,
    began_at=NOON,
    ended_at=None,
    result=None,
    retry_at=None,
    backup_uuid=None,
    summary={},
    steps=(Step("create", NOON, {"name": "auto-1"}),),
)
RECORDED = {
    "rotation": 7,
    "server": "survival",
    "uuid": "s-1",
    "panel": "main",
    "policy": "standard",
    "trigger": "schedule",
    "start_at": "2026-04-01T10:00:00Z",
    "began_at": "2026-04-01T10:00:00Z",
    "ended_at": None,
    "result": None,
    "retry_at": None,
    "good": None,
    "created": None,
    "deleted": [],
    "kept": None,
    "problems": [],
}


def test_times_are_utc_with_a_z() -> None:
    """One form everywhere, to the second, whatever zone they came in."""
    assert documents.moment(NOON) == "2026-04-01T10:00:00Z"
    assert documents.moment(None) is None


def test_plan() -> None:
    """A server that could be judged, and one that could not."""
    about = {"server": "survival", "panel": "main", "id": "1a7ce997"}
    judged = {"complete": True, "refused": None, "error": None, "backups": [JUDGED]}
    assert documents.planned(ABOUT, LISTING, Plan((VERDICT,), ())) == about | judged
    steady = replace(LISTING, completeness=Completeness.STEADY)
    refused = documents.planned(ABOUT, steady, Plan((), (), "too many"))
    assert refused == about | {"complete": False, "refused": "too many", "error": None, "backups": []}
    error = {"code": "state", "text": "no", "hint": "do"}
    failed: dict[str, object] = {"complete": False, "refused": None, "error": error, "backups": []}
    waiting = documents.planned(ABOUT, LISTING, Plan((), ()), Backlog(2, ("nas",), None))
    assert waiting["uncopied"] == {"backups": 2, "stores": ["nas"], "full_at": None}
    assert documents.unplanned(ABOUT, ERROR) == about | failed


def test_backups_list() -> None:
    """What plan says, and all else that the panel told."""
    assert documents.listed(ABOUT, LISTING, [VERDICT]) == {
        "server": "survival",
        "panel": "main",
        "id": "1a7ce997",
        "complete": True,
        "total": 1,
        "backups": [DETAILED],
    }


def test_backups_show() -> None:
    """One backup."""
    assert documents.shown(ABOUT, VERDICT) == {
        "server": "survival",
        "panel": "main",
        "id": "1a7ce997",
        "backup": DETAILED,
    }


def test_a_running_backup_took_no_known_time() -> None:
    """What is not known is null."""
    assert documents.seconds_taken(replace(BACKUP, completed_at=None)) is None
    assert documents.seconds_taken(replace(BACKUP, created_at=None)) is None


def test_rotate() -> None:
    """With a backup, and with nothing but a problem."""
    done = Outcome(
        "survival", "main", "standard", Result.DONE, created=BACKUP, deleted=(BACKUP,), undeleted=(BACKUP,), kept=3
    )
    down = Problem(ProblemCode.NODE, "down", "look")
    failed = Outcome("lobby", "main", "standard", Result.FAILED, problems=(down,), retry_at=NOON)
    assert documents.rotated([done, failed], dry_run=False) == {
        "dry_run": False,
        "servers": [
            {
                "server": "survival",
                "result": "done",
                "created": NAMED,
                "deleted": [NAMED],
                "undeleted": [NAMED],
                "kept": 3,
                "retry_at": None,
                "problems": [],
            },
            {
                "server": "lobby",
                "result": "failed",
                "created": None,
                "deleted": [],
                "undeleted": [],
                "kept": None,
                "retry_at": "2026-04-01T10:00:00Z",
                "problems": [{"code": "node", "text": "down", "hint": "look"}],
            },
        ],
    }


def test_schedule() -> None:
    """The starts of each server."""
    assert documents.scheduled({"survival": [NOON], "lobby": []}) == {
        "servers": [
            {"server": "survival", "starts": ["2026-04-01T10:00:00Z"]},
            {"server": "lobby", "starts": []},
        ]
    }


def test_check() -> None:
    """Mistakes in the configuration, and what was found."""
    value_error = Mistake("config.toml", "panels.main.url", '"x"', "must be an address", "such as …")
    finding = Finding(Severity.WARNING, ProblemCode.LIMIT, "too small", "raise it", "main", "survival")
    assert documents.checked([finding], [value_error]) == {
        "problems": [
            {
                "file": "config.toml",
                "key": "panels.main.url",
                "value": '"x"',
                "reason": "must be an address",
                "suggestion": "such as …",
            }
        ],
        "findings": [
            {
                "level": "warning",
                "code": "limit",
                "panel": "main",
                "server": "survival",
                "text": "too small",
                "hint": "raise it",
            }
        ],
    }


def test_servers() -> None:
    """One that is not configured, and a panel that could not be asked."""
    server = Server("s-1", "1a7ce997", "Survival", "node1", 5, suspended=True)
    assert documents.visible("main", server, None, "no backups") == {
        "panel": "main",
        "id": "1a7ce997",
        "uuid": "s-1",
        "name": "Survival",
        "node": "node1",
        "backup_limit": 5,
        "obstacle": "suspended",
        "configured": None,
        "discovered": None,
        "skipped": "no backups",
    }
    assert documents.invisible("main", ERROR) == {"panel": "main", "code": "state", "text": "no", "hint": "do"}


def test_history() -> None:
    """A rotation that has not ended, with its steps; and what one that has says besides."""
    step = {"name": "create", "at": "2026-04-01T10:00:00Z", "detail": {"name": "auto-1"}}
    assert documents.recorded_whole(ROTATION) == RECORDED | {"steps": [step]}
    summary = {"good": True, "created": {"uuid": "u"}, "deleted": [{"uuid": "d"}], "kept": 3, "problems": [{}]}
    ended = replace(
        ROTATION, ended_at=NOON, result="done", retry_at=NOON.astimezone(UTC), summary=summary, backup_uuid="u"
    )
    assert documents.recorded(ended) == RECORDED | summary | {
        "ended_at": "2026-04-01T10:00:00Z",
        "result": "done",
        "retry_at": "2026-04-01T10:00:00Z",
    }
