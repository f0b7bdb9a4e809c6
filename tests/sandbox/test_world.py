"""The rules of the sandbox's world, with plain values and a clock that moves only when told."""

from datetime import timedelta

import pytest

from daemon.sandbox.answers import PanelRefusal
from daemon.sandbox.checks import admit_restore, check_create, check_delete, check_restore
from daemon.sandbox.records import Backup, BackupEnding, Change, Server, State, Work
from daemon.sandbox.scenes import one_server
from daemon.sandbox.settings import Digest, Settings
from daemon.sandbox.world import World
from tests.fakes import FakeClock


@pytest.fixture
def world(clock: FakeClock) -> World:
    """A world whose one server has a limit of three; the creation throttle is off."""
    return one_server(clock, limit=3, settings=Settings(creation_limit=0))[0]


@pytest.fixture
def server(world: World) -> Server:
    """That server."""
    return next(iter(world.servers.values()))


def begin(world: World, server: Server, *, locked: bool = False) -> Backup:
    """A backup begins, past the limits."""
    return world.create(server, "a", ignored=(), locked=locked, by="admin")


def passed(world: World, clock: FakeClock, seconds: float) -> None:
    """Let time go by, and what is due happen."""
    clock.elapsed += seconds
    world.settle()


def state_after(world: World, clock: FakeClock, seconds: float, backup: Backup) -> State:
    """Let time go by, and return what has become of a backup."""
    passed(world, clock, seconds)
    return backup.state


def refused(world: World, server: Server) -> str | None:
    """The code of the refusal that a create would get now."""
    try:
        check_create(world, server)
    except PanelRefusal as refusal:
        return refusal.code
    return None


def test_a_backup_is_pending_until_its_time_is_over(world: World, server: Server, clock: FakeClock) -> None:
    """It has no size and no checksum before."""
    server.work = Work(seconds=90, size=5_000)
    backup = begin(world, server)
    passed(world, clock, 89.9)
    assert (backup.state, backup.bytes, backup.checksum(Digest.SHA1)) == (State.PENDING, 0, None)
    passed(world, clock, 0.1)
    assert (backup.state, backup.bytes) == (State.GOOD, 5_000)
    assert backup.checksum(Digest.SHA1) is not None
    assert backup.completed_at == backup.created_at + timedelta(seconds=90)


def test_what_is_seen_late_was_done_in_time(world: World, server: Server, clock: FakeClock) -> None:
    """Nobody looked for a day; the moment of completion and the ledger's are those of the work."""
    backup = begin(world, server)
    passed(world, clock, 86_400)
    assert backup.completed_at == backup.created_at + timedelta(seconds=1)
    assert world.ledger[-1].at == backup.completed_at


def test_a_backup_that_the_node_reports_as_failed_loses_its_lock(
    world: World, server: Server, clock: FakeClock
) -> None:
    """And has a moment of completion."""
    server.work = Work(outcome=BackupEnding.FAILED)
    backup = begin(world, server, locked=True)
    passed(world, clock, 1)
    assert (backup.state, backup.locked, backup.bytes) == (State.FAILED, False, 0)
    assert backup.completed_at is not None


def test_a_stuck_one_stays_pending_where_there_is_no_housekeeping(
    world: World, server: Server, clock: FakeClock
) -> None:
    """For as long as anybody waits."""
    server.work = Work(outcome=BackupEnding.STUCK)
    backup = begin(world, server, locked=True)
    assert state_after(world, clock, 30 * 86_400, backup) is State.PENDING


def test_the_housekeeping_marks_a_stuck_one_as_failed_and_leaves_its_lock(
    world: World, server: Server, clock: FakeClock
) -> None:
    """Six hours after its creation, also where it was there before the world began."""
    world.settings.housekeeping = 6 * 3600
    server.work = Work(outcome=BackupEnding.STUCK)
    backup = begin(world, server, locked=True)
    older = world.add_backup(server, "b", state=State.PENDING, created_at=clock.now() - timedelta(hours=5))
    passed(world, clock, 3600)
    assert (backup.state, older.state) == (State.PENDING, State.FAILED)
    passed(world, clock, 5 * 3600)
    assert (backup.state, backup.locked) == (State.FAILED, True)


def test_the_housekeeping_leaves_alone_what_has_ended(world: World, server: Server, clock: FakeClock) -> None:
    """A good one stays good."""
    world.settings.housekeeping = 6 * 3600
    backup = begin(world, server)
    assert state_after(world, clock, 7 * 3600, backup) is State.GOOD


