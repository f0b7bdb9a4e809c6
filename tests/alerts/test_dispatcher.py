"""The whole: a fleet on virtual time whose listener tells a receiver, across failures, sleep, kills and reloads."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from structlog.testing import capture_logs

from daemon.alerts import Alerts
from daemon.alerts.formats import as_json
from daemon.alerts.sender import Sender
from daemon.config.models import AlertTable
from daemon.config.values import AlertConfig, Config, HttpConfig
from daemon.core.alerting import AlertState, Event
from daemon.errors import StateError
from daemon.fleet.fleet import Fleet
from daemon.log import configure
from daemon.rotation.outcome import Result
from daemon.sandbox.faults import web_page
from daemon.sandbox.records import BackupEnding, Server, User, Work
from daemon.sandbox.scenes import KEY, empty
from daemon.sandbox.settings import Settings
from daemon.state import Alert
from daemon.state.local.journal import SqliteJournal
from daemon.status.tracker import StatusTracker
from tests.alerts.build import TROUBLE, alert, message, order, outcome, tracking
from tests.at_once import awaited
from tests.closed import closed_in_the_end
from tests.virtual import BACKEND, VirtualClock
from tests.whole.fleet import Daemons, on_virtual_time, until

pytestmark = pytest.mark.anyio

HOOK = "https://hooks.example.com/hunter2"
PING = "https://hc.example.com/hunter2/{server}"


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment in April 2026, UTC; the tests begin on the 1st at 03:59, and servers start at four."""
    return datetime(2026, 4, day, hour, minute, tzinfo=UTC)


class Told:
    """A receiver in memory: what it was told, and a switch that takes it away."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.dead = False
        self.broken = ""

    def sender(self) -> Sender:
        """What sends to it."""
        return Sender(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.dead:
            raise httpx.ConnectError("no route to host")
        if self.broken and self.broken in request.url.path:
            return httpx.Response(500)
        self.requests.append(request)
        return httpx.Response(204)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message, parsed."""
        return [json.loads(request.content) for request in self.requests]

    @property
    def events(self) -> list[tuple[str, str]]:
        """Which event of which server, at which time, as "03 04:00 failed"."""
        return [
            (document["server"], f"{document['at'][8:10]} {document['at'][11:16]} {document['event']}")
            for document in self.messages
        ]

    def of(self, server: str) -> list[str]:
        """What was told of one server."""
        return [words for name, words in self.events if name == server]

    @property
    def pings(self) -> list[tuple[str, str]]:
        """Path and body of every ping."""
        return [(request.url.path, request.content.decode()) for request in self.requests]


class Stage:
    """Two servers, one daemon after the other, one receiver."""

    def __init__(self, daemons: Daemons) -> None:
        self.daemons = daemons
        self.clock = daemons.clock
        self.told = Told()
        self.alerts: Alerts | None = None

    @property
    def survival(self) -> Server:
        """The first server."""
        return next(iter(self.daemons.world.servers.values()))

    @property
    def creative(self) -> Server:
        """The other one."""
        _, creative = self.daemons.world.servers.values()
        return creative

    def rename(self, config: Config) -> Config:
        """The name of the first one stands for the other one."""
        renamed = replace(config.servers["survival"], id=self.creative.identifier)
        return replace(config, servers={"survival": renamed})

    def configure(self, *receivers: AlertConfig, **policy: Any) -> Config:
        """Both servers, with those who are told."""
        config = self.daemons.configure(**policy)
        return replace(config, alerts={receiver.name: receiver for receiver in receivers or (alert(HOOK),)})

    @asynccontextmanager
    async def running(self, config: Config, flush: float = 3) -> AsyncIterator[Fleet]:
        """A daemon with its alerts, as the service has them."""
        async with self.daemons.running(config) as fleet:
            tracker = StatusTracker(fleet._tools)
            tracker.follow(config)
            alerts = self.alerts = Alerts(config, tracker, self.told.sender())
            fleet._rotations._listeners = [tracker, alerts]
            await alerts.start()
            yield fleet
            await alerts.close(flush)

    def reload(self, config: Config) -> None:
        """Let alerts obey another configuration, as the service does."""
        assert self.alerts is not None
        self.alerts._tracker.follow(config)
        self.alerts.reload(config)

    def fail(self, times: int = 1) -> None:
        """Let the next backups of survival fail on their node."""
        self.survival.coming.extend([Work(outcome=BackupEnding.FAILED)] * times)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """Two servers on one node, without backups."""
    clock = VirtualClock()
    on_virtual_time(monkeypatch, clock)
    world, owner, node = empty(clock, settings=Settings(creation_limit=0))
    for name in ("survival", "creative"):
        world.add_server(name, owner=owner, node=node, limit=20)
    return Stage(Daemons(world, clock, tmp_path))


