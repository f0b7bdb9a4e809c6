"""When the daemon proves by itself, and what it does then, over whole days on virtual time; no archive is read."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

import daemon.proving.proving
from daemon.config.values import Config
from daemon.copies.errors import WorkerDiedError
from daemon.copies.jobs import Job, ToProve
from daemon.copies.results import Failure, ProofFound
from daemon.copies.workers import GiveLink
from daemon.core.proof import Level, Proof
from daemon.errors import ProblemCode
from daemon.fleet.busy_nodes import node_is_busy
from daemon.fleet.fleet import Fleet
from daemon.panel.errors import PanelUnreachableError
from daemon.proving.entry import DaemonProofs
from daemon.proving.look import ServerSeen, look
from daemon.proving.proving import MOST_DEATHS, Proving
from daemon.rotation.run import RotationContext
from daemon.sandbox.faults import lost_after, web_page
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Server, Work
from daemon.sandbox.world import World
from daemon.state import ProofRecord
from daemon.state.local.journal import SqliteJournal
from daemon.transfer.progress import ProgressListener
from tests.whole.fleet import Daemons, at, made, rows, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("rare_looks")]

TORN = "world/region/r.0.0.mca: chunk 3 7 ends beyond the file"


@dataclass
class FakeProver:
    """A ProofWorker. Backups made from `torn_from` on are torn; those that are `lost` cannot be read now.

    With `dies` each reading ends it, and each one of the server that is `deadly`. Nothing of those that are `down` can
    be read now, and no backup made when one that is `gone` was.

    `does` has each reading, as server, day and time; `meanwhile` is called in the middle of each.
    """

    torn_from: str = "99"
    lost: bool = False
    down: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    dies: bool = False
    deadly: str = ""
    does: list[str] = field(default_factory=list)
    works: bool = False
    meanwhile: Callable[[], None] = lambda: None

    async def prove(self, job: Job, what: ToProve, link: GiveLink, _listener: ProgressListener) -> ProofFound:
        """Ask for the link, and say what is known of it."""
        self.works = True
        (found,) = (one for one in job.listing.backups if one.uuid == what.backup)
        words = f"{found.created_at:%d %H:%M}"
        self.does.append(f"{job.config.name} {words}")
        assert not job.config.panel.api_key.get_secret_value() or what.level
        self.meanwhile()
        if self.dies or job.config.name == self.deadly:
            raise WorkerDiedError("the process that copies was killed by SIGKILL")
        await link()
        if self.lost or job.config.name in self.down or words in self.gone:
            return ProofFound(None, failure=Failure(ProblemCode.HOST, "the node does not answer"))
        if words >= self.torn_from:
            return ProofFound(None, (TORN,), 12, 3456)
        return ProofFound(what.level, (), 12, 3456)

    async def close(self) -> None:
        """End."""
        self.works = False


@dataclass
class Proofs:
    """Daemons that prove, one after the other."""

    daemons: Daemons
    survival: Server
    worker: FakeProver = field(default_factory=FakeProver)

    def configure(self, prove: dict[str, Any] | None = None, *, tables: str = "", **options: Any) -> Config:
        """One server is proven so."""
        policy: dict[str, Any] = {"schedule": "0 5 * * *", "keep": {"last": 2}, "prove": prove or {"level": "sane"}}
        return self.daemons.configure({"survival": self.survival}, tables=tables, **policy | options)

    @asynccontextmanager
    async def running(self, config: Config) -> AsyncIterator[tuple[Fleet, Proving]]:
        """A daemon that proves, killed at the end: nothing is written any more."""
        async with self.daemons.running(config) as fleet:
            entry = DaemonProofs(fleet._tools, fleet.clients, fleet.once_more)
            proving = entry._part = Proving(fleet._tools, fleet.clients, self.worker, fleet.once_more)
            fleet.listen(entry)
            entry.follow(config)
            yield fleet, proving
            await entry.stop()

    async def until(self, day: int, hour: int, minute: int = 0) -> None:
        """Let the time pass."""
        await until(self.daemons.clock, at(day, hour, minute))

    def read(self) -> list[Proof]:
        """What the journal has, the oldest backup first."""
        with SqliteJournal.open(self.daemons.folder / "state") as journal:
            return [one.proof for one in journal.proofs()]

    async def accept_all(self, fleet: Fleet) -> None:
        """Accept what is told as bad, as `prove accept` does."""
        for bad in [one for one in self.read() if one.problems and not one.accepted]:
            journal, now = fleet._tools.journal, self.daemons.clock.now()
            assert await journal.accept_proof(self.survival.uuid, bad.backup, now)


@pytest.fixture
def proofs(daemons: Daemons, survival: Server) -> Proofs:
    """A server that is backed up at 05:00; the day before that is caught up at once, at 03:59."""
    survival.work = Work(seconds=60)
    return Proofs(daemons, survival)


def seen(read: list[Proof]) -> list[tuple[str, bool]]:
    """When the backups were made that were read, and whether they are right."""
    return [(f"{one.made_at:%d %H:%M}", not one.problems) for one in read]


async def test_each_new_backup_is_proven_once(proofs: Proofs) -> None:
    """And what went from the panel is forgotten."""
    async with proofs.running(proofs.configure()):
        await proofs.until(3, 12)
    assert proofs.worker.does == ["survival 01 03:59", "survival 01 05:00", "survival 02 05:00", "survival 03 05:00"]
    assert seen(proofs.read()) == [("02 05:00", True), ("03 05:00", True)]
    newest = proofs.read()[-1]
    assert (newest.asked.value, newest.files, newest.bytes) == ("sane", 12, 3456)


async def test_nothing_is_read_while_its_node_makes_a_backup(proofs: Proofs) -> None:
    """Rotations go first: the other server's backup, which takes ten minutes, is waited for."""
    for server in proofs.daemons.world.servers.values():
        server.work = Work(seconds=600)
    config = proofs.daemons.configure(schedule="0 5 * * *", prove={"level": "sane"})
    async with proofs.running(config) as (fleet, _):
        busy: list[bool] = []
        proofs.worker.meanwhile = lambda: busy.append(bool(fleet.running()))
        await proofs.until(1, 4, 45)
    assert busy == [False, False]


