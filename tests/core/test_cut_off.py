"""When a member is cut off from a panel, and who may hold what is of that panel then."""

import pytest

from daemon.core.cut_off import Contact, Patience, alone, in_words, only_for
from daemon.core.shares import FLEET, Member, node_part, panel_part

PATIENCE = Patience()
ONE, TWO, THREE = ("one", 1), ("two", 2), ("three", 3)
ALL = frozenset({ONE, TWO, THREE})
NODE, OTHER = node_part("main", "n1"), node_part("other", "n1")
MAIN = frozenset({"main"})


def lost(*moments: float) -> Contact:
    """What is known after an answer at 10 s, and requests that got none."""
    contact = Contact().with_answer(10.0)
    for moment in moments:
        contact = contact.with_loss(moment)
    return contact


@pytest.mark.parametrize(
    ("contact", "alone", "doubted"),
    [
        (Contact(), False, False),
        (lost(), False, False),
        (lost(100.0), False, True),
        (lost(100.0, 219.0), False, True),
        (lost(100.0, 160.0, 220.0), True, True),
        (lost(100.0, 220.0).with_answer(221.0), False, False),
        (lost(100.0, 220.0).with_answer(221.0).with_loss(230.0), False, True),
    ],
)
def test_it_is_cut_off_once_no_request_was_answered_for_two_minutes(
    contact: Contact, alone: bool, doubted: bool
) -> None:
    """However long the last answer is ago: nobody may have asked. One request will do where another says so too."""
    assert contact.is_cut_off(PATIENCE, doubted=False) is alone
    assert contact.is_cut_off(PATIENCE, doubted=True) is doubted


@pytest.mark.parametrize(
    ("contact", "now", "alone", "doubted"),
    [
        (Contact(), 0.0, False, True),
        (lost(), 69.0, False, False),
        (lost(), 70.0, False, True),
        (lost(100.0, 130.0), 189.0, False, False),
        (lost(100.0, 130.0), 190.0, True, True),
    ],
)
def test_a_panel_is_asked_a_minute_after_the_last_request_while_any_member_hears_nothing(
    contact: Contact, now: float, alone: bool, doubted: bool
) -> None:
    """One that answers everybody is never asked for the sake of an answer."""
    assert contact.is_to_be_asked(now, PATIENCE, doubted=False) is alone
    assert contact.is_to_be_asked(now, PATIENCE, doubted=True) is doubted


def test_one_is_alone_in_what_it_says_while_another_that_lives_says_nothing_of_that_panel() -> None:
    """A panel that is down answers nobody; the dead do not count."""
    dead = ("dead", 0)
    said = {ONE: {"main", "other"}, TWO: MAIN, THREE: MAIN, dead: {"main", "third"}}
    assert alone(said, ALL) == {(ONE, "other")}
    assert alone(said, ALL | {("new", 4)}) == {(ONE, "other"), (ONE, "main"), (TWO, "main"), (THREE, "main")}
    assert alone(said, {ONE}) == frozenset()


PARTS = (NODE, panel_part("main"), OTHER, FLEET)


@pytest.mark.parametrize(
    ("held", "said", "lasting", "expected"),
    [
        ({}, {}, set(), None),
        ({}, {ONE: {"third"}}, set(), None),
        ({NODE: TWO}, {ONE: MAIN}, {(ONE, "main")}, {TWO, THREE}),
        ({NODE: ONE}, {ONE: MAIN}, {(ONE, "main")}, {TWO, THREE}),
        ({NODE: ONE}, {ONE: MAIN}, set(), ALL),
        ({NODE: ("dead", 0)}, {ONE: MAIN, ("dead", 0): MAIN}, set(), {TWO, THREE}),
        ({NODE: ONE}, {ONE: MAIN, TWO: MAIN}, {(TWO, "main")}, {ONE, THREE}),
        ({NODE: ONE}, dict.fromkeys(ALL, MAIN), set(), {ONE}),
        ({}, dict.fromkeys(ALL, MAIN), set(), ALL),
    ],
)
def test_what_is_of_a_panel_goes_to_those_alone_that_reach_it_and_stays_where_it_is_while_that_is_not_certain(
    held: dict[str, Member],
    said: dict[Member, frozenset[str]],
    lasting: set[tuple[Member, str]],
    expected: set[Member] | None,
) -> None:
    """What is of another panel, or of none, goes to any; so does what nobody holds, of a panel that nobody reaches."""
    found = only_for(PARTS, ALL, held, said, lasting)
    assert found.get(NODE) == expected
    assert (panel_part("main") in found) is (NODE in found)
    assert found.keys().isdisjoint({OTHER, FLEET})


def test_who_is_cut_off_is_said_in_a_sentence_for_each_panel() -> None:
    """Nothing while all reach all."""
    said = {ONE: {"main", "other"}, TWO: {"main", "other"}, THREE: {"main"}, ("dead", 0): {"third"}}
    assert in_words({}, ALL) == []
    assert in_words(said, ALL) == [
        "no member of the cluster reaches panel main",
        "members one, two do not reach panel other, so others are to act for its nodes",
    ]
    assert in_words({ONE: MAIN}, ALL) == ["member one does not reach panel main, so others are to act for its nodes"]