@pytest.mark.usefixtures("rare_looks")
async def test_that_a_key_may_not_delete_is_told_once_and_its_end_too(stage: Stage) -> None:
    """Though each rotation says it. A ping is a success as long as nothing was due to be deleted."""
    stage.daemons.world.add_key(KEY, User("backupd"))
    stage.survival.owner, stage.survival.subusers = User("somebody"), {"backupd": ("backup.read", "backup.create")}
    config = stage.configure(alert(HOOK), alert(PING, "ping", name="ping"), keep={"last": 3})
    async with stage.running(config):
        await until(stage.clock, at(2, 5))
        assert "/hunter2/survival/fail" not in {path for path, _ in stage.told.pings}
    async with stage.running(config):
        await until(stage.clock, at(4, 5))
        assert "/hunter2/survival/fail" in {path for path, _ in stage.told.pings}
        stage.survival.subusers = {"backupd": ("backup.read", "backup.create", "backup.delete")}
        await until(stage.clock, at(6, 5))
    messages = [json.loads(request.content) for request in stage.told.requests if str(request.url) == HOOK]
    told = [(one["at"][8:10], one["event"], one["title"]) for one in messages if one["server"] == "survival"]
    assert told == [
        ("01", "failed", "survival: backed up, and something needs you"),
        ("05", "recovered", "survival: there is a good backup again"),
    ]


async def test_a_fleet_without_trouble_tells_nothing(stage: Stage) -> None:
    """Three good days are silent, unless each good backup was asked for."""
    async with stage.running(stage.configure(alert(HOOK), alert(HOOK, "webhook", frozenset({Event.DONE}), "all"))):
        await until(stage.clock, at(3, 5))
    assert stage.told.of("survival") == ["01 03:59 done", "01 04:00 done", "02 04:00 done", "03 04:00 done"]
    assert {document["event"] for document in stage.told.messages} == {"done"}


async def test_a_failure_is_told_once_and_then_its_end(stage: Stage) -> None:
    """A first failure waits for its retry; what goes on failing is no more news."""
    async with stage.running(stage.configure()):
        await until(stage.clock, at(1, 3, 59))
        await stage.clock.sleep(50)
        stage.fail(4)
        await until(stage.clock, at(3, 5))
    assert stage.told.of("survival") == ["01 04:10 failed", "03 04:00 recovered"]
    assert stage.told.of("creative") == []
    failed, recovered = stage.told.messages
    assert failed["text"].startswith("the new backup auto-survival-20260401T0410")
    assert (failed["hint"], failed["last_good_at"][:13]) == ("look at the node's log", "2026-04-01T03")
    assert "before: failed, overdue; no good backup since 2026-04-01 03:59 UTC" in recovered["text"]
    assert recovered["after"] == ["failed", "overdue"]


async def test_what_became_of_the_server_that_had_a_name_before_is_told_of_no_other(stage: Stage) -> None:
    """Its rotation ends after the reload."""
    stage.survival.work = Work(seconds=3600)
    config = stage.configure()
    other = stage.rename(config)
    async with stage.running(config) as fleet:
        await until(stage.clock, at(1, 4, 30))
        fleet.reload(other)
        stage.reload(other)
        await until(stage.clock, at(1, 4, 55))
        stage.creative.work = Work(seconds=7200)
        await until(stage.clock, at(1, 5, 30))
    assert stage.survival.backups
    assert stage.told.of("survival") == []


