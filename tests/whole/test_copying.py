"""When the daemon copies by itself, over whole days on virtual time; the stores are in memory."""

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from daemon.config.values import Config, ServerConfig
from daemon.copies.results import Cleared, Failure, Mended
from daemon.copying.copying import Copying
from daemon.copying.entry import DaemonCopies
from daemon.core.copies_queue import CopyQueue
from daemon.core.proof import PANEL, Level, Proof
from daemon.errors import ElsewhereError, ProblemCode, StateError
from daemon.fleet.fleet import Fleet
from daemon.proving.entry import DaemonProofs
from daemon.rotation.run import RotationContext
from daemon.rotation.slots import NodeSlots
from daemon.sandbox.records import Server, Work
from daemon.state import CopyEvent, CopyRecord, ProofRecord
from daemon.state.local.journal import SqliteJournal
from tests.copying.fake import FakeWorker
from tests.whole.fleet import Daemons, at, made, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("rare_looks")]

STORES = '[stores.nas]\nurl = "file:///nas"\n[stores.usb]\nurl = "file:///usb"'


LEFT = Cleared("main/x.tar.gz", 5, "data without a manifest", at(1, 1))


@dataclass
class Copies:
    """Daemons that copy, one after the other, to the same stores."""

    daemons: Daemons
    worker: FakeWorker

    def configure(self, *stores: str, **options: Any) -> Config:
        """Both servers are copied to these stores."""
        policy: dict[str, Any] = {"schedule": "0 5 * * *", "keep": {"last": 9}, "copies": list(stores)}
        return self.daemons.configure(**{"tables": STORES} | policy | options)

    @asynccontextmanager
    async def running(self, config: Config) -> AsyncIterator[tuple[Fleet, Copying]]:
        """A daemon that copies, killed at the end: nothing is written any more."""
        async with self.daemons.running(config) as fleet:
            copying = Copying(fleet._tools, fleet.clients, self.worker)
            entry = DaemonCopies(fleet._tools, fleet.clients)
            entry._part = copying
            fleet.listen(entry)
            entry.follow(config)
            yield fleet, copying
            await entry.stop()

    async def until(self, day: int, hour: int, minute: int = 0) -> None:
        """Let the time pass."""
        await until(self.daemons.clock, at(day, hour, minute))

    def journal(self) -> tuple[CopyQueue, list[CopyRecord]]:
        """What the journal has: the queue, and what became of copies, oldest first."""
        with SqliteJournal.open(self.daemons.folder / "state") as journal:
            return journal.copy_queue(), list(reversed(journal.copy_records()))


@pytest.fixture
def copies(daemons: Daemons) -> Copies:
    """Two servers on one node, which are backed up at 05:00; the day before that is caught up at once, at 03:59."""
    for server in daemons.world.servers.values():
        server.work = Work(seconds=60)
    return Copies(daemons, FakeWorker())


async def test_a_good_backup_is_copied_to_all_its_stores_by_one_download(copies: Copies) -> None:
    """Once its rotation has ended, and the journal tells of each copy."""
    async with copies.running(copies.configure("nas", "usb")):
        await copies.until(1, 4, 30)
    assert [one for one in copies.worker.does if one.startswith("copy survival")] == ["copy survival 01 03:59 nas usb"]
    assert (copies.worker.has("nas"), copies.worker.has("usb")) == (["01 03:59"], ["01 03:59"])
    queue, records = copies.journal()
    assert queue == CopyQueue()
    assert {(one.event, one.server, one.store) for one in records} == {
        (CopyEvent.MADE, server, store) for server in ("survival", "creative") for store in ("nas", "usb")
    }


async def test_nothing_is_downloaded_from_a_node_that_makes_a_backup(copies: Copies) -> None:
    """The two servers share it: the first is copied when the second's rotation has given its place back."""
    config = copies.configure("nas")
    async with copies.running(config) as (fleet, _):
        slots: NodeSlots = fleet._tools.slots
        busy: list[bool] = []
        copies.worker.meanwhile = lambda: busy.append(slots.busy("main", "node1") or bool(fleet.running()))
        await copies.until(1, 6)
    assert busy == [False] * 4


