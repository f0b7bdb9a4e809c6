"""README and docs: every example is run, loaded or at least understood, and what they show is what really comes out."""

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from daemon.cli.app import app
from daemon.clock import SystemClock
from daemon.config.load import load
from daemon.errors import Exit
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Power
from daemon.sandbox.scenes import KEY, add_spare, demo
from daemon.sandbox.serve import SandboxServer, in_background

ROOT = Path(__file__).parents[1]
BESIDE = ("tests/breaks/README.md", "tests/mutation/README.md")  # pages beside what they tell of
PAGES = ("README.md", *(f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md"))), *BESIDE)
ELSEWHERE = ("CONTRIBUTING.md", "SECURITY.md", ".github/ISSUE_TEMPLATE/bug.yml", ".github/ISSUE_TEMPLATE/feature.yml")
"""These name commands as well."""
COMMANDS = "docs/commands.md"
WIDTH = "100"
CUT = "[…]"
OWN = "ptero-backupd "
"""Only our own command is run here: tests/test_demo.py runs the demo, and the other scripts take minutes."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block in one of the languages."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text()
        fences = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        found += [Block(page, text.count("\n", 0, fence.start()) + 1, fence[1], fence[2]) for fence in fences]
    return [block for block in found if block.language in languages]


def joined(text: str) -> str:
    """Return a block with each command on one line."""
    return re.sub(r" *\\\n +", " ", text)


def sessions() -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output shown below it; of none more than one."""
    for block in blocks("console"):
        command, _, shown = joined(block.text).partition("\n")
        assert command.startswith("$ "), f"{block}: a console block begins with a command"
        assert "\n$ " not in shown, f"{block}: one command a block"
        yield command.removeprefix("$ "), shown


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing configured, a home of its own, and the command within reach."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PTERO_", "XDG_", "STATE_"))}
    return {**kept, "PATH": path, "HOME": str(folder), **more}


def shell(script: str, folder: Path, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a person would at a terminal of WIDTH columns."""
    return subprocess.run(  # noqa: S603 — our own pages
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment(folder, **more),
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )


def as_shown(text: str) -> str:
    """Output without colours and trailing blanks."""
    return "".join(f"{line.rstrip()}\n" for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines())


def assert_shown(shown: str, real: str) -> None:
    """What is shown is what came out; where it is cut the parts follow each other, first and last at the ends."""
    parts = [part.strip("\n") for part in shown.split(CUT)]
    place = 0
    for part in parts:
        found = real.find(part, place)
        assert found >= 0, f"not in the output:\n{part}\n--- which is:\n{real}"
        place = found + len(part)
    assert real.startswith(parts[0])
    assert real.rstrip("\n").endswith(parts[-1])


@pytest.mark.parametrize(("command", "shown"), [(c, s) for c, s in sessions() if c.startswith(OWN)])
def test_a_command_prints_what_the_page_shows(command: str, shown: str, tmp_path: Path) -> None:
    """To the letter, but for what is marked as cut."""
    done = shell(command, tmp_path, COLUMNS=WIDTH, FORCE_COLOR="1", TERM="xterm")
    assert (done.returncode, done.stderr) == (0, "")
    assert_shown(shown, as_shown(done.stdout))


def test_a_page_that_shows_something_else_would_be_found() -> None:
    """Else the test above would prove nothing."""
    real = "one\ntwo\nthree\nfour\n"
    assert_shown("one\n[…]\nthree\nfour\n", real)
    for shown in ("one\n[…]\n2\n[…]\nfour\n", "two\n[…]\nfour\n", "one\n[…]\nthree\n", "three\n[…]\none\n[…]\nfour\n"):
        with pytest.raises(AssertionError):
            assert_shown(shown, real)


BEYOND = {
    ("panels", "main"): {"URL": "https://panel.example.com"},
    ("policies", "standard"): {"SCHEDULE": "@daily", "SCOPE": "own", "KEEP": "all"},
    ("servers", "a"): {"ID": "1a7ce997"},
}
"""What a piece of a configuration leaves to the rest of it."""


def piece(text: str) -> str:
    """Return a block as a file of its own: bare keys are a policy's."""
    tables = tomllib.loads(text).keys() & {"panels", "policies", "servers", "http", "alerts"}
    return text if tables else f"[policies.standard]\n{text}"


def beyond(text: str) -> dict[str, str]:
    """Return the variables that add what the text leaves out; none for a whole configuration."""
    there = tomllib.loads(text)
    if there.get("servers"):
        return {}
    return {
        f"PTERO_BACKUPD_{section}__{name}__{key}".upper(): value
        for (section, name), keys in BEYOND.items()
        for key, value in keys.items()
        if key.lower() not in there.get(section, {}).get(name, {})
    }


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    """A whole one is loaded without a problem or a warning; a piece of one is put beside what it leaves out."""
    text = piece(block.text.replace("/etc/ptero-backupd", str(tmp_path)))
    for secret in re.findall(rf'_file = "{tmp_path}/([\w.]+)"', text):
        database = secret == "postgres.url"
        address = "postgresql://db.example.com/EXAMPLE" if database else "https://alerts.example.com/EXAMPLE"
        (tmp_path / secret).write_text(address)
        (tmp_path / secret).chmod(0o600)
    file = tmp_path / "config.toml"
    file.write_text(text)
    environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY, "HOME": str(tmp_path), **beyond(text)}
    config = load(file, environ)
    assert tomllib.loads(text).get("servers", {"a": {}}).keys() == config.servers.keys()
    assert [warning for warning in config.warnings if "is set by the environment" not in warning] == []