async def test_the_trouble_of_the_server_that_had_a_name_before_hides_none_of_the_one_that_has_it(stage: Stage) -> None:
    """What was alerted of the one says nothing of what was alerted of the other."""
    config = stage.configure()
    other = stage.rename(config)
    async with stage.running(config) as fleet:
        await until(stage.clock, at(1, 3, 59))
        await stage.clock.sleep(50)
        stage.fail(2)
        stage.creative.coming.extend([Work(outcome=BackupEnding.FAILED)] * 9)
        await until(stage.clock, at(1, 5))
        fleet.reload(other)
        stage.reload(other)
        await until(stage.clock, at(1, 12))
    assert [words.split()[-1] for words in stage.told.of("survival")] == ["failed", "failed"]


async def test_a_blip_that_a_retry_mends_wakes_nobody(stage: Stage) -> None:
    """The panel restarts at four in the morning, and is back ten minutes later."""
    async with stage.running(stage.configure()):
        await stage.clock.sleep(50)
        stage.daemons.world.faults.order(web_page(502), times=8)
        await until(stage.clock, at(2, 5))
    assert stage.told.events == []


async def test_a_small_backup_is_told_with_how_small_against_what(stage: Stage) -> None:
    """The suspicion guard, for people; a backup of the usual size ends it."""
    survival = stage.survival
    survival.work = Work(size=800 << 10)
    async with stage.running(stage.configure()):
        await until(stage.clock, at(2, 5))
        survival.coming.append(Work(size=10 << 10))
        await until(stage.clock, at(4, 5))
    assert stage.told.of("survival") == ["03 04:00 suspicious", "04 04:00 recovered"]
    (told, _) = stage.told.messages
    assert "10 KiB, less than 50% of 800 KiB, the median of the 3 good ones before it" in told["text"]
    assert "backups accept" in told["hint"]


@pytest.mark.usefixtures("rare_looks")
async def test_a_world_that_stays_small_is_told_each_night_and_then_as_the_new_normal(stage: Stage) -> None:
    """Nobody is told that all is well again; what is told names the last whole one, and how long it stays."""
    survival = stage.survival
    survival.work = Work(size=800 << 10)
    async with stage.running(stage.configure()):
        await until(stage.clock, at(2, 5))
        survival.work = Work(size=50_000)
        await until(stage.clock, at(8, 5))
    events = [f"{day:02} 04:00 suspicious" for day in (3, 4, 5)] + ["06 04:00 new_normal"]
    assert stage.told.of("survival") == events
    last = stage.told.messages[-1]
    assert last["title"] == "survival: smaller backups are the new normal"
    assert last["after"] == ["overdue", "suspicious"]
    assert "20260402T" in last["hint"]
    assert "is the last before it shrank; kept until 2026-05-03 04:00 UTC, or one since is accepted" in last["hint"]


async def test_the_limit_is_told_and_not_only_after_a_week(stage: Stage) -> None:
    """Every place is taken by somebody's own backups."""
    stage.survival.limit = 1
    async with stage.running(stage.configure(keep="all")):
        await until(stage.clock, at(2, 3))
    assert stage.told.of("survival") == ["01 04:00 limit"]


async def test_what_is_overdue_is_told_and_its_end_too(stage: Stage) -> None:
    """A server that is installing is skipped without a word, until a backup should have been there."""
    async with stage.running(stage.configure()):
        await until(stage.clock, at(1, 5))
        stage.survival.status = "installing"
        await until(stage.clock, at(2, 12))
        stage.survival.status = None
        await until(stage.clock, at(3, 5))
    assert stage.told.of("survival") == ["02 10:31 overdue", "02 12:30 recovered"]
    text = stage.told.messages[0]["text"]
    assert text == "no good backup since 2026-04-01 04:00 UTC; the next was due by 2026-04-02 10:30 UTC"


@pytest.mark.usefixtures("rare_looks")
async def test_a_suspended_server_is_not_overdue(stage: Stage) -> None:
    """It is skipped, and that is no failure; once it is back it is watched again."""
    stage.survival.status = "suspended"
    async with stage.running(stage.configure()):
        await until(stage.clock, at(9, 5))
    assert stage.told.of("survival") == []


async def test_a_daemon_that_slept_through_it_tells_when_it_wakes(stage: Stage) -> None:
    """The wall clock jumps by two days: the next look compares it with what was due."""
    async with stage.running(stage.configure()):
        await until(stage.clock, at(1, 5))
        stage.survival.status = "installing"
        stage.clock.start += timedelta(days=2)
        await stage.clock.sleep(61)
    assert stage.told.of("survival") == ["03 05:01 overdue"]