def test_a_failed_one_turns_good_when_the_node_reports_late(world: World, server: Server, clock: FakeClock) -> None:
    """The slow node was not done when the housekeeping came."""
    world.settings.housekeeping = 6 * 3600
    server.work = Work(seconds=7 * 3600)
    backup = begin(world, server)
    assert state_after(world, clock, 6.5 * 3600, backup) is State.FAILED
    assert state_after(world, clock, 0.5 * 3600, backup) is State.GOOD
    assert backup.completed_at == backup.created_at + timedelta(hours=7)


def test_a_node_can_report_success_after_it_reported_failure(world: World, server: Server, clock: FakeClock) -> None:
    """`late` is counted from the creation; nothing turns a good one back."""
    server.work = Work(seconds=1, outcome=BackupEnding.FAILED, late=100)
    backup = begin(world, server)
    assert state_after(world, clock, 99, backup) is State.FAILED
    assert state_after(world, clock, 1, backup) is State.GOOD
    world.report(server, backup, success=False)
    assert state_after(world, clock, 0, backup) is State.GOOD


def test_what_comes_is_used_up_before_the_usual(world: World, server: Server, clock: FakeClock) -> None:
    """The next one fails, those after it are as always."""
    server.coming.append(Work(outcome=BackupEnding.FAILED))
    first, second = begin(world, server), begin(world, server)
    passed(world, clock, 1)
    assert (first.state, second.state) == (State.FAILED, State.GOOD)


def test_the_limit_counts_pending_ones_and_not_failed_ones(world: World, server: Server) -> None:
    """Three of four count here."""
    for state in (State.GOOD, State.FAILED, State.PENDING):
        world.add_backup(server, "a", state=state)
    assert refused(world, server) is None
    world.add_backup(server, "a")
    assert refused(world, server) == "TooManyBackupsException"


@pytest.mark.parametrize("limit", [None, 0])
def test_a_limit_of_nothing_allows_no_backup(world: World, server: Server, limit: int | None) -> None:
    """None is no freedom."""
    server.limit = limit
    assert refused(world, server) == "TooManyBackupsException"


def test_the_throttle_holds_for_ten_minutes_and_counts_deleted_ones(
    world: World, server: Server, clock: FakeClock
) -> None:
    """It comes before the limit, and forgets the first at 601 seconds, since it counts in whole ones."""
    world.settings.creation_limit = 2
    for _ in range(2):
        world.remove(server, begin(world, server), by="admin")
    assert refused(world, server) == "TooManyRequestsHttpException"
    passed(world, clock, 600.9)
    assert refused(world, server) == "TooManyRequestsHttpException"
    passed(world, clock, 0.1)
    assert refused(world, server) is None


def test_on_pelican_deleted_ones_do_not_count_for_the_throttle(world: World, server: Server) -> None:
    """They are gone there."""
    world.settings.creation_limit, world.settings.deleted_count = 1, False
    world.remove(server, begin(world, server), by="admin")
    assert refused(world, server) is None


def test_failed_ones_do_not_count_for_the_throttle(world: World, server: Server, clock: FakeClock) -> None:
    """They may be tried again at once."""
    world.settings.creation_limit = 1
    server.work = Work(outcome=BackupEnding.FAILED)
    begin(world, server)
    assert refused(world, server) == "TooManyRequestsHttpException"
    passed(world, clock, 1)
    assert refused(world, server) is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(0.0, "600", id="counted from the newest"),
        pytest.param(0.4, "599", id="cut to whole seconds"),
        pytest.param(599.5, None, id="missing where less than a second is left"),
        pytest.param(600.5, None, id="missing at the boundary, which is past the wait"),
    ],
)
def test_the_wait_that_the_throttle_tells(
    world: World, server: Server, clock: FakeClock, age: float, expected: str | None
) -> None:
    """It is told as the captures have it."""
    world.settings.creation_limit = 1
    begin(world, server)
    passed(world, clock, age)
    with pytest.raises(PanelRefusal) as caught:
        check_create(world, server)
    assert caught.value.headers.get("Retry-After") == expected


def test_a_lock_hinders_the_panel_only_from_deleting_good_ones(world: World, server: Server) -> None:
    """Honouring the others is the client's part."""
    for state in (State.FAILED, State.PENDING):
        check_delete(world.add_backup(server, "a", state=state, locked=True))
    with pytest.raises(PanelRefusal, match="locked"):
        check_delete(world.add_backup(server, "a", locked=True))


