"""When the daemon drills by itself, and what is left after a kill, over whole days on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import daemon.drilling.drilling
from daemon.config.values import Config
from daemon.copies.errors import WorkerError
from daemon.copies.jobs import Job, ToFetch, ToProve
from daemon.copies.results import Failure, Fetched, ProofFound
from daemon.copies.workers import GiveLink
from daemon.core.drills import DrillRecord, DrillResult, failing
from daemon.core.proof import Level
from daemon.drilling.drilling import Drilling
from daemon.drilling.entry import DaemonDrills
from daemon.drilling.folder import drill_folder
from daemon.errors import ProblemCode, StateError
from daemon.fleet.fleet import Fleet
from daemon.operations import drill, sent
from daemon.operations.console import Unwatched
from daemon.operations.operation import Operation
from daemon.panel.errors import PanelUnreachableError
from daemon.proof.indexing import IndexingCheck
from daemon.proof.sane import SanityCheck
from daemon.proving.entry import DaemonProofs
from daemon.rotation.preview import Preview, preview
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Power, Pulls, Server, Work
from daemon.sandbox.world import World
from daemon.state.local.journal import SqliteJournal
from daemon.transfer.gzip import Unpacker
from daemon.transfer.progress import ProgressListener
from daemon.transfer.tar import Walker
from tests.operations.onto import FILES, tree
from tests.whole.fleet import Daemons, at, made, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("rare_looks")]


TORN = "world/region/r.0.0.mca: torn"


@dataclass
class FakeReader:
    """A ProofWorker that reads the sandbox's archives where they lie. `does` has each reading, as server and day.

    With `torn` all are damaged; with `lost` none can be read; with `silent` it tells no file. `meanwhile` is called in
    the middle of each.
    """

    world: World
    torn: bool = False
    lost: bool = False
    silent: bool = False
    does: list[str] = field(default_factory=list)
    asked: list[ToProve] = field(default_factory=list)
    works: bool = False
    meanwhile: Callable[[], None] = lambda: None

    async def prove(self, job: Job, what: ToProve, link: GiveLink, listener: ProgressListener) -> ProofFound:
        """Read it to the end."""
        self.works = True
        self.asked.append(what)
        self.does.append(f"{job.config.name} {job.listing.taken_at:%d}")
        await link()
        listener.moved(1)
        self.meanwhile()
        if self.lost:
            return ProofFound(None, failure=Failure(ProblemCode.HOST, "the node does not answer"))
        if self.torn:
            return ProofFound(None, (TORN,))
        check = IndexingCheck(SanityCheck())
        unpacker = Unpacker(Walker(check.open).add)
        for piece in self.world.servers[job.server.uuid].backups[what.backup].archive.pieces():
            unpacker.add(piece)
        unpacker.end()
        assert what.indexed
        return ProofFound(what.level, index=None if self.silent else check.index.told(100))

    async def fetch(self, job: Job, what: ToFetch, link: GiveLink, _listener: ProgressListener) -> Fetched:
        """Fetch it in one piece."""
        await link()
        if self.lost:
            return Fetched(failure=Failure(ProblemCode.HOST, "the node does not answer"))
        data = b"".join(self.world.servers[job.server.uuid].backups[what.backup].archive.pieces())
        (what.folder / "archive.tar.gz").write_bytes(data)
        return Fetched(("archive.tar.gz",))

    async def close(self) -> None:
        """End."""
        self.works = False


@dataclass
class Drills:
    """Daemons that drill, one after the other, with survival's and creative's backups on the lobby."""

    daemons: Daemons
    survival: Server
    creative: Server
    lobby: Server
    worker: FakeReader

    def configure(
        self, more: str = "", tables: str = "", *, every: str = "1d", spare: str = "lobby", **policy: Any
    ) -> Config:
        """The configuration; the spare server has no backups of its own before the month's last day."""
        servers = {one.name: one for one in (self.survival, self.creative)}
        there = next(one for one in self.daemons.world.servers.values() if one.name == spare)
        alone = f'[servers.{spare}]\nid = "{there.identifier}"\nschedule = "0 0 31 * *"\n'
        drill = f'[drills.weekly]\nserver = "{spare}"\nfrom = ["survival", "creative"]\nevery = "{every}"\n{more}\n'
        return self.daemons.configure(servers, schedule="0 5 * * *", tables=f"{alone}{drill}{tables}", **policy)

    @asynccontextmanager
    async def running(self, config: Config) -> AsyncIterator[tuple[Fleet, Drilling]]:
        """A daemon that drills, killed at the end: nothing is written any more."""
        async with self.daemons.running(config) as fleet:
            drilling = Drilling(fleet._tools, fleet.clients, self.worker)
            drilling.follow(config)
            yield fleet, drilling
            await drilling.stop()

    async def until(self, day: int, hour: int, minute: int = 0) -> None:
        """Let the time pass."""
        await until(self.daemons.clock, at(day, hour, minute))

    def recorded(self) -> list[DrillRecord]:
        """What the journal has, oldest first."""
        with SqliteJournal.open(self.daemons.folder / "state") as journal:
            return list(reversed(journal.drills()))

    def ended(self) -> list[tuple[str, DrillResult | None]]:
        """Whose backups were tried, and how that ended."""
        return [(one.server, one.result) for one in self.recorded()]

    def at(self, call: Call, action: Callable[[], None]) -> None:
        """Let something happen in the middle of a call."""
        self.daemons.world.faults.order(faults.meanwhile(lambda _world, _now: action()), on=call, times=1)

    def changes(self) -> list[Change]:
        """What happened on the lobby, but for its own backups."""
        own = {Change.CREATED, Change.COMPLETED}
        return [
            one.change for one in self.daemons.world.ledger if one.server == self.lobby.uuid and one.change not in own
        ]