async def test_a_daemon_that_was_away_tells_after_its_start(stage: Stage) -> None:
    """What was known is in the journal; a rotation that catches up ends it."""
    config = stage.configure(splay="20m")
    async with stage.running(config):
        await until(stage.clock, at(1, 5))
    await until(stage.clock, at(4, 12))
    async with stage.running(config):
        await until(stage.clock, at(4, 13))
    assert [words.split()[-1] for words in stage.told.of("survival")] == ["overdue", "recovered"]
    assert stage.told.of("survival")[0] == "04 12:01 overdue"


async def test_a_restart_repeats_nothing(stage: Stage) -> None:
    """Neither the failure that was told, nor what is overdue; and the end is told by the next daemon."""
    config = stage.configure()
    async with stage.running(config):
        await stage.clock.sleep(50)
        stage.fail(4)
        await until(stage.clock, at(1, 5))
    for hour in range(6, 20, 2):
        async with stage.running(config):
            await until(stage.clock, at(2, hour))
    assert stage.told.of("survival") == ["01 04:10 failed"]
    async with stage.running(config):
        await until(stage.clock, at(3, 5))
    assert stage.told.of("survival") == ["01 04:10 failed", "03 04:00 recovered"]


async def test_what_no_receiver_took_before_a_restart_is_told_after_it(stage: Stage) -> None:
    """Killed or stopped, once or twice; and it is told once."""
    stage.told.dead = True
    config = stage.configure()
    async with stage.running(config):
        await stage.clock.sleep(50)
        stage.fail(20)
        await until(stage.clock, at(1, 5))
    async with stage.running(config):
        await stage.clock.sleep(60)
    stage.told.dead = False
    for _ in range(2):
        async with stage.running(config):
            await until(stage.clock, at(2, 5))
    assert stage.told.of("survival") == ["01 04:10 failed"]


async def test_a_message_that_waits_and_makes_no_sense_costs_no_other(stage: Stage) -> None:
    """Somebody else wrote into the journal, or a later version did; it is said once."""
    right = as_json(message(stage.configure().servers["survival"]))
    with SqliteJournal.open(stage.daemons.folder / "state") as journal:
        odd = [{}, {**right, "event": "stolen"}, {**right, "at": 7}, {**right, "backup": {"uuid": 1}}]
        kinds = [Alert("ops", "survival", str(number), one) for number, one in enumerate(odd)]
        journal.watch({}, stage.clock.now(), [*kinds, Alert("ops", "survival", "failed", right)])
    with capture_logs() as lines:
        for _ in range(2):
            async with stage.running(stage.configure()):
                await stage.clock.sleep(10)
    assert stage.told.of("survival") == ["01 12:00 failed"]
    assert [line["event"] for line in lines].count("alert_lost") == 4


@pytest.mark.usefixtures("rare_looks")
async def test_trouble_of_many_is_one_message_and_nobodys_is_missing(stage: Stage) -> None:
    """Three thousand servers at their limit at once, and a receiver that was away: each is in some message."""
    stage.told.dead = True
    config = stage.configure()
    one = config.servers["survival"]
    servers = {name: replace(one, name=name) for name in (f"s{number}" for number in range(3000))}
    http = HttpConfig("127.0.0.1", 9180, frozenset(), None, "https://backups.example.com")
    crowd = replace(config, servers=servers, http=http)
    with SqliteJournal.open(stage.daemons.folder / "state") as journal:
        alerts = Alerts(crowd, tracking(crowd, stage.clock, journal), stage.told.sender())
        await alerts.start()
        for server in servers.values():
            await alerts.ended(order(server), outcome(Result.REFUSED, "limit"))
            await stage.clock.sleep(0.1)
        stage.told.dead = False
        await stage.clock.sleep(1800)
        await alerts.close(3)
        assert journal.alerts() == []
    digest, *others = stage.told.messages
    first = len(digest["alerts"])
    assert digest["title"] == f"{first} servers: the backup limit is reached"
    assert digest["hint"] == "see https://backups.example.com"
    assert digest["text"].startswith("the backup limit is reached: s0, s1, s2, ")
    assert digest["text"].endswith(f"s9 and {first - 10} more")
    assert [told["server"] for each in (digest, *others) for told in each["alerts"]] == list(servers)


