"""Where members of a cluster would decide differently."""

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.agreement import (
    AGREED,
    CONFIGURATIONS,
    DECISIONS,
    UNCOMPARED,
    VERSIONS,
    Disagreement,
    Opinion,
    differing_on,
    disagreement,
    in_words,
    of_those_that_act,
    server_key,
    store_key,
)
from daemon.core.brake import Brake
from daemon.core.digest import hashed
from daemon.core.model import Backup
from daemon.core.plan import plan
from tests.core.build import NOW, OURS, failed, good, listing, pending, retention

A, B = ("one", 1), ("two", 2)
RULES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(st.lists(RULES, min_size=1, max_size=4))
def test_they_differ_where_two_of_them_say_different_things_or_only_one_has_the_server(
    said: list[dict[str, str]],
) -> None:
    """In whatever order they are looked at."""
    differing = {key for key in "abcd" if len({rules.get(key) for rules in said}) > 1}
    for order in (said, said[::-1]):
        assert disagreement([Opinion.of(rules) for rules in order]) == Disagreement(frozenset(differing))


@given(RULES, RULES)
def test_two_agree_on_everything_exactly_if_their_digests_are_the_same(
    one: dict[str, str], two: dict[str, str]
) -> None:
    """So nothing else needs to be read."""
    assert (Opinion.of(one).digest == Opinion.of(two).digest) == (one == two)
    assert Opinion.of(one).digest != Opinion.of(one, DECISIONS + 1).digest


def test_nobody_differs_from_nobody() -> None:
    """A member that is alone agrees with itself."""
    assert disagreement([]) == disagreement([Opinion.of({"a": "x"})]) == AGREED
    assert not AGREED


@pytest.mark.parametrize("other", [None, Opinion.of({"a": "x"}, DECISIONS + 1)])
def test_another_version_of_the_decisions_or_one_that_does_not_say_differs_everywhere(other: Opinion | None) -> None:
    """Though both have the same configuration."""
    where = disagreement([Opinion.of({"a": "x"}), other])
    assert where
    assert "decide differently, so nothing is deleted" in differing_on(where, "a")
    assert in_words(where, {}) == "members of the cluster run versions that decide differently"


def test_nothing_is_deleted_where_they_differ_and_nowhere_else() -> None:
    """Of a server, or in a store."""
    where = Disagreement(frozenset({"a", store_key("nas")}))
    assert "different configurations of it, so nothing is deleted" in differing_on(where, "a")
    assert differing_on(where, "b") == ""
    assert differing_on(where, "b", store_key("nas")) != ""
    assert differing_on(AGREED, "a") == ""


def test_what_differs_is_named_as_far_as_it_is_known_and_then_counted() -> None:
    """By the configured names."""
    where = Disagreement(frozenset("abcdefg"))
    said = in_words(where, {"a": "survival", "b": "creative"})
    assert said == "members of the cluster have different configurations of c, creative, d, e, f and 2 more"
    assert in_words(Disagreement(frozenset("a")), {"a": "survival"}).endswith(" of survival")
    assert in_words(Disagreement(frozenset("abcde")), {}).endswith(" of a, b, c, d, e")


def test_a_server_has_one_key_however_its_id_is_written() -> None:
    """In the short form, or the long one."""
    short, long = "1a7ce997", "1A7CE997-259b-452e-8b4e-cecc464142ca"
    assert server_key("https://panel", short) == server_key("https://panel", long) == "https://panel 1a7ce997"
    assert server_key("https://b", short) == "https://b 1a7ce997"


def test_those_count_that_hold_something_or_may_take_it() -> None:
    """One that joins has said nothing yet, and holds nothing; one that was sent out counts until it has handed over."""
    said = {A: Opinion.of({}), B: Opinion.of({"a": "x"})}
    assert of_those_that_act(said, [A, B], {}) == said
    assert of_those_that_act({A: said[A]}, [A, B], {}) == {A: said[A]}
    assert of_those_that_act({A: said[A]}, [A, B], {"node": B}) == {A: said[A], B: None}
    assert of_those_that_act(said, [A], {}) == {A: said[A]}
    assert of_those_that_act(said, [A], {"node": B}) == said


PINNED = (1, "c8e1f47409373392")
"""The version of the decisions, and a digest of what they make of a thousand listings."""


def test_the_version_is_raised_with_every_change_of_what_is_deleted() -> None:
    """Else members of two versions believe that they agree. If this fails: raise DECISIONS, and pin the digest."""
    chance = random.Random(20).random  # the one method whose numbers never change
    decided = [
        _decided([_backup(chance(), chance(), chance()) for _ in range(int(chance() * 25))], chance())
        for _ in range(1000)
    ]
    assert (DECISIONS, hashed("\n".join(decided))) == PINNED


POLICIES = [
    retention("last=3"),
    retention("daily=7,weekly=4"),
    retention("hourly=24,monthly=6,yearly=2", min_good=3),
    retention("within=10d,within_weekly=2mo"),
    retention("last=-1", total_size=8_000_000),
    retention("last=1", failed_after=None, suspicious=0.0),
]


def _backup(age: float, size: float, kind: float) -> Backup:
    made = NOW - timedelta(minutes=int(age**3 * 500_000))
    if kind < 0.1:
        return failed(made, locked=kind < 0.02)
    return pending(made) if kind > 0.97 else good(made, size=int(size * 2_000_000), locked=0.9 < kind < 0.95)


def _decided(backups: list[Backup], which: float) -> str:
    policy = POLICIES[int(which * len(POLICIES))]
    rows = {one.uuid: one for one in backups}.values()
    made = plan(listing(rows), policy, ownership=OURS, brake=Brake(-1))
    return " ".join((made.code or "", *(one.backup.uuid for one in made.deletions)))


def test_a_disagreement_is_one_of_keys_or_of_versions() -> None:
    """Neither is none."""
    assert [bool(one) for one in (AGREED, Disagreement(frozenset({"a"})), Disagreement(versions=True))] == [
        False,
        True,
        True,
    ]
    assert AGREED.versions is False


def test_a_digest_is_of_the_version_and_of_each_rule_in_its_line() -> None:
    """Members of other versions compute the same."""
    opinion = Opinion.of({"b": "y", "a": "x"}, 7)
    assert (opinion.decisions, opinion.digest) == (7, hashed("7\na x\nb y"))


def test_a_text_that_no_file_can_hold_has_a_digest_too() -> None:
    """A panel may have put half a character into a name."""
    assert hashed("\ud800") != hashed("\ud801")


def test_why_nothing_is_deleted_is_said_in_these_words() -> None:
    """Each is a sentence of its own, or begins one."""
    assert VERSIONS == "members of the cluster run versions that decide differently"
    assert CONFIGURATIONS == "members of the cluster have different configurations of"
    assert UNCOMPARED == (
        "the cluster's database did not say whether its members would decide alike, so nothing is deleted"
    )
