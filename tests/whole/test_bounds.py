"""What must end, must end; what is held must be given back; what is written must be one's own row."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from daemon.core.agreement import Opinion
from daemon.core.proof import Level, Proof
from daemon.errors import StateError
from daemon.operations import rotations as by_hand
from daemon.panel.client import PanelClient
from daemon.rotation import rotate as rotate_module
from daemon.rotation.order import Order
from daemon.rotation.outcome import Result, exit_code
from daemon.rotation.preview import preview
from daemon.rotation.rotate import rotate
from daemon.rotation.run import Run
from daemon.sandbox import faults
from daemon.sandbox.answers import SandboxAnswer
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import BackupEnding, User, Work
from daemon.state import ProofRecord
from daemon.state.local import file as history_file
from daemon.state.local.file import is_busy
from daemon.state.local.journal import SqliteJournal
from tests.whole.rig import InProcess, Rig, start_with_the_clock_set

pytestmark = pytest.mark.anyio


async def test_a_backup_whose_date_cannot_be_read_is_not_waited_for_without_end(rig: Rig) -> None:
    """A panel or proxy that writes times without an offset: the timeout holds by our own clock then."""

    def without_offset(answer: SandboxAnswer) -> SandboxAnswer:
        return replace(answer, body=answer.body.replace(b"+00:00", b""))

    odd = Fault("no offset", change=without_offset)
    for call in (Call.CREATE, Call.LIST, Call.VIEW):
        rig.world.faults.order(odd, on=call, times=None)
    rig.configure(timeout="1h")
    async with asyncio.timeout(6 * 3600):
        await rig.rotate()


async def test_settling_an_earlier_create_ends_though_the_clock_was_set_back(rig: Rig) -> None:
    """The journal's moment lies in the future: 120 s are 120 s all the same, and the slot is not held for days."""
    start = rig.clock.now() - timedelta(seconds=5)
    rig.world.faults.order(faults.lost_before(), on=Call.CREATE)
    task = asyncio.create_task(rig.rotate("schedule", start))
    await rig.clock.sleep(10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rig.clock.start -= timedelta(days=3)
    began = rig.clock.monotonic()
    await rig.rotate("resume", start - timedelta(days=3))
    assert rig.clock.monotonic() - began < 3600


async def test_by_hand_a_pending_one_is_not_taken_over_if_a_clock_that_was_set_back_since_dated_it(rig: Rig) -> None:
    """It is months old by no clock, and may never end: a new one is made instead."""
    rig.server.coming.append(Work(outcome=BackupEnding.STUCK))
    start_with_the_clock_set(rig, timedelta(days=60))
    task = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    start_with_the_clock_set(rig, timedelta(days=-60))
    outcome = await rig.rotate()
    assert (outcome.result, len(rig.names())) == (Result.DONE, 2)


async def test_a_rotation_that_began_without_a_journal_writes_to_no_other_rotations_row(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state folder comes back while it waits: its number is one of the journal in memory."""
    await rig.context.journal.close()

    def away(*_: object) -> SqliteJournal:
        raise StateError("away")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteJournal, "open", away)
        context = rig.context = rig.open_context()
        rig.server.coming.append(Work(seconds=600))
        first = asyncio.create_task(rig.rotate())
        await rig.clock.sleep(60)
    neighbour = replace(rig.neighbour("creative"), panel=replace(rig.config.panel, backups_per_node=5))
    list(rig.world.servers.values())[1].work = Work(seconds=3600)
    second = asyncio.create_task(rig.rotate(of=neighbour, with_tools=context))
    await first
    row = (await context.journal.recent("creative"))[0]
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert row.ended_at is None
    assert {step.name for step in row.steps} & {"planned", "turned_good"} == set()


async def test_one_servers_bug_by_hand_leaves_the_others_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rotate` of many: an exception that nobody foresaw ends only the rotation that it is in (invariant 12)."""
    whole = rotate_module._rotate
    done: list[str] = []

    async def broken(run: Run) -> None:
        if run.config.name == "survival":
            raise ZeroDivisionError
        await whole(run)
        done.append(run.config.name)

    monkeypatch.setattr(rotate_module, "_rotate", broken)
    monkeypatch.setattr("daemon.rotation.setup.open_client", lambda panel, *_, **_named: rig.open_client(panel))
    servers = [rig.config, rig.neighbour("creative")]
    outcomes = await by_hand.rotate_servers(servers, state=rig.folder / "state", clock=rig.clock, own=Opinion.of({}))
    assert done == ["creative"]
    assert [outcome.result for outcome in outcomes] == [Result.FAILED, Result.DONE]
    assert outcomes[0].problems[0].code == "bug"


async def test_a_dry_run_says_that_the_limit_leaves_no_way(rig: Rig) -> None:
    """All slots are locked: the rotation would be refused, so the rehearsal must say so."""
    rig.fill(3, locked=True)
    rig.server.limit = 3
    seen = await preview(rig.config, rig.client, rig.context.journal, rig.clock)
    rehearsed = by_hand.dry_run_outcome(seen)
    real = await rig.rotate()
    assert rehearsed.result is real.result is Result.REFUSED
    assert rehearsed.problems[0].hint == real.problems[0].hint


@pytest.mark.parametrize(
    ("held", "result", "lacking"),
    [
        (("backup.read",), Result.FAILED, "backup.create"),
        (("backup.read", "backup.create"), Result.FAILED, "backup.delete"),
        (("backup.read", "backup.create", "backup.delete"), Result.DONE, ""),
        (("*",), Result.DONE, ""),
    ],
)
async def test_a_dry_run_says_what_the_key_may_not(
    rig: Rig, held: tuple[str, ...], result: Result, lacking: str
) -> None:
    """It ends as the rotation would: the server's view tells the permissions."""
    rig.fill(5)
    world, panel = rig.world, rig.config.panel
    world.add_key("ptlc_EXAMPLE_reader", User("reader"))
    rig.server.subusers["reader"] = held
    key = SecretStr("ptlc_EXAMPLE_reader")
    async with PanelClient(panel.name, panel.url, key, clock=rig.clock, transport=InProcess(rig.app)) as client:
        rehearsed = by_hand.dry_run_outcome(await preview(rig.config, client, rig.context.journal, rig.clock))
        real = await rotate(Order(rig.config, "manual"), client, rig.context)
    assert rehearsed.result is real.result is result
    assert exit_code([rehearsed]) == exit_code([real])
    assert lacking in "".join(problem.text for problem in rehearsed.problems[:1])
    assert bool(rehearsed.problems) is bool(lacking)


async def test_a_dry_run_at_the_limit_says_that_no_room_can_be_made_without_the_permission(rig: Rig) -> None:
    """The plan would delete one, and the key may not."""
    rig.fill(5)
    rig.server.limit = 5
    rig.world.add_key("ptlc_EXAMPLE_reader", User("reader"))
    rig.server.subusers["reader"] = ("backup.read", "backup.create")
    key, panel = SecretStr("ptlc_EXAMPLE_reader"), rig.config.panel
    async with PanelClient(panel.name, panel.url, key, clock=rig.clock, transport=InProcess(rig.app)) as client:
        rehearsed = by_hand.dry_run_outcome(await preview(rig.config, client, rig.context.journal, rig.clock))
        real = await rotate(Order(rig.config, "manual"), client, rig.context)
    assert rehearsed.result is real.result is Result.REFUSED
    assert rehearsed.problems[-1].hint == real.problems[-1].hint
    assert rehearsed.deleted == real.deleted == ()


@pytest.mark.parametrize(
    ("number", "last", "going"), [(5, 3, 3), (20, 8, 1)], ids=["all go", "the brake holds the rest"]
)
async def test_a_dry_run_shows_what_is_deleted_to_make_room(rig: Rig, number: int, last: int, going: int) -> None:
    """Even where the brake refuses all else: one may go each day, or there would be no new backup."""
    rig.fill(number)
    rig.configure(keep={"last": last}, max_deletions=5)
    rig.server.limit = number
    rehearsed = by_hand.dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    real = await rig.rotate()
    assert len(real.deleted) == going
    assert [one.uuid for one in rehearsed.deleted] == [one.uuid for one in real.deleted]
    assert (rehearsed.result, rehearsed.kept) == (real.result, real.kept)
    assert [one.code for one in rehearsed.problems] == [one.code for one in real.problems]


async def test_where_no_room_may_be_made_for_the_brake_the_hint_says_how_to_lift_it(rig: Rig) -> None:
    """In the rehearsal and in the rotation alike; the panel's limit is not what stands in the way."""
    rig.fill(4)
    rig.configure(keep={"last": 1}, max_deletions=1)
    rig.server.limit = 4
    rehearsed = by_hand.dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    real = await rig.rotate()
    assert rehearsed.result is real.result is Result.REFUSED
    assert rehearsed.problems[0].hint == real.problems[0].hint
    assert "`ptero-backupd rotate survival --max-deletions N`" in real.problems[0].hint


async def test_a_new_backup_that_vanished_is_said_to_have_vanished_though_the_brake_holds_too(rig: Rig) -> None:
    """The brake's refusal must not hide that the new backup is gone from a listing that is whole."""
    rig.fill(60)
    rig.configure(keep={"last": 1}, max_deletions=10)
    rig.server.limit = 100

    def vanish(*_: object) -> None:
        rig.world.remove(rig.server, list(rig.server.backups.values())[-1], by="somebody")

    rig.server.work = Work(seconds=75)
    rig.world.faults.order(Fault("gone", meanwhile=vanish), on=Call.LIST, skip=4)
    outcome = await rig.rotate()
    assert len(rig.names()) == 60
    assert [problem.code for problem in outcome.problems] == ["vanished"]


async def test_a_backup_deleted_by_somebody_between_listing_and_room_does_not_cost_the_last_good_one(rig: Rig) -> None:
    """Room is decided on the listing of before an earlier create was settled for two minutes (invariant 4)."""
    rig.configure(keep={"last": 1})
    rig.fill(2)
    rig.server.limit = 2
    start = rig.clock.now() - timedelta(seconds=5)
    rig.world.faults.order(faults.lost_before(), on=Call.CREATE)
    task = asyncio.create_task(rig.rotate("schedule", start))
    await rig.clock.sleep(3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    def operator() -> None:
        newest = list(rig.server.backups.values())[-1]
        rig.world.remove(rig.server, newest, by="operator")
        rig.world.add_backup(rig.server, "by hand", created_at=rig.world.now())

    rig.world.later(60, operator)
    rig.server.work = Work(outcome=BackupEnding.FAILED)
    await rig.rotate("resume", start)
    good = [b for b in rig.server.backups.values() if b.successful and b.name.startswith("auto-")]
    assert good


async def test_a_journal_that_another_process_holds_costs_its_patience_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has the file locked: each further step of a rotation would stop the whole daemon for another while."""
    holder = sqlite3.connect(rig.folder / "state" / "history.sqlite3", isolation_level=None)
    waited: list[int] = []

    def hold(*_: object) -> None:
        holder.execute("BEGIN IMMEDIATE")

    def seen(error: Exception) -> bool:
        waited.append(rig.journal._connection.execute("PRAGMA busy_timeout").fetchone()[0])
        return is_busy(error)

    monkeypatch.setattr(history_file, "is_busy", seen)
    rig.world.faults.order(Fault("held", meanwhile=hold), on=Call.CREATE)
    rig.server.work = Work(seconds=30)
    await rig.rotate()
    holder.close()
    assert waited[0] == history_file.BUSY_SECONDS * 1000
    assert len(waited) > 1
    assert set(waited[1:]) == {0}, waited


async def test_a_backup_that_was_made_long_before_a_start_is_not_said_to_be_gone(rig: Rig) -> None:
    """Its row names the start since a clock was wrong then; the start still gets a backup of its own."""
    start = rig.clock.now() + timedelta(days=3)
    await rig.rotate("schedule", start)
    await rig.clock.sleep(timedelta(days=3, hours=1).total_seconds())
    outcome = await rig.rotate("resume", start)
    assert (outcome.result, len(rig.server.backups)) == (Result.DONE, 2)


async def test_at_the_limit_of_a_frozen_server_it_is_said_what_freezes_it_and_what_ends_that(rig: Rig) -> None:
    """No slot can be freed while none is known to be sound: to delete one by hand would be bad advice."""
    rig.fill(3)
    rig.server.limit = 3
    rig.config = replace(rig.config, policy=replace(rig.config.policy, copies=("nas",)))
    now, newest = rig.clock.now(), list(rig.server.backups.values())[-1]
    bad = Proof(newest.uuid, newest.name, now, now, Level.WALKED, None, "nas", ("r.0.0.mca: torn",))
    await rig.context.journal.record_proof(ProofRecord(rig.config.name, rig.server.uuid, bad))
    rehearsed = by_hand.dry_run_outcome(await preview(rig.config, rig.client, rig.context.journal, rig.clock))
    real = await rig.rotate()
    assert (rehearsed.result, real.result, real.deleted) == (Result.REFUSED, Result.REFUSED, ())
    for problem in (rehearsed.problems[-1], real.problems[-1]):
        assert f"{newest.name} in nas is not sound: r.0.0.mca: torn; none of the panel's backups" in problem.text
        assert problem.hint == (
            "`ptero-backupd copies verify survival --store nas` proves the newest copy there now; if the bad one will"
            f" do: `ptero-backupd prove accept survival {newest.uuid[:8]}`"
        )
