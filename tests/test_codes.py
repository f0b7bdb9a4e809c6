"""The codes of errors, problems and findings: one spelling, one page that explains them, journals of any version."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.core.model import State
from daemon.errors import ProblemCode
from daemon.rotation.report import made_a_failed_one
from daemon.state import Rotation, StepName
from daemon.state.rows import read_rotations
from daemon.status.history import Ended, ended_of

ROOT = Path(__file__).parents[1]
SOURCES = [
    file for file in sorted((ROOT / "daemon").rglob("*.py")) if "sandbox" not in file.parts and file.name != "errors.py"
]
AT = "2026-04-01T04:00:00.000000Z"


def journalled(*problems: dict[str, Any], result: str = "failed", good: bool = False) -> Rotation:
    """A rotation as a journal holds it that told of these problems."""
    row: Any = {
        "id": 1,
        "server_uuid": "1a7ce997",
        "server": "survival",
        "panel": "main",
        "policy": "standard",
        "trigger": "schedule",
        "start_at": AT,
        "began_at": AT,
        "ended_at": AT,
        "result": result,
        "retry_at": None,
        "backup_uuid": None,
        "summary": json.dumps({"good": good, "problems": problems}),
    }
    (rotation,) = read_rotations([row], [])
    return rotation


@pytest.mark.parametrize("code", list(ProblemCode))
def test_a_code_is_written_in_kebab_case(code: ProblemCode) -> None:
    """And its name in the code is the same word, so that either finds the other."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert code.name == code.replace("-", "_").upper()


def test_the_page_explains_every_code_once_and_no_other() -> None:
    """A row for each, with what it means and what to do."""
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/codes.md").read_text(), re.MULTILINE)
    assert [code for code, *_ in rows] == list(ProblemCode)


def test_no_code_is_spelled_out_beside_the_enum() -> None:
    """A literal could be misspelled. Codes of one word are words of other things as well; there the types hold it."""
    long = {code.value for code in ProblemCode if "-" in code}
    trees = ((file, ast.parse(file.read_text())) for file in SOURCES)
    texts = ((file, node.value) for file, tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    assert [(file.name, text) for file, text in texts if text in long] == []


def test_every_code_is_used() -> None:
    """What nothing raises is no part of the contract."""
    words = "\n".join(file.read_text() for file in (ROOT / "daemon").rglob("*.py"))
    used = {*re.findall(r"ProblemCode\.([A-Z_]+)", words), *(f"BACKUP_{state.name}" for state in State)}
    assert [code.name for code in ProblemCode if code.name not in used] == []


def end_of(row: Rotation) -> Ended:
    """How a row's rotation ended."""
    ended = ended_of(row)
    assert ended
    return ended


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("server_state", ProblemCode.SERVER_STATE),
        ("max_deletions", ProblemCode.MAX_DELETIONS),
        ("outcome-unknown", ProblemCode.OUTCOME_UNKNOWN),
        ("node", ProblemCode.NODE),
    ],
)
def test_a_journal_of_an_earlier_version_is_read_in_todays_spelling(written: str, code: ProblemCode) -> None:
    """In what scripts are shown, and in what the status is made of."""
    row = journalled({"code": written, "text": "so it is", "hint": "do"})
    assert row.summary["problems"] == [{"code": code.value, "text": "so it is", "hint": "do"}]
    assert [problem.code for problem in end_of(row).problems] == [code]


def test_what_an_earlier_version_journalled_still_decides() -> None:
    """A backup that failed counts as a try, and a rotation that the brake held is told as held."""
    assert made_a_failed_one(journalled({"code": "backup_failed", "text": "it failed", "hint": ""}))
    held = journalled({"code": "max_deletions", "text": "too many", "hint": ""}, result="refused", good=True)
    assert end_of(held).held


def test_a_code_of_a_newer_version_hides_nothing() -> None:
    """Its text says what happened; scripts that read the history see the code itself."""
    row = journalled({"code": "not-known-yet", "text": "something new", "hint": ""})
    assert row.summary["problems"][0]["code"] == "not-known-yet"
    (problem,) = end_of(row).problems
    assert (problem.code, problem.text) == (ProblemCode.ERROR, "something new")


def test_every_step_is_taken_and_the_queries_name_no_other() -> None:
    """SQL names steps in its own quotes, where no type holds them."""
    rotation = "\n".join(file.read_text() for file in (ROOT / "daemon/rotation").glob("*.py"))
    assert {*re.findall(r"StepName\.([A-Z_]+)", rotation)} == {step.name for step in StepName}
    state = "\n".join(file.read_text() for file in (ROOT / "daemon/state").rglob("*.py"))
    queries = "".join(re.findall(r"\bname (?:=|IN) ('\w+'|\(.*?\))", state))
    assert queries
    assert {*re.findall(r"'(\w+)'", queries)} <= {*StepName}
