"""The project itself: its parts agree with each other, and it starts on a machine that has only Python."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import daemon

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
SCRIPTS = [ROOT / ".ci" / "run", *sorted((ROOT / "scripts").iterdir())]


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says, however it ends."""
    return subprocess.run(  # noqa: S603 — our own words
        command, check=False, **{"capture_output": True, "text": True, "cwd": ROOT, **options}
    )


def tracked() -> Iterator[tuple[str, str]]:
    """Every file that is committed, by its name, and its text."""
    listed = run("git", "ls-files", "-z")
    assert listed.returncode == 0, listed.stderr
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.endswith(".png"):  # deleted, and not committed yet
            yield name, (ROOT / name).read_text(encoding="utf-8")


def found(pattern: str) -> list[str]:
    """Where a pattern occurs in what is committed, but for this file."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked()
        if name != "tests/test_project.py"
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_the_version_is_one() -> None:
    """The distribution and the package say the same."""
    assert PROJECT["version"] == daemon.__version__


def test_the_changelog_has_this_version_or_says_what_is_coming() -> None:
    """A release is written down before it is made."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {"Unreleased", daemon.__version__} & set(headings)


def test_the_contract_on_layers_holds_every_module() -> None:
    """A new package says where it belongs, or the contract is broken."""
    (layers,) = [one for one in PYPROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    assert layers["exhaustive"] is True
    assert layers["exhaustive_ignores"] == ["__main__"]


def test_few_modules_stand_alone_at_the_top() -> None:
    """All others live in a package that says what it is for."""
    loose = {path.stem for path in (ROOT / "daemon").glob("*.py")} - {"__init__", "__main__"}
    assert loose == {"_imports", "clock", "errors", "files", "log"}


def test_every_dependency_is_pinned_to_what_it_may_be() -> None:
    """For each dependency the constraints name a version that pyproject.toml allows."""
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    normalised = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(normalised[requirement.name.lower()]), text


@pytest.mark.parametrize("address", ["", "https://forge.example/owner/ptero-backupd/"])
def test_the_package_names_the_addresses_that_its_builder_gives(address: str) -> None:
    """The release workflow does; no host is known to this repository."""
    backend = (sys.executable, "-m", "hatchling", "metadata", "urls")
    told = run(*backend, env={**os.environ, "PROJECT_URL": address})
    assert told.returncode == 0, told.stderr
    named = json.loads(told.stdout)
    assert set(named) == ({"Repository", "Documentation", "Issues", "Changelog"} if address else set())
    assert all(url.startswith(address.rstrip("/")) for url in named.values())
    assert "PROJECT_URL: ${{ github.server_url }}" in (ROOT / ".github/workflows/release.yml").read_text()


def test_constraints_name_versions_and_nothing_else() -> None:
    """No host, no path, no option."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!]+", line)] == []


def test_nothing_is_left_to_be_done() -> None:
    """What is not done is an issue, not a comment."""
    assert found(r"\b(?:TODO|FIXME|HACK)\b") == []


def test_whoever_silences_the_type_checker_says_why() -> None:
    """By its code, which mypy itself asks for, and a reason after it."""
    assert found(r"# type[:] ignore(?!\[[a-z, -]+\]  # \w)") == []


def test_no_machine_is_named() -> None:
    """No path of the machine that it was written on, and no host of a package registry."""
    assert found(r"/work/|/opt/(?:wheels|pypi)|/root/|pypi\.org|pythonhosted|npmjs|deb\.debian\.org") == []


def test_no_key_looks_real() -> None:
    """A key in the project says that it is an example, and tokens are cut."""
    assert found(r"\b(?:ptl[a-z]|pacc|papp)_(?!EXAMPLE)\w{6,}") == []
    assert found(r"\beyJ[\w-]{40,}\.[\w-]{40,}\.[\w-]{20,}") == []


def test_the_core_loads_nothing_heavy() -> None:
    """Importing all of daemon.core brings in no outside library but cronsim, and nothing that talks to the outside."""
    code = """
import importlib, json, pkgutil, sys
import daemon.core
for module in pkgutil.iter_modules(daemon.core.__path__):
    importlib.import_module(f"daemon.core.{module.name}")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names)))