@pytest.fixture
async def drills(daemons: Daemons, survival: Server) -> Drills:
    """The two servers are backed up at 05:00; the day before that is caught up at once, at 03:59."""
    world = daemons.world
    lobby = world.add_server("lobby", owner=survival.owner, node=survival.node, limit=20)
    lobby.description, lobby.power = "a spare one #drill", Power.OFFLINE
    creative = next(one for one in world.servers.values() if one.name == "creative")
    for server in (survival, creative, lobby):
        server.folder = daemons.folder / server.name
        server.folder.mkdir()
        server.work = Work(seconds=60)
    for path, data in FILES.items():
        survival.files.write(path, data)
        creative.files.write(path, data)
    for server in (survival, creative):
        world.add_backup(server, "before", created_at=at(1, 0) - timedelta(days=1), by="history")
    return Drills(daemons, survival, creative, lobby, FakeReader(world))


DONE, FAILED, KILLED = DrillResult.DONE, DrillResult.FAILED, DrillResult.INTERRUPTED


async def test_each_server_has_its_turn(drills: Drills) -> None:
    """Once a day; each is recorded as a proof of the backup, and the spare server is left as empty as it was."""
    async with drills.running(drills.configure('start = true\nwatch = "1m"')):
        await drills.until(3, 12)
        assert not drills.worker.works
    assert drills.ended() == [("survival", DONE), ("creative", DONE), ("survival", DONE)]
    began = [one.began_at for one in drills.recorded()]
    assert all(
        timedelta(0) <= later - one - timedelta(days=1) < timedelta(minutes=12) for one, later in pairwise(began)
    )
    assert (tree(drills.lobby), drills.lobby.power) == ({}, Power.OFFLINE)
    with SqliteJournal.open(drills.daemons.folder / "state") as journal:
        proofs = journal.proofs()
    assert [(one.server, one.proof.reached) for one in proofs if one.proof.asked is Level.RESTORED] != []
    assert all(one.seconds is not None and one.seconds > 0 for one in drills.recorded())