async def test_one_ping_address_in_trouble_holds_up_no_other(stage: Stage) -> None:
    """Each server's check is on its own."""
    stage.told.broken = "survival"
    async with stage.running(stage.configure(alert(PING, "ping"))):
        await until(stage.clock, at(1, 4, 2))
    paths = [path for path, _ in stage.told.pings]
    assert paths == ["/hunter2/creative/start", "/hunter2/creative"] * 2


async def test_at_one_address_starts_push_out_no_end(stage: Stage) -> None:
    """Hundreds of servers start at once and fail, while it works and while it is down: every failure arrives, ahead
    of the starts of others; and a start that could not be sent is not sent late.
    """
    config = stage.configure(alert("https://hc.example.com/hunter2", "ping"))
    one = config.servers["survival"]
    crowd = [replace(one, name=f"s{number}") for number in range(500)]
    late = replace(one, name="late")
    crowded = replace(config, servers={server.name: server for server in (*crowd, late)})
    alerts = Alerts(crowded, tracking(crowded, stage.clock), stage.told.sender())
    await alerts.start()
    for server in crowd:
        await alerts.began(order(server))
    await alerts.ended(order(crowd[-1], 1), outcome(Result.FAILED, "panel-unreachable"))
    await stage.clock.sleep(5)
    stage.told.dead = True
    for server in crowd:
        await alerts.ended(order(server, 1), outcome(Result.FAILED, "panel-unreachable"))
    await stage.clock.sleep(5)
    await alerts.began(order(late))
    stage.told.dead = False
    await stage.clock.sleep(1800)
    await alerts.close(0)
    paths = [path.rpartition("/")[2] for path, _ in stage.told.pings]
    assert paths == ["fail"] + ["start"] * 499 + ["fail"] * 500


async def test_many_alerts_go_to_a_program_in_requests_that_it_takes(stage: Stage) -> None:
    """A digest holds every alert in full, and servers refuse what is too long."""
    config = stage.configure()
    one = config.servers["survival"]
    crowd = [replace(one, name=f"s{number}") for number in range(300)]
    config = replace(config, servers={server.name: server for server in crowd})
    alerts = Alerts(config, tracking(config, stage.clock), stage.told.sender())
    await alerts.start()
    for server in crowd:
        await alerts.ended(order(server, 1), outcome(Result.FAILED, "panel-unreachable"))
    await stage.clock.sleep(60)
    await alerts.close(0)
    assert len(stage.told.requests) > 1
    assert all(len(request.content) < 100_000 for request in stage.told.requests)
    assert [one["server"] for each in stage.told.messages for one in each["alerts"]] == [one.name for one in crowd]


async def test_an_address_that_no_server_has_any_more_costs_nothing(stage: Stage) -> None:
    """A server that is renamed has another address. What still waits for the old one is sent first."""
    config = stage.configure(alert(PING, "ping"))
    one = config.servers["survival"]
    tracker = tracking(config, stage.clock)
    alerts = Alerts(config, tracker, stage.told.sender())
    await alerts.start()
    queues = alerts._record.receivers.by_name["ops"]._pings
    for number in range(5):
        config = replace(config, servers={f"s{number}": replace(one, name=f"s{number}")})
        tracker.follow(config)
        alerts.reload(config)
        await alerts.began(order(config.servers[f"s{number}"]))
        await stage.clock.sleep(5)
    assert len(queues) == 1
    stage.told.dead = True
    await alerts.ended(order(config.servers["s4"], 1), outcome(Result.FAILED, "panel-unreachable"))
    alerts.reload(replace(config, servers={}))
    assert len(queues) == 1
    stage.told.dead = False
    await stage.clock.sleep(60)
    await alerts.close(0)
    assert [path for path, _ in stage.told.pings][-1] == "/hunter2/s4/fail"


async def test_a_backup_made_by_hand_meanwhile_is_not_overdue(stage: Stage) -> None:
    """The journal knows of a rotation that this daemon has not seen."""
    async with stage.running(stage.configure()):
        await until(stage.clock, at(1, 5))
        stage.survival.status = "installing"
        await until(stage.clock, at(2, 9))
        with SqliteJournal.open(stage.daemons.folder / "state") as journal:
            server = stage.survival
            row = journal.begin(
                server_uuid=server.uuid,
                server="survival",
                panel="main",
                policy="standard",
                trigger="manual",
                start_at=None,
                at=stage.clock.now(),
            )
            journal.end(row, at=stage.clock.now(), result="done", summary={"good": True})
        await until(stage.clock, at(3, 15))
        assert stage.told.of("survival") == []
        await until(stage.clock, at(3, 16))
    assert stage.told.of("survival") == ["03 15:30 overdue"]


