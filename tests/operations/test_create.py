"""Creating by hand: asked for once, under a name of its own, and looked at in the end."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.model import State
from daemon.core.names import Ownership, Template
from daemon.errors import UsageError
from daemon.operations.create import PATIENCE, CreateOptions, check, create
from daemon.operations.result import OperationResult, exit_of
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import BackupEnding, Change, Work
from daemon.sandbox.records import State as Panel
from daemon.sandbox.world import World
from daemon.state.local.locks import server_lock
from tests.operations.conftest import Hand

pytestmark = pytest.mark.anyio

WAIT = CreateOptions(wait=True, patience=PATIENCE)


def codes(outcome: OperationResult) -> list[str]:
    """The codes of what was said."""
    return [problem.code for problem in outcome.problems]


async def test_without_waiting_the_pending_backup_is_returned_at_once(hand: Hand) -> None:
    """The panel goes on with it, and that is known should somebody press Ctrl-C."""
    operation = hand.operation()
    outcome = await create(operation, CreateOptions())
    assert (outcome.result, outcome.state, outcome.changed, outcome.problems) == (Result.DONE, State.PENDING, True, ())
    assert outcome.backup is not None
    assert operation.going_on == (
        f"{outcome.backup.name} goes on at the panel; `ptero-backupd backups show survival {outcome.backup.uuid}` "
        "follows it"
    )


async def test_with_waiting_the_good_backup_is_returned(hand: Hand) -> None:
    """As last seen: with its size, and nothing goes on any more."""
    operation = hand.operation()
    outcome = await create(operation, WAIT)
    assert (outcome.result, outcome.state, operation.going_on) == (Result.DONE, State.GOOD, "")
    assert outcome.backup is not None
    assert outcome.backup.bytes == hand.rig.server.work.size
    assert hand.steps == [f"asking for {outcome.backup.name}", f"waiting for {outcome.backup.name}"]


async def test_who_waits_is_told_how_long_it_usually_takes(hand: Hand) -> None:
    """By the good ones before it."""
    hand.add(took=timedelta(minutes=10))
    await create(hand.operation(), WAIT)
    assert hand.steps[-1].endswith("; earlier ones took about 10 min 32 s")


# Names ---------------------------------------------------------------------------------------------------------------


async def test_the_default_name_tells_the_time_on_the_panel_in_the_policys_zone(hand: Hand) -> None:
    """03:59 UTC is 05:59 in Berlin; the panel's clock decides, not ours."""
    hand.rig.configure(timezone="Europe/Berlin")
    hand.rig.world.settings.skew = timedelta(hours=1)
    outcome = await create(hand.operation(), CreateOptions())
    assert outcome.backup is not None
    assert outcome.backup.name == "by hand 2026-04-01 06:59:00"


@pytest.mark.parametrize(
    "template", ["by hand {time}", "by hand 2{time}", "by hand {time}-{id}", "by {server} {time}", "b{id}{time}"]
)
def test_no_template_could_have_made_the_default_name(template: str) -> None:
    """A {time} has a form that the name has not, so no policy of scope "own" takes it for its own."""
    owner = Ownership((Template.parse(template),), None)
    assert not owner.owns("by hand 2026-04-01 06:59:00")
    assert not owner.owns("before restore 2026-04-01 06:59:00 (2)")


async def test_a_rotation_never_deletes_what_was_made_by_hand(hand: Hand) -> None:
    """Scope "own", keep the last one: twenty rotations later it is still there."""
    hand.rig.configure(keep={"last": 1})
    outcome = await create(hand.operation(), WAIT)
    for _ in range(20):
        await hand.rig.rotate()
    assert outcome.backup is not None
    assert outcome.backup.name in hand.rig.names()
    assert len(hand.rig.names()) == 2


async def test_two_by_hand_in_one_second_have_two_names(hand: Hand) -> None:
    """Else the answer to the second could not be told from the first."""
    first, second = await create(hand.operation(), CreateOptions()), await create(hand.operation(), CreateOptions())
    assert first.backup is not None
    assert second.backup is not None
    assert second.backup.name == f"{first.backup.name} (2)"