async def test_while_a_node_makes_a_backup_its_servers_are_not_looked_at_for_each_that_is_due(proofs: Proofs) -> None:
    """Forty are due, and a look would follow the other until the backup is made (seed 852614)."""
    for server in proofs.daemons.world.servers.values():
        server.work, server.limit = Work(seconds=3600), 50
    for minute in range(40):
        proofs.daemons.world.add_backup(proofs.survival, f"old-{minute}", created_at=at(1, 0, minute))
    prove = {"level": "sane", "keep_proven": 40}
    config = proofs.daemons.configure(schedule="0 5 * * *", prove=prove, keep={"last": 50}, scope="all")
    async with proofs.running(config) as (fleet, _):
        await proofs.until(1, 4, 10)
        before = proofs.daemons.app.requests()
        await proofs.until(1, 4, 50)
        assert fleet.running()
    assert proofs.daemons.app.requests() - before < 40


async def test_a_busy_node_holds_up_no_proof_of_another_one(proofs: Proofs) -> None:
    """One backup takes ten minutes there: the other node's is read meanwhile."""
    first, second = proofs.daemons.world.servers.values()
    second.node = proofs.daemons.world.add_node("node-2")
    first.work, second.work = Work(seconds=600), Work(seconds=60)
    config = proofs.daemons.configure(schedule="0 5 * * *", prove={"level": "sane"})
    async with proofs.running(config) as (fleet, _):
        busy: list[bool] = []
        proofs.worker.meanwhile = lambda: busy.append(fleet._tools.slots.busy("main", "node1"))
        await proofs.until(1, 4, 30)
    assert busy == [True, False]


async def test_the_process_runs_only_while_there_is_work(proofs: Proofs) -> None:
    """A daemon at rest has no second process; and one without proofs loads nothing of this."""
    async with proofs.running(proofs.configure()):
        await proofs.until(1, 5)
        assert proofs.worker.does
        assert not proofs.worker.works
    config = proofs.daemons.configure()
    async with proofs.daemons.running(config) as fleet:
        entry = DaemonProofs(fleet._tools, fleet.clients, fleet.once_more)
        entry.follow(config)
        await entry.stop()
        assert entry._part is None