async def test_a_member_of_a_cluster_keeps_to_its_fraction_of_a_stores_rate(copies: Copies) -> None:
    """Of those that are filled, and of those that they are filled from."""
    config = copies.daemons.configure(
        tables='[stores.nas]\nurl = "file:///nas"\nrate = "3MB"\n[stores.usb]\nurl = "file:///usb"\nrate = "1MB"',
        schedule="0 5 * * *",
        keep={"last": 9},
        copies=["nas"],
    )
    async with copies.running(config) as (fleet, _):
        fleet._tools.fraction = lambda: 1 / 3
        await copies.until(1, 6)
    assert copies.worker.rates == {"nas": 1_000_000, "usb": 333_333}


async def test_a_member_of_a_cluster_prunes_a_store_of_whose_rate_it_has_a_fraction(copies: Copies) -> None:
    """The configuration is the same; only the worker is told of a lower rate."""
    config = copies.configure("nas", tables='[stores.nas]\nurl = "file:///nas"\nrate = "3MB"')
    async with copies.running(config) as (fleet, _):
        fleet._tools.fraction = lambda: 1 / 2
        await copies.until(1, 4, 59)
    assert copies.worker.rates == {"nas": 1_500_000}
    pruned = {one for one in copies.worker.does if one.startswith("prune")}
    assert pruned == {"prune creative nas", "prune survival nas"}


async def test_what_is_on_a_node_of_another_member_is_copied_by_that_one(copies: Copies) -> None:
    """The panel shows the server there; it is looked at again soon, and nobody is to blame."""
    config = copies.configure("nas")
    async with copies.running(config) as (fleet, copying):
        locks = fleet._tools.engine.locks
        held = locks.held

        def elsewhere(server_uuid: str, part: str | None = None) -> AbstractAsyncContextManager[None]:
            if server_uuid.startswith("copies-"):
                raise ElsewhereError(server_uuid, "two")
            return held(server_uuid, part)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(locks, "held", elsewhere)
            await copies.until(1, 5, 30)
        assert not copies.worker.does
        assert {one.tries for one in copying.queue.waiting.values()} == {0}
        await copies.until(1, 6)
    assert copies.worker.has("nas")


async def test_a_daemon_without_stores_loads_nothing_of_this(copies: Copies) -> None:
    """Nor does it start a task."""
    config = copies.configure()
    async with copies.daemons.running(config) as fleet:
        entry = DaemonCopies(fleet._tools, fleet.clients)
        fleet.listen(entry)
        entry.follow(config)
        await copies.until(1, 6)
        assert entry._part is None
        await entry.stop()


async def test_the_process_runs_only_while_there_is_work(copies: Copies) -> None:
    """A daemon at rest has no second process."""
    async with copies.running(copies.configure("nas")):
        await copies.until(1, 5)
        assert copies.worker.does
        assert not copies.worker.works


async def test_a_store_that_was_down_for_days_catches_up(copies: Copies) -> None:
    """The newest first; meanwhile the other store gets its copies, and the one in trouble is asked now and then."""
    copies.worker.down = {"usb"}
    async with copies.running(copies.configure("nas", "usb")) as (_, copying):
        await copies.until(3, 12)
        assert copies.worker.has("nas") == ["01 03:59", "01 05:00", "02 05:00", "03 05:00"]
        assert copying.queue.troubles["usb"].text == "nobody answers"
        asked = sum("usb" in one for one in copies.worker.does)
        assert asked < 24 * 3  # not each server anew, and less than twice an hour
        copies.worker.down, copies.worker.does = set(), []
        await copies.until(3, 14)
        assert copying.queue == CopyQueue()
    made = [one for one in copies.worker.does if one.startswith("copy survival")]
    assert made == [f"copy survival {one} usb" for one in ("03 05:00", "02 05:00", "01 05:00", "01 03:59")]
    assert copies.worker.has("usb", "creative") == copies.worker.has("nas", "creative")


async def test_a_kill_loses_nothing_that_waits(copies: Copies) -> None:
    """The next daemon goes on with the tries of the one before, and copies what that had not."""
    copies.worker.down = {"nas"}
    config = copies.configure("nas")
    async with copies.running(config):
        await copies.until(1, 4, 5)
    left, _ = copies.journal()
    assert set(left.waiting) == {("survival", "nas"), ("creative", "nas")}
    async with copies.running(config) as (_, copying):
        await copies.until(1, 4, 6)
        assert copying.queue.troubles["nas"].since == left.troubles["nas"].since
        copies.worker.down = set()
        await copies.until(1, 4, 45)
    assert copies.worker.has("nas") == ["01 03:59"]