async def test_a_name_that_is_there_already_is_refused_before_asking(hand: Hand) -> None:
    """The panel would take it; a lost answer could then not be settled. Blanks around it do not make it another."""
    hand.add("before it all")
    with pytest.raises(UsageError, match="there is a backup before it all already"):
        await create(hand.operation(), CreateOptions(name=" before it all "))
    assert hand.rig.requests(Call.CREATE) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (CreateOptions(name="x" * 192), "192 characters are too many"),
        (CreateOptions(name="  "), "is empty"),
        (CreateOptions(name="two\nlines"), "cannot be seen"),
        (CreateOptions(ignored=("a\nb",)), "is not one pattern"),
    ],
)
async def test_what_the_panel_would_not_take_is_refused_before_asking(
    hand: Hand, options: CreateOptions, words: str
) -> None:
    """Not a single request."""
    with pytest.raises(UsageError, match=words):
        await create(hand.operation(), options)
    assert hand.rig.requests() == 0


def test_a_name_of_191_characters_is_the_longest() -> None:
    """Blanks around it are cut by the panel and do not count."""
    check(CreateOptions(name=f" {'x' * 191} ", ignored=("logs/", "*.tmp")))


async def test_a_name_of_the_policy_is_taken_and_said(hand: Hand) -> None:
    """Retention may delete it: who chose the name should know."""
    outcomes = await create(hand.operation(), CreateOptions(name="auto-survival-20260401T040000Z-00000000"))
    assert (outcomes.result, codes(outcomes)) == (Result.DONE, ["own-name"])


@pytest.mark.parametrize(("locked", "said"), [(False, ["scope-all"]), (True, [])])
async def test_under_a_policy_that_may_delete_anything_it_is_said_unless_it_is_locked(
    hand: Hand, locked: bool, said: list[str]
) -> None:
    """Scope "all": a name of its own protects nothing there."""
    hand.rig.configure(scope="all")
    outcomes = await create(hand.operation(), CreateOptions(locked=locked))
    assert (outcomes.result, codes(outcomes)) == (Result.DONE, said)


# Ignore list ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ignored", "understood"), [(None, ("logs/", "*.tmp")), (("cache/", "a b"), ("cache/", "a b")), (("",), ())]
)
async def test_what_is_left_out_is_what_was_asked_for_else_what_the_policy_leaves_out(
    hand: Hand, ignored: tuple[str, ...] | None, understood: tuple[str, ...]
) -> None:
    """An empty pattern stands for nothing at all."""
    hand.rig.configure(ignored=["logs/", "*.tmp"])
    outcome = await create(hand.operation(), CreateOptions(ignored=ignored))
    assert outcome.backup is not None
    assert (outcome.backup.ignored, outcome.problems) == (understood, ())


async def test_it_is_said_where_the_panel_understood_another_ignore_list(hand: Hand) -> None:
    """It is made all the same."""
    hand.rig.world.faults.order(faults.with_values({"ignored_files": ["a,b"]}), on=Call.CREATE)
    outcomes = await create(hand.operation(), CreateOptions(ignored=("a", "b")))
    assert (outcomes.result, codes(outcomes)) == (Result.DONE, ["ignored"])
    assert outcomes.problems[0].text == "the panel understood the ignore list as ['a,b'], not ['a', 'b']"


# The lock ------------------------------------------------------------------------------------------------------------


async def test_a_lock_that_is_asked_for_is_there_in_the_end(hand: Hand) -> None:
    """The panel took it, and kept it."""
    outcome = await create(hand.operation(), replace(WAIT, locked=True))
    assert outcome.backup is not None
    assert (outcome.backup.locked, outcome.problems, hand.rig.requests(Call.LOCK)) == (True, (), 0)


async def test_a_lock_that_is_gone_when_the_backup_is_good_is_set_again(hand: Hand) -> None:
    """Somebody, or a report of failure that was taken back, took it away meanwhile."""
    hand.rig.server.work = Work(seconds=60)
    made = asyncio.create_task(create(hand.operation(), replace(WAIT, locked=True)))
    await hand.rig.clock.sleep(30)
    (row,) = hand.rig.server.backups.values()
    row.locked = False
    outcome = await made
    assert (outcome.result, row.locked, outcome.problems) == (Result.DONE, True, ())
    assert outcome.backup is not None
    assert outcome.backup.locked


async def test_a_key_that_may_not_lock_is_told_that_the_panel_dropped_the_lock(hand: Hand) -> None:
    """The panel does so in silence; the backup is there, so it is not all that failed."""
    hand.as_user("backup.read", "backup.create")
    outcomes = await create(hand.operation(), CreateOptions(locked=True))
    assert (outcomes.result, outcomes.changed, codes(outcomes)) == (Result.FAILED, True, ["lock-dropped"])
    assert "backup.delete" in outcomes.problems[0].hint
    assert exit_of(hand.rig.config, [outcomes]) == 3