async def test_nothing_is_proven_in_quiet_hours(proofs: Proofs) -> None:
    """It waits until they are over."""
    config = proofs.configure(tables='[proof]\nquiet = "03:00-20:00"')
    async with proofs.running(config):
        await proofs.until(1, 19, 58)
        assert proofs.worker.does == []
        await proofs.until(1, 20, 5)
    assert proofs.worker.does == ["survival 01 05:00"]


async def test_a_day_s_bytes_are_not_exceeded_not_even_by_another_start(proofs: Proofs) -> None:
    """What does not fit is read on the next day, before anything else."""
    config = proofs.configure(tables='[proof]\nper_day = "1"')
    async with proofs.running(config):
        await proofs.until(1, 12)
    async with proofs.running(config):
        await proofs.until(1, 23, 58)
        assert proofs.worker.does == ["survival 01 03:59"]
        await proofs.until(2, 0, 5)
    assert proofs.worker.does[1:] == ["survival 01 05:00"]


async def test_what_another_member_takes_of_a_day_meanwhile_is_gone(proofs: Proofs) -> None:
    """It does so between the question how much was read today and the reading."""
    config = proofs.configure(tables='[proof]\nper_day = "1"')
    async with proofs.running(config) as (fleet, _):
        journal = fleet._tools.journal
        tell, today = journal.bytes_proven, at(1, 0).date()

        async def told_too_early(day: date) -> int:
            spent = await tell(day)
            if day == today and not spent:
                assert await journal.prove_bytes(day, 1)
            return spent

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "bytes_proven", told_too_early)
            await proofs.until(1, 23, 58)
            assert proofs.worker.does == []
            assert await tell(today) == 1
            await proofs.until(2, 0, 5)
    assert proofs.worker.does == ["survival 01 05:00"]


async def test_what_another_member_takes_meanwhile_does_no_harm_while_enough_is_left(proofs: Proofs) -> None:
    """Or the slower one would look at its panel again and again, and never read."""
    config = proofs.configure(tables='[proof]\nper_day = "1TB"')
    async with proofs.running(config) as (fleet, _):
        journal = fleet._tools.journal
        tell, asked = journal.bytes_proven, 0

        async def told_too_early(day: date) -> int:
            nonlocal asked
            asked += 1
            spent = await tell(day)
            assert await journal.prove_bytes(day, 1)
            return spent

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "bytes_proven", told_too_early)
            await proofs.until(1, 12)
    assert proofs.worker.does == ["survival 01 03:59", "survival 01 05:00"]
    assert asked == 2


async def test_a_node_that_is_down_does_not_take_the_bytes_of_every_day(proofs: Proofs) -> None:
    """A try counts, but it was the server's turn."""
    proofs.worker.down = {"survival"}
    config = proofs.daemons.configure(schedule="0 5 * * *", prove={"level": "sane"}, tables='[proof]\nper_day = "1"')
    async with proofs.running(config):
        await proofs.until(4, 12)
    assert sorted(one.split()[0] for one in proofs.worker.does) == ["creative", "creative", "survival", "survival"]


async def test_what_can_never_be_read_holds_up_no_other_proof_of_its_server(proofs: Proofs) -> None:
    """However many such backups come first: each other one is read, once."""
    for minute in range(8):
        proofs.daemons.world.add_backup(proofs.survival, f"old-{minute}", created_at=at(1, 0, minute))
    proofs.worker.gone = {f"01 00:0{minute}" for minute in range(6)}
    config = proofs.configure({"level": "sane", "every": "2d"}, keep={"last": 20}, scope="all")
    async with proofs.running(config):
        await proofs.until(2, 18)
    read = proofs.worker.does
    assert [read.count(f"survival 01 00:0{minute}") for minute in (6, 7)] == [1, 1]


async def test_what_is_too_much_for_the_rest_of_a_day_is_read_on_the_next_though_others_went_first(
    proofs: Proofs,
) -> None:
    """Its own node is busy as each day begins; it would wait for ever, and hold up the others with it."""
    survival, creative = proofs.daemons.world.servers.values()
    creative.node = proofs.daemons.world.add_node("n2")
    survival.work, creative.work = Work(seconds=600, size=90_000), Work(seconds=10, size=20_000)
    config = proofs.daemons.configure(
        schedule="0 0 * * *", prove={"level": "sane"}, tables='[proof]\nper_day = "100000"'
    )
    async with proofs.running(config):
        await proofs.until(3, 12)
    assert "survival 02 00:00" in proofs.worker.does
    assert {"creative 02 00:00", "creative 03 00:00"} <= set(proofs.worker.does)


