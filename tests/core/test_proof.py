"""How far a backup is known to be restorable, and what a failed proof holds up (invariant 17)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.model import Backup
from daemon.core.proof import MOST_WORLDS, PANEL, Level, Proof, Proofs, archive_of, compared, reached
from tests.core.build import NOW

HOUR = timedelta(hours=1)


def read(
    backup: int, *problems: str, asked: Level = Level.SANE, store: str = PANEL, later: float = 0, accepted: bool = False
) -> Proof:
    """A reading of the backup that was made in that hour; `later` than when it was made, in hours."""
    made = NOW + backup * HOUR
    found = None if problems else asked
    return Proof(
        f"b{backup}", f"auto-{backup}", made, made + later * HOUR, asked, found, store, problems, accepted=accepted
    )


def test_a_reading_that_tells_no_more_is_of_the_panels_backup_and_found_nothing_wrong() -> None:
    """What it holds is not known then."""
    told = Proof("b1", "auto-1", NOW, NOW, Level.READ, Level.READ)
    assert (told.store, told.problems, told.files, told.bytes) == (PANEL, (), None, None)
    assert (told.worlds, told.accepted, told.archive) == ((), False, "")


@pytest.mark.parametrize(
    ("walked", "games", "level"),
    [
        (False, None, "read"),
        (False, ("minecraft-java",), "read"),
        (True, None, "walked"),
        (True, (), "walked"),
        (True, ("minecraft-java",), "sane"),
    ],
)
def test_a_check_without_problems_reaches_as_far_as_it_read(
    walked: bool, games: tuple[str, ...] | None, level: str
) -> None:
    """Sane is only a game that was recognised, in an archive that was read to its end."""
    assert reached(walked=walked, games=games) == Level(level)


def test_the_levels_are_called_as_the_documents_call_them() -> None:
    """Each more than the one before."""
    assert [*Level] == ["read", "walked", "sane", "restored"]
    assert [level.depth for level in Level] == [0, 1, 2, 3]


def test_what_was_not_read_is_not_proven() -> None:
    """Nothing is inferred of a neighbour, of another place, or of a lighter look."""
    known = Proofs([read(1, asked=Level.WALKED), read(2, store="nas")])
    assert known.proven("b1", Level.WALKED) == read(1, asked=Level.WALKED)
    assert known.proven("b1", Level.READ) is not None
    assert known.proven("b1", Level.SANE) is None
    assert known.proven("b2", Level.READ) is None
    assert known.proven("b2", Level.SANE, "nas") is not None
    assert known.proven("b3", Level.READ) is None


def test_what_was_found_wrong_stays_so_until_it_is_read_as_deep_again() -> None:
    """A torn region stays torn, though the archive is walked to its end since."""
    torn, walked = read(1, "torn"), read(1, asked=Level.WALKED, later=1)
    assert Proofs([torn]).failed("b1") == torn
    assert Proofs([torn, walked]).failed("b1") == torn
    assert Proofs([torn, walked]).proven("b1", Level.WALKED) is None
    again = read(1, later=2)
    assert Proofs([torn, walked, again]).failed("b1") is None
    assert Proofs([torn, walked, again]).proven("b1", Level.SANE) == again


def test_a_later_failure_of_a_lighter_look_takes_the_proof_away() -> None:
    """It was sane, and now its archive ends too early."""
    known = Proofs([read(1), read(1, "ends early", asked=Level.WALKED, later=1)])
    assert known.proven("b1", Level.READ) is None
    assert known.last("b1", Level.SANE) == read(1)
    assert known.last("b1", Level.READ) == read(1, "ends early", asked=Level.WALKED, later=1)


def test_what_is_wrong_with_a_copy_says_nothing_of_the_backup_nor_the_other_way_round() -> None:
    """Each place has its own readings; of a place that was never read nothing is known."""
    torn, walked = read(1, "torn", store="nas"), read(1, asked=Level.WALKED, store="nas", later=1)
    known = Proofs([torn, walked, read(1)])
    assert known.proven("b1", Level.WALKED, "nas") is None
    assert known.proven("b1", Level.SANE) == read(1)
    assert known.last("b1", Level.WALKED, "nas") == walked
    assert known.last("b1", Level.READ, "attic") is None
    assert known.last("b2", Level.READ) is None


def test_a_failed_proof_freezes_deletion_until_a_newer_backup_is_proven() -> None:
    """An older one that is right changes nothing, nor does one that is not read yet."""
    torn = read(5, "torn")
    assert Proofs([read(4)]).freezes() is None
    assert Proofs([torn]).freezes() == torn
    assert Proofs([torn, read(4, later=9)]).freezes() == torn
    assert Proofs([torn, read(6)]).freezes() is None


def test_a_lighter_look_or_one_at_another_place_ends_no_freeze() -> None:
    """The copy of a newer one proves that copy."""
    torn = read(5, "torn")
    assert Proofs([torn, read(6, asked=Level.WALKED)]).freezes() == torn
    assert Proofs([torn, read(6, store="nas")]).freezes() == torn
    rotten = read(5, "wrong checksum", asked=Level.WALKED, store="nas")
    assert Proofs([rotten, read(6)]).freezes() == rotten
    assert Proofs([rotten, read(6, store="nas")]).freezes() is None


def test_what_was_found_wrong_at_two_depths_freezes_until_a_newer_one_is_proven_as_deep_as_the_deeper() -> None:
    """The later look was lighter: that it found something too makes the deeper one no less wrong."""
    torn, cut = read(5, "torn"), read(5, "cut", asked=Level.WALKED, later=2)
    light = read(6, asked=Level.WALKED)
    assert Proofs([torn, cut, light]).freezes() == torn
    assert Proofs([torn, cut, light, read(6)]).freezes() is None
    assert Proofs([replace(torn, accepted=True), cut, light]).freezes() is None


def test_what_an_operator_accepted_freezes_nothing_and_is_no_proof() -> None:
    """They know of it; that it can be restored nobody said."""
    known = Proofs([read(5, "torn", accepted=True)])
    assert (known.freezes(), known.failed("b5")) == (None, None)
    assert known.proven("b5", Level.READ) is None


def test_of_several_the_newest_backup_is_told() -> None:
    """Whichever was read first."""
    assert Proofs([read(5, "torn", later=9), read(7, "torn"), read(6, "torn")]).freezes() == read(7, "torn")
    assert not list(Proofs())


def test_of_what_was_read_the_newest_backup_on_the_panel_counts_however_it_ended() -> None:
    """As deep as is asked; a copy in a store says nothing of the panel's backups."""
    torn, walked = read(2, "torn"), read(3, asked=Level.WALKED)
    known = Proofs([read(1, later=9), torn, walked, read(4, store="nas")])
    assert known.newest_read(Level.SANE) == torn
    assert known.newest_read(Level.WALKED) == walked
    assert known.newest_read(Level.RESTORED) is None
    twice = [replace(read(1), asked=Level.READ, at=NOW + 9 * HOUR), read(1, later=1)]
    assert Proofs(twice).newest_read(Level.READ) == twice[0]