async def test_a_key_that_may_not_lock_cannot_set_the_lock_again(hand: Hand) -> None:
    """Tried once the backup is good, refused, and said."""
    hand.as_user("backup.read", "backup.create")
    outcomes = await create(hand.operation(), replace(WAIT, locked=True))
    assert (outcomes.result, outcomes.state, codes(outcomes)) == (Result.FAILED, State.GOOD, ["lock-dropped"])
    assert "is not locked" in outcomes.problems[0].text
    assert exit_of(hand.rig.config, [outcomes]) == 3


async def test_one_that_fails_loses_its_lock_and_is_not_locked_again(hand: Hand) -> None:
    """A failed backup is nothing to be kept."""
    hand.rig.server.work = Work(outcome=BackupEnding.FAILED)
    outcomes = await create(hand.operation(), replace(WAIT, locked=True))
    assert (outcomes.result, codes(outcomes)) == (Result.FAILED, ["lock-dropped", "backup-failed"])
    assert outcomes.problems[0].text == "a backup that fails loses its lock; it was not set again"
    assert exit_of(hand.rig.config, [outcomes]) == 4
    assert hand.rig.requests(Call.LOCK) == 0


# Throttle and limit --------------------------------------------------------------------------------------------------


async def test_throttled_it_says_for_how_long(hand: Hand) -> None:
    """Without --wait nothing is waited for."""
    hand.rig.world.faults.order(faults.creation_throttle("598"), on=Call.CREATE)
    began = hand.rig.clock.monotonic()
    outcomes = await create(hand.operation(), CreateOptions())
    assert (outcomes.result, codes(outcomes)) == (Result.FAILED, ["creation-throttled"])
    assert "; it allows the next one in 10 min" in outcomes.problems[0].text
    assert ".;" not in outcomes.problems[0].text
    assert hand.rig.clock.monotonic() - began < 5
    assert exit_of(hand.rig.config, [outcomes]) == 4


async def test_throttled_it_waits_and_asks_again_where_waiting_is_wished(hand: Hand) -> None:
    """The panel's real throttle: two in ten minutes, the third comes after it."""
    hand.rig.world.settings.creation_limit = 2
    for _ in range(2):
        await create(hand.operation(), WAIT)
    began = hand.rig.clock.monotonic()
    outcome = await create(hand.operation(), WAIT)
    assert outcome.result is Result.DONE
    assert 590 < hand.rig.clock.monotonic() - began < 620
    assert [step for step in hand.steps if "throttle" in step] == [
        "the panel's creation throttle lasts 9 min 58 s; trying again then"
    ]


@pytest.mark.parametrize("retry_after", ["599", None])
async def test_a_throttle_that_does_not_end_is_not_waited_for_for_ever(hand: Hand, retry_after: str | None) -> None:
    """An hour is the bound."""
    hand.rig.world.faults.order(faults.creation_throttle(retry_after), on=Call.CREATE, times=None)
    began = hand.rig.clock.monotonic()
    outcomes = await create(hand.operation(), WAIT)
    assert (outcomes.result, codes(outcomes)) == (Result.FAILED, ["creation-throttled"])
    assert 2400 < hand.rig.clock.monotonic() - began <= 3600


async def test_the_lock_is_free_while_the_throttle_is_waited_out(hand: Hand) -> None:
    """A rotation need not wait for that."""
    hand.rig.world.faults.order(faults.creation_throttle("599"), on=Call.CREATE)
    made = asyncio.create_task(create(hand.operation(), WAIT))
    await hand.rig.clock.sleep(300)
    with server_lock(hand.rig.folder / "state", hand.rig.server.uuid):
        pass
    assert (await made).result is Result.DONE


async def test_at_the_limit_nothing_is_deleted_and_it_is_said_what_could_be_done(hand: Hand) -> None:
    """Five own ones, of which three are kept: two could go. The failed one takes no place, so it frees none."""
    hand.rig.server.limit = 5
    hand.add(days=30, state=Panel.FAILED)
    for days in range(1, 6):
        hand.add(days=days)
    outcomes = await create(hand.operation(), CreateOptions())
    assert (outcomes.result, codes(outcomes)) == (Result.REFUSED, ["limit"])
    assert "by hand no room is made" in outcomes.problems[0].text
    assert "--beyond-retention` would free 2" in outcomes.problems[0].hint
    assert exit_of(hand.rig.config, [outcomes]) == 5
    assert hand.did(Change.DELETED) == []


