"""What every engine of state promises: order, durability, locks between two holders, queries.

A new engine is a fixture more in `tests/state/engines.py`. What only SQLite, or a folder, can be asked stands in
`test_journal.py`, `test_locks.py` and `test_presence.py`.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.core.applied import AppliedRetention
from daemon.core.copies_queue import CopyQueue
from daemon.core.drills import DrillRecord, DrillResult
from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.core.proof import Level, Proof
from daemon.errors import ServerBusyError, StateError
from daemon.state import (
    Alert,
    Holding,
    Journal,
    Marks,
    ProofAsked,
    ProofRecord,
    Rotation,
    Sample,
    ShelfRecord,
    Snapshot,
)
from daemon.state.journal import PROVEN_KEPT_FOR
from daemon.state.values import CopyEvent, CopyRecord
from tests.postgres import Postgres
from tests.state.engines import ENGINES, KINDS, SERVERS, Place, Shared

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
OTHER = "2b8df008-259b-452e-8b4e-cecc464142ca"

pytestmark = pytest.mark.anyio


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where an engine keeps its state."""
    if request.param in SERVERS:
        server: Postgres = request.getfixturevalue(SERVERS[request.param])
        return Shared(server)
    return ENGINES[request.param](tmp_path)


async def begin(journal: Journal, *, server: str = "survival", uuid: str = UUID, start_at: datetime | None = AT) -> int:
    """Begin a rotation of which nothing matters but what is named."""
    return await journal.begin(
        server_uuid=uuid, server=server, panel="main", policy="standard", trigger="schedule", start_at=start_at, at=AT
    )


async def end(journal: Journal, number: int, result: str = "done") -> None:
    """End it."""
    await journal.end(number, at=AT + MINUTE, result=result, summary={"good": result == "done"})


# Order ---------------------------------------------------------------------------------------------------------------


async def test_a_rotation_is_read_as_it_was_written(place: Place) -> None:
    """Every field comes back, moments as aware UTC, details as they were, the steps in their order."""
    async with place.opened() as (_, journal):
        number = await begin(journal)
        await journal.announce(number, "create", AT + MINUTE, backup="auto-1", nested={"a": [None, "…"]})
        await journal.step(number, "created", AT + 2 * MINUTE)
        await journal.end(
            number,
            at=AT + 3 * MINUTE,
            result="failed",
            retry_at=AT + 13 * MINUTE,
            backup_uuid="b-1",
            summary={"kept": 7, "problems": []},
        )
        (read,) = await journal.recent()
    assert read == Rotation(
        id=number,
        server_uuid=UUID,
        server="survival",
        panel="main",
        policy="standard",
        trigger="schedule",
        start_at=AT,
        began_at=AT,
        ended_at=AT + 3 * MINUTE,
        result="failed",
        retry_at=AT + 13 * MINUTE,
        backup_uuid="b-1",
        summary={"kept": 7, "problems": []},
        steps=read.steps,
    )
    assert [(step.name, step.at, dict(step.detail)) for step in read.steps] == [
        ("create", AT + MINUTE, {"backup": "auto-1", "nested": {"a": [None, "…"]}}),
        ("created", AT + 2 * MINUTE, {}),
    ]


async def test_what_is_asked_for_at_once_is_written_in_that_order(place: Place) -> None:
    """Whoever waits for the answer to which call."""
    async with place.opened() as (_, journal):
        number = await begin(journal)
        await asyncio.gather(*(journal.step(number, f"step {n}", AT) for n in range(50)))
        (read,) = await journal.recent()
    assert [step.name for step in read.steps] == [f"step {n}" for n in range(50)]


async def test_rotations_that_run_at_once_do_not_mix(place: Place) -> None:
    """Each step stays with its own; numbers grow."""
    async with place.opened() as (_, journal):
        first, second = await begin(journal), await begin(journal, server="creative", uuid=OTHER)
        for number, name in ((first, "one"), (second, "two"), (first, "three")):
            await journal.step(number, name, AT)
        names = {row.id: [step.name for step in row.steps] for row in await journal.recent()}
    assert second > first
    assert names == {first: ["one", "three"], second: ["two"]}


async def test_a_call_that_is_cancelled_is_done_or_not_done_and_the_next_one_works(place: Place) -> None:
    """A rotation that is left while it writes leaves a journal that can be written."""
    async with place.opened() as (_, journal):
        number = await begin(journal)
        task = asyncio.ensure_future(journal.step(number, "left", AT))
        await asyncio.sleep(0)  # noqa: TID251 — lets it begin
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.step(number, "next", AT)
        (read,) = await journal.recent()
    assert [step.name for step in read.steps][-1] == "next"
    assert len(read.steps) <= 2