def spoken() -> list[tuple[str, list[str]]]:
    """Every line of a shell block that calls our command, with the words after it."""
    lines = [(f"{block}: {line}", line) for block in blocks("sh") for line in joined(block.text).splitlines()]
    for page in (*PAGES, *ELSEWHERE):  # and those inside a sentence, but for placeholders
        text = (ROOT / page).read_text()
        lines += [
            (f"{page}: {words}", words)
            for words in re.findall(
                r"`(ptero-backupd [^`\[…]+ SERVER[^`\[…]*|ptero-backupd (?!backups)[^`\[…]+)`", text
            )
        ]
    found = []
    for name, line in lines:
        for command in re.split(r"[|;]|&&", re.sub(r"<\(.*?\)", "FILE", line.partition(" #")[0])):
            words = shlex.split(command)
            if "ptero-backupd" in words and words[0] in {"ptero-backupd", "exec", "sudo"}:
                found.append((name, words[len(words) - words[::-1].index("ptero-backupd") :]))
    return found


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in spoken()])
def test_a_command_that_is_written_down_can_be_given(words: list[str]) -> None:
    """The command exists and has these options; it is understood, not run."""
    command = typer.main.get_command(app)
    context = None
    with suppress(typer.Exit):  # by --version, which answers at once
        while True:
            context = command.make_context("x", list(words), parent=context, resilient_parsing=False)
            if not hasattr(command, "resolve_command"):
                return
            words = [*context._protected_args, *context.args]
            if not words:
                return
            _, command, words = command.resolve_command(context, words)


def test_a_command_that_does_not_exist_would_be_found() -> None:
    """Else the test above would prove nothing."""
    for words in (["rotat"], ["rotate", "--dry"], ["backups", "lst"], ["plan", "--listing"]):
        with pytest.raises(typer.BadParameter.__bases__[0]):
            test_a_command_that_is_written_down_can_be_given(words)


@pytest.mark.timeout(180)  # a dozen commands, each a process, on a machine that may be busy
def test_the_first_steps_on_the_sandbox_work_as_they_are_written(tmp_path: Path) -> None:
    """Init, check, servers, plan, rotate, history, copies and a drill, with the panel on any free port; a fetch without
    it.
    """
    first, copies, drill, lost = [block.text for block in blocks("sh") if block.page == "docs/trying.md"][1:]
    world = demo(SystemClock())
    spare = add_spare(world, "survival", tmp_path)
    with in_background(world) as sandbox:
        first = first.replace("http://127.0.0.1:8808", sandbox.url)
        done, copied, drilled = (shell(block, tmp_path, cwd=tmp_path) for block in (first, copies, drill))
    assert (done.returncode, copied.returncode, drilled.returncode) == (0, 0, 0), done.stderr + drilled.stderr
    for expected in ("accepts the key", "as lobby, policy standard", "beyond the 4 newest", "lobby: done; created"):
        assert expected in done.stdout
    assert "lobby: proven by a drill" in drilled.stdout
    assert (spare.power, spare.files.rows("")) == (Power.OFFLINE, [])
    assert (tmp_path / "sandbox/main.key").stat().st_mode & 0o077 == 0
    exports = "".join(line for line in copies.splitlines(keepends=True) if line.startswith("export "))
    assert done_without_panel(exports + lost, tmp_path).startswith(b"\x1f\x8b"), "no archive"