async def test_what_one_store_lacks_may_come_from_another_that_the_same_visit_fills(copies: Copies) -> None:
    """The worker is told of both, whichever of them the backup is for."""
    survival = next(iter(copies.daemons.world.servers.values()))
    policy: dict[str, Any] = {"schedule": "0 5 * * *", "keep": {"last": 9}, "copies": ["nas", "usb"]}
    config = copies.daemons.configure({"survival": survival}, tables=STORES, **policy)
    async with copies.running(config):
        await copies.until(1, 6)
    held = [copies.worker.held[store, "survival"] for store in ("nas", "usb")]
    for place, copied in enumerate(held):
        del copied[sorted(copied, key=lambda uuid: str(copied[uuid].created_at))[place]]
    told: dict[str, set[str]] = {}
    copies.worker.meanwhile = lambda: told.update({copies.worker.does[-1]: set(copies.worker.rates)})
    async with copies.running(config):
        await copies.until(1, 7)
    assert told == {f"copy survival 01 {one}": {"nas", "usb"} for one in ("03:59 nas", "05:00 usb")}


async def test_while_the_state_cannot_be_used_copies_are_made_and_none_is_deleted(copies: Copies) -> None:
    """A proof may have failed, and nobody knows of it."""
    async with copies.running(copies.configure("nas")) as (fleet, _):
        copies.worker.meanwhile = lambda: setattr(fleet._tools, "lock_trouble", StateError("no space left"))
        await copies.until(1, 4, 59)
    assert [one.split()[0] for one in copies.worker.does if "survival" in one] == ["look", "prune", "look", "copy"]


async def test_a_new_store_is_filled_with_what_the_panel_has(copies: Copies) -> None:
    """After the reload that adds it."""
    async with copies.running(copies.configure("nas")) as (fleet, copying):
        await copies.until(2, 12)
        config = copies.configure("nas", "usb")
        fleet.reload(config)
        copying.follow(config)
        await copies.until(2, 13)
    assert copies.worker.has("usb") == copies.worker.has("nas") == ["01 03:59", "01 05:00", "02 05:00"]


async def test_what_a_store_lost_is_copied_again_within_a_day(copies: Copies) -> None:
    """Each server is looked at daily, whatever is known of it."""
    async with copies.running(copies.configure("nas", schedule="0 5 1 5 *")):
        await copies.until(1, 12)
        copies.worker.held.clear()
        await copies.until(2, 12)
    assert copies.worker.has("nas") == ["01 03:59"]


async def test_a_file_that_its_node_has_lost_holds_up_no_other_copy(copies: Copies, survival: Server) -> None:
    """It is asked for less and less, and the newer ones are copied all the same."""
    async with copies.running(copies.configure("nas")):
        await copies.until(1, 4, 30)
        copies.worker.lost = set(survival.backups)
        copies.worker.held.clear()
        await copies.until(3, 12)
    tries = copies.worker.does.count("copy survival 01 03:59 nas")
    assert 2 < tries < 20
    assert copies.worker.has("nas") == ["01 05:00", "02 05:00", "03 05:00"]


async def test_the_copies_of_a_suspended_server_wait_quietly(copies: Copies, survival: Server) -> None:
    """It is said once, blames nobody, and is over once the server is suspended no more; the other server goes on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        async with copies.running(copies.configure("nas")) as (_, copying):
            survival.status = "suspended"
            await copies.until(2, 12)
            (waiting,) = copying.queue.waiting.values()
            assert (waiting.server, waiting.tries, waiting.text) == ("survival", 0, "the server is suspended")
            survival.status = None
            await copies.until(2, 13)
            assert copying.queue == CopyQueue()
    about = [(line["event"], line["log_level"]) for line in lines if line.get("server") == "survival"]
    assert about.count(("copies_wait", "info")) == 1
    assert "copying_failed" not in {event for event, _ in about}
    assert copies.worker.has("nas", "creative") == ["01 03:59", "01 05:00", "02 05:00"]


async def test_a_busy_node_holds_up_no_server_of_another_one(copies: Copies) -> None:
    """One backup takes ten minutes there: the other node's server is copied meanwhile."""
    first, second = copies.daemons.world.servers.values()
    second.node = copies.daemons.world.add_node("node-2")
    first.work = Work(seconds=600)
    config = copies.configure("nas", schedule="0 5 1 5 *")
    async with copies.running(config) as (fleet, copying):
        copied: list[bool] = []
        copies.worker.meanwhile = lambda: copied.append(fleet._tools.slots.busy("main", "node1"))
        copying._ask(config.servers["survival"], fresh=True)
        await copies.until(1, 4, 30)
    assert copied == [True, False]