# Durability ----------------------------------------------------------------------------------------------------------


async def test_what_was_written_is_there_for_whoever_opens_it_next(place: Place) -> None:
    """If it says that it lasts."""
    async with place.opened() as (_, journal):
        lasts = journal.persistent
        await journal.announce(await begin(journal), "create", AT, backup="auto-1")
    async with place.opened() as (_, again):
        assert [[step.name for step in row.steps] for row in await again.running()] == ([["create"]] if lasts else [])


async def test_two_that_have_it_open_see_what_the_other_wrote(place: Place) -> None:
    """A `status` beside the daemon, and a rotation by hand."""
    async with place.opened() as (_, ours), place.beside() as (_, theirs):
        if not ours.persistent:
            return  # what does not last is not shared
        number = await begin(ours)
        assert [row.id for row in await theirs.running()] == [number]
        await theirs.step(number, "theirs", AT)
        (read,) = await ours.running()
        assert [step.name for step in read.steps] == ["theirs"]


def test_a_kill_loses_nothing_whose_call_had_returned(place: Place) -> None:
    """The process ends at once, and closes nothing."""
    left = place.killed(
        "number = await begin(journal)\n"
        'await journal.announce(number, "create", at, backup="auto-1")\n'
        'await journal.step(number, "created", at)'
    )
    assert left is None or [[step.name for step in row.steps] for row in left] == [["create", "created"]]


async def test_looking_makes_nothing(place: Place) -> None:
    """`history` before the first rotation says that there is nothing; checking leaves no trace either."""
    async with place.engine() as engine:
        await engine.check()
        assert await engine.look() is None
    async with place.opened() as (engine, journal):
        if journal.persistent:
            looked = await engine.look()
            assert looked is not None
            assert await looked.recent() == []
            await looked.close()


# Trouble -------------------------------------------------------------------------------------------------------------


async def test_a_closed_journal_says_so_and_closing_twice_is_closing(place: Place) -> None:
    """As an error of state, which no rotation takes for a bug."""
    async with place.opened() as (_, journal):
        before = journal.trouble
        await journal.close()
        await journal.close()
        with pytest.raises(StateError):
            await begin(journal)
        after = journal.trouble
    assert before is None
    assert isinstance(after, StateError)


async def test_a_step_or_an_end_of_no_rotation_is_an_error(place: Place) -> None:
    """And trouble, until something could be written."""
    async with place.opened() as (_, journal):
        for call in (journal.step(17, "create", AT), journal.announce(17, "create", AT), end(journal, 17)):
            with pytest.raises(StateError):
                await call
        before = journal.trouble
        await journal.probe()
        assert (isinstance(before, StateError), journal.trouble) == (True, None)
        await journal.look_after()


async def test_damage_is_set_aside_by_the_next_that_opens_it(place: Place) -> None:
    """Whoever only looks leaves it where it is."""
    async with place.opened() as (_, journal):
        await begin(journal)
    if not place.damage():
        return  # nobody else reaches what it holds
    async with place.engine() as engine:
        with pytest.raises(StateError):
            await engine.look()
        with pytest.raises(StateError):
            await engine.check()
    async with place.opened() as (_, journal):
        assert journal.set_aside is not None
        assert await journal.recent() == []


# Locks and presence --------------------------------------------------------------------------------------------------


async def test_one_holder_at_a_time(place: Place) -> None:
    """The second is refused at once, of another server not; a refused one frees nothing."""
    async with place.engine() as ours, place.beside_engine(ours) as theirs:
        await ours.locks.check()
        assert not await theirs.locks.is_held(UUID)
        async with ours.locks.held(UUID):
            for engine in (ours, theirs):
                with pytest.raises(ServerBusyError):
                    await engine.locks.held(UUID).__aenter__()
                assert await engine.locks.is_held(UUID)
                assert not await engine.locks.is_held(OTHER)
            async with theirs.locks.held(OTHER):
                pass
        assert not await theirs.locks.is_held(UUID)
        async with theirs.locks.held(UUID):
            assert await ours.locks.is_held(UUID)


async def test_a_lock_ends_with_an_error_and_with_a_cancelled_task(place: Place) -> None:
    """Whatever becomes of a rotation, its server is free afterwards."""
    async with place.engine() as engine:
        with pytest.raises(RuntimeError):
            async with engine.locks.held(UUID):
                raise RuntimeError
        assert not await engine.locks.is_held(UUID)

        async def hold() -> None:
            async with engine.locks.held(UUID):
                await asyncio.Event().wait()

        for steps in range(4):  # cancelled before, while and after it is taken
            task = asyncio.create_task(hold())
            for _ in range(steps):
                await asyncio.sleep(0)  # noqa: TID251 — lets it go on
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert not await engine.locks.is_held(UUID), steps


