"""What each command loads, and what the idling daemon does not."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from daemon._imports import standing_in, without, without_plugins
from tests.process.support import Panel, serving

LARGE = {
    *("anyio", "apprise", "apscheduler", "click", "cronsim", "httpx", "prometheus_client", "pydantic"),
    *("pydantic_settings", "pygments", "rich", "starlette", "structlog", "typer", "uvicorn"),
    *("asyncio", "http", "logging", "multiprocessing", "sqlite3", "ssl", "tomllib"),
}
"""What takes long to load, of others and of the standard library."""

HELP = {"typer"}
LISTING = HELP | {"pydantic"}
"""typer itself loads pydantic to read what stands behind a command."""
RUN = {
    *("anyio", "apscheduler", "cronsim", "httpx", "pydantic", "pydantic_settings", "structlog"),
    *("asyncio", "http", "logging", "sqlite3", "ssl", "tomllib"),
}

NEVER_AT_REST = {
    *("apprise", "asyncpg", "asyncssh", "click", "difflib", "html", "isal", "obstore", "prometheus_client"),
    *("pygments", "pyrage", "rich", "starlette", "tarfile", "typer", "unittest", "uvicorn", "xml"),
    *("argparse", "bz2", "csv", "dotenv", "importlib.metadata", "lzma", "multiprocessing", "pickle", "zipfile"),
    *("structlog.stdlib", "structlog.testing", "structlog.threadlocal", "tzlocal"),
    *("daemon.copies.jobs", "daemon.copies.manifest", "daemon.copies.results", "daemon.copies.run"),
    *("daemon.copies.shelf", "daemon.copies.workers"),
    *("daemon.core.copies_prune", "daemon.core.copies_wanted"),
    *("daemon.copying.copying", "daemon.demo", "daemon.documents", "daemon.operations", "daemon.sandbox"),
    *("daemon.panel.console", "daemon.panel.download"),
    *("daemon.stores.base", "daemon.stores.open", "daemon.transfer", "daemon.web.app"),
}
"""What a daemon without HTTP, and without stores, never needs: each would stay in its memory for good."""

NEVER_WITH_HTTP = {
    *("click", "http.server", "logging.config", "multiprocessing", "pickle", "socketserver", "typer"),
    *("uvicorn.main", "uvicorn.supervisors", "wsgiref.simple_server"),
}
"""What a daemon with HTTP does not need either, though uvicorn and prometheus-client would load it."""

NEVER_WHERE_IT_COPIES = {
    *("daemon.copies.manifest", "daemon.copies.shelf", "daemon.copies.spool"),
    *("daemon.panel.download", "daemon.transfer.files", "daemon.transfer.receive"),
}
"""What the process that copies has for the daemon."""

NEVER_IN_THE_CHILD = {
    *("apprise", "apscheduler", "asyncpg", "asyncssh", "click", "isal", "obstore", "prometheus_client"),
    *("pydantic_settings", "pygments", "pyrage", "rich", "starlette", "typer", "uvicorn"),
}
"""What the process that copies does not load at its start: the engines come with the stores that want them."""

ANSWER = {"object": "list", "data": [], "meta": {"pagination": {"total": 0}}}


def program(*words: str) -> list[str]:
    """The command of a process that begins with nothing (nor coverage), and in the end prints what it has loaded."""
    code = f"""
