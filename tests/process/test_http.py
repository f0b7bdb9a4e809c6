"""The real process with its HTTP on: asked while it works, moved by a reload, refused a taken port, silent when off."""

import json
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from daemon.sandbox.records import Change
from tests.process.support import PATIENCE, Daemon, Panel, running

HEAVY = {"starlette", "uvicorn", "prometheus_client", "h11._connection"}


def asked(address: str, path: str) -> str:
    """What the daemon answers there."""
    with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
    return text


def address_of(daemon: Daemon, times: int = 1) -> str:
    """Where it listens: with port 0 only it can know."""
    return str(daemon.wait_for("http_listening", times=times)["address"])


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def test_a_running_daemon_shows_what_it_has_done(panel: Panel) -> None:
    """Page, status, metrics and the panel's own ledger agree."""
    server = panel.add_server(past=5)
    panel.configure(server, more='[http]\nlisten = "127.0.0.1:0"\n')
    with running(panel) as daemon:
        address = address_of(daemon)
        daemon.wait_for("rotation_ended", result="done")
        assert asked(address, "/healthz") == "alive\n"
        assert asked(address, "/readyz") == "ready\n"
        (shown,) = json.loads(asked(address, "/api/status"))["servers"]
        left = panel.backups(server)
        assert shown["backups"]["total"] == len(left) == 3
        assert shown["last"]["created"] in {backup.name for backup in left}
        deleted = panel.done(Change.DELETED, server)
        assert shown["last"]["deleted"] == len(deleted) == 3
        page = asked(address, f"/servers/{server.name}")
        assert all(backup.name in page for backup in left)
        assert all(f"deletes {name}: " in page for name in deleted)
        assert "The server is in order" in asked(address, "/")
        metrics = asked(address, "/metrics")
        assert f'ptero_backupd_deleted_backups_total{{server="{server.name}"}} 3.0' in metrics
        assert f'ptero_backupd_rotations_total{{result="done",server="{server.name}"}} 1.0' in metrics
        assert 'ptero_backupd_panel_requests_total{panel="main",status="2xx"}' in metrics
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    with running(panel) as again:
        (shown,) = json.loads(asked(address_of(again), "/api/status"))["servers"]
        assert shown["backups"]["total"] == 3
        assert shown["last"]["result"] == "done"


def test_a_reload_moves_the_page_and_a_bad_one_is_shown_on_it(panel: Panel) -> None:
    """Without a restart."""
    server = panel.add_server()
    panel.configure(server, more=f'[http]\nlisten = "127.0.0.1:{free_port()}"\n')
    with running(panel) as daemon:
        before = address_of(daemon)
        panel.configure(server, more=f'[http]\nlisten = "127.0.0.1:{free_port()}"\n')
        daemon.send(signal.SIGHUP)
        after = address_of(daemon, times=2)
        assert after != before
        panel.configure(server, more="[http]\nlisten = 5\n")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("reload_failed")
        assert "ptero_backupd_config_last_reload_successful 0.0" in asked(after, "/metrics")
        assert "The configuration on disk is refused" in asked(after, "/")


def test_a_taken_port_is_a_clear_error_at_the_start(panel: Panel) -> None:
    """Nothing is begun, and the address is named."""
    server = panel.add_server()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        panel.configure(server, more=f'[http]\nlisten = "127.0.0.1:{port}"\n')
        with running(panel) as daemon:
            assert daemon.ended() == 4
            assert f"127.0.0.1:{port} cannot be listened on" in daemon.output
            assert "Traceback" not in daemon.output
    assert panel.done(Change.CREATED, server) == []


@pytest.mark.parametrize("on", [True, False])
def test_a_daemon_without_http_loads_nothing_for_it(panel: Panel, on: bool, tmp_path: Path) -> None:
    """Each of these libraries costs memory; the list of modules is the real process's own, at its end."""
    server = panel.add_server()
    panel.configure(server, more='[http]\nlisten = "127.0.0.1:0"\n' if on else "")
    listed = tmp_path / "modules"
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import atexit, pathlib, sys\n"
        f"atexit.register(lambda: pathlib.Path({str(listed)!r}).write_text('\\n'.join(sys.modules)))\n"
    )
    with running(panel, PYTHONPATH=f"{hook}:{Path.cwd()}") as daemon:
        daemon.wait_for("rotation_ended", result="done")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    loaded: Any = HEAVY & set(listed.read_text().split("\n"))
    assert ("prometheus_client" in loaded, "starlette" in loaded, "uvicorn" in loaded) == (on, on, on)