async def test_a_daemon_is_known_as_long_as_it_runs(place: Place) -> None:
    """To the next one, if they share their state, unless both are to act; and nobody is kept from starting."""
    async with place.engine() as ours, place.beside_engine(ours) as theirs:
        assert await theirs.presence.daemon() is None
        async with ours.presence.known() as before, theirs.presence.known() as other:
            assert before is None
            known = await ours.presence.daemon()
            assert (known is None) == (not place.lasts)
            assert other == (known if ours.leadership.shares is None else None)
        assert await theirs.presence.daemon() is None


# Queries -------------------------------------------------------------------------------------------------------------


async def test_rotations_are_found_by_server_by_start_and_by_being_open(place: Place) -> None:
    """Newest first, and no more than asked for."""
    async with place.opened() as (_, journal):
        first, second = await begin(journal), await begin(journal, server="creative", uuid=OTHER)
        third = await begin(journal, start_at=AT + MINUTE)
        for number in (first, third):
            await end(journal, number)
        fourth = await begin(journal, start_at=None)
        await journal.step(fourth, "created", AT)
        assert [row.id for row in await journal.recent()] == [fourth, third, second, first]
        assert [row.id for row in await journal.recent("survival", limit=2)] == [fourth, third]
        assert [(row.id, row.steps) for row in await journal.attempts("survival", 1)] == [(fourth, ())]
        of = await journal.attempts_of(("survival", "creative", "nowhere"), 2)
        numbers = {name: [row.id for row in rows] for name, rows in of.items()}
        assert numbers == {"survival": [fourth, third], "creative": [second], "nowhere": []}
        assert [row.id for row in await journal.running()] == [fourth, second]
        assert [row.id for row in await journal.of_start(UUID, AT)] == [fourth, first]
        assert [row.id for row in await journal.of_start(UUID, None)] == [fourth]


async def test_the_last_step_of_some_names_is_found_across_rotations(place: Place) -> None:
    """Of that server alone; names that no index knows are found as well."""
    async with place.opened() as (_, journal):
        for uuid, names in ((UUID, ("room", "room_done")), (OTHER, ("turned_good",)), (UUID, ("adopted",))):
            number = await begin(journal, uuid=uuid)
            for name in names:
                await journal.step(number, name, AT, of=uuid)
        found = await journal.last_step(UUID, ("room", "room_refused", "turned_good"))
        assert found is not None
        assert found.name == "room"
        for names, last in ((("room_done",), "room_done"), (("adopted", "room"), "adopted"), (("never",), None)):
            step = await journal.last_step(UUID, names)
            assert (step.name if step else None) == last
        assert await journal.last_step("never", ("room",)) is None


async def test_the_steps_since_the_last_one_of_a_name_are_found_across_rotations(place: Place) -> None:
    """Of that server alone, newest first; where there is none of that name, all."""
    async with place.opened() as (_, journal):
        assert await journal.steps_since(UUID, "turned_good", ("room",)) == []
        for uuid, *names in ((UUID, "room", "turned_good", "room"), (OTHER, "room", "turned_good"), (UUID, "adopted")):
            number = await begin(journal, uuid=uuid)
            for place_of, name in enumerate(names):
                await journal.step(number, name, AT, of=uuid, place=place_of)
        found = await journal.steps_since(UUID, "turned_good", ("room", "room_refused"))
        assert [(step.name, step.detail) for step in found] == [("room", {"of": UUID, "place": 2})]
        since = await journal.steps_since(UUID, "never", ("room", "adopted"))
        assert [step.name for step in since] == ["adopted", "room", "room"]


async def test_names_that_were_asked_for_and_not_seen_to_turn_good_are_found(place: Place) -> None:
    """Newest first."""
    async with place.opened() as (_, journal):
        for name, good in (("auto-1", False), ("auto-2", True), ("auto-3", False)):
            number = await begin(journal)
            await journal.announce(number, "create", AT, backup=name)
            if good:
                await journal.step(number, "turned_good", AT)
        assert await journal.unseen(UUID) == ["auto-3", "auto-1"]
        assert await journal.unseen(OTHER) == []


