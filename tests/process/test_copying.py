"""The daemon copies by a process of its own: what that leaves when it is stopped or killed, and what it may see."""

import json
import os
import random
import signal
from pathlib import Path

import pytest

from daemon.sandbox.records import Server
from daemon.sandbox.scenes import KEY
from tests.process.copy_kills import children, configure, files, is_running, suffer
from tests.process.support import Panel, command, running, wait_until

SECRET = "a-secret-of-the-store"
SIZE = 3_000_000


@pytest.fixture
def server(panel: Panel) -> Server:
    """One server with two small backups and a newer one of 3 MB, which are copied to the folder `nas`."""
    server = panel.add_server(past=2)
    panel.world.add_backup(server, "large", size=SIZE)
    (panel.folder / "nas").mkdir()
    configure(panel, server)
    return server


def assert_nothing_half(panel: Panel) -> None:
    """A copy that has its manifest is whole."""
    done = command(panel, "copies", "rescan", "--json")
    assert done.returncode == 0, done.stderr
    if files(panel, "*.json"):
        done = command(panel, "copies", "verify", "--all", "--json")
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_good_is_copied_and_the_process_ends(panel: Panel, server: Server) -> None:
    """The new backup, and those from before. Then the daemon is alone again, and `copies run` finds nothing to do."""
    with running(panel) as daemon:
        daemon.wait_for("copy_made", times=4)
        wait_until(lambda: not children(daemon), "the process ends")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    assert len(files(panel, "*.tar.gz")) == len(files(panel, "*.json")) == 4
    assert json.loads(command(panel, "copies", "run", "--json").stdout)["servers"][0]["copies"] == []
    assert_nothing_half(panel)


def test_nobody_sees_a_secret_in_arguments_or_environment(panel: Panel, server: Server) -> None:
    """Neither the panel's key nor the store's secret, which the daemon has from its own environment."""
    bucket = '[stores.off]\nurl = "s3://bucket/games"\nendpoint = "http://127.0.0.1:9"\n'
    configure(panel, server, 'rate = "100KiB"\n' + bucket)
    with running(
        panel, PTERO_BACKUPD_STORES__OFF__ACCESS_KEY_ID="id", PTERO_BACKUPD_STORES__OFF__SECRET_ACCESS_KEY=SECRET
    ) as daemon:
        daemon.wait_for("copy_begun")
        (child,) = children(daemon)
        seen = b"".join(Path(f"/proc/{child}/{name}").read_bytes() for name in ("cmdline", "environ"))
    for secret in (KEY, SECRET, "PTERO_BACKUPD"):
        assert secret.encode() not in seen


def test_told_to_stop_it_clears_up_what_it_had_begun(panel: Panel, server: Server) -> None:
    """Within the drain; the next daemon copies it."""
    configure(panel, server, 'rate = "400KiB"')
    with running(panel) as daemon:
        daemon.wait_for("copy_begun", bytes=SIZE)
        wait_until(lambda: bool(files(panel, "*.part")), "bytes come")
        (child,) = children(daemon)
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    assert not is_running(child)
    assert files(panel, "*.part") == []
    assert_nothing_half(panel)
    configure(panel, server)
    with running(panel) as daemon:
        wait_until(lambda: len(files(panel, "*.json")) >= 4, "the rest is copied")


@pytest.mark.timeout(120)
def test_a_few_kills_at_random_moments_leave_nothing_that_is_not_cleared_in_the_end(tmp_path: Path) -> None:
    """`copy_kills` plays it longer; $KILL_SEED draws the same again."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KILL_SEED={seed}")  # noqa: T201 — shown where it fails
    done = suffer(tmp_path, 3, seed)
    assert done["daemon"] + done["child"] == 3


@pytest.mark.parametrize("whom", ["the daemon", "the child"])
def test_a_kill_in_the_middle_of_a_copy_leaves_no_half_copy(panel: Panel, server: Server, whom: str) -> None:
    """The child never outlives the daemon; the daemon outlives the child, tells of it and goes on."""
    configure(panel, server, 'rate = "400KiB"')
    with running(panel) as daemon:
        daemon.wait_for("copy_begun", bytes=SIZE)
        wait_until(lambda: bool(files(panel, "*.part")), "bytes come")
        (child,) = children(daemon)
        os.kill(daemon.process.pid if whom == "the daemon" else child, signal.SIGKILL)
        wait_until(lambda: not is_running(child), "the child ends")
        if whom == "the child":
            assert "SIGKILL" in daemon.wait_for("copy_failed")["text"]
            daemon.send(signal.SIGTERM)
            assert daemon.ended() == 0
    assert_nothing_half(panel)


def test_a_store_in_trouble_is_told_with_what_can_be_done(panel: Panel, server: Server) -> None:
    """In the log, once."""
    (panel.folder / "nas").rmdir()
    with running(panel) as daemon:
        told = daemon.wait_for("store_trouble", store="nas")
    assert "there is no folder" in told["text"]
    assert "make the folder, or mount what belongs there" in told["hint"]
