"""Alerts of a cluster: each server has one member that tells of it, and another one goes on where that one left off."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from daemon.alerts import Alerts, memory
from daemon.config.values import Config
from daemon.core.alerting import Event
from daemon.core.copies_queue import CopyQueue
from daemon.core.units import rfc3339
from daemon.errors import StateError
from daemon.fleet.share import Share
from daemon.rotation.outcome import Outcome, Result
from daemon.state import Alert
from daemon.state.local.journal import SqliteJournal
from tests.alerts.build import alert, message, order, outcome, tracking
from tests.alerts.test_dispatcher import HOOK, Told
from tests.closed import closed_in_the_end
from tests.config.support import loaded
from tests.virtual import BACKEND, VirtualClock
from tests.web.gallery import with_stores

pytestmark = pytest.mark.anyio

FAILED = outcome(Result.FAILED, "backup-failed")
GOOD = outcome(Result.DONE, good=True)


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


class Members:
    """Two members on one journal, and one receiver."""

    def __init__(self, folder: Path, *, first: str = "one", clustered: bool = False) -> None:
        self.clock, self.told = VirtualClock(), Told()
        self.journal = journal = closed_in_the_end(SqliteJournal.memory())
        self.config: Config = replace(with_stores(loaded(folder)), alerts={"ops": alert(HOOK)})
        self.alerts = {
            name: Alerts(
                self.config, tracking(self.config, self.clock, journal), self.told.sender(), self.share(name == first)
            )
            for name in ("one", "two")
        }
        for one in self.alerts.values() if clustered else ():
            cast("Any", one._tracker.context.engine.leadership).shares = object()

    def share(self, mine: bool) -> Share:
        """All servers, or none."""
        return Share(self.config if mine else replace(self.config, servers={}), mine)

    async def start(self) -> None:
        """Let both begin."""
        for one in self.alerts.values():
            await one.start()

    async def hand_over(self, to: str) -> None:
        """Let that member act for all servers from now on, and the other one for none."""
        for name, one in sorted(self.alerts.items(), key=lambda item: item[0] == to):
            one.reload(self.config, self.share(name == to))
        await self.clock.sleep(1)

    async def rotated(self, name: str, found: Outcome, seconds: float = 10) -> None:
        """Let that member end a rotation of survival."""
        survival = self.config.servers["survival"]
        tracker = self.alerts[name]._tracker
        for listener in (tracker, self.alerts[name]):
            await listener.began(order(survival))
        for listener in (tracker, self.alerts[name]):
            await listener.ended(order(survival), found)
        await self.clock.sleep(seconds)

    @contextmanager
    def unable(self, name: str, call: str) -> Iterator[None]:
        """Let that member's journal fail at that call."""

        async def broken(*_: object, **__: object) -> None:
            raise StateError("the connection was lost")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.alerts[name]._record._writing.journal, call, broken)
            yield

    async def store_fails(self, *, hours: int) -> None:
        """Let a store take no copy for so long, tried once an hour."""
        queue = CopyQueue().asked("survival", ["nas"], self.clock.now(), fresh=True)
        for _ in range(hours):
            failed = queue.store_failed("nas", self.clock.now(), "it is full")
            self.journal.requeue_copies(queue, failed)
            queue = failed
            await self.clock.sleep(3600)

    async def close(self) -> None:
        """End both."""
        await asyncio.gather(*(one.close(1) for one in self.alerts.values()))


async def test_the_next_member_knows_what_was_told(tmp_path: Path) -> None:
    """So it repeats nothing, and tells of the end; the first one says nothing more, whatever it still hears."""
    members = Members(tmp_path)
    await members.start()
    await members.rotated("one", FAILED)
    assert len(members.told.of("survival")) == 1
    await members.hand_over("two")
    await members.rotated("two", FAILED)
    await members.rotated("one", FAILED)
    assert len(members.told.of("survival")) == 1
    await members.rotated("two", GOOD)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed", "recovered"]
    await members.hand_over("one")
    await members.rotated("one", FAILED)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed", "recovered", "failed"]
    await members.close()