async def test_a_ping_is_told_of_every_rotation(stage: Stage) -> None:
    """Start, and success or failure with the reason; both with the id of the run."""
    async with stage.running(stage.configure(alert(PING, "ping"))):
        await stage.clock.sleep(50)
        stage.fail(2)
        await until(stage.clock, at(1, 5))
    paths = [path for path, _ in stage.told.pings if path.startswith("/hunter2/survival")]
    base = "/hunter2/survival"
    assert paths == [f"{base}/start", base, f"{base}/start", f"{base}/start", f"{base}/fail"]
    bodies = [body for path, body in stage.told.pings if path.startswith(base) and not path.endswith("start")]
    assert bodies[0].startswith("auto-survival-20260401T0359")
    assert "did not turn good: failed" in bodies[1]
    assert "look at the node's log" in bodies[1]
    runs = [
        parse_qs(urlsplit(str(request.url)).query)["rid"][0]
        for request in stage.told.requests
        if request.url.path.startswith(base)
    ]
    assert runs[0] == runs[1] != runs[2] != runs[3] == runs[4]


async def test_a_suspended_server_pings_success_with_the_reason(stage: Stage) -> None:
    """It is no failure; the body says why nothing was done, and who can end that."""
    stage.survival.status = "suspended"
    async with stage.running(stage.configure(alert(PING, "ping"))):
        await stage.clock.sleep(30)
    assert ("/hunter2/survival", "the server is suspended\nonly an administrator can end that") in stage.told.pings


async def test_a_policy_says_who_is_told(stage: Stage) -> None:
    """A name of its own, nobody, or everybody."""
    for names, told in ((("ops",), ["ops"]), ((), []), (None, ["night", "ops"])):
        config = stage.configure(alert(HOOK), alert(f"{HOOK}/night", name="night"))
        servers = {
            name: replace(server, policy=replace(server.policy, alerts=names))
            for name, server in config.servers.items()
        }
        asked = replace(config, servers=servers)
        alerts = Alerts(asked, tracking(asked, stage.clock), stage.told.sender())
        await alerts.start()
        assert sorted(receiver.config.name for receiver in alerts._record.receivers.of(servers["survival"])) == told
        await alerts.close(0)


async def test_a_dead_receiver_delays_no_rotation(stage: Stage) -> None:
    """It is told when it is back, in order."""
    stage.told.dead = True
    async with stage.running(stage.configure()):
        await stage.clock.sleep(50)
        stage.fail(2)
        await until(stage.clock, at(1, 4, 20))
        assert stage.told.events == []
        stage.told.dead = False
        await until(stage.clock, at(2, 5))
    assert [words.split()[-1] for words in stage.told.of("survival")] == ["failed", "recovered"]


async def test_no_address_is_ever_logged(stage: Stage) -> None:
    """Neither while it works nor while it is dead, nor at the end."""
    stage.told.dead = True
    log = io.StringIO()
    configure("debug", log, "json")
    async with stage.running(stage.configure(alert(HOOK), alert(PING, "ping", name="ping"))):
        await stage.clock.sleep(50)
        stage.fail(4)
        await until(stage.clock, at(2, 12))
    events = {json.loads(line)["event"] for line in log.getvalue().splitlines()}
    assert {"alert", "alert_delayed", "alerts_wait", "alert_lost"} <= events
    assert "hunter2" not in log.getvalue()