async def test_at_a_limit_that_retention_cannot_help_only_a_hand_can(hand: Hand) -> None:
    """No word of --beyond-retention where that deletes nothing."""
    hand.rig.server.limit = 1
    hand.add()
    outcome = await create(hand.operation(), CreateOptions())
    assert outcome.problems[0].hint == "delete one by hand, or raise the server's backup limit in the panel"


async def test_a_server_that_may_have_no_backups_is_refused(hand: Hand) -> None:
    """Before anything is asked for."""
    hand.rig.server.limit = 0
    outcomes = await create(hand.operation(), CreateOptions())
    assert (outcomes.result, codes(outcomes), hand.rig.requests(Call.CREATE)) == (Result.REFUSED, ["limit"], 0)


# Trouble -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [faults.lost_after(), faults.cut(), faults.reset(), faults.slow(90)], ids=lambda fault: fault.name
)
async def test_a_lost_answer_is_settled_by_the_name(hand: Hand, fault: Fault) -> None:
    """One request, one backup."""
    hand.rig.world.faults.order(fault, on=Call.CREATE)
    outcome = await create(hand.operation(), WAIT)
    await hand.rig.clock.sleep(120)
    assert (outcome.result, outcome.state) == (Result.DONE, State.GOOD)
    assert (hand.rig.requests(Call.CREATE), len(hand.rig.names())) == (1, 1)


@pytest.mark.parametrize("fault", [faults.lost_before(), faults.web_page(504)], ids=lambda fault: fault.name)
async def test_what_does_not_appear_within_two_minutes_was_not_made(hand: Hand, fault: Fault) -> None:
    """Said, and not asked for again."""
    hand.rig.world.faults.order(fault, on=Call.CREATE)
    operation = hand.operation()
    outcomes = await create(operation, WAIT)
    assert (outcomes.result, codes(outcomes), operation.going_on) == (Result.FAILED, ["create-unknown"], "")
    assert (hand.rig.requests(Call.CREATE), hand.rig.names()) == (1, [])


async def test_what_cannot_be_looked_for_is_said_with_both_reasons(hand: Hand) -> None:
    """The panel is down: it may have begun, so that stays to be said too."""
    down = faults.refused(503, "HttpException", "Maintenance.")
    hand.rig.world.faults.order(down, on=Call.CREATE)
    hand.rig.world.faults.order(down, on=Call.LIST, times=None, skip=1)
    operation = hand.operation()
    outcomes = await create(operation, WAIT)
    assert (outcomes.result, codes(outcomes)) == (Result.FAILED, ["create-unknown"])
    assert "creating a backup" in outcomes.problems[0].text
    assert "listing the backups" in outcomes.problems[0].text
    assert "look at the panel" in outcomes.problems[0].hint
    assert operation.going_on.startswith("the panel may have begun")


async def test_left_while_it_is_asked_for_it_is_known_that_it_may_have_begun(hand: Hand) -> None:
    """The words are there before the request leaves."""
    hand.rig.world.faults.order(faults.slow(30), on=Call.CREATE)
    operation = hand.operation()
    made = asyncio.create_task(create(operation, CreateOptions()))
    await hand.rig.clock.sleep(10)
    assert operation.going_on.startswith("the panel may have begun by hand 2026-04-01 03:59:00;")
    await made


async def test_a_rotation_under_way_keeps_the_hand_off(hand: Hand) -> None:
    """It passes by itself, so exit 3."""
    with server_lock(hand.rig.folder / "state", hand.rig.server.uuid):
        outcomes = await create(hand.operation(), CreateOptions())
    assert (outcomes.result, outcomes.passing, codes(outcomes)) == (Result.SKIPPED, True, ["busy"])
    assert exit_of(hand.rig.config, [outcomes]) == 3
    assert hand.rig.requests(Call.CREATE) == 0


async def test_waiting_by_hand_costs_no_rotation_its_start(hand: Hand) -> None:
    """The lock is held only while the panel is asked."""
    hand.rig.server.work = Work(seconds=3600)
    made = asyncio.create_task(create(hand.operation(), WAIT))
    await hand.rig.clock.sleep(600)
    assert (await hand.rig.rotate()).result is not Result.SKIPPED
    assert (await made).result is Result.DONE


