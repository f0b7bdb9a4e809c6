"""Alerts about copies: what is missing in a store, and a store that is in trouble."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.alerts import Alerts
from daemon.alerts.copies import about_copies
from daemon.alerts.sender import Sender
from daemon.config.values import Config
from daemon.core.alerting import AlertState
from daemon.core.copied import RULE
from daemon.core.copies_queue import CopyQueue
from daemon.core.copies_state import CopyState
from daemon.core.model import Action, Reason
from daemon.errors import StateError
from daemon.state import Holding, ShelfRecord
from daemon.state.local.journal import SqliteJournal
from daemon.status.copies import CopiesSeen, CopyStatus
from daemon.status.copies_tracker import CopiesTracker
from daemon.status.history import Good, ServerHistory
from daemon.status.server_status import status_of
from daemon.status.snapshot import Snapshot
from daemon.status.tracker import StatusTracker
from daemon.status.troubles import Kind
from tests.alerts.build import alert, tracking
from tests.virtual import BACKEND, VirtualClock
from tests.web.gallery import DAY, configured, nightly, seen, with_stores

pytestmark = pytest.mark.anyio

HOOK = "https://hooks.example.com/hunter2"
BEGIN = datetime.fromisoformat("2026-04-16T05:00:00Z")
HOUR = 3600.0
UUID = "00000001-0000-4000-8000-000000000000"


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@dataclass
class Stage:
    """One server with two stores, what the daemon remembers, and a receiver."""

    config: Config
    journal: SqliteJournal
    clock: VirtualClock
    queue: CopyQueue = field(default_factory=CopyQueue)
    messages: list[dict[str, Any]] = field(default_factory=list)
    tracker: StatusTracker = field(init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A daemon, from its start to its end."""
        self.tracker = tracking(self.config, self.clock, self.journal)
        self.backed_up()
        alerts = self.made(Sender(transport=httpx.MockTransport(self._answer)))
        await alerts.start()
        yield
        await alerts.close(1)

    def made(self, sender: Sender) -> Alerts:
        """Its alerts."""
        return Alerts(self.config, self.tracker, sender)

    def backed_up(self) -> None:
        """Let there be a good backup of this hour."""
        now = self.clock.now()
        self.tracker.histories["survival"] = replace(ServerHistory.begun(now), good=Good(now))

    def waits(self, queue: CopyQueue) -> None:
        """Let the journal hold this queue."""
        self.journal.requeue_copies(self.queue, queue)
        self.queue = queue

    async def copied(self, store: str, made: datetime) -> None:
        """Let a store be seen to have a backup of that moment."""
        holding = Holding(store, "main", UUID, self.clock.now(), 1, 4096, made)
        await self.tracker.context.engine.catalogue.remember(ShelfRecord(holding, "{}"))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.messages.append(json.loads(request.content))
        return httpx.Response(204)

    @property
    def said(self) -> list[str]:
        """The titles of all messages, in their order."""
        return [message["title"] for message in self.messages]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """At five in the morning, when all is well."""
    config = with_stores(configured(tmp_path, ["survival"], timezone="UTC"))
    with closing(SqliteJournal.memory()) as journal:
        yield Stage(replace(config, alerts={"ops": alert(HOOK)}), journal, VirtualClock(BEGIN))


@pytest.mark.usefixtures("rare_looks")
async def test_a_missing_copy_is_told_once_and_its_end_too(stage: Stage) -> None:
    """Two intervals after the newest; however often it is looked at, and not again after a restart."""
    async with stage.running():
        await stage.copied("nas", BEGIN)
        await stage.copied("offsite", BEGIN)
        for _ in range(3):
            await stage.clock.sleep(24 * HOUR)
            stage.backed_up()
            await stage.copied("nas", stage.clock.now())
            stage.waits(stage.queue.asked("survival", ["offsite"], stage.clock.now(), fresh=True))
        assert stage.said == ["survival: a copy is missing"]
    text = stage.messages[0]["text"]
    assert text.startswith("The newest copy in offsite is of a backup that is 2 d")
    assert stage.messages[0]["stores"] == ["offsite"]
    async with stage.running():
        await stage.copied("offsite", BEGIN)
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        await stage.copied("nas", stage.clock.now())
        await stage.copied("offsite", stage.clock.now())
        await stage.clock.sleep(HOUR)
    assert stage.said == ["survival: a copy is missing", "survival: copied again"]
    assert stage.messages[1]["event"] == "copied"


async def test_a_brake_that_holds_copies_is_told_once_and_its_end_too(stage: Stage) -> None:
    """Not at each pruning, and a restart, after which nothing is known until the next one, is no end."""
    held = "12 copies would go, and the brake allows 10"
    async with stage.running():
        await stage.copied("nas", BEGIN)
        await stage.copied("offsite", BEGIN)
        stage.tracker.copies.pruned("survival", "offsite", "")
        for _ in range(3):
            stage.tracker.copies.pruned("survival", "nas", held)
            await stage.clock.sleep(HOUR)
        assert stage.said == ["survival: the brake holds copies"]
    message = stage.messages[0]
    assert (message["event"], message["stores"], message["text"]) == ("unpruned", ["nas"], f"nas: {held}")
    assert "copies prune survival --dry-run" in message["hint"]
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        stage.tracker.copies.pruned("survival", "nas", "")
        await stage.clock.sleep(HOUR)
    assert stage.said == ["survival: the brake holds copies", "survival: copies are pruned again"]
    assert (stage.messages[1]["event"], stage.messages[1]["after"]) == ("pruned", ["unpruned"])