async def test_a_reload_obeys_new_receivers_and_forgets_servers_that_are_gone(stage: Stage) -> None:
    """What waits for a receiver that changed is sent to its new address; who comes back begins anew."""
    stage.told.dead = True
    config = stage.configure()
    async with stage.running(config) as fleet:
        assert stage.alerts is not None
        await stage.clock.sleep(50)
        stage.fail(2)
        await until(stage.clock, at(1, 4, 11))
        elsewhere = replace(config, alerts={"ops": alert(f"{HOOK}/elsewhere")})
        fleet.reload(elsewhere)
        stage.reload(elsewhere)
        stage.told.dead = False
        await until(stage.clock, at(2, 5))
        assert {str(request.url) for request in stage.told.requests} == {f"{HOOK}/elsewhere"}
        assert [words.split()[-1] for words in stage.told.of("survival")] == ["failed", "recovered"]
        without = replace(elsewhere, servers={"creative": elsewhere.servers["creative"]})
        fleet.reload(without)
        stage.reload(without)
        await until(stage.clock, at(4, 5))
        stage.reload(elsewhere)
        assert stage.alerts._record.states["survival"] == AlertState()
        assert stage.alerts._tracker.at_hand("survival").fine_at == stage.clock.now()
    with SqliteJournal.open(stage.daemons.folder / "state") as journal:
        assert set(journal.watches()) == {"survival", "creative"}


async def test_what_waits_for_a_receiver_that_is_gone_is_not_lost_without_a_word(stage: Stage) -> None:
    """Taken away by a reload, or while the daemon was away; nothing of it stays in the journal."""
    stage.told.dead = True
    config, nobody = stage.configure(), {"pings": alert(PING, "ping", name="pings")}
    right = as_json(message(config.servers["survival"]))
    with capture_logs() as lines:
        async with stage.running(config):
            assert stage.alerts is not None
            await stage.clock.sleep(50)
            stage.fail(2)
            await until(stage.clock, at(1, 4, 11))
            stage.alerts.reload(replace(config, alerts=nobody))
        with SqliteJournal.open(stage.daemons.folder / "state") as journal:
            assert journal.alerts() == []
            journal.watch({}, stage.clock.now(), [Alert("ops", "survival", "failed", right)])
        async with stage.running(replace(config, alerts=nobody)):
            await stage.clock.sleep(1)
    lost = [(line["receiver"], line["count"]) for line in lines if line["event"] == "alert_lost"]
    assert lost == [("ops", 1), ("ops", 1)]
    with SqliteJournal.open(stage.daemons.folder / "state") as journal:
        assert journal.alerts() == []


async def test_where_nobody_is_told_nothing_is_remembered(stage: Stage) -> None:
    """Whoever sets up a receiver later is told of what goes wrong from then on."""
    silent = replace(stage.configure(), alerts={})
    async with stage.running(silent):
        await stage.clock.sleep(50)
        stage.fail(2)
        await until(stage.clock, at(1, 5))
        assert stage.alerts is not None
        assert stage.alerts._record.states == {}


async def test_a_journal_that_fails_costs_only_the_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told all the same, and said that a restart may tell it again."""

    def broken(*_: object, **__: object) -> Any:
        raise StateError("the journal cannot be read: disk I/O error")

    for name in ("watches", "watch", "recent"):
        monkeypatch.setattr(SqliteJournal, name, broken)
    with capture_logs() as lines:
        async with stage.running(stage.configure()):
            await until(stage.clock, at(1, 5))
            stage.survival.status = "installing"
            await until(stage.clock, at(2, 11))
    assert stage.told.of("survival") == ["02 10:31 overdue"]
    assert {"alerts_not_recalled", "alerts_not_remembered"} <= {line["event"] for line in lines}


async def test_what_a_journal_missed_while_it_failed_is_written_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk and a receiver that is away, and a restart after the disk has room again: it is told all the same."""

    def broken(*_: object, **__: object) -> Any:
        raise StateError("the journal cannot be written: no space left on device")

    stage.told.dead = True
    config = stage.configure()
    async with stage.running(config):
        await stage.clock.sleep(50)
        stage.fail(2)
        with monkeypatch.context() as patched:
            patched.setattr(SqliteJournal, "watch", broken)
            await until(stage.clock, at(1, 4, 15))
        await until(stage.clock, at(1, 4, 17))
    stage.told.dead = False
    async with stage.running(config):
        await until(stage.clock, at(1, 6))
    assert stage.told.of("survival") == ["01 04:10 failed"]


