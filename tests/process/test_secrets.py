"""No secret in anything that a run with failures prints or stores."""

import base64
import re
import signal
from pathlib import Path

from daemon.sandbox.faults import lost_after, node_error, odd, redirected, refused
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Node, Outcome, Work
from daemon.sandbox.scenes import KEY
from tests.process.support import Panel, command, running

OTHER_KEY = "ptlc_EXAMPLE_of_the_other_panel"
MISPLACED_KEY = "ptlc_EXAMPLE_written_into_the_file"
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl"  # made up
SIGNED = f"http://node.example.com/download/backup?token={TOKEN}"

SECRETS = re.compile(rf"{KEY}|{OTHER_KEY}|{MISPLACED_KEY}|Bearer\s+\w|{TOKEN}|eyJ0eXAi|token=\w|X-Amz-Signature=\w")


def stored(folder: Path) -> str:
    """All that lies in the state folder, names of files and bytes of the journal."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files, "nothing was stored, so nothing was proven"
    return "\n".join(f"{path.name}\n{path.read_bytes().decode(errors='replace')}" for path in files)


def found(text: str) -> list[str]:
    """The secrets in that text, as they are and in base64."""
    coded = [secret for key in (KEY, OTHER_KEY, TOKEN) if (secret := base64.b64encode(key.encode()).decode()) in text]
    return SECRETS.findall(text) + coded


def test_the_search_would_find_them() -> None:
    """Else it would prove nothing."""
    for text in (KEY, f"Authorization: Bearer {KEY}", SIGNED, "?X-Amz-Signature=abc", base64.b64encode(KEY.encode())):
        assert found(str(text)), text


def test_a_run_full_of_failures_prints_and_stores_no_secret(panel: Panel) -> None:
    """A panel that sends keys back, a wrong key, a node's errors, a lost answer, a failed backup, a bad reload."""
    servers = [panel.add_server(name, past=5) for name in ("echo", "node", "lost", "failed", "odd", "wrong")]
    echo, node, lost, failed, strange, wrong = servers
    for number, server in enumerate(servers):
        server.node = Node(f"node-{number}", url="http://node.invalid")  # so that none waits for another's slot
    told = f"Authorization: Bearer {KEY} was sent, see {SIGNED}"
    panel.world.faults.order(refused(500, "QueryException", told), on=Call.CREATE, server=echo.identifier, times=None)
    panel.world.faults.order(node_error(502), on=Call.CREATE, server=node.identifier, times=None)
    panel.world.faults.order(lost_after(), on=Call.CREATE, server=lost.identifier)
    panel.world.faults.order(odd({"url": SIGNED, "key": KEY}), on=Call.LIST, server=strange.identifier, times=None)
    panel.world.faults.order(redirected(SIGNED), on=Call.SERVER, server=failed.identifier)
    failed.work = Work(seconds=0.1, outcome=Outcome.FAILED)
    others = f'panel = "main"\n[panels.other]\nurl = "{panel.url}"\n'
    others += f'[servers.wrong]\nid = "{wrong.identifier}"\npanel = "other"\n'
    file = panel.configure(echo, node, lost, failed, strange, more=others)
    file.write_text(re.sub(r'(id = ".*"\n)(?=\[s)', r'\1panel = "main"\n', file.read_text()))
    keys = {"PTERO_BACKUPD_PANELS__OTHER__API_KEY": OTHER_KEY}
    with running(panel, **keys) as daemon:
        arguments = Path(f"/proc/{daemon.process.pid}/cmdline").read_text()
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
        assert daemon.ended(5) == 0
    assert (checked.returncode, rotated.returncode, history.returncode) == (2, 4, 0)
    assert "500" in daemon.output
    assert "401" in daemon.output
    printed = [daemon.output, *(each.stdout + each.stderr for each in (checked, rotated, history))]
    assert [found(text) for text in (arguments, *printed, stored(panel.folder / "state"))] == [[]] * 6
