"""No secret in anything that a run with failures prints, stores, shows, tells or sends to another host.

What commands print and what lies in the state folder is searched after every test in this folder; see `serving`.
"""

import re
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from daemon.sandbox.faults import lost_after, node_error, odd, redirected, refused
from daemon.sandbox.node import NodeApp
from daemon.sandbox.orders import Call
from daemon.sandbox.records import BackupEnding, Node, Storage, Work
from daemon.sandbox.scenes import KEY
from tests.leaks import known, leaks
from tests.process.support import PATIENCE, Panel, command, running, serving, wait_until

KEY_VARIABLE = "PTERO_BACKUPD_PANELS__MAIN__API_KEY"
OTHER_KEY = "ptlc_EXAMPLE_of_the_other_panel"
MISPLACED_KEY = "ptlc_EXAMPLE_written_into_the_file"
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl"  # made up
SIGNED = f"http://node.example.com/download/backup?token={TOKEN}"

RECEIVER_SECRET = "EXAMPLE-address-of-a-receiver"
HOOK = f"""
import atexit, base64, os, sys
atexit.register(lambda: sys.stderr.write(base64.b64encode(b"it is " + os.environ["{KEY_VARIABLE}"].encode()).decode()))
"""


@dataclass(frozen=True)
class Received:
    """One request that came to another host than the panel."""

    line: str
    headers: str
    body: bytes


@contextmanager
def receiving() -> Iterator[tuple[str, list[Received]]]:
    """A host that takes every request and says 200: its address, and what came."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.append(Received(self.requestline, str(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 — the name that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()
            thread.join()


def test_a_run_full_of_failures_prints_and_stores_no_secret(panel: Panel) -> None:
    """A panel that sends keys back, a wrong key, a node's errors, a lost answer, a failed backup, a bad reload."""
    servers = [panel.add_server(name, past=5) for name in ("echo", "node", "lost", "failed", "odd", "wrong")]
    echo, node, lost, failed, strange, wrong = servers
    for number, server in enumerate(servers):
        server.node = Node(f"node-{number}", url="http://node.invalid")  # so that none waits for another's slot
    told = f"Authorization: Bearer {KEY} was sent, see {SIGNED}"
    refusal = refused(422, "ValidationException", told)
    panel.world.faults.order(refusal, on=Call.CREATE, server=echo.identifier, times=None)
    panel.world.faults.order(node_error(502), on=Call.CREATE, server=node.identifier, times=None)
    panel.world.faults.order(lost_after(), on=Call.CREATE, server=lost.identifier)
    panel.world.faults.order(odd({"url": SIGNED, "key": KEY}), on=Call.LIST, server=strange.identifier, times=None)
    panel.world.faults.order(redirected(SIGNED), on=Call.SERVER, server=failed.identifier)
    failed.work = Work(seconds=0.1, outcome=BackupEnding.FAILED)
    others = f'panel = "main"\n[panels.other]\nurl = "{panel.url}"\n'
    others += f'[servers.wrong]\nid = "{wrong.identifier}"\npanel = "other"\n'
    file = panel.configure(echo, node, lost, failed, strange, more=others)
    file.write_text(re.sub(r'(id = ".*"\n)(?=\[s)', r'\1panel = "main"\n', file.read_text()))
    keys: dict[str, Any] = {"PTERO_BACKUPD_PANELS__OTHER__API_KEY": OTHER_KEY}
    panel.secrets += [OTHER_KEY, MISPLACED_KEY, TOKEN]
    with running(panel, **keys) as daemon:
        for server in servers:
            daemon.wait_for("rotation_ended", server=server.name, result="done" if server is lost else "failed")
        good = file.read_text()
        file.write_text(good.replace("[panels.other]\n", f'[panels.other]\napi_key = "{MISPLACED_KEY}"\n'))
        daemon.send(signal.SIGHUP)
        daemon.wait_for("reload_failed")
        checked = command(panel, "check", **keys)
        file.write_text(good)
        rotated = command(panel, "--verbose", "rotate", "echo", "wrong", "odd", **keys)
        history = command(panel, "history", "--json", **keys)
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    assert (checked.returncode, rotated.returncode, history.returncode) == (2, 4, 0)
    assert "500" in daemon.output
    assert "401" in daemon.output
    assert panel.leaks() == {}
    assert {place for place, _ in panel.printed} >= {"the daemon's output", "check", "history --json"}