def test_what_is_wrong_is_told_with_where() -> None:
    """Which backup, in which store, and what."""
    assert read(1, "r.0.0.mca: torn", "level.dat: empty").wrong == (
        "auto-1 is not sound: r.0.0.mca: torn; level.dat: empty"
    )
    assert read(1, "torn", store="nas").wrong == "auto-1 in nas is not sound: torn"


def test_what_decides_nothing_any_more_is_forgotten() -> None:
    """What is gone, but for the newest right one of each level and place, and for what freezes."""
    old, newer, newest = read(1), read(2), read(3)
    walked, copy = read(1, asked=Level.WALKED), read(1, store="nas")
    known = Proofs([old, newer, newest, walked, copy])
    assert known.forgettable({PANEL: {"b2"}}) == (old,)
    assert known.forgettable({PANEL: {"b1", "b2"}, "nas": ()}) == ()
    torn = read(2, "torn")
    assert Proofs([old, torn]).forgettable({PANEL: ()}) == ()
    assert Proofs([torn, newest]).forgettable({PANEL: ()}) == (torn,)
    assert Proofs([replace(torn, accepted=True), newest]).forgettable({PANEL: ("b2",)}) == ()


def test_forgetting_ends_and_begins_no_freeze() -> None:
    """Whatever is gone from the panel."""
    known = [read(1), read(2, "torn"), read(3), read(4, asked=Level.WALKED), read(5, "torn"), read(6, "torn")]
    for cut in range(len(known) + 1):
        before = Proofs(known[:cut])
        gone = set(before.forgettable({PANEL: ()}))
        assert Proofs(one for one in before if one not in gone).freezes() == before.freezes()


def held(backup: int, files: int | None, size: int | None, *worlds: str, **more: Any) -> Proof:
    """A reading of an archive that holds these."""
    return replace(read(backup, **more), files=files, bytes=size, worlds=worlds)


def test_a_world_that_is_gone_and_half_of_the_files_or_bytes_are_told() -> None:
    """Against the backup before; a new world, and a smaller one, are nobody's concern."""
    before = held(1, 100, 1000, "nether", "world")
    assert compared(held(2, 50, 500, "nether", "new", "world"), before) == ()
    assert compared(held(2, 49, 499, "world"), before) == (
        "nether: this world was in auto-1",
        "49 files, and 100 in auto-1",
        "499 bytes unpacked, and 1000 in auto-1",
    )
    assert compared(held(2, 1, 1), None) == ()
    assert compared(held(2, None, None, "nether", "world"), before) == ()
    assert compared(held(2, 100, 1000), held(1, None, None)) == ()