@pytest.mark.parametrize("read", ["watches", "alerts"])
@pytest.mark.parametrize("seconds", [1, 200])
async def test_a_memory_that_could_not_be_read_at_a_take_over_is_read_later(
    tmp_path: Path, read: str, seconds: float
) -> None:
    """Nothing is written over it meanwhile, so that trouble is told once, and its end too."""
    members = Members(tmp_path)
    await members.start()
    await members.rotated("one", GOOD, 3600)
    await members.rotated("one", FAILED)
    before = members.journal.watches()["survival"]
    await members.clock.sleep(3600)
    with members.unable("two", read):
        await members.hand_over("two")
        members.alerts["two"]._record._writing.behind = True
        await members.clock.sleep(seconds)
        assert members.journal.watches()["survival"] == before
    await members.clock.sleep(70)
    two = members.alerts["two"]
    assert rfc3339(two._tracker.at_hand("survival").fine_at, "auto") == before["fine_at"]
    await members.rotated("two", FAILED)
    assert len(members.told.of("survival")) == 1
    await members.rotated("two", GOOD)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed", "recovered"]
    await members.close()


async def test_what_ends_before_the_memory_of_a_take_over_could_be_read_is_judged_then(tmp_path: Path) -> None:
    """In its order, by what the member before alerted of, and with the moment at which it was."""
    members = Members(tmp_path)
    await members.start()
    await members.rotated("one", FAILED)
    with members.unable("two", "watches"):
        await members.hand_over("two")
        await members.rotated("two", FAILED)
        await members.rotated("two", GOOD)
        ended_at = members.clock.now()
        await members.rotated("two", outcome(Result.FAILED, "limit"))
        assert len(members.told.of("survival")) == 1
    await members.clock.sleep(70)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed", "recovered", "limit"]
    recovered = next(one for one in members.told.messages if one["event"] == "recovered")
    assert recovered["at"] <= ended_at.isoformat()
    assert members.journal.watches()["survival"]["told"] == ["limit"]
    await members.close()


async def test_what_ended_unjudged_says_nothing_of_a_server_that_went_on_to_another_member(tmp_path: Path) -> None:
    """That one tells how it fares."""
    members = Members(tmp_path)
    await members.start()
    with members.unable("two", "watches"):
        await members.hand_over("two")
        await members.rotated("two", FAILED)
        await members.hand_over("one")
    await members.clock.sleep(200)
    assert members.told.of("survival") == []
    await members.rotated("one", FAILED)
    assert len(members.told.of("survival")) == 1
    await members.close()


async def test_no_look_judges_what_was_taken_over_before_its_memory_could_be_read(tmp_path: Path) -> None:
    """The member before told of the store, and that the server is overdue; this one began days ago."""
    members = Members(tmp_path)
    await members.start()
    await members.store_fails(hours=4 * 24)
    told = {name: members.told.of(name) for name in ("survival", "stores.nas")}
    assert all(told.values())
    with members.unable("two", "watches"):
        await members.hand_over("two")
        await members.clock.sleep(1000)
    await members.clock.sleep(1000)
    assert {name: members.told.of(name) for name in told} == told
    await members.close()


async def test_a_write_of_all_that_was_held_up_writes_no_blank_of_what_was_taken_meanwhile(tmp_path: Path) -> None:
    """It failed before, and waits for its turn while the share changes."""
    members = Members(tmp_path)
    await members.start()
    await members.rotated("one", FAILED)
    two = members.alerts["two"]._record
    two._writing.behind = True
    async with two._writing.one_at_a_time:
        held_up = asyncio.create_task(two.agree())
        await members.clock.sleep(1)
        await members.hand_over("two")
    await held_up
    await members.clock.sleep(70)
    assert two.states["survival"].alerted == {Event.FAILED}
    assert members.journal.watches()["survival"]["told"] == ["failed"]
    await members.close()


async def test_a_rotation_that_runs_while_its_server_is_recalled_goes_on(tmp_path: Path) -> None:
    """The page shows it, and its time is counted from its begin."""
    members = Members(tmp_path)
    await members.start()
    tracker, survival = members.alerts["two"]._tracker, members.config.servers["survival"]
    with members.unable("two", "watches"):
        await members.hand_over("two")
        await tracker.began(order(survival))
        began = tracker.at_hand("survival").began
        await members.clock.sleep(100)
    await members.clock.sleep(100)
    assert members.alerts["two"]._record.knows("survival")
    assert began is not None
    assert tracker.at_hand("survival").began == began
    await members.close()


