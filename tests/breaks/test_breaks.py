"""The list of breaks is true: it fits the code and the tests as they are, and the runner can tell a catch from none.

`./scripts/breaks` makes all of them, which takes minutes; here is what must not wait for that.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.breaks.__main__ import play
from tests.breaks.copy import Copy
from tests.breaks.listed import PAGE, ROOT, Break, listed, page

LOCK = "tests/state/test_locks.py::test_the_file_is_private_and_stays"


def test_each_break_is_of_the_shell_and_told_once() -> None:
    """The core is left to mutation, and a title is what a break is called by."""
    breaks = listed()
    assert len({one.title for one in breaks}) == len(breaks) >= 25
    assert [
        one.file for one in breaks if not one.file.startswith("daemon/") or one.file.startswith("daemon/core")
    ] == []


def test_each_break_fits_the_code_and_leaves_a_program(tmp_path: Path) -> None:
    """What it replaces is there exactly once, and what it leaves can be read and names nothing unknown.

    A test that fails by a mistyped name would prove nothing.
    """
    files = [(one, (ROOT / one.file).read_text()) for one in listed()]
    assert [f"{one.file}: {one.title}" for one, text in files if text.count(one.old) != 1 or one.old == one.new] == []
    for number, (one, text) in enumerate(files):
        (tmp_path / f"break_{number}.py").write_text(one.made(text))
    words = ("ruff", "check", "--isolated", "--no-cache", "--target-version=py311", "--select=F821", str(tmp_path))
    ran = subprocess.run([sys.executable, "-m", *words], check=False, capture_output=True, text=True)  # noqa: S603
    assert ran.returncode == 0, ran.stdout


def test_each_test_that_is_named_exists() -> None:
    """A renamed one would else be missed only by whoever makes the breaks."""
    named = {test for one in listed() for test in one.tests}
    there = {f"{file}::{name}" for file in {test.partition("::")[0] for test in named} for name in functions_of(file)}
    assert named - there == set()
    assert [one.title for one in listed() if not one.tests] == []


def functions_of(file: str) -> list[str]:
    """The functions of a module, by their names."""
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    return [node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, functions)]


def test_the_page_is_made_from_the_list() -> None:
    """`./scripts/breaks --page` writes it."""
    assert (ROOT / PAGE).read_text() == page(listed())


def test_the_runner_tells_what_is_caught_from_what_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A true break, one that changes nothing, one that leaves no program; and the copy is whole again afterwards."""
    caught = next(one for one in listed() if one.tests == (LOCK,))
    harmless = Break(
        "harmless", "6", "", "daemon/state/local/locks.py", "import struct\n", "import struct  # as it was\n", (LOCK,)
    )
    no_program = Break(
        "no program", "6", "", "daemon/state/local/locks.py", "import struct\n", "import struct_\n", (LOCK,)
    )
    assert play([caught, harmless, no_program], [Copy(tmp_path)]) == 1
    told = capsys.readouterr().out
    for line in (
        f"caught       {caught.title}",
        "NOT CAUGHT   harmless",
        "DOES NOT RUN no program",
        "3 breaks, 1 caught",
    ):
        assert f"{line}\n" in told
    assert (tmp_path / caught.file).read_text() == (ROOT / caught.file).read_text()


def test_tests_that_fail_unbroken_prove_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then nothing is broken at all."""
    copy = Copy(tmp_path)
    (caught,) = (one for one in listed() if one.tests == (LOCK,))
    with copy.broken(caught):
        assert play([caught], [copy]) == 1
    assert "the tests do not pass unbroken" in capsys.readouterr().out