def test_of_more_worlds_than_are_told_only_those_are_missed_that_would_have_been_told() -> None:
    """One more, at the beginning of the list, pushes the last one out of it."""
    names = [f"w{number:03}" for number in range(MOST_WORLDS + 50)]
    full, more = tuple(names[:MOST_WORLDS]), ("new", *names[: MOST_WORLDS - 1])
    assert compared(held(2, 100, 1000, *more), held(1, 100, 1000, *full)) == ()
    fewer = tuple(names[1 : MOST_WORLDS + 1])
    (gone,) = compared(held(2, 100, 1000, *fewer), held(1, 100, 1000, *full))
    assert gone.startswith("w000: this world was in ")
    assert len(compared(held(2, 100, 1000, *names[:60]), held(1, 100, 1000, *full))) == 40
    others = (*names[: MOST_WORLDS - 1], names[-1])  # the last that is told of these comes after the one that is gone
    (gone,) = compared(held(2, 100, 1000, *others), held(1, 100, 1000, *full))
    assert gone.startswith("w099: this world was in ")
    odd = tuple(sorted((*names[1:MOST_WORLDS], "\N{REPLACEMENT CHARACTER}")))
    assert compared(held(2, 100, 1000, *odd), held(1, 100, 1000, *full)) == (), "its place in the list is not known"


def test_worlds_are_compared_only_where_both_were_looked_for() -> None:
    """A walk knows of none."""
    before = held(1, 100, 1000, "world")
    assert compared(held(2, 100, 1000, asked=Level.WALKED), before) == ()
    assert compared(held(2, 100, 1000), replace(before, asked=Level.WALKED)) == ()
    assert compared(held(2, 100, 1000, store="nas"), before) == ()


def test_an_encrypted_copy_whose_key_is_not_at_hand_is_compared_with_nothing() -> None:
    """Nobody saw its files: a restore, which had the key, found a world in the copy before."""
    before = held(1, 100, 1000, "world", store="nas")
    sealed = replace(held(2, None, None, store="nas"), reached=Level.READ)
    assert compared(sealed, before) == ()


def test_a_reading_is_judged_by_the_one_before_unless_it_is_wrong_in_itself() -> None:
    """One that lacks half is wrong, so it reached nothing."""
    known = Proofs([held(1, 100, 1000)])
    fine, half, torn = held(2, 60, 600), held(2, 40, 600), replace(held(2, 40, 600), problems=("torn",), reached=None)
    assert (known.judged(fine), known.judged(torn)) == (fine, torn)
    assert known.judged(half) == replace(half, problems=("40 files, and 100 in auto-1",), reached=None)
    assert Proofs().judged(half) == half


def test_a_backup_is_compared_with_the_one_before_it_that_counts() -> None:
    """Right, or accepted; in the same place, and as deep."""
    known = Proofs([read(1), read(2), read(3, "torn"), read(4, store="nas"), read(5, asked=Level.WALKED), read(7)])
    assert known.before(read(6)) == read(2)
    assert known.before(read(1)) is None
    accepted = read(3, "half is gone", accepted=True)
    assert Proofs([read(2), accepted]).before(read(6)) == accepted
    later = read(2).at + timedelta(days=9)
    drilled = replace(read(2), asked=Level.RESTORED, reached=Level.RESTORED, files=None, at=later)
    assert Proofs([read(2), drilled]).before(read(6)) == read(2)


def test_only_a_newer_backup_ends_a_freeze_and_not_one_of_the_same_second() -> None:
    """Which of the two was made first is not known."""
    bad = read(1, "torn")
    assert Proofs([bad, replace(read(1), backup="twin")]).freezes() == bad
    assert Proofs([bad, read(2)]).freezes() is None


# A reading that stands for another one -------------------------------------------------------------------------------

ONE = Backup(
    "b1", "auto-1", successful=True, locked=False, bytes=9, created_at=NOW, completed_at=NOW, checksum="sha1:a"
)


def lately(minutes: float = 0, **changes: Any) -> Proof:
    """A reading of that very file, so many minutes after it was made."""
    return replace(read(0, later=minutes / 60), **{"backup": "b1", "archive": archive_of(ONE), **changes})


def test_which_file_a_backup_has_is_known_by_size_and_checksum() -> None:
    """Neither alone is enough."""
    assert archive_of(ONE) == "9 sha1:a"
    assert archive_of(replace(ONE, checksum=None)) == archive_of(replace(ONE, checksum="")) == ""
    assert archive_of(replace(ONE, bytes=0)) == ""
    assert archive_of(replace(ONE, bytes=1)) != ""
    assert archive_of(replace(ONE, bytes=0), ["a"]) == ""