async def test_a_memory_that_makes_no_sense_hides_none_of_another_server(tmp_path: Path) -> None:
    """Somebody else wrote into the journal: of that server alerts begin anew."""
    members = Members(tmp_path)
    await members.start()
    await members.rotated("one", FAILED)
    members.journal.watch({"another": {"told": 1}}, members.clock.now())
    await members.hand_over("two")
    assert members.alerts["two"]._record.states["survival"].alerted == {Event.FAILED}
    await members.close()


async def test_what_waits_is_sent_by_the_next_member_alone(tmp_path: Path) -> None:
    """The receiver was not there; the first one has it in mind no more."""
    members = Members(tmp_path)
    members.told.dead = True
    await members.start()
    await members.rotated("one", FAILED)
    await members.hand_over("two")
    members.told.dead = False
    await members.clock.sleep(4000)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed"]
    await members.close()


async def test_what_the_database_could_not_take_stays_where_it_waits(tmp_path: Path) -> None:
    """No other member could send it. It is written as soon as it can be, and sent by whoever claims it."""
    members = Members(tmp_path, clustered=True)
    members.told.dead = True
    await members.start()
    await members.clock.sleep(1)
    with members.unable("one", "watch"):
        await members.rotated("one", FAILED)
        await members.hand_over("two")
    assert members.journal.alerts() == []
    await members.clock.sleep(70)
    assert [(one.server, one.event) for one in members.journal.alerts()] == [("survival", "failed")]
    assert members.journal.watches()["survival"]["told"] == [], "how it stands is the other member's to write"
    await members.alerts["two"].close(1)
    members.told.dead = False
    await members.clock.sleep(4000)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed"]
    assert members.journal.alerts() == []
    await members.close()


@pytest.mark.parametrize(("hindrance", "told"), [("", ["failed"]), ("another one acts", [])])
async def test_what_the_database_could_not_take_is_written_once_more_at_the_end(
    tmp_path: Path, hindrance: str, told: list[str]
) -> None:
    """Another member sends it then. After the lease is lost, how servers stand is for that one to write."""
    members = Members(tmp_path, clustered=True)
    members.told.dead = True
    await members.start()
    await members.clock.sleep(1)
    with members.unable("one", "watch"):
        await members.rotated("one", FAILED)
    leadership = members.alerts["one"]._tracker.context.engine.leadership
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(leadership, "hindrance", lambda *, creates: hindrance)
        await members.alerts["one"].close(1)
    assert [(one.server, one.event) for one in members.journal.alerts()] == [("survival", "failed")]
    assert members.journal.watches()["survival"]["told"] == told
    await members.close()


async def test_what_ended_unjudged_is_judged_at_the_end_if_it_can_be(tmp_path: Path) -> None:
    """The daemon is told to stop before the next look."""
    members = Members(tmp_path, clustered=True)
    await members.start()
    with members.unable("two", "watches"):
        await members.hand_over("two")
        await members.rotated("two", FAILED)
    await members.alerts["two"].close(3)
    assert [words.split()[-1] for words in members.told.of("survival")] == ["failed"]
    await members.close()


async def test_members_that_start_send_nothing_of_what_is_another_ones(tmp_path: Path) -> None:
    """It waits for a receiver, in the journal that all share."""
    members = Members(tmp_path)
    members.told.dead = True
    await members.start()
    await members.rotated("one", FAILED)
    third = Alerts(members.config, members.alerts["two"]._tracker, members.told.sender(), members.share(mine=False))
    await third.start()
    await members.clock.sleep(30)
    assert not third._record.receivers.by_name["ops"].waiting
    assert members.alerts["one"]._record.receivers.by_name["ops"].waiting
    await third.close(1)
    await members.close()


async def test_one_alerts_on_stores_whoever_alerts_on_the_servers_and_hands_over_what_waits(tmp_path: Path) -> None:
    """It has no server that is copied there; the receiver comes back after the hand-over."""
    members = Members(tmp_path)
    await members.start()
    members.alerts["one"].reload(members.config, Share(replace(members.config, servers={}), fleet=True))
    members.alerts["two"].reload(members.config, Share(members.config, fleet=False))
    members.told.dead = True
    await members.store_fails(hours=5)
    assert members.alerts["one"]._record.receivers.by_name["ops"].waiting
    members.alerts["one"].reload(members.config, Share(replace(members.config, servers={}), fleet=False))
    members.alerts["two"].reload(members.config, Share(members.config, fleet=True))
    members.told.dead = False
    await members.clock.sleep(4000)
    assert len(members.told.of("stores.nas")) == 1
    await members.close()


