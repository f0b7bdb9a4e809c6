"""What proofs keep, and what they freeze (invariant 17)."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.brake import Applied, Brake
from daemon.core.model import Action, Backup, Completeness, Reason, Scope
from daemon.core.plan import Plan, Refusal, plan
from daemon.core.proof import Level, Proof, Proofs
from daemon.core.proven import KeepProven, Proven, awaits_proof
from daemon.core.room import make_room
from daemon.errors import ProblemCode
from tests.core.build import NOW, OURS, but, failed, good, listing, refused, retention, roomy, texts

DAYS = [f"2026-03-{day:02} 04:00" for day in range(1, 11)]
TEN = [good(day) for day in DAYS]


def proof(backup: Backup, *problems: str, asked: Level = Level.SANE) -> Proof:
    """A reading of it, an hour after it was made."""
    made = backup.created_at or NOW
    reached = None if problems else asked
    return Proof(backup.uuid, backup.name, made, made + timedelta(hours=1), asked, reached, problems=problems)


def proven(right: Iterable[Backup] = (), torn: Iterable[Backup] = (), *, keep: int = 1) -> Proven:
    """What is known if these were read."""
    read = [*map(proof, right), *(proof(one, "r.0.0.mca: torn") for one in torn)]
    return Proven(KeepProven(keep), Proofs(read))


def planned(backups: Sequence[Backup], known: Proven, keep: str = "last=3", **more: Any) -> Plan:
    """The plan by that retention, without a brake unless there is one."""
    return plan(listing(backups), retention(keep), ownership=OURS, proven=known, **({"brake": Brake()} | more))


def room(backups: Sequence[Backup], known: Proven, keep: str = "last=3", **more: Any) -> Any:
    """What makes room."""
    asked: dict[str, Any] = {
        "ownership": OURS,
        "coming_name": "auto-survival-coming",
        "brake": Brake(),
        "proven": known,
    }
    return make_room(listing(backups), retention(keep), **(asked | more))


def gone(decided: Plan) -> list[Backup]:
    """What is deleted, oldest first."""
    return [verdict.backup for verdict in decided.deletions]


def test_the_newest_proven_one_survives_every_rule() -> None:
    """Whatever newer ones there are; what is older goes as the rules say."""
    decided = planned(TEN, proven([TEN[1], TEN[3]]))
    assert gone(decided) == [*TEN[:3], *TEN[4:7]]
    assert texts(decided.verdicts[6])[-1] == "among the newest proven ones, keep_proven = 1"


def test_as_many_survive_as_are_configured() -> None:
    """Those that the rules keep anyhow count as well."""
    assert gone(planned(TEN, proven([TEN[1], TEN[3], TEN[9]], keep=2))) == [*TEN[:3], *TEN[4:7]]
    assert gone(planned(TEN, proven([TEN[9]]))) == TEN[:7]


def test_with_scope_all_one_of_another_name_counts_as_well() -> None:
    """It survives, lets room be made, and makes none in a freeze if it is the last."""
    foreign = good(DAYS[0], name="by hand")
    rows, everything = [foreign, *TEN[1:]], retention("last=3", scope=Scope.ALL)
    known = proven([foreign])
    decided = plan(listing(rows), everything, ownership=OURS, proven=known, brake=Brake())
    assert gone(decided) == TEN[1:7]
    assert decided.verdicts[-1].action is Action.KEEP
    frozen = proven([foreign], [TEN[9]], keep=0)
    for proofs in (known, frozen):
        answer = make_room(
            listing(rows), everything, ownership=OURS, coming_name="auto-survival-coming", brake=Brake(), proven=proofs
        )
        assert roomy(answer).backup == TEN[1]


def test_the_newest_proven_one_makes_room_if_nothing_is_frozen_and_none_is_to_be_kept() -> None:
    """Only `keep_proven` and a freeze keep it."""
    assert roomy(room(TEN[:4], proven([TEN[0]], keep=0))).backup == TEN[0]
    assert roomy(room(TEN[:4], proven(keep=0))).backup == TEN[0]


def test_total_size_takes_no_proven_one() -> None:
    """Nor does any other rule."""
    decided = plan(
        listing(TEN),
        retention("last=5", total_size=2_000_000),
        ownership=OURS,
        brake=Brake(),
        proven=proven([TEN[0]]),
    )
    assert gone(decided) == TEN[1:8]


def test_a_plan_that_a_failed_proof_refuses_names_it() -> None:
    """Whoever tells of it says which archive is torn."""
    known = proven([TEN[0]], [TEN[9]])
    decided = planned(TEN, known)
    assert known.frozen is not None
    assert (decided.code, decided.frozen) == (ProblemCode.UNPROVEN, known.frozen)


def test_while_too_few_are_proven_no_good_one_goes() -> None:
    """They wait for a proof, and are told so; failed ones go."""
    bad = failed("2026-03-02 05:00")
    decided = planned([*TEN, bad], proven([TEN[3]], keep=2))
    assert gone(decided) == [bad]
    waits = [one.backup for one in decided.verdicts if awaits_proof(one)]
    assert waits == [*reversed(TEN[4:7]), *reversed(TEN[:3])]
    assert texts(decided.verdicts[-1])[-1] == "1 proven so far, keep_proven = 2"


def test_while_too_few_are_proven_one_that_may_be_half_deleted_stays_too() -> None:
    """Its deletion was asked for, and it may have its file all the same."""
    assert gone(planned(TEN, proven([TEN[9]], keep=2), asked={TEN[0].uuid, TEN[3].uuid})) == []


def test_a_locked_or_foreign_or_half_deleted_one_is_not_counted_among_the_proven() -> None:
    """Each may go at any time, or has no file any more."""
    locked, foreign = but(TEN[8], locked=True), but(TEN[9], name="by hand")
    assert gone(planned([*TEN[:8], locked], proven([locked]))) == []
    assert gone(planned([*TEN[:9], foreign], proven([foreign]))) == []
    assert gone(planned(TEN, proven([TEN[9]]), asked={TEN[9].uuid})) == []


def test_each_reason_names_its_rule_and_slot_as_the_documents_do() -> None:
    """Of what is wrong with a backup all is said."""
    kept = planned(TEN, proven([TEN[1]])).verdicts[8].reasons[-1]
    awaiting = planned(TEN, proven()).verdicts[-1].reasons[-1]
    torn = Proven(proofs=Proofs([proof(TEN[9], "r.0.0.mca: torn", "level.dat: empty", asked=Level.WALKED)]))
    wrong = planned(TEN, torn).verdicts[0].reasons[-1]
    assert kept == Reason("keep_proven", None, "among the newest proven ones, keep_proven = 1")
    assert awaiting == Reason("keep_proven", "awaited", "0 proven so far, keep_proven = 1")
    assert wrong == Reason("unproven", "walked", "not sound: r.0.0.mca: torn; level.dat: empty")


def test_without_keep_proven_and_without_proofs_nothing_changes() -> None:
    """As it was before there were proofs."""
    assert planned(TEN, Proven()) == plan(listing(TEN), retention("last=3"), ownership=OURS, brake=Brake())


def test_a_failed_proof_lets_nothing_be_deleted_and_says_why() -> None:
    """Not even a failed backup; it says what is wrong where, and so does the verdict."""
    decided = planned([*TEN, failed("2026-03-02 05:00")], proven([TEN[8]], [TEN[9]], keep=0))
    assert (gone(decided), decided.code) == ([], ProblemCode.UNPROVEN)
    assert decided.refused == (
        f"{TEN[9].name} is not sound: r.0.0.mca: torn; nothing is deleted until a newer one is proven or this one is"
        " accepted"
    )
    assert texts(decided.verdicts[0])[-1] == "not sound: r.0.0.mca: torn"


def test_what_a_changed_retention_holds_is_told_in_a_freeze_as_well() -> None:
    """Its day begins, though nothing is deleted meanwhile."""
    before = Applied(retention("last=9"), OURS)
    decided = planned(TEN, proven(torn=[TEN[9]], keep=0), brake=Brake(10, before=before))
    assert (decided.code, [one.backup for one in decided.held]) == (ProblemCode.UNPROVEN, TEN[6:0:-1])


def test_a_newer_proven_one_ends_the_freeze() -> None:
    """The bad one is still told, and goes in its turn."""
    decided = planned(TEN, proven([TEN[9]], [TEN[1], TEN[8]]))
    assert gone(decided) == TEN[:7]
    assert texts(decided.verdicts[1])[-1] == "not sound: r.0.0.mca: torn"


def test_the_brake_comes_first_and_a_partial_listing_before_both() -> None:
    """What is over the brake when it would first go is told, frozen or not."""
    known = proven([TEN[8]], [TEN[9]])
    assert planned(TEN, known, brake=Brake(2)).code == ProblemCode.MAX_DELETIONS
    partial = listing(TEN, Completeness.PARTIAL)
    decided = plan(partial, retention(), ownership=OURS, brake=Brake(), proven=known)
    assert decided.code == ProblemCode.PARTIAL_LISTING
    assert texts(decided.verdicts[0])[-1] == "not sound: r.0.0.mca: torn"


def test_the_brake_counts_no_proven_one_that_stays() -> None:
    """Otherwise three that stay for ever would hold all deletions."""
    assert gone(planned(TEN, proven(TEN[:3], keep=3), brake=Brake(4))) == TEN[3:7]


@pytest.mark.parametrize("keep", [0, 1])
def test_a_lowered_keep_proven_is_held_for_a_day(keep: int) -> None:
    """By its effect: what only the present configuration deletes waits."""
    before = Applied(retention("last=3"), OURS, proven=KeepProven(2))
    decided = planned(TEN, proven([TEN[1], TEN[3]], keep=keep), brake=Brake(10, before=before))
    kept = {one.backup.uuid for one in decided.held}
    assert kept == {TEN[1].uuid} | ({TEN[3].uuid} if keep == 0 else set())
    assert gone(decided) == [one for one in TEN[:7] if one not in {TEN[1], TEN[3]}]


def test_a_narrowed_retention_holds_what_stays_for_its_proof_as_well() -> None:
    """Otherwise nothing would wait, and it would go as soon as a newer one is proven, minutes later (seed 832361)."""
    before = Applied(retention("last=4"), OURS, proven=KeepProven(1))
    decided = planned(TEN, proven([TEN[6]], keep=1), brake=Brake(10, before=before))
    assert [one.backup for one in decided.held] == [TEN[6]]
    assert gone(decided) == TEN[:6]


def test_a_lowered_keep_proven_holds_foreign_ones_where_all_may_go() -> None:
    """They were among the proven then, so that it held no others."""
    rows = [but(one, name=f"by hand {number}") for number, one in enumerate(TEN)]
    everything = retention("last=3", scope=Scope.ALL)
    brake = Brake(10, before=Applied(everything, OURS, proven=KeepProven(2)))
    known = proven([rows[1], rows[3]], keep=0)
    decided = plan(listing(rows), everything, ownership=OURS, proven=known, brake=brake)
    assert [one.backup for one in decided.held] == [rows[3], rows[1]]


def test_a_keep_proven_that_was_never_reached_holds_all_of_it() -> None:
    """Nothing went while too few were proven."""
    before = Applied(retention("last=3"), OURS, proven=KeepProven(2))
    decided = planned(TEN, proven([TEN[9]], keep=1), brake=Brake(10, before=before))
    assert gone(decided) == []
    assert [one.backup for one in decided.held] == list(reversed(TEN[:7]))


# Room ----------------------------------------------------------------------------------------------------------------


def test_room_is_made_in_a_freeze_but_never_by_the_last_proven_one() -> None:
    """The next oldest one makes it."""
    assert roomy(room(TEN, proven([TEN[0]], [TEN[9]], keep=0))).backup == TEN[1]
    assert roomy(room(TEN, proven([TEN[0]], [TEN[9]], keep=1))).backup == TEN[1]
    assert roomy(room(TEN, proven([TEN[0], TEN[1]], [TEN[9]], keep=0))).backup == TEN[0]


def test_room_is_made_while_too_few_are_proven() -> None:
    """One stays, and the new backup matters more."""
    assert roomy(room(TEN, proven([TEN[0]], keep=2))).backup == TEN[1]


def test_no_room_is_made_if_none_is_proven() -> None:
    """Neither in a freeze nor where one is to be kept."""
    must = "none of the panel's backups is proven to be sound, and one that is must stay"
    torn = f"{TEN[9].name} is not sound: r.0.0.mca: torn; "
    for known, because in ((proven([], [TEN[9]], keep=0), torn), (proven(), ""), (proven([], [TEN[9]]), torn)):
        answer = refused(room(TEN, known))
        assert (answer.code, answer.text) == (ProblemCode.UNPROVEN, f"no slot can be freed: {because}{must}")
        assert answer.frozen == known.frozen


def test_no_room_is_made_by_the_only_ones_that_must_stay() -> None:
    """All others are kept by the rules."""
    answer = room(TEN[:3], proven([TEN[0]], keep=1))
    assert isinstance(answer, Refusal)


# Whatever happens ----------------------------------------------------------------------------------------------------

MOMENTS = st.lists(st.integers(0, 40), unique=True, min_size=1, max_size=12)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Backup], Proven]:
    """Backups of some days, and readings of some of them, right or wrong, deep or not."""
    made = [good(NOW - timedelta(days=day)) for day in draw(MOMENTS)]
    read = []
    for backup in made:
        asked = draw(st.sets(st.sampled_from(list(Level))))
        read += [proof(backup, *draw(st.sampled_from([(), (), ("torn",)])), asked=level) for level in asked]
    return made, Proven(KeepProven(draw(st.integers(0, 3)), draw(st.sampled_from(list(Level)))), Proofs(read))


@given(histories(), st.sampled_from(["last=1", "last=2", "daily=2", "weekly=2"]))
def test_the_newest_proven_ones_are_never_deleted(story: tuple[list[Backup], Proven], keep: str) -> None:
    """By no plan, and for no room; and while there are too few none is."""
    made, known = story
    right = [one for one in made if known.proofs.proven(one.uuid, known.rule.level)]
    right.sort(key=lambda one: one.created_at or NOW, reverse=True)
    stay = right[: known.rule.number]
    deleted = gone(planned(made, known, keep))
    assert not set(deleted) & set(stay)
    if len(right) < known.rule.number or known.frozen:
        assert deleted == []
    answer = room(made, known, keep)
    if not isinstance(answer, Refusal):
        assert answer.backup not in stay
        if known.rule.number or known.frozen:
            assert set(right) - {answer.backup}


@given(histories(), st.sampled_from(["last=1", "last=2", "daily=2", "weekly=2"]), st.data())
def test_what_the_whole_list_keeps_a_part_of_it_keeps(
    story: tuple[list[Backup], Proven], keep: str, data: st.DataObject
) -> None:
    """Invariant 5, with proofs."""
    made, known = story
    part = [one for one in made if data.draw(st.booleans())]
    whole = {one.backup.uuid for one in planned(made, known, keep).verdicts if one.action is Action.KEEP}
    lost = {one.uuid for one in gone(planned(part, known, keep))}
    assert not whole & lost