@pytest.mark.parametrize(("status", "code"), [("suspended", 4), ("installing", 3), ("restoring_backup", 3)])
async def test_a_suspended_server_is_a_failure_and_a_passing_state_a_skip(hand: Hand, status: str, code: int) -> None:
    """Somebody asked for this one backup, so it matters that there is none."""
    hand.rig.server.status = status
    outcomes = await create(hand.operation(), CreateOptions())
    assert (codes(outcomes), exit_of(hand.rig.config, [outcomes])) == (["server-state"], code)


async def test_a_key_that_may_only_read_creates_nothing(hand: Hand) -> None:
    """403, with what to do about it; the panel goes on with nothing."""
    hand.as_user("backup.read")
    operation = hand.operation()
    outcomes = await create(operation, CreateOptions())
    assert (outcomes.result, codes(outcomes), operation.going_on) == (Result.FAILED, ["permission-lacking"], "")
    assert exit_of(hand.rig.config, [outcomes]) == 4


async def test_one_that_is_never_completed_is_given_up_after_the_policys_timeout(hand: Hand) -> None:
    """It stays pending at the panel, and is returned so."""
    hand.rig.configure(timeout="2h")
    hand.rig.server.work = Work(outcome=BackupEnding.STUCK)
    outcomes = await create(hand.operation(), WAIT)
    assert (outcomes.result, outcomes.state, codes(outcomes)) == (Result.FAILED, State.PENDING, ["timeout"])
    assert outcomes.backup is not None
    assert exit_of(hand.rig.config, [outcomes]) == 3


async def test_one_that_vanishes_while_it_is_made_is_reported(hand: Hand) -> None:
    """Somebody deleted it."""
    hand.rig.server.work = Work(seconds=600)
    made = asyncio.create_task(create(hand.operation(), WAIT))
    await hand.rig.clock.sleep(60)
    (row,) = hand.rig.server.backups.values()
    hand.rig.world.remove(hand.rig.server, row, by="somebody")
    outcomes = await made
    assert (outcomes.result, codes(outcomes)) == (Result.FAILED, ["vanished"])


async def test_one_that_vanishes_right_after_it_was_completed_is_reported(hand: Hand) -> None:
    """Two pages of others, so that its end is seen by a view and the list is read afterwards."""
    for days in range(1, 61):
        hand.add(days=days)
    hand.rig.server.work = Work(seconds=70)

    def vanish(world: World) -> None:
        for row in hand.rows("mine"):
            world.remove(hand.rig.server, row, by="somebody")

    made = asyncio.create_task(create(hand.operation(), replace(WAIT, name="mine")))
    await hand.rig.clock.sleep(69)
    hand.before(Call.LIST, vanish, times=None)
    outcomes = await made
    assert (outcomes.result, codes(outcomes)) == (Result.FAILED, ["vanished"])


async def test_the_server_is_asked_for_once(hand: Hand) -> None:
    """What was seen for the lock is what is judged a moment later."""
    assert (await create(hand.operation(), CreateOptions())).result is Result.DONE
    assert (hand.rig.requests(Call.SERVER), hand.rig.requests(Call.LIST)) == (1, 1)


async def test_a_suspicious_one_is_there_and_not_good(hand: Hand) -> None:
    """By hand it is measured against what was made by hand."""
    for days in range(1, 4):
        hand.add(f"foreign {days}", days=days, size=1_000_000)
    outcomes = await create(hand.operation(), WAIT)
    assert (outcomes.result, outcomes.state, codes(outcomes)) == (
        Result.FAILED,
        State.SUSPICIOUS,
        ["backup-suspicious"],
    )
    assert exit_of(hand.rig.config, [outcomes]) == 3
    assert outcomes.problems[-1].text.endswith("of 976.6 KiB, the median of the 3 good ones before it")
    assert outcomes.problems[-1].hint == "look into it; if it is good after all, run `ptero-backupd backups accept`"


@pytest.mark.parametrize("locked", [False, True])
async def test_what_is_wrong_is_told_and_not_whose_it_is(hand: Hand, locked: bool) -> None:
    """A backup by hand is foreign to its policy, and locked where that was asked for; neither is what is wrong."""
    for days in range(1, 4):
        hand.add(f"foreign {days}", days=days, size=1_000_000)
    small = await create(hand.operation(), replace(WAIT, locked=locked))
    hand.rig.server.coming.append(Work(outcome=BackupEnding.FAILED))
    failed = await create(hand.operation(), replace(WAIT, locked=locked))
    for outcome in (small, failed):
        text = " ".join(problem.text for problem in outcome.problems)
        assert "suspicious: locked" not in text
        assert "not made by this policy" not in text
    assert failed.problems[-1].text.endswith("is failed")