def test_a_lock_is_a_toggle_and_the_ledger_tells_both(world: World, server: Server) -> None:
    """Twice is as never, but for the ledger."""
    backup = world.add_backup(server, "a")
    world.toggle_lock(server, backup, by="admin")
    world.toggle_lock(server, backup, by="bob")
    assert not backup.locked
    assert [(entry.change, entry.by) for entry in world.ledger[1:]] == [
        (Change.LOCKED, "admin"),
        (Change.UNLOCKED, "bob"),
    ]


def test_the_ledger_keeps_what_a_deleted_backup_was(world: World, server: Server) -> None:
    """Its lock and its state at that time; deleting it twice is one line."""
    backup = world.add_backup(server, "a", state=State.FAILED, locked=True)
    for _ in range(2):
        world.remove(server, backup, by="admin")
    deleted = [entry for entry in world.ledger if entry.change is Change.DELETED]
    assert [(entry.backup, entry.locked, entry.state, entry.by) for entry in deleted] == [
        (backup.uuid, True, State.FAILED, "admin")
    ]


def test_what_was_deleted_while_pending_never_completes(world: World, server: Server, clock: FakeClock) -> None:
    """The node's report comes to nothing; so it does when the whole server is gone."""
    world.settings.housekeeping = 100
    world.remove(server, begin(world, server), by="admin")
    begin(world, server)
    world.remove_server(server)
    passed(world, clock, 100)
    assert {entry.change for entry in world.ledger} == {Change.CREATED, Change.DELETED}


def test_a_restore_keeps_the_server_busy_and_only_the_log_tells_how_it_went(
    world: World, server: Server, clock: FakeClock
) -> None:
    """A failed backup has no file, so the node fails."""
    server.restore_seconds = 30
    backup = world.add_backup(server, "a", state=State.FAILED)
    check_restore(server, backup)
    world.restore(server, backup, by="admin")
    with pytest.raises(PanelRefusal, match="not currently in a state"):
        check_restore(server, backup)
    passed(world, clock, 30)
    assert server.status is None
    assert [entry.change for entry in world.ledger[1:]] == [Change.RESTORING, Change.RESTORE_FAILED]


def test_newer_panels_allow_three_restores_in_fifteen_minutes(world: World, server: Server, clock: FakeClock) -> None:
    """The fourth is told how long to wait, counted from the first."""
    world.settings.restore_limit = 3
    for left in (2, 1, 0):
        assert admit_restore(world, server) == {"X-RateLimit-Limit": "3", "X-RateLimit-Remaining": str(left)}
        passed(world, clock, 10)
    with pytest.raises(PanelRefusal) as caught:
        admit_restore(world, server)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("ThrottleRequestsException", "870")
    passed(world, clock, 870)
    admit_restore(world, server)


def test_the_panels_clock_may_be_ahead(world: World, server: Server, clock: FakeClock) -> None:
    """What it stamps is by its own clock, what takes time by everybody's."""
    world.settings.skew = timedelta(minutes=10)
    backup = begin(world, server)
    assert backup.created_at == clock.now() + timedelta(minutes=10)
    passed(world, clock, 1)
    assert backup.completed_at == backup.created_at + timedelta(seconds=1)


def test_things_happen_in_the_order_in_which_they_are_due(world: World, clock: FakeClock) -> None:
    """Also those that others bring about, each at its own moment of the panel's clock."""
    seen = []
    world.later(2, lambda: seen.append(("second", world.now())))
    world.later(1, lambda: world.later(0.5, lambda: seen.append(("first", world.now()))))
    start = world.now()
    passed(world, clock, 10)
    assert seen == [("first", start + timedelta(seconds=1.5)), ("second", start + timedelta(seconds=2))]


def test_an_action_that_looks_at_the_world_does_not_run_others_ahead(world: World, clock: FakeClock) -> None:
    """Looking inside an action settles nothing more."""
    order: list[str] = []

    def look() -> None:
        world.settle()
        order.append("one")

    world.later(1, look)
    world.later(2, lambda: order.append("two"))
    passed(world, clock, 5)
    assert order == ["one", "two"]


def test_a_server_is_found_by_either_id_in_either_case(world: World, server: Server) -> None:
    """But not by a part of it."""
    for text in (server.uuid, server.uuid.upper(), server.identifier, server.identifier.upper()):
        assert world.find_server(text) is server
    assert world.find_server(server.identifier[:7]) is None


def test_the_same_seed_makes_the_same_world(clock: FakeClock) -> None:
    """Down to the uuids."""
    one, other = (World(clock, seed=7).new_uuid() for _ in range(2))
    assert one == other
    assert World(clock, seed=8).new_uuid() != one