import sys
sys.path[:] = {sys.path!r}
from daemon.__main__ import main
main({words!r})
sys.stdout.write("\\n" + " ".join(sys.modules))
"""
    return [sys.executable, "-S", "-c", code]


def loaded(*words: str) -> set[str]:
    """What of the large is loaded when a command is done."""
    told = subprocess.run(program(*words), capture_output=True, text=True, check=True)  # noqa: S603 — our own words
    return LARGE & set(told.stdout.splitlines()[-1].split())


@pytest.fixture
def listing(tmp_path: Path) -> tuple[str, ...]:
    """The words that judge a saved answer."""
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(ANSWER))
    return ("plan", "--listing", str(file), "--keep", "last=1")


@pytest.fixture
def listed(tmp_path: Path) -> tuple[str, ...]:
    """The words that list copies, with a configuration that has none yet."""
    (tmp_path / "key").write_text("ptlc_EXAMPLE")
    (tmp_path / "key").chmod(0o600)
    file = tmp_path / "config.toml"
    file.write_text(
        f'state_dir = "{tmp_path}"\n[panels.main]\nurl = "https://panel.example.com"\napi_key_file = "key"\n'
        '[policies.p]\nschedule = "@daily"\nscope = "own"\nkeep = "all"\ncopies = ["nas"]\n'
        '[stores.nas]\nurl = "file:///mnt/nas"\n[servers.survival]\nid = "1a7ce997"\n'
    )
    return ("--config", str(file), "copies", "list", "--json")


def test_the_version_loads_nothing_large() -> None:
    """Not even typer."""
    assert loaded("--version") == set()


def test_help_loads_typer_alone() -> None:
    """A command hands over to its module, which loads the rest."""
    assert loaded("--help") == HELP


def test_a_saved_listing_is_judged_without_what_speaks_to_a_panel(listing: tuple[str, ...]) -> None:
    """No loop, no configuration; rich only where a table is shown."""
    assert loaded(*listing, "--json") == LISTING
    assert loaded(*listing) == LISTING | {"rich"}


def test_the_daemon_loads_nothing_that_only_a_terminal_or_a_browser_needs(tmp_path: Path) -> None:
    """httpx's own command line and structlog's coloured tracebacks would load rich, pygments and click."""
    assert loaded("--config", str(tmp_path / "none.toml"), "run") == RUN


def test_a_daemon_at_rest_has_loaded_only_what_rotations_need(tmp_path: Path) -> None:
    """Looked at once it has made and deleted backups, since a step may load what the start does not."""
    with serving(tmp_path) as panel:
        modules = loaded_at_rest(panel, panel.configure(panel.add_server()), '"rotation_ended"')
    assert "httpcore" in modules
    assert NEVER_AT_REST & modules == set()


def test_a_daemon_with_http_has_loaded_no_command_line_and_no_other_servers(tmp_path: Path) -> None:
    """Looked at once it has made a backup: that it answers is for tests/process/test_http.py."""
    with serving(tmp_path) as panel:
        file = panel.configure(panel.add_server(), more='[http]\nlisten = "127.0.0.1:0"\n')
        modules = loaded_at_rest(panel, file, '"rotation_ended"')
    assert {"prometheus_client", "uvicorn.server"} <= modules
    assert NEVER_WITH_HTTP & modules == set()


def test_a_daemon_that_copies_leaves_all_that_to_the_process_that_touches_the_stores(tmp_path: Path) -> None:
    """Looked at once a copy was made. It reads a manifest only where something is to be proven."""
    (tmp_path / "nas").mkdir()
    more = f'[stores.nas]\nurl = "file://{tmp_path / "nas"}"\n'
    with serving(tmp_path) as panel:
        file = panel.configure(panel.add_server(), more=more, copies='["nas"]')
        modules = loaded_at_rest(panel, file, '"copy_made"')
    assert "daemon.copying.copying" in modules
    assert NEVER_WHERE_IT_COPIES & modules == set()


def loaded_at_rest(panel: Panel, file: Path, done: str) -> set[str]:
    """What a daemon has loaded that is stopped once it logged that."""
    words = program("--config", str(file), "run")
    with subprocess.Popen(words, env=panel.environment, stdout=PIPE, stderr=PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stderr is not None
        assert any(done in line for line in process.stderr)
        process.terminate()
        return set(process.stdout.read().splitlines()[-1].split())


def test_the_process_that_copies_begins_without_what_only_some_stores_need() -> None:
    """It may take 120 MiB with four stores at once; what httpx loads for its own command line would be 5 of them."""
    code = f"import sys\nsys.path[:] = {sys.path!r}\nimport daemon.copies.child\nprint(*sys.modules)"
    told = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 — our own words
    assert NEVER_IN_THE_CHILD & set(told.stdout.split()) == set()


def test_the_status_is_told_without_the_fleet_that_it_is_of(tmp_path: Path) -> None:
    """What it shows stands in the journal; the scheduler and the pages are the daemon's."""
    assert not {"apscheduler", "starlette", "prometheus_client"} & loaded(
        "--config", str(tmp_path / "x.toml"), "status"
    )


def test_copies_are_listed_without_what_speaks_to_a_panel_or_shows_a_table(listed: tuple[str, ...]) -> None:
    """The catalogue has them; a configuration without discovery asks nobody which servers there are."""
    assert not {"httpx", "rich"} & loaded(*listed)


def test_a_module_is_missing_within_the_block_alone() -> None:
    """One that was loaded before stays, so that nobody finds half a library."""
    with without("wave", "sys"):
        with pytest.raises(ModuleNotFoundError):
            __import__("wave")
        assert __import__("sys") is sys
    assert __import__("wave").__name__ == "wave"


def test_a_stand_in_is_what_libraries_import_extend_and_catch_within_the_block_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not given for what is loaded already."""
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with standing_in("wave", "sys"):
        stand_in = importlib.import_module("wave")
        assert issubclass(type("Extended", (stand_in.Wave_read[int],), {}), Exception)
        assert importlib.import_module("sys") is sys
    assert importlib.import_module("wave") is not stand_in


def test_libraries_find_no_package_that_extends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked beside that, the real module answers; that one is loaded then, and stays."""
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "")
    monkeypatch.delitem(sys.modules, "importlib.metadata")
    with without_plugins():
        packages = importlib.import_module("importlib.metadata")
        assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__"
        assert packages.entry_points(group="pydantic") == ()
        with pytest.raises(packages.PackageNotFoundError):
            packages.version("pytest")
        assert packages.metadata("pytest")["Name"] == "pytest"
    assert importlib.import_module("importlib.metadata").version("pytest")