async def test_what_is_remembered_of_a_backup(place: Place) -> None:
    """Accepted, renamed, half deleted, deleted by hand: each of that server alone."""
    async with place.opened() as (_, journal):
        for _ in range(2):
            await journal.accept(UUID, "small", AT)
        await journal.was_altered(UUID, "renamed", Altered("asked", "kept"), AT)
        await journal.ask(UUID, "half", AT)
        await journal.deleted_by_hand(UUID, "by-hand", AT)
        assert await journal.accepted(UUID) == {"small"}
        assert await journal.altered(UUID) == {"renamed": Altered("asked", "kept")}
        assert await journal.asked(UUID) == {"half"}
        marks = Marks(frozenset({"small"}), frozenset({"half"}), {"renamed": Altered("asked", "kept")})
        assert (await journal.marks(UUID), await journal.marks(OTHER)) == (marks, Marks())
        assert [await journal.knows(UUID, uuid) for uuid in ("small", "by-hand", "never")] == [True, True, False]
        assert [await journal.asked_no_more(UUID, "half") for _ in range(2)] == [True, False]
        assert await journal.asked(UUID) == frozenset()
        assert (await journal.accepted(OTHER), await journal.altered(OTHER)) == (frozenset(), {})
        assert not await journal.knows(OTHER, "small")


async def test_what_is_remembered_of_a_server(place: Place) -> None:
    """The newest of each takes the place of the one before."""
    row = Backup("one", "auto-1", True, False, 10, AT, AT)
    async with place.opened() as (_, journal):
        assert (await journal.applied(UUID), await journal.last_listing(UUID)) == (None, ())
        for applied in (AppliedRetention("a", ("u", "v")), AppliedRetention("a", (), "b", AT)):
            await journal.apply(UUID, applied)
            assert await journal.applied(UUID) == applied
        assert await journal.applied(UUID, "nas") is None
        for applied in (AppliedRetention("c", ("k",)), AppliedRetention("c", (), "d", AT)):
            await journal.apply(UUID, applied, "nas")
            assert await journal.applied(UUID, "nas") == applied
        assert (await journal.applied(UUID), await journal.applied(UUID, "offsite")) == (
            AppliedRetention("a", (), "b", AT),
            None,
        )
        await journal.listed(UUID, [], AT)
        await journal.listed(UUID, [row], AT)
        assert await journal.last_listing(UUID) == (row,)
        for size in (5, 7):
            await journal.snapshot(Snapshot(UUID, "main", AT, f"{size}"), size)
        await journal.snapshot(Snapshot(UUID, "main", AT + timedelta(days=1), "8"), 8)
        for asked_with in (UUID, UUID[:8]):
            assert await journal.last_snapshot("main", asked_with) == Snapshot(
                UUID, "main", AT + timedelta(days=1), "8"
            )
        assert await journal.last_snapshot("other", UUID) is None
        assert await journal.trend(UUID) == [Sample(AT.date(), 7), Sample(AT.date() + timedelta(days=1), 8)]


async def test_alerts_are_remembered_with_what_waits_to_be_told(place: Place) -> None:
    """Oldest first, the newest of each event of a server; `whole` forgets what else waits."""
    first, newer = Alert("ops", "survival", "failed", {"n": 1}), Alert("ops", "survival", "failed", {"n": 2})
    other = Alert("ops", "creative", "failed", {"n": 3})
    async with place.opened() as (_, journal):
        await journal.watch({"survival": {"told": ["failed"]}, "creative": {"told": []}}, AT, [first, other])
        await journal.watch({"creative": None}, AT, [newer])
        assert await journal.watches() == {"survival": {"told": ["failed"]}}
        assert await journal.alerts() == [other, newer]
        await journal.alerts_sent([("ops", "creative", "failed"), ("ops", "never", "failed")])
        assert await journal.alerts() == [newer]
        await journal.watch({}, AT, [other], whole=True)
        assert await journal.alerts() == [other]


async def test_a_message_waits_while_it_is_in_hand_and_is_forgotten_when_it_was_sent(place: Place) -> None:
    """Whoever has it in hand may take it in hand again; what replaces it meanwhile is another one."""
    one, other = Alert("ops", "survival", "failed", {"n": 1}), Alert("ops", "creative", "failed", {"n": 2})
    async with place.opened() as (_, journal):
        await journal.watch({}, AT, [one, other])
        for _ in range(2):
            assert await journal.claim_alerts([other, one]) == [other, one]
        assert await journal.alerts() == [one, other]
        await journal.alerts_sent([("ops", "survival", "failed")], claimed=True)
        assert await journal.alerts() == [other]
        newer = replace(other, message={"n": 3})
        await journal.watch({}, AT, [newer])
        assert await journal.claim_alerts([newer]) == [newer]
        await journal.alerts_sent([("ops", "creative", "failed")], claimed=True)
        assert await journal.alerts() == []


