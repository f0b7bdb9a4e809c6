"""Which drill is due, whose turn it is, and which backup is tried."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.drills import (
    RETRY,
    DrillRecord,
    DrillResult,
    DrillRules,
    Turn,
    choose_backup,
    failing,
    last_good,
    next_at,
    next_source,
    next_turn,
)
from daemon.core.model import Action, Backup, State, Verdict
from daemon.core.proof import Level, Proof, Proofs

NOW = datetime(2026, 4, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
RULES = DrillRules("spare", "lobby", ("a", "b", "c"), WEEK)
DONE, FAILED, SKIPPED, KILLED = DrillResult.DONE, DrillResult.FAILED, DrillResult.SKIPPED, DrillResult.INTERRUPTED


def drill(server: str, days: float, result: DrillResult | None = DONE, name: str = "spare") -> DrillRecord:
    """A drill of so many days ago."""
    began = NOW - timedelta(days=days)
    ended = began + timedelta(minutes=5) if result else None
    uuid = f"{server}-uuid"
    return DrillRecord(name, "lobby", "lobby-uuid", server, uuid, "b", "auto", began, False, (), ended, result, 60.0)


def whose(*records: DrillRecord, now: datetime = NOW, rules: DrillRules = RULES) -> str | None:
    """Whose drill is due now, newest record first."""
    turn = next_turn([rules], records, now)
    return turn.server if turn else None


def test_a_drill_that_never_was_is_due_at_once() -> None:
    """With the first server of its list."""
    assert next_turn([RULES], [], NOW) == Turn("spare", "lobby", "a", NOW)


def test_it_is_due_again_after_every() -> None:
    """Counted from when the last one began, whatever server that was of."""
    assert whose(drill("a", 0)) is None
    records = [drill("a", 6.9)]
    assert whose(*records) is None
    assert whose(*records, now=NOW + timedelta(days=0.1)) == "b"
    assert whose(*records, rules=replace(RULES, every=None)) is None


def test_each_server_has_its_turn() -> None:
    """The one never tried, else the one tried longest ago; one that is new in the list comes first."""
    assert whose(drill("b", 8), drill("a", 15)) == "c"
    assert whose(drill("a", 8), drill("c", 15), drill("b", 22), drill("a", 29)) == "b"
    assert whose(drill("a", 8), drill("c", 15), rules=replace(RULES, sources=("a", "c", "d"))) == "d"


def test_one_that_failed_has_one_more_try_and_then_the_next_has_its_turn() -> None:
    """One that was killed counts as failed, or a drill that takes the daemon with it would begin at each start."""
    for result in (FAILED, KILLED):
        once = drill("a", 1.5, result)
        assert whose(once, now=once.began_at + RETRY - timedelta(seconds=1)) is None
        assert whose(once, now=once.began_at + RETRY) == "a"
        assert whose(drill("a", 1.5, result), drill("a", 2.5, FAILED)) is None
        assert whose(drill("a", 7, result), drill("a", 8, FAILED)) == "b"
        assert whose(drill("a", 1.5, result), drill("a", 9, DONE)) == "a"
        assert whose(drill("b", 1.5, result), drill("a", 9, FAILED)) == "b"


def test_a_try_that_follows_waits_no_longer_than_every() -> None:
    """A drill that is due each hour is tried again after an hour."""
    hourly = replace(RULES, every=timedelta(hours=1))
    assert whose(drill("a", 1 / 24, FAILED), rules=hourly) == "a"


def test_one_without_a_backup_is_passed_over() -> None:
    """Though it failed before; the others wait as long as ever, and where none is left nothing is due."""
    records = [drill("a", 2, FAILED)]
    assert next_turn([RULES], records, NOW, without={"a"}) is None
    later = next_turn([RULES], records, NOW + WEEK, without={"a"})
    assert later is not None
    assert later.server == "b"
    assert next_turn([RULES], records, NOW + WEEK, without={"a", "b", "c"}) is None
    assert next_source(RULES, records) == "a"


def test_one_that_was_skipped_takes_nobodys_turn() -> None:
    """It says nothing: the spare server was busy."""
    assert whose(drill("a", 0, SKIPPED)) == "a"
    assert whose(drill("b", 0, SKIPPED), drill("a", 8)) == "b"


def test_never_two_at_once() -> None:
    """Whatever drill the one under way is of, and however long ago it began."""
    assert whose(drill("a", 30, None, name="other")) is None


def test_a_turn_waits_while_either_server_is_busy() -> None:
    """It keeps its turn; another drill may go first."""
    other = DrillRules("other", "attic", ("z",), WEEK)
    for busy in ("lobby", "a"):
        assert next_turn([RULES], [], NOW, busy={busy}) is None
        found = next_turn([RULES, other], [], NOW, busy={busy})
        assert found is not None
        assert found.drill == "other"
    assert next_turn([RULES], [], NOW, put_off={"spare"}) is None


def test_of_several_the_one_that_is_due_longest_goes_first() -> None:
    """Their own records count for each."""
    other = DrillRules("other", "attic", ("z",), WEEK)
    records = [drill("a", 8), drill("z", 9, name="other")]
    found = next_turn([RULES, other], records, NOW)
    assert found is not None
    assert (found.drill, found.due_at) == ("other", NOW - timedelta(days=2))


def test_when_the_next_one_is_due() -> None:
    """Of those that are ever due."""
    hand, other = replace(RULES, every=None), DrillRules("other", "attic", ("z",), 2 * WEEK)
    records = [drill("a", 6), drill("z", 6, name="other")]
    assert next_at([hand, RULES, other], records, NOW) == NOW + timedelta(days=1)
    assert next_at([hand], records, NOW) is None
    assert next_at([RULES], [], NOW) == NOW


def test_a_clock_that_was_set_back_stops_no_drill() -> None:
    """A record from the future says that the clock was wrong; one drill too early harms nobody."""
    assert whose(drill("a", -400)) == "b"


def test_turns_go_by_the_order_of_the_drills_and_not_by_a_clock_that_was_ahead() -> None:
    """A record from the future costs that server no turn."""
    two = replace(RULES, sources=("a", "b"))
    assert whose(drill("b", 10), drill("a", -400), rules=two) == "a"


@given(st.lists(st.sampled_from(DrillResult), max_size=30), st.integers(1, 5))
def test_nobody_waits_for_ever(results: list[DrillResult], servers: int) -> None:
    """However drills end, each server is tried within two drills of every other one, those skipped left out."""
    rules = DrillRules("spare", "lobby", tuple(map(str, range(servers))), WEEK)
    records: list[DrillRecord] = []
    for number, result in enumerate(results):
        now = NOW + number * WEEK
        turn = next_turn([rules], records, now)
        assert turn is not None
        records.insert(0, replace(drill(turn.server, 0, result), began_at=now))
    tried = [one.server for one in reversed(records) if one.result is not SKIPPED]
    for start in range(len(tried) - 2 * servers + 1):
        assert set(tried[start : start + 2 * servers]) == set(rules.sources)


def test_what_is_known_of_each_server() -> None:
    """Its last drill that went well, and its last one if that did not."""
    records = [drill("a", 1, SKIPPED), drill("a", 2, FAILED), drill("b", 3), drill("a", 4), drill("b", 5, KILLED)]
    assert last_good(records) == {"a": records[3], "b": records[2]}
    assert failing([drill("c", 0, None), *records], NOW) == {"a": records[1]}


def test_one_that_was_left_open_for_a_day_has_failed() -> None:
    """Whatever a later one did: its spare server was never cleared."""
    left = drill("a", 1.1, None)
    assert failing([drill("a", 1, None)], NOW) == {}
    text = "it was killed, or hangs, and its server could not be cleared for a day: the daemon's log says why"
    assert failing([drill("a", 0), left], NOW) == {"a": replace(left, text=text)}


def test_one_that_is_stuck_holds_up_its_own_spare_server_alone() -> None:
    """Nobody can clear that now; the others are tried all the same."""
    left = replace(drill("a", 8, None), number=7)
    other = replace(RULES, name="other", spare="attic")
    assert next_turn([RULES, other], [left], NOW) is None
    assert next_turn([RULES], [left], NOW, stuck={7}) is None
    found = next_turn([RULES, other], [left], NOW, stuck={7})
    assert found is not None
    assert found.drill == "other"
    assert next_turn([other], [drill("b", 0, None), left], NOW, stuck={7}) is None


# The backup ----------------------------------------------------------------------------------------------------------


def backup(uuid: str) -> Backup:
    """A backup of yesterday."""
    return Backup(uuid, uuid, True, False, 5, NOW - timedelta(days=1), NOW)


def verdict(uuid: str, state: State = State.GOOD) -> Verdict:
    """That one as a listing judges it."""
    return Verdict(backup(uuid), state, True, Action.KEEP, ())


def proof(uuid: str, level: Level = Level.SANE, *problems: str) -> Proof:
    """A reading of a backup."""
    return Proof(uuid, uuid, NOW, NOW, level, None if problems else level, problems=problems)


@pytest.mark.parametrize(
    ("proofs", "chosen"),
    [
        ((), "newest"),
        ((proof("older"),), "older"),
        ((proof("older", Level.READ),), "newest"),
        ((proof("newest", Level.WALKED, "torn"),), "older"),
    ],
    ids=["none is proven", "the proven one", "read is too little", "a damaged one never"],
)
def test_the_newest_proven_one_is_tried(proofs: tuple[Proof, ...], chosen: str) -> None:
    """Else the newest good one, but for one that is known to be damaged."""
    verdicts = [verdict("failed", State.FAILED), verdict("newest"), verdict("older")]
    found = choose_backup(verdicts, Proofs(proofs))
    assert found is not None
    assert found.uuid == chosen


def test_without_a_good_one_there_is_none() -> None:
    """Failed and pending ones have no file."""
    assert choose_backup([verdict("failed", State.FAILED)], Proofs()) is None


def test_a_drill_of_which_no_more_is_known_is_under_way_and_changed_nothing() -> None:
    """What an earlier version recorded says no more."""
    begun = DrillRecord("spare", "lobby", "l", "a", "u", "b", "auto", NOW, True)
    assert begun == DrillRecord("spare", "lobby", "l", "a", "u", "b", "auto", NOW, True, None, None, None, None, "", 0)
    assert DrillRules("spare", "lobby", ("a",)).every is None


def test_how_a_drill_ended_is_called_as_the_documents_call_it() -> None:
    """Scripts read it."""
    assert [*DrillResult] == ["done", "failed", "skipped", "interrupted"]
    assert timedelta(days=1) == RETRY