async def test_a_process_that_dies_is_a_failed_try(copies: Copies) -> None:
    """Told in the journal, and tried again."""
    copies.worker.dies = True
    async with copies.running(copies.configure("nas")):
        await copies.until(1, 4, 45)
    _, records = copies.journal()
    failed = next(one for one in records if one.event is CopyEvent.FAILED)
    assert "SIGKILL" in failed.text
    assert (copies.worker.has("nas"), copies.worker.has("nas", "creative")) == (["01 03:59"], ["01 04:00"])


async def test_a_copy_that_stands_counts_though_the_process_died_before_the_others(copies: Copies) -> None:
    """It is in the catalogue, and told as made; only the other store's copy has failed."""
    copies.worker.dies, copies.worker.quick = True, {"nas"}
    async with copies.running(copies.configure("nas", "usb")) as (fleet, _):
        await copies.until(1, 4, 5)
        held = await fleet._tools.engine.catalogue.holdings()
    _, records = copies.journal()
    first = [(one.event, one.store) for one in records if one.server == records[0].server][:2]
    assert sorted(first) == [(CopyEvent.FAILED, "usb"), (CopyEvent.MADE, "nas")]
    assert [(one.store, one.copies) for one in held] == [("nas", 1)]


async def test_what_a_copy_showed_freezes_its_server_though_the_process_died_before_the_others(copies: Copies) -> None:
    """The copy that stands is of a bad backup: an older one must not go for it."""
    copies.worker.dies, copies.worker.quick, copies.worker.torn = True, {"nas"}, True
    async with copies.running(copies.configure("nas", "usb", prove={"level": "sane"})):
        await copies.until(1, 4, 5)
    _, records = copies.journal()
    frozen = records[0].server
    copied = next(place for place, one in enumerate(copies.worker.does) if one.startswith(f"copy {frozen}"))
    assert [one for one in copies.worker.does[copied:] if one.startswith(f"prune {frozen}")] == []


async def test_a_copy_that_shows_the_newest_backup_bad_has_one_more_made(copies: Copies) -> None:
    """As a scheduled proof has; no proof is made at these hours, and that of the stream is at hand."""
    copies.worker.dies, copies.worker.quick, copies.worker.torn = True, {"nas"}, True
    tables = f'{STORES}\n[proof]\nquiet = "03:00-23:00"'
    config = copies.configure("nas", "usb", prove={"level": "sane"}, tables=tables)
    async with copies.running(config) as (fleet, _):
        proofs = DaemonProofs(fleet._tools, fleet.clients, fleet.once_more)
        proofs.follow(config)
        await copies.until(1, 4, 30)
        bad = [one.server for one in await fleet._tools.journal.proofs() if one.proof.problems and not one.proof.store]
        await proofs.stop()
    assert len(bad) == 1
    names = [one.name for one in copies.daemons.world.servers.values()]
    assert {name: len([one for one in made(copies.daemons, name) if one > "01 03"]) for name in names[:2]} == {
        name: 1 + (name in bad) for name in names[:2]
    }


@pytest.mark.parametrize(("files", "expect"), [(50, []), (49, []), (49, ["world/level.dat"])])
async def test_a_stream_is_compared_with_the_proof_before(copies: Copies, files: int, expect: list[str]) -> None:
    """Half of the files are gone: whatever reads a backup to its end must say so."""
    copies.worker.dies, copies.worker.quick, copies.worker.walks = True, {"nas"}, True
    copies.worker.files = files
    made = at(1, 0) - timedelta(days=1)
    config = copies.configure("nas", "usb", prove={"level": "walked", "expect": expect})
    async with copies.running(config) as (fleet, _):
        for server in copies.daemons.world.servers.values():
            before = Proof("b", "auto-b", made, made, Level.WALKED, Level.WALKED, PANEL, (), 100, 150)
            await fleet._tools.journal.record_proof(ProofRecord(server.name, server.uuid, before))
        await copies.until(1, 4, 5)
        found = [one.proof for one in await fleet._tools.journal.proofs() if one.proof.backup != "b"]
    told = ("49 files, and 100 in auto-b",) if files < 50 else ()
    right = set() if expect else {("nas", (), Level.WALKED)}
    assert {(one.store, one.problems, one.reached) for one in found} == {
        ("", told, None if told else Level.WALKED),
        *right,
    }