async def test_what_a_killed_daemon_left_is_read_by_the_next_one(proofs: Proofs) -> None:
    """What is due follows from what is recorded."""
    proofs.worker.dies = True
    async with proofs.running(proofs.configure()):
        await proofs.until(1, 4, 30)
    assert proofs.read() == []
    proofs.worker.dies = False
    async with proofs.running(proofs.configure()):
        await proofs.until(1, 4, 45)
    assert seen(proofs.read()) == [("01 03:59", True)]


async def test_a_server_that_a_reload_removed_while_it_was_read_holds_up_no_other(proofs: Proofs) -> None:
    """What was found is kept; the others go on being proven."""
    creative = next(one for one in proofs.daemons.world.servers.values() if one.name == "creative")
    creative.work = Work(seconds=60)
    config = proofs.configure()
    async with proofs.running(config) as (fleet, proving):

        def reload() -> None:
            proofs.worker.meanwhile = lambda: None
            other = proofs.daemons.configure({"creative": creative}, schedule="0 5 * * *", prove={"level": "sane"})
            fleet.reload(other)
            proving.follow(other)

        proofs.worker.meanwhile = reload
        await proofs.until(1, 12)
    assert proofs.worker.does[0] == "survival 01 03:59"
    assert {one.split()[0] for one in proofs.worker.does[1:]} == {"creative"}


async def test_what_cannot_be_read_is_no_failed_proof_and_is_tried_again(proofs: Proofs) -> None:
    """Less and less often; and nothing is frozen."""
    proofs.worker.lost = True
    async with proofs.running(proofs.configure({"keep_proven": 0})):
        await proofs.until(1, 23)
        assert 2 <= proofs.worker.does.count("survival 01 05:00") <= 12
        assert proofs.read() == []
        proofs.worker.lost = False
        await proofs.until(2, 12)
    assert seen(proofs.read())[-1] == ("02 05:00", True)


async def test_an_archive_that_ends_its_reader_again_and_again_is_not_sound_and_holds_up_no_other(
    proofs: Proofs,
) -> None:
    """The first times say nothing of it: the machine may have had no memory. The other server is proven meanwhile."""
    creative = next(one for one in proofs.daemons.world.servers.values() if one.name == "creative")
    creative.work = Work(seconds=60)
    proofs.worker.deadly = "survival"
    servers = {"survival": proofs.survival, "creative": creative}
    config = proofs.daemons.configure(servers, schedule="0 5 * * *", keep={"last": 2}, prove={"level": "sane"})
    async with proofs.running(config):
        await proofs.until(1, 4, 58)
        assert [one.name.split("-")[1] for one in proofs.read()] == ["creative"]
        await proofs.until(1, 12)
        assert proofs.worker.does.count("survival 01 05:00") == MOST_DEATHS
        (bad,) = [one for one in proofs.read() if one.problems and one.made_at == at(1, 5)]
        assert bad.problems == (
            "the process that copies was killed by SIGKILL while it read this archive, 5 times now",
        )
        await proofs.until(3, 12)
        assert proofs.worker.does[-1].startswith(("creative 03", "survival 03"))
    assert rows(proofs.daemons)[-1][1] == "refused"


async def test_a_failed_proof_freezes_deletion_until_it_is_accepted(proofs: Proofs) -> None:
    """The rotations go on, and refuse to delete."""
    proofs.worker.torn_from = "02"
    config = proofs.configure({"keep_proven": 0}, max_deletions=2, max_share=1.0)  # what waited is not counted again
    async with proofs.running(config) as (fleet, _):
        await proofs.until(2, 12)
        kept = made(proofs.daemons)
        await proofs.until(4, 12)
        assert made(proofs.daemons)[: len(kept)] == kept
        assert rows(proofs.daemons)[-1][1] == "refused"
        await proofs.accept_all(fleet)
        proofs.worker.torn_from = "99"
        await proofs.until(5, 12)
    assert rows(proofs.daemons)[-1][1] == "done"
    assert len(made(proofs.daemons)) == 2


