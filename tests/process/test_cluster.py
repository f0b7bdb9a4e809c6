"""Two real daemons on one real PostgreSQL share one node: the first holds it, the other takes it over, and the first
writes nothing more.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daemon.config.values import ClusterConfig
from daemon.sandbox.faults import slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change
from tests.postgres import PASSWORD, Postgres
from tests.process.support import Daemon, Panel, command, running, wait_until

NODE = "node main/node1"

pytestmark = pytest.mark.timeout(240)  # three starts each, on a machine that may be busy


@pytest.fixture
def database(postgres_server: Postgres, panel: Panel) -> ClusterConfig:
    """A database of their own; nothing that they print holds its password."""
    panel.secrets.append(PASSWORD)
    return postgres_server.new()


def environ(database: ClusterConfig, name: str, lease: str = "5s") -> dict[str, str]:
    """What makes a process of ours a member."""
    return {
        "PTERO_BACKUPD_CLUSTER__URL": database.url.get_secret_value(),
        "PTERO_BACKUPD_CLUSTER__MEMBER": name,
        "PTERO_BACKUPD_CLUSTER__LEASE": lease,
    }


@contextmanager
def member(panel: Panel, database: ClusterConfig, name: str, lease: str = "5s") -> Iterator[Daemon]:
    """A daemon of the cluster."""
    with running(panel, room=None, counted=True, **environ(database, name, lease)) as daemon:
        yield daemon


def test_another_takes_a_node_over_when_its_member_is_killed(panel: Panel, database: ClusterConfig) -> None:
    """When its lease is over; the backup under way is taken up, and not made twice."""
    survival = panel.add_server(past=5, seconds=6.0)  # the second one must have begun by then
    before = [backup.name for backup in panel.backups(survival)]
    panel.configure(survival)
    with member(panel, database, "one") as first:
        first.wait_for("backup_created")
        with member(panel, database, "two") as second:
            second.wait_for("daemon_started")
            first.send(signal.SIGKILL)
            second.wait_for("part_taken", part=NODE)
            second.wait_for("rotation_ended", result="done")
    (created,) = panel.done(Change.CREATED, survival)
    assert panel.done(Change.DELETED, survival) == before[:3]
    assert [backup.name for backup in panel.backups(survival)] == [*before[3:], created]


def test_one_that_stops_hands_over_at_once(panel: Panel, database: ClusterConfig) -> None:
    """The other need not wait for the lease, which would be long."""
    panel.configure(panel.add_server())
    with member(panel, database, "one", "10m") as first:
        first.wait_for("rotation_ended", result="done")
        with member(panel, database, "two", "10m") as second:
            second.wait_for("daemon_started")
            first.send(signal.SIGTERM)
            assert first.ended() == 0
            second.wait_for("part_taken", part=NODE)


def test_one_that_leaves_hands_over_and_stays_out_when_it_starts_again_until_it_is_called_back(
    panel: Panel, database: ClusterConfig
) -> None:
    """By the commands that an operator types on its machine, while both daemons run."""
    panel.configure(panel.add_server())
    own = environ(database, "one", "10m")
    with member(panel, database, "one", "10m") as first:
        first.wait_for("rotation_ended", result="done")
        with member(panel, database, "two", "10m") as second:
            second.wait_for("daemon_started")
            left = command(panel, "cluster", "leave", "--json", room=None, **own)
            assert (left.returncode, json.loads(left.stdout)["holds"]) == (0, [])
            first.wait_for("sent_out")
            second.wait_for("part_taken", part=NODE)
            first.send(signal.SIGTERM)
            assert first.ended() == 0
            with member(panel, database, "one", "10m") as again:
                again.wait_for("sent_out")
                second.send(signal.SIGTERM)
                assert second.ended() == 0
                again.wait_for("nobody_acts")
                assert command(panel, "cluster", "join", room=None, **own).returncode == 0
                again.wait_for("part_taken", part=NODE)


def test_one_that_stood_still_deletes_nothing_after_another_took_over(panel: Panel, database: ClusterConfig) -> None:
    """It is stopped in the midst of its deletions; what it had asked for may still be done, and nothing else."""
    survival = panel.add_server(past=5)
    before = [backup.name for backup in panel.backups(survival)]
    panel.configure(survival)
    panel.world.faults.order(slow(1.0), on=Call.DELETE)
    with member(panel, database, "one") as first:
        wait_until(lambda: len(panel.done(Change.DELETED, survival)) == 1, "a backup was deleted")
        first.send(signal.SIGSTOP)
        asked = len(panel.done(Change.DELETED, survival)) + 1  # one may be on its way
        with member(panel, database, "two") as second:
            second.wait_for("rotation_ended", result="done")
            by_the_second = panel.done(Change.DELETED, survival)
            first.send(signal.SIGCONT)
            first.wait_for("lease_lost")
            first.wait_for("daemon_started", times=2)
            assert len(first.events("backup_deleted")) <= asked
    assert panel.done(Change.DELETED, survival) == by_the_second == before[:3]
    assert len(panel.done(Change.CREATED, survival)) == 1