async def test_the_queue_of_copies_is_there_as_it_was_last_changed(place: Place) -> None:
    """What waits, why it failed, which stores are in trouble; what is done is gone, the rest is not touched."""
    empty = CopyQueue()
    first = empty.asked("survival", ["nas", "offsite"], AT, fresh=True).asked("creative", ["nas"], AT, fresh=False)
    then = (
        first.done("creative", ["nas"])
        .failed("survival", ["nas"], AT, "the node is down")
        .store_failed("offsite", AT, "unreachable", server="survival")
    )
    async with place.opened() as (_, journal):
        assert await journal.copy_queue() == empty
        await journal.requeue_copies(empty, first)
        assert await journal.copy_queue() == first
        await journal.requeue_copies(first, then)
        assert await journal.copy_queue() == then
        await journal.requeue_copies(then, then.store_worked("offsite"))
        assert await journal.copy_queue() == then.store_worked("offsite")


async def test_what_became_of_copies_is_found_by_server_and_by_store(place: Place) -> None:
    """Newest first, and forgotten when it is old or there is too much of it."""
    made = CopyRecord(CopyEvent.MADE, AT, "survival", UUID, "nas", "b-1", "auto-1", 2**40)
    failed = CopyRecord(CopyEvent.FAILED, AT + MINUTE, "survival", UUID, "offsite", text="unreachable")
    pruned = CopyRecord(CopyEvent.PRUNED, AT + MINUTE, "creative", OTHER, "nas", "b-0", "auto-0", 7, "beyond 7 daily")
    async with place.opened() as (_, journal):
        await journal.record_copies([made])
        await journal.record_copies([failed, pruned])
        assert await journal.copy_records() == [pruned, failed, made]
        assert await journal.copy_records("survival") == [failed, made]
        assert await journal.copy_records(store="nas") == [pruned, made]
        assert await journal.copy_records("survival", "nas", limit=1) == [made]
        assert await journal.copy_records(limit=1) == [pruned]
        await journal.prune(AT + timedelta(days=400) + MINUTE)
        assert await journal.copy_records() == [pruned, failed]
        await journal.prune(AT, most=1)
        assert await journal.copy_records() == [pruned]


def read(backup: str = "one", asked: Level = Level.SANE, *problems: str, store: str = "", minutes: int = 0) -> Proof:
    """A reading, so many minutes later."""
    at = AT + timedelta(minutes=minutes)
    reached = None if problems else asked
    return Proof(
        backup, f"auto-{backup}", AT, at, asked, reached, store, problems, 12, 3456, ("world",), archive="9 sha1:a"
    )


async def test_what_proofs_found_is_found_by_server_the_last_of_each_level(place: Place) -> None:
    """A later one takes the place of that of the same backup, place and level."""
    async with place.opened() as (_, journal):
        first, torn = read(), read("one", Level.SANE, "r.0.0.mca: torn", minutes=1)
        walked, copy = read("one", Level.WALKED), read(store="nas")
        sealed = replace(copy, backup="two", reached=Level.READ, files=None, bytes=None, worlds=())
        for proof in (first, torn, walked, copy, sealed):
            await journal.record_proof(ProofRecord("survival", UUID, proof))
        await journal.record_proof(ProofRecord("creative", OTHER, first))
        assert [one.proof for one in await journal.proofs(UUID)] == [torn, walked, copy, sealed]
        assert await journal.proofs(OTHER) == [ProofRecord("creative", OTHER, first)]
        assert len(await journal.proofs()) == 5
        await journal.forget_proofs(UUID, [torn, copy, sealed])
        assert [one.proof for one in await journal.proofs(UUID)] == [walked]
        await journal.prune(AT + timedelta(days=401))
        assert await journal.proofs() == []


async def test_what_was_found_wrong_is_displaced_by_no_earlier_reading(place: Place) -> None:
    """A stream was read, and is recorded hours later, once the slowest store has its copy; another place is apart."""
    async with place.opened() as (_, journal):

        async def record(proof: Proof) -> bool:
            return await journal.record_proof(ProofRecord("survival", UUID, proof))

        torn, early = read("one", Level.WALKED, "torn", minutes=2), read("one", Level.WALKED, minutes=1)
        assert await record(torn)
        assert not await record(early)
        assert not await record(read("one", Level.WALKED, "zeroed"))
        assert await record(replace(early, store="nas"))
        assert [one.proof for one in await journal.proofs(UUID)] == [torn, replace(early, store="nas")]
        again = read("one", Level.WALKED, minutes=2)
        assert await record(again)
        assert await record(early), "what is right may be read again by a clock that was set back"
        assert [one.proof for one in await journal.proofs(UUID) if not one.proof.store] == [early]


