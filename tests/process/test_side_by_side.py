"""Two daemons and a rotation by hand on one server at once: one of them does it, the others say who."""

import signal
import subprocess
from contextlib import ExitStack
from copy import copy

import pytest

from daemon.sandbox.faults import slow
from daemon.sandbox.records import Backup, Change, Server, State
from tests.process.support import COMMAND, PATIENCE, Daemon, Panel, running, wait_until

PAST = 6
KEEP = 3


def two_locked(panel: Panel, seconds: float) -> tuple[Server, list[Backup]]:
    """A server whose backups take that long, with two locked ones that are beyond retention, one of them failed."""
    server = panel.add_server(past=PAST, seconds=seconds)
    oldest, second, *_ = panel.backups(server)
    oldest.locked = second.locked = True
    second.successful = False
    return server, [oldest, second]


def expected(panel: Panel, server: Server, locked: list[Backup], before: list[Backup]) -> None:
    """One backup for the one start; the two locked ones are there, and the newest three good ones besides."""
    created = panel.done(Change.CREATED, server)
    names = [backup.name for backup in before]
    assert len(created) == 1
    assert panel.done(Change.DELETED, server) == names[2 : PAST - KEEP + 1]
    assert [backup.name for backup in panel.backups(server)] == [*names[:2], *names[PAST - KEEP + 1 :], *created]
    assert all(backup.locked for backup in locked)


def by_hand(panel: Panel) -> subprocess.Popen[str]:
    """`rotate survival`, begun."""
    return subprocess.Popen(  # noqa: S603 — our own command
        [*COMMAND, "--config", str(panel.folder / "config.toml"), "rotate", "survival"],
        env=panel.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hold_up(panel: Panel, process: subprocess.Popen[str]) -> None:
    """Stop the process while it waits for the panel's first answer: it has decided to rotate, and has no lock yet."""
    already = panel.world.faults.happened["slow"]
    panel.world.faults.order(slow(1))
    wait_until(lambda: panel.world.faults.happened["slow"] > already, "it asks for the server")
    process.send_signal(signal.SIGSTOP)


def skipped(daemon: Daemon) -> bool:
    """Whether it found somebody else at it."""
    return bool(daemon.events("rotation_ended", result="skipped"))


def test_of_two_daemons_and_a_rotation_by_hand_at_once_one_makes_the_backup(panel: Panel) -> None:
    """Whoever comes second is told which process is at it; the command ends with 3, a daemon tries again later."""
    survival, locked = two_locked(panel, seconds=3600)
    before = panel.backups(survival)
    panel.configure(survival)
    with ExitStack() as held:
        daemons = []
        for _ in range(2):
            daemons.append(held.enter_context(running(panel)))
            hold_up(panel, daemons[-1].process)
        first, second = daemons
        assert second.wait_for("another_daemon")["process"] == first.process.pid
        assert not first.events("another_daemon")
        hand = held.enter_context(by_hand(panel))
        held.callback(hand.kill)
        hold_up(panel, hand)
        for process in (hand, *(daemon.process for daemon in daemons)):
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: sum(map(skipped, daemons)) + (hand.poll() is not None) == 2, "two of the three are refused")
        wait_until(lambda: bool(panel.done(Change.CREATED, survival)), "the third asks for a backup")
        losers = [daemon for daemon in daemons if skipped(daemon)]
        if len(losers) == 1:
            (winner,) = (daemon for daemon in daemons if not skipped(daemon))
            at_it, code = winner.process.pid, 3
        else:
            at_it, code = hand.pid, 0
        panel.world.report(survival, panel.backups(survival)[-1], success=True)
        wait_until(lambda: len(panel.done(Change.DELETED, survival)) == 2, "what is beyond retention is deleted")
        out, err = hand.communicate(timeout=PATIENCE)
        assert hand.returncode == code
        for text in [err + out] * (code == 3) + [daemon.output for daemon in losers]:
            assert f"is being rotated already by process {at_it}" in text
        for daemon in losers:
            daemon.wait_for("rotation_planned")
    expected(panel, survival, locked, before)


def test_a_second_daemon_that_comes_when_the_first_is_done_finds_the_start_served(panel: Panel) -> None:
    """It decided to catch the start up before the first one had journalled anything, and was held up on its way."""
    survival, locked = two_locked(panel, seconds=0.1)
    before = panel.backups(survival)
    panel.configure(survival)
    with running(panel) as late:
        hold_up(panel, late.process)
        with running(panel) as quick:
            quick.wait_for("rotation_ended", result="done")
            late.send(signal.SIGCONT)
            late.wait_for("rotation_ended")
    expected(panel, survival, locked, before)


@pytest.mark.parametrize("at_once", [True, False])
def test_daemons_that_share_no_state_folder_delete_nothing_that_is_locked_or_kept(panel: Panel, at_once: bool) -> None:
    """They know nothing of each other, so both may make a backup; but what one sees pending it does not make again."""
    survival, locked = two_locked(panel, seconds=0.1 if at_once else 3600)
    before = [backup.name for backup in panel.backups(survival)]
    panel.configure(survival)
    with ExitStack() as held:
        one = held.enter_context(running(panel))
        made = None if at_once else one.wait_for("backup_created")
        other = held.enter_context(running(elsewhere(panel, survival)))
        if made is not None:
            assert other.wait_for("backup_adopted")["backup"] == made["backup"]
            panel.world.report(survival, survival.backups[made["uuid"]], success=True)
        results = {end(one), end(other)}
    created = panel.done(Change.CREATED, survival)
    assert len(created) in ({1, 2} if at_once else {1})
    assert results <= {"done", "skipped"}
    left = panel.backups(survival)
    assert [backup.name for backup in left if backup.locked] == before[:2]
    assert all(backup.locked for backup in locked)
    good = [backup.name for backup in left if backup.state is State.GOOD and not backup.locked]
    assert good == [*before[2:], *created][-KEEP:]


def elsewhere(panel: Panel, server: Server) -> Panel:
    """The same panel for a daemon with a folder of its own."""
    other = copy(panel)
    other.folder = panel.folder / "elsewhere"
    other.folder.mkdir()
    other.configure(server)
    return other


def end(daemon: Daemon) -> str:
    """How its rotation ended."""
    return str(daemon.wait_for("rotation_ended")["result"])
