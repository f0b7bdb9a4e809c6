"""The real daemon and a real receiver on loopback: what is told arrives, and nothing else of the address is seen."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from daemon.sandbox.records import Server
from tests.process.support import Panel, command, running, serving, wait_until

SECRET = "hunter2-EXAMPLE"


class Receiver(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.refusals = 0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens, with a secret in it."""
        return f"http://127.0.0.1:{self.server_port}/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    """Takes a JSON document."""

    server: Receiver

    def do_POST(self) -> None:
        """Keep it, and say so."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals > 0
        self.server.refusals -= refused
        self.send_response(503 if refused else 204)
        self.end_headers()
        if not refused:
            self.server.documents.append(json.loads(body))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens until the end of the block."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def full(panel: Panel) -> Server:
    """A server whose places are all taken by backups that its policy keeps."""
    survival = panel.add_server(past=3)
    survival.limit = 3
    panel.configure(survival, more='[alerts.ops]\ntype = "webhook"\n', keep='"all"')
    return survival


def test_the_daemon_tells_that_the_limit_is_reached_and_a_restart_does_not_repeat_it(tmp_path: Path) -> None:
    """Once, across two runs; and the address is in no line of theirs."""
    with serving(tmp_path) as panel, receiving() as receiver:
        full(panel)
        for times in (1, 2):
            with running(panel, PTERO_BACKUPD_ALERTS__OPS__URL=receiver.url) as daemon:
                daemon.wait_for("daemon_started")
                if times == 1:
                    daemon.wait_for("alert", told="limit", server="survival")
                    wait_until(lambda: bool(receiver.documents), "the receiver is told")
                daemon.send(signal.SIGTERM)
                assert daemon.ended() == 0
            assert SECRET not in daemon.output
    (document,) = receiver.documents
    assert (document["event"], document["server"], document["schema"]) == ("limit", "survival", 1)


def test_what_waits_for_a_receiver_is_sent_when_the_daemon_stops(tmp_path: Path) -> None:
    """A pause between two tries ends with the daemon, and the next try is made at once."""
    with serving(tmp_path) as panel, receiving() as receiver:
        full(panel)
        receiver.refusals = 1
        with running(panel, PTERO_BACKUPD_ALERTS__OPS__URL=receiver.url) as daemon:
            daemon.wait_for("alert_delayed", receiver="ops", reason="answered 503")
            assert receiver.documents == []
            daemon.send(signal.SIGTERM)
            assert daemon.ended() == 0
    assert [document["event"] for document in receiver.documents] == ["limit"]


def test_check_tells_who_is_told_and_not_where(tmp_path: Path) -> None:
    """As one of its findings."""
    with serving(tmp_path) as panel:
        full(panel)
        url = f"https://hooks.example.com/{SECRET}"
        checked = command(panel, "check", "--offline", PTERO_BACKUPD_ALERTS__OPS__URL=url)
    assert checked.returncode == 0
    text = " ".join(checked.stdout.split())
    told = (
        "drill_failed, failed, limit, members_differ, nobody_acts, overdue, promoted, proof_late, recovered, store,"
        " suspicious, uncopied, unproven, unpruned"
    )
    assert f"alerts.ops: webhook, told of {told}" in text
    assert SECRET not in checked.stdout + checked.stderr