def test_which_files_were_looked_for_is_a_digest() -> None:
    """It is in the journal, so that another version must reckon it alike."""
    assert archive_of(ONE, ["b", "a"]) == "9 sha1:a 3554d2b8a1e34099"


def test_a_reading_of_the_last_hour_counts_for_the_files_that_it_looked_for() -> None:
    """An operator may have come to expect others since; in which order they are named is nothing."""
    known = Proofs([lately(archive=archive_of(ONE, ["b", "a"]))])
    assert known.proven_lately(ONE, Level.SANE, NOW, ["a", "b"]) is not None
    for other in ([], ["a"], ["a", "b", "c"], ["a, b"]):
        assert known.proven_lately(ONE, Level.SANE, NOW, other) is None
    assert Proofs([lately()]).proven_lately(ONE, Level.SANE, NOW, ["a"]) is None


def test_a_proof_of_the_last_hour_stands_for_another_reading() -> None:
    """To the minute; of several the last."""
    known = Proofs([lately(0), lately(10, asked=Level.WALKED, reached=Level.WALKED)])
    assert known.proven_lately(ONE, Level.WALKED, NOW + HOUR) == lately(10, asked=Level.WALKED, reached=Level.WALKED)
    assert known.proven_lately(ONE, Level.SANE, NOW + HOUR) == lately(0)
    assert known.proven_lately(ONE, Level.SANE, NOW + HOUR + timedelta(seconds=1)) is None
    assert Proofs([lately()]).proven_lately(ONE, Level.SANE, NOW) == lately()


@pytest.mark.parametrize(
    "changes",
    [
        {"archive": "9 sha1:b"},
        {"archive": "8 sha1:a"},
        {"archive": ""},
        {"backup": "b2"},
        {"store": "nas"},
        {"at": NOW + timedelta(seconds=1)},
        {"asked": Level.WALKED, "reached": Level.WALKED},
        {"reached": Level.READ},
        {"reached": None, "problems": ("torn",)},
        {"reached": None, "problems": ("torn",), "accepted": True},
    ],
)
def test_what_stands_for_no_other_reading(changes: dict[str, Any]) -> None:
    """Another file, another place, a clock that was set back, one less deep, and what is wrong, accepted or not."""
    assert Proofs([lately(**changes)]).proven_lately(ONE, Level.SANE, NOW) is None


def test_an_unknown_game_is_read_as_deep_as_it_can_be() -> None:
    """Asked for sanity, it is walked."""
    unknown = lately(reached=Level.WALKED)
    assert Proofs([unknown]).proven_lately(ONE, Level.SANE, NOW) == unknown


def test_without_a_checksum_nothing_stands_for_another_reading() -> None:
    """Nobody could tell that it is the same file."""
    assert Proofs([lately(archive="")]).proven_lately(replace(ONE, checksum=None), Level.READ, NOW) is None


readings = st.builds(
    lately,
    minutes=st.integers(-90, 90),
    asked=st.sampled_from(Level),
    reached=st.sampled_from([None, *Level]),
    store=st.sampled_from([PANEL, "nas"]),
    backup=st.sampled_from(["b1", "b2"]),
    archive=st.sampled_from(["", "9 sha1:a", "9 sha1:b"]),
    problems=st.sampled_from([(), (), (), ("torn",)]),
    accepted=st.booleans(),
)


@given(st.lists(readings, max_size=6), st.sampled_from([Level.WALKED, Level.SANE]), readings)
def test_a_reading_stands_for_another_only_where_nothing_speaks_against_it(
    known: list[Proof], level: Level, later: Proof
) -> None:
    """It is of the very file, right, deep and fresh; another reading of it that is wrong takes that back."""
    found = Proofs(known).proven_lately(ONE, level, NOW)
    if found is not None:
        assert found in known
        assert (found.backup, found.store, found.archive, found.problems) == ("b1", PANEL, "9 sha1:a", ())
        assert found.asked.depth >= level.depth
        assert found.reached not in {None, Level.READ}
        assert timedelta(0) <= NOW - found.at <= timedelta(hours=1)
        assert all(not one.problems for one in known if (one.backup, one.store) == ("b1", PANEL))
        wrong = replace(later, backup="b1", store=PANEL, problems=("torn",))
        assert Proofs([*known, wrong]).proven_lately(ONE, level, NOW) is None
        for other in (replace(ONE, bytes=8), replace(ONE, checksum="sha1:c"), replace(ONE, checksum=None)):
            assert Proofs(known).proven_lately(other, level, NOW) is None