@pytest.mark.parametrize("expect", [[], ["world/level.dat"]])
async def test_a_stream_proves_nothing_if_the_policy_expects_files(copies: Copies, expect: list[str]) -> None:
    """Nobody looks for them on the way."""
    copies.worker.dies, copies.worker.quick, copies.worker.walks = True, {"nas"}, True
    config = copies.configure("nas", "usb", prove={"level": "walked", "expect": expect})
    async with copies.running(config) as (fleet, _):
        await copies.until(1, 4, 5)
        proven = await fleet._tools.journal.proofs()
    assert (proven == []) == bool(expect)


async def test_what_is_told_of_other_servers_and_stores_is_not_believed(copies: Copies) -> None:
    """The process that tells it reads what others wrote; each store of a copy counts once."""
    copies.worker.dies, copies.worker.quick = True, {"nas"}
    copies.worker.strange = ({"copies": 99}, {"store": "elsewhere"}, {"server_uuid": "other"}, {"panel": "other"})
    async with copies.running(copies.configure("nas", "usb")) as (fleet, _):
        await copies.until(1, 4, 5)
        held = await fleet._tools.engine.catalogue.holdings()
    assert [(one.store, one.copies) for one in held] == [("nas", 1)]


async def test_of_another_server_nothing_is_remembered(copies: Copies) -> None:
    """Nor of a store that the job does not have, though it comes first."""
    copies.worker.dies, copies.worker.quick, copies.worker.misplaced = True, {"nas"}, "other"
    async with copies.running(copies.configure("nas", "usb")) as (fleet, _):
        await copies.until(1, 4, 5)
        assert await fleet._tools.engine.catalogue.holdings() == []


async def test_an_archive_that_ends_the_process_each_time_holds_up_no_other_copy(
    copies: Copies, survival: Server
) -> None:
    """Neither of its own server nor of the others; it is told each time, and tried ever less often."""
    deadly = copies.daemons.world.add_backup(survival, "auto-deadly", created_at=at(1, 3, 58))
    copies.worker.deadly = {deadly.uuid}
    async with copies.running(copies.configure("nas", scope="all")):
        await copies.until(2, 12)
    assert copies.worker.has("nas") == ["01 03:59", "01 05:00", "02 05:00"]
    assert copies.worker.has("nas", "creative")[-1].startswith("02 05")
    tries = [one for one in copies.worker.does if one.startswith("copy survival 01 03:58")]
    _, records = copies.journal()
    told = [one for one in records if one.event is CopyEvent.FAILED and "SIGKILL" in one.text]
    assert 3 <= len(tries) == len(told) <= 30


async def test_a_backup_that_is_made_while_the_server_is_copied_is_copied_next(copies: Copies) -> None:
    """The visit saw a listing without it."""
    config = copies.configure("nas", schedule="0 5 1 5 *")
    async with copies.running(config) as (_, copying):

        def ended() -> None:
            copying._ask(config.servers[copies.worker.does[-1].split()[1]], fresh=True)
            if copies.worker.does[-1].startswith("copy survival"):
                copies.worker.meanwhile = lambda: None

        copies.worker.meanwhile = ended
        await copies.until(1, 6)
    copied = copies.worker.does.index("copy survival 01 03:59 nas")
    assert "look survival nas" in copies.worker.does[copied:]


async def test_a_store_is_pruned_after_each_copy_and_daily(copies: Copies) -> None:
    """What went is in the journal."""
    async with copies.running(copies.configure("nas")):
        await copies.until(12, 12)
    assert len(copies.worker.has("nas")) == 9
    _, records = copies.journal()
    assert [one.text for one in records if one.event is CopyEvent.PRUNED and one.server == "survival"] == [
        "beyond 9 newest"
    ] * 4


