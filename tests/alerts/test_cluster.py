"""Alerts about a cluster: that its members differ, and that its database was promoted."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from daemon.alerts import Alerts
from daemon.alerts.message import CLUSTER, Digest
from daemon.alerts.sender import Sender
from daemon.config.values import ClusterConfig
from daemon.fleet.share import Share
from daemon.fleet.standing import ClusterView
from daemon.state.local.journal import SqliteJournal
from tests.alerts.build import alert, message
from tests.alerts.test_copies import BEGIN, HOOK, HOUR, Stage
from tests.virtual import BACKEND, VirtualClock
from tests.web.gallery import configured

pytestmark = pytest.mark.anyio

DIFFERING = "members of the cluster have different configurations of survival"


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@dataclass
class Clustered(Stage):
    """A member of a cluster, which looks after what is common unless that is another's."""

    view: ClusterView = field(default_factory=ClusterView)
    mine: bool = True
    last: bool = False

    def made(self, sender: Sender) -> Alerts:
        """Its alerts, which hear of the cluster."""
        alerts = Alerts(self.config, self.tracker, sender, Share(self.config, self.mine, self.last))
        alerts.watch_cluster(lambda: self.view)
        return alerts


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Clustered]:
    """When all is well."""
    cluster = ClusterConfig(SecretStr("postgresql://db/backupd"), "one", timedelta(seconds=30))
    config = replace(configured(tmp_path, ["survival"], timezone="UTC"), cluster=cluster)
    with closing(SqliteJournal.memory()) as journal:
        yield Clustered(replace(config, alerts={"ops": alert(HOOK)}), journal, VirtualClock(BEGIN))


def differ(stage: Clustered) -> None:
    """Let members differ from now on."""
    stage.view = ClusterView(DIFFERING, stage.clock.now())


async def test_that_members_differ_is_told_once_and_that_they_agree_too(stage: Clustered) -> None:
    """To every receiver; not again after a restart."""
    async with stage.running():
        differ(stage)
        await stage.clock.sleep(600)
        assert stage.said == []
        await stage.clock.sleep(HOUR)
        assert stage.said == ["the cluster: the members differ"]
        told = stage.messages[0]
        assert told["text"] == f"{DIFFERING} (since 2026-04-16 05:00 UTC); nothing is deleted there until they agree"
        assert (told["event"], told["server"], "cluster status" in told["hint"]) == ("members_differ", CLUSTER, True)
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        stage.view = ClusterView()
        await stage.clock.sleep(600)
        assert stage.said[1:] == ["the cluster: the members agree again"]


async def test_a_promotion_is_told_once(stage: Clustered) -> None:
    """Though the daemon starts again."""
    for _ in range(2):
        async with stage.running():
            stage.view = ClusterView(promoted_at=BEGIN)
            await stage.clock.sleep(HOUR)
        assert stage.said == ["the cluster: the database was promoted or restored"]
    assert stage.messages[0]["text"].startswith("noticed at 2026-04-16 05:00 UTC; what was recorded last may be lost")


async def test_one_member_tells_it(stage: Clustered) -> None:
    """The one that looks after the fleet."""
    stage.mine = False
    async with stage.running():
        differ(stage)
        await stage.clock.sleep(HOUR)
    assert stage.said == []


async def test_that_nobody_acts_is_told_by_the_last_one_that_lives_and_the_end_by_the_first_that_acts(
    stage: Clustered,
) -> None:
    """Not before some minutes: a member that is restarted comes back."""
    stage.mine, stage.last = False, True
    async with stage.running():
        stage.view = ClusterView(nobody_since=stage.clock.now())
        await stage.clock.sleep(200)
        assert stage.said == []
        await stage.clock.sleep(HOUR)
        assert stage.said == ["the cluster: nobody makes backups"]
        told = stage.messages[0]
        assert (told["event"], told["server"], "cluster join" in told["hint"]) == ("nobody_acts", CLUSTER, True)
    stage.mine, stage.last, stage.view = True, False, ClusterView()
    async with stage.running():
        await stage.clock.sleep(HOUR)
    assert stage.said[1:] == ["the cluster: backups are made again"]
    assert stage.messages[1]["text"] == "a member of the cluster acts, and makes up for the starts that were missed"


def test_many_alerts_at_once_name_the_cluster_beside_the_servers(stage: Clustered) -> None:
    """It is no server."""
    of_server = message(stage.config.servers["survival"])
    of_cluster = replace(of_server, server=CLUSTER)
    assert Digest([of_server, of_cluster]).title.startswith("1 server, the cluster: ")
    assert Digest([of_cluster, of_cluster]).title.startswith("the cluster: ")