def done_without_panel(script: str, folder: Path) -> bytes:
    """What the last steps fetch."""
    done = shell(script, folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return (folder / "world.tar.gz").read_bytes()


def test_the_sidecar_is_configured_by_its_environment_alone(tmp_path: Path) -> None:
    """Its last line would run for ever; in its place what the daemon would read is looked at."""
    (script,) = [block.text for block in blocks("sh") if "PTERO_BACKUPD_STATE_DIR" in block.text]
    assert script.endswith("exec ptero-backupd run\n")
    looked = script.removesuffix("exec ptero-backupd run\n") + "ptero-backupd check --offline\n"
    done = shell(looked, tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "errors: 0, warnings: 0" in done.stdout


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_what_is_given_to_a_service_is_json(block: Block) -> None:
    """It can be read."""
    assert json.loads(block.text)


def test_the_policy_of_a_key_allows_each_right_that_is_asked_for_by_name_and_no_more_than_is_needed() -> None:
    """Whatever an error or a note of ours says to give the key is in it."""
    page = (ROOT / "docs/store-recipes.md").read_text()
    (policy,) = [json.loads(block.text) for block in blocks("json") if '"Statement"' in block.text]
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    code = "".join(file.read_text() for file in (ROOT / "daemon").rglob("*.py"))
    assert set(re.findall(r"s3:[A-Z]\w+", code)) <= allowed
    assert set(re.findall(r"`(s3:[A-Z]\w+)`", page)) - allowed == {
        "s3:DeleteObjectVersion",
        "s3:BypassGovernanceRetention",
    }


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_a_drop_in_sets_what_the_unit_speaks_of(block: Block) -> None:
    """Each key is one that the unit sets or explains; any environment may be added."""
    parser = configparser.ConfigParser(delimiters="=")
    parser.read_string(block.text)
    unit = (ROOT / "systemd/ptero-backupd.service").read_text() + "Environment="
    assert all(f"{key}=" in unit.lower() for section in parser.sections() for key in parser[section])


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    """What a shell block copies lies in the project."""
    text = (ROOT / page).read_text()
    assert [name for name in re.findall(r"(?<![\w/])systemd/[\w.@-]+", text) if not (ROOT / name).exists()] == []


def test_every_command_has_its_line() -> None:
    """And none is promised that does not exist."""
    group = typer.main.get_command(app)
    there = set()
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        there |= {f"{name} {sub}" for sub in command.commands} if hasattr(command, "commands") else {name}
    table = (ROOT / COMMANDS).read_text().partition("| command | what it does |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert {re.sub(r" \[.*", "", name) for cell in cells for name in re.findall(r"`(.+?)`", cell)} == there


def test_every_exit_code_is_explained() -> None:
    """Those of the contract, in order."""
    table = (ROOT / COMMANDS).read_text().partition("| exit code | meaning |")[2].partition("\n\n")[0]
    assert [int(row.split("|")[1]) for row in table.splitlines()[2:]] == [code.value for code in Exit]


CALLS = {
    "GET /` (all": Call.SERVERS,
    "GET /servers/:id`": Call.SERVER,
    "GET /servers/:id/backups`": Call.LIST,
    "GET /servers/:id/backups/:uuid`": Call.VIEW,
    "POST /servers/:id/backups`": Call.CREATE,
    "DELETE /servers/:id/backups/:uuid`": Call.DELETE,
}


@pytest.mark.parametrize(
    ("command", "words"),
    [("servers", []), ("check", []), ("plan", ["lobby"]), ("rotate", ["survival", "--max-deletions", "-1"])],
)
def test_a_command_makes_the_calls_that_the_page_says(command: str, words: list[str], tmp_path: Path) -> None:
    """All of them, and no other."""
    with in_background(demo(SystemClock())) as sandbox:
        done = shell(
            shlex.join(["ptero-backupd", "--config", str(configured(tmp_path, sandbox)), command, *words]), tmp_path
        )
        made = {call.call for call in sandbox.app.calls}
    assert done.returncode == 0, done.stderr
    rows = (ROOT / COMMANDS).read_text().partition("| call | by |")[2].partition("\n\n")[0].splitlines()[2:]
    said = {call for row in rows if f"`{command}`" in row.split("|")[2] for text, call in CALLS.items() if text in row}
    assert made == said


def configured(folder: Path, sandbox: SandboxServer) -> Path:
    """A configuration of the sandbox's servers, as `init` would write it."""
    lines = [
        f'[panels.main]\nurl = "{sandbox.url}"\napi_key_file = "key"\n[policies.p]\nschedule = "@daily"\nscope = "own"'
    ]
    lines.append("keep = { last = 3, daily = 7, weekly = 4, monthly = 6 }")
    lines += [f'[servers.{s.name}]\nid = "{s.identifier}"' for s in sandbox.world.servers.values()]
    (folder / "key").write_text(KEY)
    (folder / "key").chmod(0o600)
    file = folder / "config.toml"
    file.write_text("\n".join(lines))
    return file