async def test_what_a_store_s_prune_applied_is_known_to_the_next_one(copies: Copies) -> None:
    """Of each server in each store, whatever daemon runs; the brake needs it."""
    for day in (1, 2):
        async with copies.running(copies.configure("nas", "usb", schedule="0 5 1 5 *")):
            await copies.until(day, 12)
    given = [one.applied.retention for one in copies.worker.given]
    assert given[:4] == [None] * 4
    assert sorted(one or "" for one in given[4:8]) == ["1", "2", "3", "4"]


async def test_why_a_store_is_not_pruned_is_in_the_journal_once(copies: Copies) -> None:
    """It is the same on each day, until it is another."""
    config = copies.configure("nas")
    copies.worker.refused = "would delete 12 of 14"
    told = []
    async with copies.running(config) as (fleet, _):
        fleet._tools.on_pruned = lambda *held: told.append(held)
        await copies.until(3, 12)
        copies.worker.refused = "would delete 11 of 14"
        await copies.until(4, 12)
    assert set(told) == {
        (server, "nas", f"would delete {number} of 14") for server in ("survival", "creative") for number in (11, 12)
    }
    refused = [one for one in copies.journal()[1] if one.event is CopyEvent.REFUSED and one.server == "survival"]
    assert [(one.store, one.text, one.backup) for one in refused] == [
        ("nas", "would delete 12 of 14", ""),
        ("nas", "would delete 11 of 14", ""),
    ]


async def test_a_store_that_does_not_delete_all_counts_as_pruned(copies: Copies) -> None:
    """What stays there is told, and so is what the brake holds; a look without a new copy prunes no more that day."""
    copies.worker.refused = "would delete 12 of 14"
    copies.worker.problems = (Failure(ProblemCode.COPY, "a copy could not be deleted: it stays"),)
    told = []
    async with copies.running(copies.configure("nas")) as (fleet, _):
        fleet._tools.on_pruned = lambda *held: told.append(held)
        with capture_logs() as logs:
            await copies.until(1, 23)
    assert set(told) == {(server, "nas", "would delete 12 of 14") for server in ("creative", "survival")}
    does = [one.split()[0] for one in copies.worker.does]
    assert len(told) == does.count("prune") == len(set(told)) + does.count("copy")
    assert does.count("look") > does.count("prune")
    assert copies.journal()[0] == CopyQueue()
    said = [(one["event"], one["text"]) for one in logs if one["event"] in {"copies_problem", "copies_not_pruned"}]
    assert set(said) == {
        ("copies_problem", "a copy could not be deleted: it stays"),
        ("copies_not_pruned", "would delete 12 of 14"),
    }


async def test_a_clock_that_is_in_doubt_is_told_to_whoever_prunes(copies: Copies) -> None:
    """The daemon has run for longer than the process that prunes, so it saw the clock set."""
    async with copies.running(copies.configure("nas", schedule="0 5 1 5 *")) as (fleet, _):
        await copies.until(1, 12)
        assert {one.doubt for one in copies.worker.given} == {""}
        copies.worker.given.clear()
        told = []
        fleet._tools.on_pruned = lambda *held: told.append(held)
        copies.daemons.clock.start += timedelta(hours=3)
        await copies.until(3, 18)
    assert told == [], "what a doubted clock holds is no brake"
    assert {one.doubt for one in copies.worker.given} == {"this machine's clock was set 3 h forward while this ran"}


async def test_no_store_is_pruned_of_a_server_with_a_failed_proof(copies: Copies, survival: Server) -> None:
    """New copies are made; the copy that would go may be the last sound one."""
    bad = Proof("b", "auto-b", at(9, 4), at(9, 5), Level.SANE, None, problems=("torn",))
    async with copies.running(copies.configure("nas")) as (fleet, _):
        await fleet._tools.journal.record_proof(ProofRecord("survival", survival.uuid, bad))
        await copies.until(1, 12)
    assert copies.worker.has("nas") == ["01 03:59", "01 05:00"]
    assert {one for one in copies.worker.does if one.startswith("prune")} == {"prune creative nas"}


async def test_a_proof_that_fails_while_a_store_is_pruned_holds_the_next(copies: Copies, survival: Server) -> None:
    """The first may take long."""
    bad = Proof("b", "auto-b", at(9, 4), at(9, 5), Level.SANE, None, problems=("torn",))
    async with copies.running(copies.configure("nas", "usb")) as (fleet, _):

        async def fails() -> None:
            await fleet._tools.journal.record_proof(ProofRecord("survival", survival.uuid, bad))

        copies.worker.at_prune["survival", "nas"] = fails
        await copies.until(1, 12)
    assert [one for one in copies.worker.does if one.startswith("prune survival")] == ["prune survival nas"]


