"""The judge of proofs against the core: both say the same of what is proven and what is frozen."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.proof import Level, Proof, Proofs
from daemon.sandbox.archive import Archive, Flavour
from tests.simulation.proofs.archives import is_sound
from tests.simulation.proofs.known import Reading, after, freezing, is_proven

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
BACKUPS, PLACES = ("a", "b", "c"), ("", "nas")

reading = st.tuples(
    st.sampled_from(BACKUPS), st.sampled_from(PLACES), st.sampled_from(("read", "walked", "sane")), st.booleans()
)


def _reading(number: int, drawn: tuple[str, str, str, bool]) -> Reading:
    """The next reading: each is an hour after the one before."""
    backup, place, level, wrong = drawn
    made = BEGIN + timedelta(days=BACKUPS.index(backup))
    problems = ("torn",) if wrong else ()
    return Reading(backup, place, made, BEGIN + timedelta(days=9, hours=number), level, problems)


def _proof(one: Reading) -> Proof:
    level = Level(one.level)
    reached = None if one.wrong else level
    return Proof(one.backup, one.backup, one.made, one.at, level, reached, one.place, one.wrong)


@settings(max_examples=200, deadline=None)
@given(st.lists(reading, max_size=12))
def test_the_judge_and_the_core_say_the_same_of_proofs(drawn: list[tuple[str, str, str, bool]]) -> None:
    """Which backups are proven how deep in which place, and whether a server is frozen, and by which backup."""
    known: tuple[Reading, ...] = ()
    for number, one in enumerate(drawn):
        known = after(known, _reading(number, one))
    proofs = Proofs(map(_proof, known))
    for backup in BACKUPS:
        for place in PLACES:
            for level in ("read", "walked", "sane"):
                proven = proofs.proven(backup, Level(level), place) is not None
                assert is_proven(known, backup, level, place) == proven
    frozen = proofs.freezes()
    assert frozen == (
        max(map(_proof, freezing(known)), key=lambda one: (one.made_at, one.at)) if freezing(known) else None
    )


def test_pythons_own_readers_tell_a_sound_archive_from_each_damaged_one() -> None:
    """As far as so small an archive can be damaged: a region file does not fit into it."""
    sound = {flavour: is_sound(b"".join(Archive("seed", 300, flavour).pieces())) for flavour in Flavour}
    assert {flavour for flavour, said in sound.items() if said} == {Flavour.WHOLE, Flavour.TORN}
