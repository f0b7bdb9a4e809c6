"""A copy of the checkout in which one thing at a time is broken, and what pytest says of it there.

Nothing is ever broken in the checkout itself. Whatever runs for a copy, at any depth of subprocesses, must import the
copy's `daemon`, though the environment has the checkout's installed; that is looked at before anything is believed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import cache_from_source
from pathlib import Path

from tests.breaks.listed import ROOT, Break

PATIENCE = 900.0  # seconds for all tests at once; each of them has a limit of its own
FOREIGN = ("COVERAGE_", "PYTEST_", "PTERO_", "PYTHON")  # what the tests must not take over from whoever runs this

_FAILED = re.compile(r"^FAILED (\S+?::\w+)(?:\[.*?\])?(?: - (.*))?$", re.MULTILINE)


class Verdict(StrEnum):
    """What came of a break."""

    CAUGHT = "caught"
    NOT_CAUGHT = "NOT CAUGHT"
    NO_PROGRAM = "DOES NOT RUN"


@dataclass(frozen=True, slots=True)
class Ran:
    """What pytest said: its exit code (0 all passed, 1 some failed), why each failed test did, and all its words."""

    code: int
    failed: Mapping[str, str]
    output: str

    def verdict(self, tests: Sequence[str]) -> Verdict:
        """Every test that is named must have failed; trouble before or beside the tests proves nothing."""
        if self.code not in {0, 1}:
            return Verdict.NO_PROGRAM
        return Verdict.NOT_CAUGHT if set(tests) - self.failed.keys() else Verdict.CAUGHT


class Copy:
    """A copy of all files of the checkout that git does not ignore."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        code = "import daemon; print(daemon.__file__)"
        imported = self._run(Path("/"), sys.executable, "-c", code).stdout.strip()
        if Path(imported) != folder / "daemon/__init__.py":
            raise RuntimeError(f"the copy in {folder} would import {imported}")

    def tested(self, tests: Sequence[str], *more: str) -> Ran:
        """Run these tests as the copy is now."""
        words = ("-q", "--tb=no", "-p", "no:cacheprovider", *more, *tests)
        ran = self._run(self.folder, sys.executable, "-m", "pytest", *words)
        return Ran(ran.returncode, dict(_FAILED.findall(ran.stdout)), ran.stdout + ran.stderr)

    @contextmanager
    def broken(self, one: Break) -> Iterator[None]:
        """Break it for as long as the block lasts."""
        file = self.folder / one.file
        whole = file.read_text()
        _write(file, one.made(whole))
        try:
            yield
        finally:
            _write(file, whole)

    def _run(self, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        environ = {**kept, "PYTHONPATH": str(self.folder), "COLUMNS": "160"}
        return subprocess.run(  # noqa: S603 — our own tests
            words, cwd=cwd, env=environ, check=False, capture_output=True, text=True, timeout=PATIENCE
        )


def _git(*words: str) -> str:
    return subprocess.run(  # noqa: S603
        ["git", *words],  # noqa: S607 — the one that made the checkout
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    # Python takes compiled code of the same second and size for that of this text.
    Path(cache_from_source(file)).unlink(missing_ok=True)
