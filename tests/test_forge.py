"""What the forge reads: its workflows and forms obey their schemas, and run what a developer runs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FORGE = ROOT / ".github"
SCHEMAS = {
    "vendor.github-workflows": sorted(FORGE.glob("workflows/*.yml")),
    "vendor.github-issue-forms": [FORGE / "ISSUE_TEMPLATE/bug.yml", FORGE / "ISSUE_TEMPLATE/feature.yml"],
    "vendor.github-issue-config": [FORGE / "ISSUE_TEMPLATE/config.yml"],
}


def validated(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Hold files against a schema that the checker brings with it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 — our own words


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_file_obeys_its_schema(schema: str) -> None:
    """As the forge would judge it."""
    done = validated(schema, *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout


def test_every_file_has_a_schema() -> None:
    """A new one would otherwise slip through."""
    assert {file for files in SCHEMAS.values() for file in files} == set(FORGE.rglob("*.yml"))


def test_a_file_that_does_not_obey_would_be_found(tmp_path: Path) -> None:
    """Else the first test would prove nothing."""
    wrong = tmp_path / "check.yml"
    wrong.write_text("on: push\njobs: {check: {runs-on: debian, steps: [{uses: 1}]}}\n")
    assert validated("vendor.github-workflows", wrong).returncode != 0


@pytest.mark.parametrize("name", ["check.yml", "release.yml"])
def test_a_workflow_runs_the_whole_check(name: str) -> None:
    """In a container of Debian, by the script that everybody runs."""
    job = yaml.safe_load((FORGE / "workflows" / name).read_text())["jobs"]["check"]
    assert job["container"].startswith("debian:")
    assert "bash .ci/run" in job["steps"][-1]["run"]


def test_a_report_asks_for_what_is_needed_to_help() -> None:
    """The version, and what `check` says."""
    form = (FORGE / "ISSUE_TEMPLATE/bug.yml").read_text()
    assert "ptero-backupd --version" in form
    assert "ptero-backupd check --json" in form


def test_every_hook_runs_a_tool_that_is_checked_anyway() -> None:
    """So that a commit that passes here passes there."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    context = [".venv/bin/ruff check --fix", ".venv/bin/ruff format", ".venv/bin/python -m mypy"]
    assert entries == [*context, "shellcheck --external-sources"]


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is missing (Debian package: shellcheck)")
def test_the_scripts_pass_shellcheck() -> None:
    """All of them, with what they source."""
    scripts = [file for file in (ROOT / "scripts").iterdir() if file.is_file()]
    command = ["shellcheck", "--external-sources", *map(str, scripts), str(ROOT / ".ci/run")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 — our own words
    assert done.returncode == 0, done.stdout