async def test_a_reading_that_a_clock_dated_too_late_hides_nothing_that_is_found_wrong(place: Place) -> None:
    """However deep it looked; and of that backup in that place alone."""
    async with place.opened() as (_, journal):
        ahead = [read("one", level, minutes=10**6) for level in (Level.WALKED, Level.SANE, Level.RESTORED)]
        apart = [replace(ahead[1], store="nas"), replace(ahead[1], backup="two")]
        wrong, before = read("one", Level.SANE, "torn", minutes=10**6), read("three", minutes=1)
        torn = [read(one, Level.WALKED, "gzip", minutes=2) for one in ("one", "three")]
        for proof in (*ahead, *apart, before, replace(wrong, backup="four"), *torn, replace(torn[0], backup="four")):
            await journal.record_proof(ProofRecord("survival", UUID, proof))
        left = {
            (one.proof.backup, one.proof.store, one.proof.asked, one.proof.problems) for one in await journal.proofs()
        }
        assert left == {
            ("one", "", Level.WALKED, ("gzip",)),
            ("one", "nas", Level.SANE, ()),
            ("two", "", Level.SANE, ()),
            ("three", "", Level.SANE, ()),
            ("three", "", Level.WALKED, ("gzip",)),
            ("four", "", Level.SANE, ("torn",)),
            ("four", "", Level.WALKED, ("gzip",)),
        }


async def test_a_proof_and_what_was_applied_last_outlive_a_pruning_though_no_rotation_is_recorded(place: Place) -> None:
    """With a full disk backups may be read for days while no rotation leaves a trace; a freeze must not end by that."""
    async with place.opened() as (_, journal):
        torn = ProofRecord("survival", UUID, read("one", Level.SANE, "r.0.0.mca: torn"))
        await journal.record_proof(torn)
        await journal.apply(UUID, AppliedRetention("last=3"))
        await journal.prune(AT + timedelta(days=399))
        assert (await journal.proofs(UUID), await journal.applied(UUID)) == ([torn], AppliedRetention("last=3"))


async def test_what_an_operator_accepted_of_a_proof_stays_accepted_while_the_same_is_wrong(place: Place) -> None:
    """Wherever that backup was read; what is right needs nobody's word."""
    async with place.opened() as (_, journal):
        torn, copy, other = (
            read("one", Level.SANE, "torn"),
            read("one", Level.SANE, "torn", store="nas"),
            read("two", Level.SANE, "torn"),
        )
        for proof in (torn, copy, other, read("one", Level.WALKED)):
            await journal.record_proof(ProofRecord("survival", UUID, proof))
        assert await journal.accept_proof(UUID, "one", AT)
        assert not await journal.accept_proof(UUID, "one", AT)
        assert not await journal.accept_proof(OTHER, "one", AT)
        accepted = {(one.proof.backup, one.proof.store) for one in await journal.proofs() if one.proof.accepted}
        assert accepted == {("one", ""), ("one", "nas")}
        await journal.record_proof(ProofRecord("survival", UUID, replace(torn, at=AT + MINUTE)))
        await journal.record_proof(ProofRecord("survival", UUID, replace(copy, problems=("zeroed",))))
        assert [one.proof.accepted for one in await journal.proofs(UUID) if one.proof.problems] == [True, False, False]


async def test_since_when_proofs_are_asked_for_is_kept_until_they_are_no_more(place: Place) -> None:
    """One moment and one level of each server; a server of that identifier at another panel is another."""
    one = ProofAsked("main", UUID[:8], Level.SANE, AT + timedelta(microseconds=1))
    elsewhere, other = replace(one, panel="spare", since=AT), ProofAsked("main", OTHER[:8], Level.READ, AT)
    deeper = replace(other, level=Level.WALKED, since=AT + MINUTE)
    async with place.opened() as (_, journal):
        assert await journal.proofs_asked() == []
        await journal.ask_proofs([other, one, elsewhere])
        assert await journal.proofs_asked() == [one, other, elsewhere]
        await journal.ask_proofs([deeper], {elsewhere.server, ("main", "ffffffff")})
        assert await journal.proofs_asked() == [one, deeper]
        await journal.ask_proofs([], [])
    async with place.opened() as (_, journal):
        assert await journal.proofs_asked() == ([one, deeper] if place.lasts else [])