async def test_what_a_failing_journal_could_not_forget_is_not_told_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was delivered, and is forgotten as soon as the journal can be written again."""

    def broken(*_: object, **__: object) -> Any:
        raise StateError("the journal cannot be written: no space left on device")

    config = stage.configure()
    async with stage.running(config):
        await stage.clock.sleep(50)
        stage.fail(2)
        with monkeypatch.context() as patched:
            patched.setattr(SqliteJournal, "alerts_sent", broken)
            await until(stage.clock, at(1, 4, 15))
        await until(stage.clock, at(1, 4, 17))
    async with stage.running(config):
        await until(stage.clock, at(1, 6))
    assert stage.told.of("survival") == ["01 04:10 failed"]


@pytest.mark.parametrize("readable", [True, False])
async def test_a_journal_that_is_opened_later_is_recalled_then(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    """The state could not be used at the start: what waits in it is told once it can, and what was told is known; also
    if it cannot be read the first time.
    """

    async def broken() -> None:
        raise StateError("the journal cannot be read: disk I/O error")

    config = stage.configure()
    right = as_json(message(config.servers["survival"]))
    known = {"fine_at": at(1, 3).isoformat(), "good_at": at(1, 3).isoformat(), "told": ["failed"]}
    journals = [closed_in_the_end(SqliteJournal.memory()), SqliteJournal.open(stage.daemons.folder / "state")]
    journals[1].watch({"survival": known}, stage.clock.now(), [Alert("ops", "survival", "failed", right)])
    tracker = tracking(config, stage.clock, journals[0])
    alerts = Alerts(config, tracker, stage.told.sender())
    await alerts.start()
    await stage.clock.sleep(10)
    assert stage.told.of("survival") == []
    journals.pop(0)
    tracker.context.journal = awaited(journals[0])
    with monkeypatch.context() as patched:
        if not readable:
            patched.setattr(tracker.context.journal, "watches", broken)
        await stage.clock.sleep(70)
    await stage.clock.sleep(70)
    await alerts.ended(order(config.servers["survival"], attempt=1), outcome(Result.FAILED))
    await stage.clock.sleep(70)
    await alerts.close(3)
    assert stage.told.of("survival") == ["01 12:00 failed"]
    assert set(journals[0].watches()) == {"survival", "creative"}
    assert journals[0].alerts() == []
    journals[0].close()


async def test_a_receiver_that_takes_pings_by_now_gets_no_message_of_before(stage: Stage) -> None:
    """Whatever is sent to such an address says that all is well."""
    config = stage.configure(alert(PING, "ping"))
    right = as_json(message(config.servers["survival"]))
    with SqliteJournal.open(stage.daemons.folder / "state") as journal:
        journal.watch({}, stage.clock.now(), [Alert("ops", "survival", "failed", right)])
    with capture_logs() as lines:
        async with stage.running(config):
            await stage.clock.sleep(10)
    assert {request.headers["Content-Type"].partition(";")[0] for request in stage.told.requests} == {"text/plain"}
    assert [line["receiver"] for line in lines if line["event"] == "alert_lost"] == ["ops"]


async def test_a_memory_that_makes_no_sense_is_no_memory(stage: Stage) -> None:
    """Somebody else wrote into the journal; alerts begin anew."""
    with SqliteJournal.open(stage.daemons.folder / "state") as journal:
        journal.watch({"survival": {"fine_at": "yesterday"}}, stage.clock.now())
    with capture_logs() as lines:
        async with stage.running(stage.configure()):
            await stage.clock.sleep(1)
    about_alerts = [line["event"] for line in lines if line["event"].startswith("alerts")]
    assert about_alerts == ["alerts_not_recalled"]


async def test_a_bug_in_the_look_at_the_clock_does_not_end_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look is a minute later. That the clock was set, only to make it late, is what the rotations say."""
    with capture_logs() as lines:
        async with stage.running(stage.configure()):
            with monkeypatch.context() as patch:
                patch.setattr("daemon.alerts.dispatcher.looked", lambda *_: 1 / 0)
                await stage.clock.sleep(150)
            stage.clock.start += timedelta(days=9)
            await stage.clock.sleep(61)
    assert [line["event"] for line in lines if line.get("code") != "clock"] == ["overdue_bug"] * 2
    assert "overdue" in stage.told.of("survival")[0]


def test_the_default_events_are_all_trouble_and_its_end() -> None:
    """What these tests call trouble is what the configuration gives who says nothing."""
    assert frozenset(map(Event, AlertTable.model_fields["events"].default)) == TROUBLE