def test_what_is_shown_told_and_fetched_holds_no_secret_either(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages, metrics, alerts and downloads: the key goes to the panel alone, a receiver's address to the receiver."""
    asked: list[str] = []
    serve = NodeApp.__call__

    async def noted(self: NodeApp, scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(str(scope["headers"]))
        await serve(self, scope, receive, send)

    monkeypatch.setattr(NodeApp, "__call__", noted)
    survival, broken = panel.add_server(past=5), panel.add_server("broken", past=2)
    broken.storage = Storage.S3
    told = f"Authorization: Bearer {KEY} was sent, see {SIGNED}"
    panel.world.faults.order(refused(400, "OddException", told), on=Call.CREATE, server=broken.identifier, times=None)
    with receiving() as (url, received):
        more = '[http]\nlisten = "127.0.0.1:0"\n[alerts.ops]\ntype = "webhook"\nallow_http = true\n'
        more += 'events = ["failed", "done"]\n[alerts.alive]\ntype = "ping"\nallow_http = true\n'
        panel.configure(survival, broken, more=more)
        addresses: dict[str, Any] = {
            "PTERO_BACKUPD_ALERTS__OPS__URL": f"{url}/{RECEIVER_SECRET}",
            "PTERO_BACKUPD_ALERTS__ALIVE__URL": f"{url}/{RECEIVER_SECRET}/{{server}}",
        }
        panel.secrets.append(RECEIVER_SECRET)
        with running(panel, **addresses) as daemon:
            daemon.wait_for("rotation_ended", server="survival", result="done")
            daemon.wait_for("rotation_ended", server="broken", result="failed")
            address = daemon.wait_for("http_listening")["address"]
            paths = "/", "/servers/survival", "/servers/broken", "/metrics", "/api/status", "/healthz", "/nowhere"
            for path in paths:
                panel.printed.append((path, page(f"http://{address}{path}")))
            wait_until(lambda: sum(b'"event"' in one.body for one in received) == 2, "both alerts are told")
            for line in (
                "check --json",
                "servers --json",
                "status",
                "plan --json",
                "--verbose backups verify survival latest",
                f"--verbose backups download broken --all --output {panel.folder / 'state' / 'files'}",
                "--verbose backups restore broken latest --yes",
            ):
                command(panel, *line.split(), **addresses)
    assert len(asked) == 3, "one file was verified, and two were downloaded"
    assert "authorization" not in "".join(asked)
    assert known("".join(asked), KEY) == []
    for one in received:
        assert RECEIVER_SECRET in one.line
        assert leaks(one.headers + one.body.decode(), KEY, RECEIVER_SECRET) == []
    assert "Bearer «redacted»" in daemon.output
    assert panel.leaks() == {}


def page(url: str) -> str:
    """What the daemon answers there, be it an error, with its headers."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 — our own daemon
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.headers}{error.read().decode()}"


def test_a_daemon_that_lets_its_key_out_is_found_out(tmp_path: Path) -> None:
    """On purpose, in base64 at its end: the sweep that ends each test here would not let that pass."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    with pytest.raises(AssertionError, match=r"the daemon's output.*base64"), serving(tmp_path) as panel:  # noqa: PT012
        panel.configure(panel.add_server())
        with running(panel, PYTHONPATH=f"{tmp_path / 'hook'}:{Path.cwd()}") as daemon:
            daemon.wait_for("daemon_started")
            daemon.send(signal.SIGTERM)
            assert daemon.ended() == 0


def test_a_key_in_the_state_folder_is_found_out(tmp_path: Path) -> None:
    """Whatever the file."""
    with pytest.raises(AssertionError, match="the state folder"), serving(tmp_path) as panel:  # noqa: PT012
        (panel.folder / "state").mkdir()
        (panel.folder / "state" / "odd").write_bytes(b"\x00" + KEY.encode())