async def test_since_when_proofs_are_asked_for_is_forgotten_with_a_server_that_is_long_gone(place: Place) -> None:
    """Not before it had its first rotation, and not while one is remembered."""
    asked = [ProofAsked("main", uuid[:8], Level.SANE, AT) for uuid in (UUID, OTHER)]
    year = timedelta(days=401)
    async with place.opened() as (_, journal):
        await journal.ask_proofs(asked)
        await journal.prune(AT + timedelta(days=1))
        assert await journal.proofs_asked() == asked
        await journal.listed(UUID, [], AT + year)
        await journal.prune(AT + year)
        assert await journal.proofs_asked() == asked[:1]


async def test_what_was_read_is_summed_up_by_day(place: Place) -> None:
    """Days that are long over are forgotten."""
    async with place.opened() as (_, journal):
        today = AT.date()
        long_after = today + PROVEN_KEPT_FOR + timedelta(days=1)
        assert await journal.bytes_proven(today) == 0
        assert await journal.prove_bytes(today, 700)
        assert await journal.prove_bytes(today, 50)
        assert await journal.bytes_proven(today) == 750
        await journal.prove_bytes(long_after, 1)
        assert (await journal.bytes_proven(today), await journal.bytes_proven(long_after)) == (0, 1)


async def test_what_was_read_on_a_day_is_known_to_a_clock_that_is_behind(place: Place) -> None:
    """Where it is still that day, no more is read because another member's clock has passed midnight."""
    async with place.opened() as (_, journal):
        today, last = AT.date(), AT.date() + PROVEN_KEPT_FOR
        assert await journal.prove_bytes(today, 700)
        for day in (today + timedelta(days=1), last):
            assert await journal.prove_bytes(day, 1)
            assert await journal.bytes_proven(today) == 700
            assert not await journal.prove_bytes(today, 50, after=0)


async def test_two_members_do_not_both_take_what_is_left_of_a_day(place: Place) -> None:
    """Only what was reckoned with all that was read until then is recorded."""
    async with place.opened() as (_, journal):
        today, tomorrow = AT.date(), AT.date() + timedelta(days=1)
        assert await journal.prove_bytes(today, 700, after=0)
        assert not await journal.prove_bytes(today, 50, after=0)
        assert await journal.prove_bytes(today, 50, after=700)
        assert await journal.bytes_proven(today) == 750
        assert await journal.prove_bytes(tomorrow, 1, after=750)  # a day begins with nothing read
        assert await journal.bytes_proven(tomorrow) == 1


def drill(server: str = "survival", minutes: int = 0) -> DrillRecord:
    """A drill that begins so many minutes later."""
    began = AT + minutes * MINUTE
    return DrillRecord("spare", "lobby", OTHER, server, UUID, "b-1", "auto-1", began, True)


async def test_drills_are_read_as_they_were_written(place: Place) -> None:
    """Newest first; what one puts onto its spare server, and how it ended, is recorded while it goes on."""
    async with place.opened() as (_, journal):
        one, two = await journal.begin_drill(drill()), await journal.begin_drill(drill("creative", 1))
        first, second = replace(drill(), number=one), replace(drill("creative", 1), number=two)
        assert await journal.drills() == [second, first]
        await journal.drill_puts(one, ["world", "server.properties"])
        first = replace(first, put=("world", "server.properties"))
        assert await journal.drills("survival") == [first]
        await journal.end_drill(one, at=AT + MINUTE, result=DrillResult.DONE, seconds=12.345)
        await journal.end_drill(two, at=AT + MINUTE, result=DrillResult.FAILED, text="it did not start")
        first = replace(first, ended_at=AT + MINUTE, result=DrillResult.DONE, seconds=12.345)
        second = replace(second, ended_at=AT + MINUTE, result=DrillResult.FAILED, text="it did not start")
        assert await journal.drills() == [second, first]
        assert await journal.drills(limit=1) == [second]
        assert one != two


async def test_how_a_drill_ended_is_said_once(place: Place) -> None:
    """A command that goes on after the daemon took its drill for killed does not make it one that went well."""
    async with place.opened() as (_, journal):
        number = await journal.begin_drill(drill())
        await journal.end_drill(number, at=AT + MINUTE, result=DrillResult.INTERRUPTED, text="emptied")
        await journal.end_drill(number, at=AT + 2 * MINUTE, result=DrillResult.DONE, seconds=1.0)
        (found,) = await journal.drills()
        assert (found.result, found.ended_at, found.seconds) == (DrillResult.INTERRUPTED, AT + MINUTE, None)