async def test_a_proof_that_fails_while_a_store_is_pruned_saves_what_is_left_there(
    copies: Copies, survival: Server
) -> None:
    """It is asked for right before each deletion: a store of many copies may take hours."""
    bad = Proof("b", "auto-b", at(9, 4), at(9, 5), Level.SANE, None, problems=("torn",))
    async with copies.running(copies.configure("nas")) as (fleet, _):
        leaves: list[str] = []
        copies.worker.asked = leaves.append

        async def fails() -> None:
            await fleet._tools.journal.record_proof(ProofRecord("survival", survival.uuid, bad))

        copies.worker.at_prune["survival", "nas"] = fails
        await copies.until(1, 12)
    assert set(leaves) == {"", "auto-b is not sound: torn"}


async def test_what_is_cleared_away_is_in_the_log_and_in_the_history(copies: Copies) -> None:
    """Whether a look or a prune did it, with why and since when."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    copies.worker.loose["nas"] = LEFT
    async with copies.running(copies.configure("nas")):
        with capture_logs() as logs:
            await copies.until(1, 12)
            copies.worker.left["nas"] = LEFT
            await copies.until(2, 12)
    told = [one for one in logs if one["event"] == "copy_cleared"]
    assert [(one["store"], one["key"], one["reason"], one["since"]) for one in told] == [
        ("nas", LEFT.key, LEFT.what, LEFT.since)
    ] * 2
    kept = [one for one in copies.journal()[1] if one.event is CopyEvent.CLEARED]
    assert [(one.store, one.backup, one.bytes, one.text) for one in kept] == [("nas", LEFT.key, 5, LEFT.text)] * 2


async def test_a_manifest_that_was_written_back_is_in_the_log_and_in_the_history(copies: Copies) -> None:
    """Somebody takes manifests away, and should hear of it."""
    copies.worker.bare["nas"] = bare = Mended("b-1", "auto-1", "main/x.tar.gz")
    async with copies.running(copies.configure("nas")):
        with capture_logs() as logs:
            await copies.until(1, 12)
    (told,) = [one for one in logs if one["event"] == "copy_mended"]
    assert (told["store"], told["backup"], told["text"]) == ("nas", "auto-1", bare.text)
    (kept,) = [one for one in copies.journal()[1] if one.event is CopyEvent.MENDED]
    assert (kept.store, kept.backup_uuid, kept.backup, kept.text) == ("nas", "b-1", "auto-1", bare.text)


@pytest.mark.parametrize("why", ["a proof has failed", "the members differ", "the state cannot be used"])
async def test_a_look_has_no_leave_to_clear_anything_away(
    copies: Copies, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the same reasons as a prune (invariants 17 and 20); what hinders it is asked for right before."""
    copies.worker.loose["nas"] = LEFT
    asked: list[str] = []
    copies.worker.asked = asked.append
    async with copies.running(copies.configure("nas")) as (fleet, _):
        if why == "a proof has failed":
            for server in copies.daemons.world.servers.values():
                bad = Proof("b", "auto-b", at(9, 4), at(9, 5), Level.SANE, None, problems=("torn",))
                await fleet._tools.journal.record_proof(ProofRecord(server.name, server.uuid, bad))
        elif why == "the members differ":
            fleet._tools.disputed = lambda _server, /, *stores: "they differ" if "nas" in stores else ""
        else:
            monkeypatch.setattr(RotationContext, "state_trouble", StateError("the state cannot be used"))
        await copies.until(1, 12)
    assert set(asked) <= {"auto-b is not sound: torn", "they differ", "the state cannot be used"}
    assert asked
    assert copies.worker.loose == {"nas": LEFT}


async def test_locks_are_renewed_of_a_server_with_a_failed_proof(copies: Copies, survival: Server) -> None:
    """And nothing is deleted: whoever renews them is told that it is frozen."""
    bad = Proof("b", "auto-b", at(9, 4), at(9, 5), Level.SANE, None, problems=("torn",))
    config = copies.configure("nas")
    config = replace(config, stores={"nas": replace(config.stores["nas"], object_lock=timedelta(days=30))})
    async with copies.running(config) as (fleet, _):
        await fleet._tools.journal.record_proof(ProofRecord("survival", survival.uuid, bad))
        await copies.until(1, 12)
    pruned = [one for one in copies.worker.does if one.startswith("prune")]
    asked = {(what, inputs.frozen) for what, inputs in zip(pruned, copies.worker.given, strict=True)}
    assert asked == {("prune creative nas", False), ("prune survival nas", True)}