async def test_a_write_that_was_held_up_forgets_nothing_of_what_was_handed_over(tmp_path: Path) -> None:
    """The next member knows what was told."""
    members = Members(tmp_path)
    await members.start()
    await members.rotated("one", FAILED)
    one = members.alerts["one"]._record
    async with one._writing.one_at_a_time:
        held_up = asyncio.create_task(one.remember({"survival": one.states["survival"]}))
        await members.clock.sleep(1)
        await members.hand_over("two")
    await held_up
    assert "survival" in await memory.recalled(one._writing.journal)
    await members.close()


async def test_what_waits_of_a_server_that_is_not_known_is_sent_by_one(tmp_path: Path) -> None:
    """It may be discovered later, or never: whoever looks after the fleet sends it, and hands it over."""
    members = Members(tmp_path)
    gone = message(replace(members.config.servers["survival"], name="gone"))
    members.told.dead = True
    await memory.remember(members.alerts["one"]._record._writing.journal, {}, [("ops", gone)], members.clock.now())
    await members.start()
    await members.clock.sleep(10)
    await members.hand_over("two")
    members.told.dead = False
    await members.clock.sleep(4000)
    assert len(members.told.of("gone")) == 1
    await members.close()


async def test_one_of_a_cluster_writes_nothing_of_others_away(tmp_path: Path) -> None:
    """After the journal failed it writes what it knows: all servers that it has heard of may be its own."""
    members = Members(tmp_path)
    await members.start()
    one = members.alerts["one"]._record
    cast("Any", one._tracker.context.engine.leadership).shares = object()
    other = message(replace(members.config.servers["survival"], name="other"))
    await memory.remember(one._writing.journal, {}, [("ops", other)], members.clock.now())
    one._writing.behind = True
    await one.agree()
    assert [found.server for found in (await memory.waiting(one._writing.journal, alone=False))["ops"]] == ["other"]
    await members.close()


@pytest.mark.usefixtures("rare_looks")
async def test_what_waits_for_a_receiver_of_a_newer_configuration_stays_until_it_is_old(tmp_path: Path) -> None:
    """A member that was reloaded already sends it; the one that looks after the fleet was not, and drops it at last."""
    members = Members(tmp_path)
    cast("Any", members.alerts["one"]._tracker.context.engine.leadership).shares = object()
    await members.start()
    new = replace(members.config.servers["survival"], name="new")
    told = message(new, at=members.clock.now())
    await memory.remember(members.alerts["one"]._record._writing.journal, {}, [("ops2", told)], members.clock.now())
    with capture_logs() as lines:
        await members.clock.sleep(6 * 86400)
        assert [one.receiver for one in members.journal.alerts()] == ["ops2"]
        assert "alert_lost" not in [line["event"] for line in lines]
        await members.clock.sleep(2 * 86400)
    assert members.journal.alerts() == []
    assert [line["receiver"] for line in lines if line["event"] == "alert_lost"] == ["ops2"]
    await members.close()


async def test_what_a_newer_version_alerts_on_stays_for_it(tmp_path: Path) -> None:
    """During an upgrade an older member cannot read it; a daemon that is alone says so, and drops it."""
    members = Members(tmp_path)
    unheard_of = Alert("ops", "survival", "unheard-of", {"event": "unheard-of"})
    members.journal.watch({}, members.clock.now(), [unheard_of])
    cast("Any", members.alerts["one"]._tracker.context.engine.leadership).shares = object()
    one = members.alerts["one"]._record
    await members.alerts["one"].start()
    await members.clock.sleep(3600)
    assert members.journal.alerts() == [unheard_of]
    cast("Any", one._tracker.context.engine.leadership).shares = None
    with capture_logs() as lines:
        await members.alerts["two"].start()
    assert members.journal.alerts() == []
    assert [line["event"] for line in lines] == ["alert_lost"]
    await members.close()