async def test_old_drills_are_forgotten_but_none_that_has_not_ended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left on its spare server is still to be deleted."""
    monkeypatch.setattr("daemon.state.local.pruning.MOST_DRILLS", 1)
    monkeypatch.setattr("daemon.state.postgres.pruning.MOST_DRILLS", 1)
    async with place.opened() as (_, journal):
        numbers = [await journal.begin_drill(drill(minutes=number)) for number in range(4)]
        for number in numbers[1:]:
            await journal.end_drill(number, at=AT + 9 * MINUTE, result=DrillResult.DONE)
        await journal.prune(AT)
        assert [one.number for one in await journal.drills()] == [numbers[3], numbers[0]]
        await journal.prune(AT + timedelta(days=500))
        assert [one.number for one in await journal.drills()] == [numbers[0]]


async def test_what_is_old_is_forgotten_but_for_the_newest_attempt_and_the_last_room(place: Place) -> None:
    """When a start was tried decides whether it was missed; room that was made decides whether more is made."""
    async with place.opened() as (_, journal):
        room, old, newest = await begin(journal), await begin(journal), await begin(journal)
        await journal.step(room, "room", AT, uuid="gone")
        assert await journal.prune(AT + timedelta(days=399)) == 0
        assert await journal.prune(AT + timedelta(days=401)) == 1
        assert [row.id for row in await journal.recent()] == [newest, room]
        assert old not in {row.id for row in await journal.recent()}


# The catalogue of copies ---------------------------------------------------------------------------------------------


def seen(store: str = "nas", server: str = UUID, *, detail: str = "…", panel: str = "main") -> ShelfRecord:
    """What was seen of a server in a store."""
    return ShelfRecord(Holding(store, panel, server, AT, 2, 700, AT - MINUTE), detail)


async def test_what_was_seen_in_stores_is_found_by_server(place: Place) -> None:
    """In every store, by uuid or by the identifier that it begins with; the newest look takes the place of others."""
    async with place.engine() as engine:
        known = engine.catalogue
        assert (await known.shelves("main", UUID), await known.shelf("nas", "main", UUID)) == ([], None)
        for record in (seen("usb"), seen(detail="old"), seen(), seen(server=OTHER), seen(panel="other")):
            await known.remember(record)
        for asked_with in (UUID, UUID[:8]):
            assert await known.shelves("main", asked_with) == [seen(), seen("usb")]
        assert await known.shelf("nas", "main", UUID) == seen()
        assert await known.shelf("nas", "main", UUID[:8]) is None


async def test_what_a_store_holds_is_told_of_each_server(place: Place) -> None:
    """Or what every store holds, without the details; also a server of which it holds nothing any more."""
    empty = Holding("nas", "main", OTHER, AT, 0, 0, None)
    async with place.engine() as engine:
        known = engine.catalogue
        assert await known.holdings() == []
        await known.replace("usb", [seen("usb")])
        await known.replace("nas", [seen(), ShelfRecord(empty, "…")])
        assert await known.holdings("nas") == [seen().holding, empty]
        assert await known.holdings() == [seen().holding, empty, seen("usb").holding]


async def test_a_look_at_a_whole_store_replaces_what_was_known_of_it_and_of_no_other(place: Place) -> None:
    """What is not there any more is forgotten."""
    async with place.engine() as engine:
        known = engine.catalogue
        await known.replace("nas", [seen(), seen(server=OTHER)])
        await known.replace("usb", [seen("usb")])
        await known.replace("nas", [seen(detail="new")])
        assert await known.shelves("main", UUID) == [seen(detail="new"), seen("usb")]
        await known.replace("nas", [])
        assert await known.holdings() == [seen("usb").holding]


async def test_what_was_seen_and_the_installation_are_the_same_for_all_that_share_the_state(place: Place) -> None:
    """The id is made once, and outlives the process if the state does."""
    async with place.engine() as ours, place.beside_engine(ours) as theirs:
        await ours.catalogue.remember(seen())
        assert await theirs.catalogue.shelves("main", UUID) == [seen()]
        installation = await ours.catalogue.installation()
        assert installation == await theirs.catalogue.installation() == await ours.catalogue.installation()
    async with place.engine() as later:
        assert (await later.catalogue.installation() == installation) == place.lasts
        assert await later.catalogue.holdings() == ([seen().holding] if place.lasts else [])


def test_reading_the_catalogue_makes_nothing(place: Place, tmp_path: Path) -> None:
    """A `copies list` before the first copy."""

    async def read() -> None:
        async with place.engine() as engine:
            assert (await engine.catalogue.holdings(), await engine.catalogue.shelves("main", UUID)) == ([], [])

    asyncio.run(read())
    assert list(tmp_path.iterdir()) == []