async def test_no_store_is_pruned_of_a_server_on_which_members_of_a_cluster_differ(copies: Copies) -> None:
    """Nor where they differ on the store; copies are made."""

    def disputed(server: ServerConfig, /, *stores: str) -> str:
        return "they differ" if server.name == "survival" or "usb" in stores else ""

    async with copies.running(copies.configure("nas", "usb")) as (fleet, _):
        fleet._tools.disputed = disputed
        await copies.until(1, 12)
    assert copies.worker.has("nas") == ["01 03:59", "01 05:00"]
    assert {one for one in copies.worker.does if one.startswith("prune")} == {"prune creative nas"}


@pytest.mark.parametrize(
    "changed",
    [{"keep": {"last": 30}}, {"tables": STORES.replace("[stores.usb]", "keep = { last = 30 }\n[stores.usb]")}],
)
async def test_a_store_is_not_pruned_by_a_configuration_that_was_replaced_during_the_visit(
    copies: Copies, changed: dict[str, Any]
) -> None:
    """The server's policy, or the store's rules: members of a cluster agree on the new ones. The next look prunes."""
    async with copies.running(copies.configure("nas")) as (fleet, copying):

        def reload() -> None:
            copies.worker.meanwhile = lambda: None
            config = copies.configure("nas", **changed)
            fleet.reload(config)
            copying.follow(config)

        copies.worker.meanwhile = reload
        await copies.until(1, 4, 59)
    first = next(one for one in copies.worker.does if one.startswith("copy")).split()[1]
    does = [one.split()[0] for one in copies.worker.does if one.split()[1] == first]
    assert does[does.index("copy") :] == ["copy", "look", "prune"]


@pytest.mark.parametrize("why", ["the configuration has changed", "they differ"])
async def test_what_comes_up_while_a_store_is_pruned_saves_what_is_left_there(copies: Copies, why: str) -> None:
    """A store of many copies may take hours. The next look prunes by what is in force then."""
    async with copies.running(copies.configure("nas")) as (fleet, copying):
        leaves: list[str] = []
        copies.worker.asked = leaves.append

        async def comes_up() -> None:
            copies.worker.at_prune.clear()
            if why == "they differ":
                fleet._tools.disputed = lambda _server, /, *stores: "they differ" if "nas" in stores else ""
            else:
                config = copies.configure("nas", keep={"last": 30})
                fleet.reload(config)
                copying.follow(config)

        copies.worker.at_prune["survival", "nas"] = comes_up
        await copies.until(1, 4, 59)
    assert set(leaves) == {"", why}
    does = [one.split()[0] for one in copies.worker.does if one.split()[1] == "survival"]
    assert does[:4] == ["look", "prune", "look", "copy" if why == "they differ" else "prune"]


async def test_nor_by_one_that_was_replaced_while_the_journal_was_asked(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cluster the answer may take minutes."""
    async with copies.running(copies.configure("nas")) as (fleet, copying):
        journal, config = fleet._tools.journal, copies.configure("nas", keep={"last": 30})
        real, asked = journal.applied, list[str]()

        async def applied(server_uuid: str, *store: str) -> Any:
            answer = await real(server_uuid, *store)
            if store and not asked:
                asked.append(server_uuid)
                fleet.reload(config)
                copying.follow(config)
            return answer

        monkeypatch.setattr(journal, "applied", applied)
        await copies.until(1, 4, 59)
    assert [one.split()[0] for one in copies.worker.does[:3]] == ["look", "look", "prune"]


async def test_a_server_that_a_reload_removed_is_not_copied_any_more(copies: Copies) -> None:
    """Nor is a store that its policy does not name any more."""
    copies.worker.down = {"nas"}
    async with copies.running(copies.configure("nas")) as (fleet, copying):
        await copies.until(1, 5)
        config = copies.configure()
        fleet.reload(config)
        copying.follow(config)
        await copies.until(1, 6)
    assert copies.journal()[0] == CopyQueue()
