"""`plan --listing`: whatever the file holds, verdicts or a sentence."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import captures
from tests.fuzz.mutate import anything, damaged, mutated, nested
from tests.fuzz.support import Ran, document, examples, run, sound

LISTS = [captures.load(name).json for name in ("016_list_default", "043_list_with_in_progress", "071")]
SMALL = {**LISTS[0], "data": LISTS[0]["data"][:3], "meta": {"pagination": {"total": 3}}}
KEEPS = ("last=1", "daily=2,within=1y", "hourly=-1,weekly=3,within_monthly=20y", "all")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples."""
    return tmp_path_factory.mktemp("fuzz") / "pages.json"


def judged(file: Path, content: bytes, *more: str) -> Ran:
    """Verdicts on that content, in both forms; each is right, or the same refusal."""
    file.write_bytes(content)
    words = ("plan", "--listing", str(file), "--now", "2026-11-23T07:00:00Z", *(more or ("--keep", KEEPS[1])))
    shown, as_json = sound(run(*words)), sound(run(*words, "--json"))
    assert shown.code == as_json.code
    if as_json.out:
        for backup in document(as_json)["servers"][0]["backups"]:
            assert backup["reasons"]
            for key in ("created_at", "completed_at"):
                assert backup[key] is None or datetime.fromisoformat(backup[key]).tzinfo
    else:
        assert as_json.code == 2
        assert "hint: " in as_json.err
    return shown


@examples(40)
@given(content=st.binary())
@example(b"\xff\xfe[\0")
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 200_000)
@example(b"9" * 100_000)
def test_any_bytes(file: Path, content: bytes) -> None:
    """As a disk may give them back."""
    judged(file, content)


@examples(40)
@given(content=damaged(json.dumps(SMALL).encode()))
def test_a_saved_answer_that_was_damaged(file: Path, content: bytes) -> None:
    """Cut, overwritten or doubled."""
    judged(file, content)


@examples(60)
@given(data=st.data(), keep=st.sampled_from(KEEPS))
def test_an_answer_that_is_wrong_in_a_few_places(file: Path, data: st.DataObject, keep: str) -> None:
    """Any value anywhere: years 1 and 9999, numbers without end, lone surrogates, a terminal's commands."""
    changed = data.draw(mutated(data.draw(st.sampled_from([SMALL, [SMALL, LISTS[1]], *LISTS]))))
    judged(file, json.dumps(changed).encode(), "--keep", keep)


@examples(30)
@given(content=anything)
def test_any_json(file: Path, content: Any) -> None:
    """Of whatever shape."""
    judged(file, json.dumps(content).encode())


@pytest.mark.parametrize("depth", [10, 100, 300, 600, 900, 940, 960, 980, 1000, 3000, 100_000])
def test_nesting_of_any_depth(file: Path, depth: int) -> None:
    """Read, or refused; where it can be read, a row that is none is strange and kept."""
    deep = json.dumps(nested(min(depth, 300))) if depth <= 300 else "[" * depth + "]" * depth
    rows = f'{{"object": "list", "data": [{deep}], "meta": {{"pagination": {{"total": 1}}}}}}'
    field = json.dumps(SMALL).replace('"seed 000"', deep).replace('"ignored_files": []', f'"ignored_files": {deep}')
    for content in (deep, rows, field):
        judged(file, content.encode())


@examples(25)
@given(content=st.binary(max_size=40) | damaged(json.dumps(SMALL).encode(), most=1))
def test_any_bytes_on_stdin(content: bytes) -> None:
    """`curl … | ptero-backupd plan --listing -`."""
    sound(run("plan", "--listing", "-", "--keep", "last=1", stdin=content))


def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder, a link to itself, nothing, a device without end."""
    (tmp_path / "loop").symlink_to("loop")
    for name in (tmp_path, tmp_path / "loop", tmp_path / "nothing", "/dev/null", "/dev/zero", "x" * 5000, "a\0b"):
        assert sound(run("plan", "--listing", str(name), "--keep", "last=1")).code == 2