async def test_the_console_is_watched_as_is_configured(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened before the spare server is started."""
    pytest.importorskip("websockets")
    watched: list[tuple[str | None, Power]] = []

    @asynccontextmanager
    async def watch(_spare: Operation, text: str | None) -> AsyncIterator[Unwatched]:
        watched.append((text, drills.lobby.power))
        yield Unwatched()

    monkeypatch.setattr(drill, "watched_console", watch)
    async with drills.running(drills.configure('start = true\nwatch = "1m"\nconsole = "Done ("')):
        await drills.until(1, 12)
    assert (drills.ended(), watched) == ([("survival", DONE)], [("Done (", Power.OFFLINE)])


async def test_what_was_done_is_not_done_again_by_the_next_daemon(drills: Drills) -> None:
    """What is due follows from what is recorded."""
    config = drills.configure(every="7d")
    for hour in (6, 9, 12):
        async with drills.running(config):
            await drills.until(1, hour)
    assert drills.ended() == [("survival", DONE)]


@pytest.mark.parametrize("question", ["drills", "marks"])
async def test_no_drill_begins_by_a_configuration_that_was_replaced_while_the_journal_was_asked(
    drills: Drills, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """The spare server was taken out of it: it is somebody's again, and must not be emptied."""
    config = drills.configure()
    async with drills.running(config) as (fleet, drilling):
        journal = fleet._tools.journal
        real = getattr(journal, question)

        async def ask(*about: Any) -> Any:
            answer = await real(*about)
            if drills.survival.backups and drilling._config is config:  # once: else it would be woken again and again
                drilling.follow(replace(config, drills={}))
            return answer

        monkeypatch.setattr(journal, question, ask)
        await drills.until(1, 12)
    assert (drills.ended(), drills.changes()) == ([], [])


async def test_what_failed_by_a_configuration_that_was_replaced_meanwhile_is_tried_again_at_once(
    drills: Drills, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what had failed before the reload is: the server is not passed over for the next one."""
    config, fails = drills.configure(), [True]
    async with drills.running(config) as (_, drilling):

        async def look(*about: Any) -> Preview:
            if not fails:
                return await preview(*about)
            fails.clear()
            drilling.follow(replace(config))
            raise PanelUnreachableError("down")

        monkeypatch.setattr(daemon.drilling.drilling, "preview", look)
        await drills.until(1, 12)
    assert drills.ended() == [("survival", DONE)]


async def test_without_every_the_daemon_drills_nothing(drills: Drills) -> None:
    """And one without drills loads nothing of this."""
    by_hand = drills.configure(every="never")
    async with drills.running(by_hand):
        await drills.until(1, 12)
    assert drills.ended() == []
    none = drills.daemons.configure({"survival": drills.survival})
    async with drills.daemons.running(none) as fleet:
        entry = DaemonDrills(fleet._tools, fleet.clients)
        entry.follow(none)
        await entry.stop()
        assert entry._part is None


async def test_a_server_without_the_mark_is_not_touched(drills: Drills) -> None:
    """The drill has failed, and is tried once more a day later."""
    drills.lobby.description = "in use"
    drills.lobby.files.write("mine", b"1")
    async with drills.running(drills.configure()):
        await drills.until(2, 12)
    assert drills.ended() == [("survival", FAILED), ("survival", FAILED)]
    assert "does not carry #drill" in drills.recorded()[0].text
    assert (tree(drills.lobby), drills.changes()) == ({"mine": b"1"}, [])


@pytest.mark.parametrize("flaw", ["torn", "lost", "silent"])
async def test_what_cannot_be_read_to_its_end_touches_nothing(drills: Drills, flaw: str) -> None:
    """Whatever the process that reads it says."""
    setattr(drills.worker, flaw, True)
    drills.lobby.files.write("mine", b"1")
    async with drills.running(drills.configure()):
        await drills.until(1, 12)
    assert drills.ended() == [("survival", FAILED)]
    assert (tree(drills.lobby), drills.changes()) == ({"mine": b"1"}, [])


def failed(drills: Drills) -> list[tuple[str, Level, tuple[str, ...]]]:
    """The proofs that failed, by server."""
    with SqliteJournal.open(drills.daemons.folder / "state") as journal:
        return [(one.server, one.proof.asked, one.proof.problems) for one in journal.proofs() if one.proof.problems]


async def test_damage_that_a_drill_finds_is_a_failed_proof(drills: Drills) -> None:
    """As a scheduled proof's: nothing is deleted on that server any more, and the next drill tries another backup."""
    heard: list[str] = []
    drills.worker.torn = True
    async with drills.running(drills.configure("start = true", keep={"last": 1})) as (fleet, _):
        fleet._tools.on_proof = lambda record, size, _seconds: heard.append(f"{record.server} {size > 0}")
        await drills.until(1, 4, 30)
        assert failed(drills) == [("survival", Level.SANE, (TORN,))]
        assert (heard, drills.ended()) == (["survival True"], [("survival", FAILED)])
        await drills.until(1, 6)
        assert made(drills.daemons, "survival") == ["31 00:00", "01 03:59", "01 05:00"]
        assert len(made(drills.daemons, "creative")) == 2
        drills.worker.torn = False
        await drills.until(2, 12)
    assert drills.ended() == [("survival", FAILED), ("survival", DONE)]


async def test_a_drill_that_finds_the_newest_backup_bad_has_one_more_made_once_a_start(drills: Drills) -> None:
    """Though the policy asks for no proof, and none by the next daemon."""
    drills.worker.torn = True
    config = drills.configure("start = true")
    async with drills.daemons.running(config):
        await drills.until(1, 5, 30)
    before = made(drills.daemons, "survival")
    for hour in (6, 20):
        async with drills.running(config) as (fleet, _):
            proofs = DaemonProofs(fleet._tools, fleet.clients, fleet.once_more)
            proofs.follow(config)
            await drills.until(1, hour)
            await proofs.stop()
    assert failed(drills) == [("survival", Level.SANE, (TORN,))]
    assert made(drills.daemons, "survival") == [*before, "01 05:30"]


@pytest.mark.parametrize("flaw", ["lost", "silent"])
async def test_what_a_drill_cannot_read_is_no_failed_proof(drills: Drills, flaw: str) -> None:
    """It says nothing of the backup."""
    setattr(drills.worker, flaw, True)
    async with drills.running(drills.configure()):
        await drills.until(1, 12)
    with SqliteJournal.open(drills.daemons.folder / "state") as journal:
        assert journal.proofs() == []


async def test_a_drill_reads_as_the_servers_proofs_do(drills: Drills) -> None:
    """As deep, and for the files that its policy expects; walked at least, since it is unpacked. So it is a proof."""
    for level, deep in (("sane", Level.SANE), ("walked", Level.WALKED), ("read", Level.WALKED)):
        prove = {"level": level, "expect": ["world/level.dat"]}
        async with drills.running(drills.configure(every="1h", prove=prove)):
            await drills.until(1, 5 + 2 * len(drills.worker.asked))
        asked = drills.worker.asked[-1]
        assert (asked.level, asked.expect) == (deep, ("world/level.dat",))
    with SqliteJournal.open(drills.daemons.folder / "state") as journal:
        assert {one.proof.asked for one in journal.proofs()} == {Level.SANE, Level.WALKED}


@pytest.fixture
def uploads(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was uploaded to the lobby, which takes it without HTTP."""
    done: list[str] = []

    def take(_link: SecretStr, path: Path, folder: str, name: str, **_: Any) -> None:
        drills.lobby.files.write(f"{folder}/{name}", path.read_bytes())
        done.append(name)

    monkeypatch.setattr(sent, "upload", take)
    return done


@pytest.mark.parametrize("pulls", [Pulls.REFUSED, Pulls.SILENT])
async def test_what_the_node_does_not_fetch_is_uploaded(drills: Drills, uploads: list[str], pulls: Pulls) -> None:
    """Nothing of it stays on the daemon's machine."""
    drills.lobby.node.pulls = pulls
    async with drills.running(drills.configure()):
        await drills.until(1, 12)
    assert drills.ended() == [("survival", DONE)]
    assert [name.rpartition("-")[2] for name in uploads] == ["upload.tar.gz"]
    assert (tree(drills.lobby), list((drills.daemons.folder / "state").glob("drill*"))) == ({}, [])


async def test_what_can_neither_be_fetched_nor_uploaded_is_a_drill_that_failed(drills: Drills) -> None:
    """It says why of each way; the spare server keeps what it had."""
    drills.lobby.node.pulls = Pulls.REFUSED
    drills.lobby.files.write("mine", b"1")
    async with drills.running(drills.configure()):
        drills.daemons.world.faults.order(faults.node_error(), on=Call.UPLOAD_LINK, times=None)
        await drills.until(1, 12)
    assert drills.ended() == [("survival", FAILED)]
    assert "pull: " in drills.recorded()[0].text
    assert "upload: " in drills.recorded()[0].text
    assert tree(drills.lobby) == {"mine": b"1"}


async def test_what_a_killed_drill_had_fetched_goes_with_the_next_start(drills: Drills) -> None:
    """Worlds are large."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    left = drills.daemons.folder / "state/drill/archive.tar.gz"
    left.parent.mkdir()
    left.write_bytes(b"1")
    async with drills.running(config):
        await drills.until(1, 6)
    assert drills.ended() == [("survival", KILLED)]
    assert not left.parent.exists()


async def test_nothing_begins_in_quiet_hours(drills: Drills) -> None:
    """Those of proofs."""
    async with drills.running(drills.configure(tables='[proof]\nquiet = "03:00-20:00"')):
        await drills.until(1, 19, 58)
        assert drills.ended() == []
        await drills.until(1, 20, 30)
    assert drills.ended() == [("survival", DONE)]


async def test_nothing_begins_while_the_node_makes_a_backup(drills: Drills) -> None:
    """Rotations go first: those of two servers, one after the other, take twenty minutes."""
    for server in (drills.survival, drills.creative):
        server.work = Work(seconds=600)
    async with drills.running(drills.configure(tables='[proof]\nquiet = "03:00-05:01"')) as (fleet, _):
        busy: list[bool] = []
        drills.worker.meanwhile = lambda: busy.append(bool(fleet.running()))
        await drills.until(1, 5, 19)
        assert busy == []
        await drills.until(1, 5, 30)
    assert busy == [False]


async def test_a_server_without_a_backup_is_passed_over(drills: Drills) -> None:
    """It has its turn once it has one."""
    drills.survival.limit = 0
    drills.survival.backups.clear()
    async with drills.running(drills.configure()):
        await drills.until(1, 12)
        assert drills.ended() == [("creative", DONE)]
        drills.survival.limit = 20
        await drills.until(3, 5)
    assert drills.ended() == [("creative", DONE), ("creative", DONE), ("survival", DONE)]


@pytest.mark.parametrize("status", ["suspended", None])
async def test_a_server_that_cannot_be_seen_stops_no_drill_of_another(drills: Drills, status: str | None) -> None:
    """It is suspended, or was deleted."""
    config = drills.configure()
    drills.survival.status = status
    if status is None:
        del drills.daemons.world.servers[drills.survival.uuid]
    async with drills.running(config):
        await drills.until(2, 12)
    assert drills.ended() == [("creative", DONE), ("creative", DONE)]


async def test_a_panel_that_is_down_costs_no_turn(drills: Drills) -> None:
    """Nothing is recorded; it is tried again."""
    async with drills.running(drills.configure()):
        drills.daemons.world.faults.order(faults.web_page(), on=Call.LIST, times=20)
        await drills.until(1, 12)
    assert drills.ended() == [("survival", DONE)]


async def test_a_busy_spare_server_is_waited_for(drills: Drills) -> None:
    """A rotation of its own holds its lock, or a command by hand."""
    async with drills.running(drills.configure()) as (fleet, _):
        async with fleet._tools.engine.locks.held(drills.lobby.uuid):
            await drills.until(1, 4, 30)
            assert drills.ended() == []
        await drills.until(1, 5)
    assert drills.ended() == [("survival", DONE)]


async def test_a_spare_server_that_is_suspended_does_not_fill_the_history(drills: Drills) -> None:
    """It is tried ever less often, and that is not told as a failure."""
    drills.lobby.status = "restoring_backup"
    async with drills.running(drills.configure()):
        await drills.until(1, 9)
        assert {one.result for one in drills.recorded()} == {DrillResult.SKIPPED}
        assert len(drills.recorded()) < 7
        drills.lobby.status = None
        await drills.until(1, 15)
    assert drills.ended()[-1] == ("survival", DONE)


# After a kill --------------------------------------------------------------------------------------------------------


async def killed_in_a_drill(drills: Drills, config: Config) -> None:
    """A daemon that is killed while it starts the spare server."""
    async with drills.running(config) as (_, drilling):
        killed = asyncio.Event()

        def kill() -> None:
            task = drilling._steps._task
            assert task is not None
            task.cancel()
            killed.set()

        drills.at(Call.POWER, kill)
        await killed.wait()
        with suppress(asyncio.CancelledError):
            await drilling.stop()
    assert drills.ended() == [("survival", None)]
    assert tree(drills.lobby) == FILES


async def test_the_next_start_stops_and_clears_the_spare_server(drills: Drills) -> None:
    """Before anything else; the drill is tried once more a day later."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    drills.lobby.power = Power.RUNNING
    async with drills.running(config):
        await drills.until(1, 6)
        assert (tree(drills.lobby), drills.lobby.power) == ({}, Power.OFFLINE)
        assert drills.ended() == [("survival", KILLED)]
        assert drills.recorded()[0].text == "it was killed; lobby was stopped, and cleared of what it had put there"
        await drills.until(2, 12)
    assert drills.ended() == [("survival", KILLED), ("survival", DONE)]


async def test_what_cannot_be_cleared_now_is_cleared_later(drills: Drills) -> None:
    """No other drill begins before that."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    drills.daemons.world.faults.order(faults.web_page(), on=Call.FILES, times=10)
    async with drills.running(config):
        await drills.until(1, 4, 20)
        assert drills.ended() == [("survival", None)]
        await drills.until(1, 12)
    assert drills.ended() == [("survival", KILLED)]
    assert tree(drills.lobby) == {}


async def test_one_that_cannot_be_cleared_holds_up_no_drill_onto_another_server(drills: Drills) -> None:
    """Its spare server is suspended: that is told as a failure after a day, and cleared once that is over."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    other = drills.daemons.world.add_server("attic", owner=drills.lobby.owner, node=drills.lobby.node, limit=20)
    other.description, other.power, other.folder = "#drill", Power.OFFLINE, drills.daemons.folder / "attic"
    other.folder.mkdir()
    drills.daemons.world.faults.order(
        faults.refused(409, "ServerStateConflictException", "This server is suspended."),
        on=Call.FILES,
        server=drills.lobby.identifier,
        times=None,
    )
    attic = f'[servers.attic]\nid = "{other.identifier}"\nschedule = "0 0 31 * *"\n'
    attic += '[drills.attic]\nserver = "attic"\nevery = "1d"\nfrom = ["creative"]\n'
    async with drills.running(drills.configure("start = true", attic)):
        await drills.until(2, 12)
        assert drills.ended()[:2] == [("survival", None), ("creative", DONE)]
        (bad,) = failing(drills.recorded()[::-1], drills.daemons.clock.now()).values()
        assert (bad.server, bad.spare) == ("survival", "lobby")
        drills.daemons.world.faults.clear()
        await drills.until(4, 12)
    assert drills.ended()[0] == ("survival", KILLED)


async def test_one_that_runs_in_another_process_is_waited_for(drills: Drills) -> None:
    """It holds the spare server's lock."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    async with drills.running(config) as (fleet, _):
        async with fleet._tools.engine.locks.held(drills.lobby.uuid):
            await drills.until(1, 5)
            assert drills.ended() == [("survival", None)]
        await drills.until(1, 5, 30)
    assert drills.ended() == [("survival", KILLED)]


async def test_a_spare_server_that_is_configured_no_more_stops_no_drill_for_ever(drills: Drills) -> None:
    """It is not touched; the drill goes on with another one."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    other = drills.daemons.world.add_server("attic", owner=drills.lobby.owner, node=drills.lobby.node, limit=20)
    other.description, other.power, other.folder = "#drill", Power.OFFLINE, drills.daemons.folder / "attic"
    other.folder.mkdir()
    before = drills.changes()
    async with drills.running(drills.configure(spare="attic")):
        await drills.until(2, 12)
    assert drills.ended() == [("survival", KILLED), ("survival", DONE)]
    assert drills.recorded()[0].text == "it was killed; lobby is not configured any more, and was not touched"
    assert drills.changes() == before


@pytest.mark.parametrize("spare_is_configured", [True, False])
async def test_it_is_cleared_though_no_drill_is_configured_any_more(
    drills: Drills, *, spare_is_configured: bool
) -> None:
    """Where the spare server is not configured either, its record stays open until it is."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    servers = {name: one for name, one in config.servers.items() if spare_is_configured or name != "lobby"}
    none = replace(config, drills={}, servers=servers)
    async with drills.daemons.running(none) as fleet:
        entry = DaemonDrills(fleet._tools, fleet.clients)
        await entry.look_for_killed()
        entry.follow(none)
        await drills.until(1, 9)
        assert drills.ended() == [("survival", KILLED if spare_is_configured else None)]
        entry.follow(replace(none, servers=config.servers))
        await drills.until(1, 12)
        await entry.stop()
    assert (drills.ended(), tree(drills.lobby)) == ([("survival", KILLED)], {})


async def test_what_a_killed_drill_left_stays_on_a_server_that_a_reload_takes_out_meanwhile(
    drills: Drills, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is somebody's again, whatever is on it."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    before, real = tree(drills.lobby), drill_folder
    servers = {name: one for name, one in config.servers.items() if name != "lobby"}
    async with drills.running(config) as (_, drilling):

        @asynccontextmanager
        async def reloaded_meanwhile(state_dir: Path | None) -> AsyncIterator[Path]:
            async with real(state_dir) as folder:
                yield folder
            drilling.follow(replace(config, drills={}, servers=servers))

        monkeypatch.setattr(daemon.drilling.drilling, "drill_folder", reloaded_meanwhile)
        await drills.until(1, 6)
    assert (drills.ended(), tree(drills.lobby)) == ([("survival", None)], before)


async def test_what_cannot_be_looked_for_is_taken_for_killed(drills: Drills, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal cannot be read at the start."""
    none = drills.daemons.configure({"survival": drills.survival})
    async with drills.daemons.running(none) as fleet:
        entry = DaemonDrills(fleet._tools, fleet.clients)

        async def fails() -> list[DrillRecord]:
            raise StateError("the disk is full")

        await entry.look_for_killed()
        assert not entry.wanted(none)
        monkeypatch.setattr(fleet._tools.journal, "drills", fails)
        await entry.look_for_killed()
        assert entry.wanted(none)


async def test_a_spare_server_that_the_panel_does_not_show_stops_no_drill_either(drills: Drills) -> None:
    """Nothing of it can be cleared."""
    config = drills.configure("start = true")
    await killed_in_a_drill(drills, config)
    del drills.daemons.world.servers[drills.lobby.uuid]
    async with drills.running(config):
        await drills.until(1, 12)
    assert drills.ended() == [("survival", KILLED)]
    assert "the panel does not show lobby any more" in drills.recorded()[0].text


async def test_a_worker_that_dies_is_a_drill_that_failed(drills: Drills) -> None:
    """An archive may be made to do harm (invariant 18)."""

    def die() -> None:
        raise WorkerError("the process that copies was killed by SIGKILL")

    drills.worker.meanwhile = die
    async with drills.running(drills.configure()):
        await drills.until(1, 12)
    assert drills.ended() == [("survival", FAILED)]
    assert "was killed by SIGKILL" in drills.recorded()[0].text