async def test_a_store_in_trouble_is_told_once_and_its_end_too(stage: Stage) -> None:
    """Not at each try, nor again after a restart; and a trouble of a few minutes not at all."""
    async with stage.running():
        stage.waits(stage.queue.store_failed("nas", BEGIN, "it is full"))
        await stage.clock.sleep(600)
        stage.waits(stage.queue.store_worked("nas"))
        await stage.clock.sleep(600)
        assert stage.said == []
        stage.waits(stage.queue.asked("survival", ["nas"], BEGIN, fresh=True))
        for _ in range(5):
            stage.waits(stage.queue.store_failed("nas", stage.clock.now(), "it is full"))
            await stage.clock.sleep(HOUR)
        assert stage.said == ["store nas: the store is in trouble"]
    message = stage.messages[0]
    assert (message["server"], message["event"], message["stores"]) == ("stores.nas", "store", ["nas"])
    assert message["text"] == "since 2026-04-16 05:20 UTC: it is full; 1 server waits for it"
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        stage.waits(stage.queue.store_worked("nas"))
        await stage.clock.sleep(HOUR)
    assert stage.said == ["store nas: the store is in trouble", "store nas: the store works again"]
    assert (stage.messages[1]["event"], stage.messages[1]["after"]) == ("recovered", ["store"])


async def test_that_the_state_cannot_be_read_is_no_end_of_a_store_s_trouble(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while the daemon runs, nor after it started meanwhile."""
    stage.waits(stage.queue.asked("survival", ["nas"], BEGIN, fresh=True).store_failed("nas", BEGIN, "it is full"))
    async with stage.running():
        await stage.clock.sleep(2 * HOUR)
        with monkeypatch.context() as patched:
            patched.setattr(CopiesTracker, "_look", unreadable)
            await stage.clock.sleep(HOUR)
    with monkeypatch.context() as patched:
        patched.setattr(CopiesTracker, "_look", unreadable)
        async with stage.running():
            await stage.clock.sleep(HOUR)
    assert stage.said == ["store nas: the store is in trouble"]


async def unreadable(_: object) -> None:
    """What is asked of a state that cannot be read."""
    raise StateError("the database is gone")


async def test_the_catalogue_is_asked_once_a_minute_however_many_servers_there_are(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a file that is opened each time, or a database over a network."""
    servers = [f"server-{number}" for number in range(60)]
    stage.config = replace(with_stores(configured(tmp_path, servers, timezone="UTC")), alerts=stage.config.alerts)
    asked = []

    async def looked(self: CopiesTracker) -> CopiesSeen:
        asked.append(stage.clock.now())
        return CopiesSeen()

    monkeypatch.setattr(CopiesTracker, "_look", looked)
    async with stage.running():
        await stage.clock.sleep(605)
    assert len(asked) == 10


async def test_a_store_that_is_configured_no_more_is_forgotten(stage: Stage) -> None:
    """Its trouble does not end; nothing is told of it."""
    async with stage.running():
        stage.waits(stage.queue.store_failed("nas", BEGIN, "it is full"))
        await stage.clock.sleep(HOUR)
    stage.config = replace(stage.config, stores={"offsite": stage.config.stores["offsite"]})
    async with stage.running():
        await stage.clock.sleep(HOUR)
    assert stage.said == ["store nas: the store is in trouble"]
    assert "stores.nas" not in stage.journal.watches()


@pytest.mark.parametrize(
    ("spare", "words"),
    [
        (3, "A backup waits for a copy in nas; the panel's limit is reached in 3 d 23 h."),
        (0, "A backup waits for a copy in nas; the panel's limit is reached in 23 h 6 min."),
        (60, "A backup waits for a copy in nas."),
    ],
)
def test_a_missing_copy_that_holds_backups_tells_how_long_there_is_room(stage: Stage, spare: int, words: str) -> None:
    """In days before the panel's limit is full, as nightly backups fill it; in the words of `check` and `plan`."""
    server = stage.config.servers["survival"]
    history = seen(server, nightly(server, BEGIN, days=9), BEGIN)
    assert history.snapshot
    verdicts = history.snapshot.verdicts
    held = verdicts[-1]._replace(action=Action.KEEP, reasons=(Reason(RULE, "nas", "not in nas yet"),))
    limit = len(verdicts) + spare
    full = replace(history, snapshot=Snapshot.of(BEGIN, UUID, "node", limit, (*verdicts[:-1], held)))
    late = CopyStatus("nas", CopyState.FAILED, BEGIN - 3 * DAY, 1, 1, BEGIN, None, "it is full", BEGIN)
    now = BEGIN + timedelta(minutes=1)
    _, (message,) = about_copies(AlertState(), server, [late], full, now)
    assert message.text == f"The newest copy in nas is of a backup that is 3 d old: it is full. {words}"
    troubles = {one.kind: one.text for one in status_of(server, full, now, copies=(late,)).troubles}
    assert troubles[Kind.UNCOPIED] == message.text
    elsewhere = replace(late, store="offsite")
    _, (message,) = about_copies(AlertState(), server, [elsewhere], full, now)
    assert "limit" not in message.text