print(json.dumps(sorted(name for name in sys.modules if name in {"asyncio", "sqlite3", "socket", "ssl"})))
"""
    ran = run(sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {[str(ROOT), *site_packages()]!r}\n{code}")
    assert ran.returncode == 0, ran.stderr
    outside, talking = (json.loads(line) for line in ran.stdout.splitlines())
    assert {name for name in outside if not name.startswith("_")} == {"daemon", "cronsim"}
    assert talking == []


def site_packages() -> list[str]:
    """Where the dependencies are; -S leaves out what .pth files would load at every start."""
    return [path for path in sys.path if path.endswith("-packages")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_each_script_is_bash_without_mistakes_in_it(script: Path) -> None:
    """It parses, it can be run, and it stops at the first error; the one that is sourced says so."""
    assert run("bash", "-n", script).stderr == ""
    text = script.read_text()
    if script.name.startswith("_"):
        assert "Sourced" in text
    else:
        assert os.access(script, os.X_OK)
        assert text.startswith("#!/usr/bin/env bash\n")
        assert "set -euo pipefail" in text


def test_what_is_named_to_be_run_exists() -> None:
    """Scripts, and the modules of tests and benchmarks; on every page, and in what the forge reads."""
    wrong = set()
    for name, text in tracked():
        if name.endswith((".md", ".yml", ".yaml")):
            named = {f"scripts/{script}" for script in re.findall(r"\bscripts/([\w-]+)", text)}
            modules = re.findall(r"-m ((?:tests|benchmarks)(?:\.[a-z_]+)*)\b(?!\.)", text)
            wrong |= {(name, script) for script in named if not (ROOT / script).is_file()}
            wrong |= {(name, module) for module in modules if not runnable(module)}
    assert wrong == set()


def runnable(module: str) -> bool:
    """Whether `python -m` finds something to run there."""
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


# The scripts are run as they are, on a machine of a few links: a real bash, and a Python that notes what it is asked.

TOOLS = ("bash", "cat", "cmp", "dirname", "env", "grep", "mkdir", "rm", "chmod", "nproc")

FAKE_PYTHON = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
    *version_info*) exit "${TOO_OLD:-0}" ;;
    *ensurepip*) exit "${NO_VENV:-0}" ;;
    *sys.version*) echo "3.11.0" ;;
    "-m venv"*)
        [ -z "${VENV_FAILS:-}" ] || { echo "no room left"; exit 1; }
        mkdir -p .venv/bin
        cat "$0" >.venv/bin/python
        chmod +x .venv/bin/python
        printf '#!%s/.venv/bin/python\\n' "$PWD" >.venv/bin/pip ;;
    *"pip install"*)
        [ -z "${PIP_FAILS:-}" ] || { echo "no such package"; exit 1; }
        printf '#!/usr/bin/env bash\\necho "demo: $*"\\n' >.venv/bin/ptero-backupd
        printf '#!/usr/bin/env bash\\n' >.venv/bin/lint-imports
        chmod +x .venv/bin/ptero-backupd .venv/bin/lint-imports ;;
    *"${BREAKS:-nothing}"*) exit 2 ;;
    *--junit-xml=*)
        mkdir -p .pytest_cache
        words="$*"
        file=${words##*--junit-xml=}
        echo "<testsuite skipped=\\"${SKIPPED:-0}\\" />" >"${file%% *}" ;;
    *pytest*) echo "pytest: $*" ;;
esac
"""


class Machine:
    """A fresh checkout on a machine where only `python3` is there, and it is a fake one."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"
        self.path = folder / "bin"
        self.checkout = folder / "checkout"
        self.path.mkdir(parents=True)
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or tool)
        self.python = self.path / "python3"
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.checkout)

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts; only `environ` is set."""
        environment = {"PATH": str(self.path), "CALLS": str(self.calls), **environ}
        self.calls.write_text("")
        return run(self.checkout / "scripts" / script, *arguments, env=environment, cwd="/")

    @property
    def installed(self) -> bool:
        """Whether the last script had to install."""
        return "pip install" in self.calls.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine of one's own."""
    return Machine(tmp_path)


def test_the_first_run_installs_and_the_second_does_not(machine: Machine) -> None:
    """From any folder, with nothing but Python: the environment is made, then kept."""
    first = machine.run("demo", "--keep-running")
    assert (first.returncode, first.stdout) == (0, "demo: demo --keep-running\n")
    assert machine.installed
    assert "--constraint constraints.txt --editable .[dev]" in machine.calls.read_text()
    second = machine.run("demo")
    assert (second.returncode, second.stdout, second.stderr) == (0, "demo: demo\n", "")
    assert not machine.installed


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_dependency_installs_again(machine: Machine, name: str) -> None:
    """Into the environment that is there."""
    machine.run("demo")
    with (machine.checkout / name).open("a") as file:
        file.write("# changed\n")
    assert machine.run("demo").returncode == 0
    assert machine.installed
    assert "-m venv" not in machine.calls.read_text()


def test_a_moved_checkout_makes_its_environment_anew(machine: Machine) -> None:
    """The scripts inside an environment name the folder that it was made in."""
    machine.run("demo")
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("moved"))
    assert machine.run("demo").returncode == 0
    assert "-m venv --clear .venv" in machine.calls.read_text()


def test_arguments_go_to_pytest_alone(machine: Machine) -> None:
    """`./scripts/test tests/core -k weekly` runs nothing else."""
    ran = machine.run("test", "tests/core", "-k", "two words")
    assert ran.stdout == "pytest: -m pytest tests/core -k two words\n"
    assert "ruff" not in machine.calls.read_text()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"TOO_OLD": "1"}, "Python 3.11 or newer is needed, and none was found"),
        ({"PYTHON": "/nowhere/python"}, "Python 3.11 or newer is needed, and none was found"),
        ({"NO_VENV": "1"}, "apt-get install python3-venv"),
        ({"VENV_FAILS": "1"}, "no room left\nThe virtual environment .venv could not be made"),
        ({"PIP_FAILS": "1"}, "no such package\nThe packages could not be installed"),
    ],
)
@pytest.mark.parametrize("script", ["demo", "test"])
def test_what_is_missing_is_said_in_one_sentence(
    machine: Machine, script: str, environ: dict[str, str], sentence: str
) -> None:
    """The run fails, says what is wrong, and works once it is mended."""
    failed = machine.run(script, **environ)
    assert failed.returncode == 1
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr
    assert machine.run(script, "x").returncode == 0


def test_ci_counts_a_skipped_test_as_a_failure(machine: Machine) -> None:
    """With CI=true, what a test needs must be there; at home a skip is fine."""
    assert machine.run("test", CI="true").returncode == 0
    assert machine.run("test", SKIPPED="2").returncode == 0
    failed = machine.run("test", CI="true", SKIPPED="2")
    assert failed.returncode == 1
    assert "Tests were skipped" in failed.stderr


@pytest.mark.parametrize(
    "breaks", ["ruff check", "ruff format", "mypy", "--include=daemon/core/*", "--omit=daemon/core/*"]
)
def test_whatever_fails_fails_the_whole_run(machine: Machine, breaks: str) -> None:
    """Style, types and each of the coverage floors."""
    assert machine.run("test", BREAKS=breaks).returncode != 0