async def test_a_second_backup_is_made_once_a_start_if_the_newest_is_bad(proofs: Proofs) -> None:
    """Even if that is bad as well."""
    proofs.worker.torn_from = "02"
    async with proofs.running(proofs.configure()):
        await proofs.until(3, 12)
    assert [one for one in made(proofs.daemons) if one >= "02"] == ["02 05:00", "02 05:01", "03 05:00", "03 05:01"]


async def test_a_second_backup_a_start_is_the_last_one_though_the_first_is_gone_and_the_daemon_is_new(
    proofs: Proofs,
) -> None:
    """The panel shows one backup of that start alone, and it is bad; the journal knows better."""
    proofs.worker.torn_from = "02"
    async with proofs.running(proofs.configure()):
        await until(proofs.daemons.clock, at(2, 5, 1) + timedelta(seconds=40))
        proofs.worker.lost = True
        await proofs.until(2, 5, 4)
        first, second = [one for one in proofs.survival.backups.values() if one.created_at.day == 2]
        proofs.daemons.world.remove(proofs.survival, first, by="somebody")
    proofs.worker.lost = False
    async with proofs.running(proofs.configure()):
        await proofs.until(2, 12)
    assert second.uuid in [one.backup for one in proofs.read() if one.problems]
    assert [one for one in made(proofs.daemons) if one >= "02"] == ["02 05:01"]


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_made_while_its_server_is_looked_at_is_looked_for_next(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """A look that takes long has not seen it, and the next one comes in hours, or in minutes if it failed."""
    clock, slow = proofs.daemons.clock, list[bool]()

    async def look_slowly(*about: Any) -> ServerSeen:
        found = await look(*about)
        if at(1, 4, 59) <= clock.now() and not slow:
            slow.append(fails)
            await clock.sleep(600)
            if fails:
                raise PanelUnreachableError("it did not answer in time")
        return found

    monkeypatch.setattr(daemon.proving.proving, "look", look_slowly)
    async with proofs.running(proofs.configure()) as (fleet, proving):
        await proofs.until(1, 4, 59)
        config = proofs.configure(keep={"last": 3})
        fleet.reload(config)
        proving.follow(config)
        await proofs.until(1, 5, 12)
    assert slow == [fails]
    assert proofs.worker.does == ["survival 01 03:59", "survival 01 05:00"]


async def test_nothing_is_looked_at_by_a_configuration_that_was_replaced_while_the_node_was_asked_for(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server is not to be proven any more; the answer may take long in a cluster."""
    config, came = proofs.configure(), list[str]()
    async with proofs.running(config) as (_, proving):

        async def reload_meanwhile(context: RotationContext, panel: str, node: str) -> bool:
            busy = await node_is_busy(context, panel, node)
            if not busy:
                came.append("reload")
                proving.follow(replace(config, servers={}))
            return busy

        async def look_and_count(*about: Any) -> ServerSeen:
            came.append("look")
            return await look(*about)

        monkeypatch.setattr(daemon.proving.proving, "node_is_busy", reload_meanwhile)
        monkeypatch.setattr(daemon.proving.proving, "look", look_and_count)
        await proofs.until(1, 12)
    assert (came[-1], proofs.worker.does) == ("reload", [])


async def test_nor_by_one_that_was_replaced_while_other_downloads_were_waited_for(proofs: Proofs) -> None:
    """A copy may take hours."""
    config = proofs.configure()
    async with proofs.running(config) as (fleet, proving):
        async with fleet._tools.downloads:
            await proofs.until(1, 4, 30)
            proving.follow(replace(config, servers={}))
        await proofs.until(1, 12)
        assert await fleet._tools.journal.bytes_proven(at(1, 0).date()) == 0
    assert proofs.worker.does == []


def found_bad(proofs: Proofs, server: Server | None = None) -> None:
    """Let a command in another process find the newest backup bad."""
    server = server or proofs.survival
    newest = max(server.backups.values(), key=lambda one: one.created_at)
    now, asked = proofs.daemons.clock.now(), Level.SANE
    proof = Proof(newest.uuid, newest.name, newest.created_at, now, asked, None, problems=(TORN,))
    with SqliteJournal.open(proofs.daemons.folder / "state") as journal:
        journal.record_proof(ProofRecord("survival", server.uuid, proof))


async def test_a_second_backup_is_not_made_of_another_server_that_has_the_name_by_then(
    proofs: Proofs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reload came while the journal was asked whether the start has had one. It has not, once the name is given
    back.
    """
    creative = next(one for one in proofs.daemons.world.servers.values() if one.name == "creative")
    creative.work = Work(seconds=60)
    config = proofs.configure()
    async with proofs.running(config) as (fleet, _):
        await proofs.until(1, 5, 30)
        found_bad(proofs)
        journal, other = fleet._tools.journal, proofs.daemons.configure({"survival": creative}, schedule="0 5 * * *")
        real = journal.recent

        async def recent(*about: Any) -> Any:
            rows = await real(*about)
            monkeypatch.setattr(journal, "recent", real)
            fleet.reload(other)
            return rows

        monkeypatch.setattr(journal, "recent", recent)
        await proofs.until(1, 14)
        before = rows(proofs.daemons)
        fleet.reload(config)
        await proofs.until(1, 23)
    assert before == [("catch-up", "done"), ("schedule", "done"), ("catch-up", "done")]
    assert rows(proofs.daemons)[3:] == [("retry", "refused")]


async def test_a_server_gets_its_second_backup_though_another_one_of_its_name_had_one(proofs: Proofs) -> None:
    """The name stood for that one before."""
    creative = next(one for one in proofs.daemons.world.servers.values() if one.name == "creative")
    creative.work = Work(seconds=60)
    options: dict[str, Any] = {"schedule": "0 5 * * *", "prove": {"level": "sane"}}
    for server, hour in ((creative, 6), (proofs.survival, 8)):
        async with proofs.running(proofs.daemons.configure({"survival": server}, **options)):
            await proofs.until(1, hour)
            found_bad(proofs, server)
        async with proofs.running(proofs.daemons.configure({"survival": server}, **options)):
            await proofs.until(1, hour + 1)
        assert made(proofs.daemons, server.name)[-1] == f"01 0{hour}:00"


async def test_a_second_backup_is_made_if_a_command_finds_the_newest_one_bad(proofs: Proofs) -> None:
    """The daemon sees it in the journal as it looks next. The further one is bad too, and the start gets no third, by
    whichever daemon. Nor is one made for what was found before the last start.
    """
    config = proofs.configure()
    async with proofs.running(config):
        await proofs.until(1, 7)
        found_bad(proofs)
        await proofs.until(1, 13, 30)
        assert len([one for one in made(proofs.daemons) if one > "01 05:00"]) == 1
        found_bad(proofs)
    for hour in (14, 19):
        async with proofs.running(config):
            await proofs.until(1, hour)
    assert len([one for one in made(proofs.daemons) if one > "01 05:00"]) == 1
    proofs.daemons.world.faults.order(web_page(), on=Call.CREATE, times=None)
    async with proofs.running(config):
        await proofs.until(2, 12)
    with SqliteJournal.open(proofs.daemons.folder / "state") as journal:
        assert {row.start_at for row in journal.recent() if row.began_at > at(2, 0)} == {at(2, 5)}


async def test_a_start_that_has_a_second_backup_already_gets_no_third(proofs: Proofs) -> None:
    """It was made by hand, and is bad."""
    async with proofs.running(proofs.configure()):
        await proofs.until(1, 7)
        made_at, own = at(1, 6), next(one for one in proofs.survival.backups.values() if one.created_at.hour == 5)
        by_hand = replace(own, uuid=str(UUID(int=6)), created_at=made_at, completed_at=made_at)
        proofs.survival.backups[by_hand.uuid] = by_hand
        found_bad(proofs)
        await proofs.until(1, 19)
    assert made(proofs.daemons)[1:] == ["01 05:00", "01 06:00"]


async def test_a_second_backup_that_another_member_began_by_a_clock_that_is_ahead_is_one(proofs: Proofs) -> None:
    """Cluster seed 1082646: it was to be tried again, and was, after this member had made one as well."""
    async with proofs.running(proofs.configure()):
        await proofs.until(1, 7)
        found_bad(proofs)
        with SqliteJournal.open(proofs.daemons.folder / "state") as journal:
            ahead, about = at(1, 11, 50), {"server": "survival", "panel": "main", "policy": "standard"}
            journal.begin(server_uuid=proofs.survival.uuid, **about, trigger="retry", start_at=ahead, at=ahead)
        await proofs.until(1, 11, 40)
    assert made(proofs.daemons)[1:] == ["01 05:00"]


async def test_a_second_backup_whose_answer_was_lost_is_found_at_the_next_try(proofs: Proofs) -> None:
    """It turned good meanwhile: there is no third one."""
    proofs.worker.torn_from = "02"
    faults = proofs.daemons.world.faults

    def loses_sight(_world: World, _server: str | None) -> None:
        faults.order(web_page(), on=Call.LIST, times=None)

    async with proofs.running(proofs.configure()):
        await proofs.until(2, 4)
        faults.order(replace(lost_after(), meanwhile=loses_sight), on=Call.CREATE, skip=1)
        await proofs.until(2, 5, 5)
        faults.clear()
        await proofs.until(2, 12)
    assert [one for one in made(proofs.daemons) if one >= "02"] == ["02 05:00", "02 05:01"]
    assert [row[1] for row in rows(proofs.daemons)][-2:] == ["failed", "refused"]


async def test_a_panel_whose_clock_is_slow_gets_one_second_backup_a_start_too(proofs: Proofs) -> None:
    """By its dates the start's own backup was made before the start."""
    proofs.worker.torn_from = "02"
    proofs.daemons.world.settings.skew = timedelta(minutes=-15)
    async with proofs.running(proofs.configure()):
        await proofs.until(2, 12)
    assert [one for one in made(proofs.daemons) if one >= "02"] == ["02 04:45", "02 04:46"]


async def test_a_panel_whose_clock_is_set_by_months_gets_one_second_backup_a_start_too(proofs: Proofs) -> None:
    """By its new dates the start's own backup was made months before the start."""
    proofs.worker.torn_from = "02"
    async with proofs.running(proofs.configure()):
        await until(proofs.daemons.clock, at(2, 5) + timedelta(seconds=30))
        proofs.daemons.world.settings.skew = timedelta(days=226)
        await proofs.until(2, 12)
    assert len([one for one in made(proofs.daemons) if one >= "02"]) == 2


async def test_a_newer_proven_backup_ends_the_freeze(proofs: Proofs) -> None:
    """The second one of that start is right: it was a bad copy, and not a bad world."""
    async with proofs.running(proofs.configure()):
        await proofs.until(2, 4)
        proofs.worker.torn_from = "02"
        await proofs.until(2, 5, 2)
        assert seen(proofs.read())[-1] == ("02 05:00", False)
        proofs.worker.torn_from = "99"
        await proofs.until(3, 12)
    assert seen(proofs.read())[-2:] == [("02 05:01", True), ("03 05:00", True)]
    assert rows(proofs.daemons)[-1][1] == "done"
    assert made(proofs.daemons) == ["02 05:01", "03 05:00"]


async def test_a_server_with_a_torn_region_file_never_again_has_its_last_sound_backup_deleted(proofs: Proofs) -> None:
    """It tears before the 3rd, and nobody looks for days: all backups since are bad, and the last sound one stays.

    An operator who accepts each bad one as soon as it is told does not lose it either.
    """
    proofs.worker.torn_from = "03"
    async with proofs.running(proofs.configure(keep={"last": 1}, max_deletions=-1)) as (fleet, _):
        await proofs.until(2, 12)
        sound = made(proofs.daemons)[-1]
        await proofs.until(5, 12)
        assert sound in made(proofs.daemons)
        for day in range(6, 11):
            await proofs.accept_all(fleet)
            await proofs.until(day, 5, 1)
            assert sound in made(proofs.daemons)
        assert len(made(proofs.daemons)) <= 4
    assert (sound, True) in seen(proofs.read())


async def test_at_the_panel_s_limit_the_last_sound_backup_makes_no_room(proofs: Proofs) -> None:
    """New backups go on being made: another one makes room for each."""
    proofs.survival.limit = 3
    proofs.worker.torn_from = "03"
    async with proofs.running(proofs.configure(keep={"last": 1}, max_deletions=-1)):
        await proofs.until(6, 12)
    names = made(proofs.daemons)
    assert names[0] == "02 05:00"
    assert names[-1].startswith("06")
