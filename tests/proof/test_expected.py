"""Files that must be in an archive, whatever game it is of."""

from collections.abc import Sequence

import pytest

from daemon.proof.expected import Expecting
from daemon.proof.sane import SanityCheck
from tests.proof.worlds import JAVA


def missing(patterns: Sequence[str], names: Sequence[str], inner: SanityCheck | None = None) -> tuple[str, ...]:
    """What is told of an archive with these files."""
    looks = Expecting(patterns, inner)
    for name in names:
        looks.open(name, 0)
    return looks.sanity().problems


@pytest.mark.parametrize(
    ("pattern", "there"),
    [
        ("world/level.dat", True),
        ("./world/level.dat", False),
        ("level.dat", True),
        ("*.db", True),
        ("*/*.db", True),
        ("data/*.db", False),
        ("world/*", True),
        ("*.sqlite", False),
    ],
)
def test_a_pattern_with_a_slash_is_of_the_path_and_any_other_of_the_name(pattern: str, there: bool) -> None:
    """A star stands for whatever comes, slashes included."""
    told = missing([pattern], ["./world/level.dat", "plugins/auth/users.db"])
    assert told == (() if there else (f"{pattern}: expected, and no such file is in it",))


def test_what_is_missing_is_told_before_what_is_wrong_and_counted() -> None:
    """With what the readers found, who see each file as before."""
    looks = Expecting(["*.db", "eula.txt"], SanityCheck())
    for name, data in JAVA.items():
        member = looks.open(name, len(data))
        if member is not None:
            member.add(data)
            member.end()
    found = looks.sanity()
    assert found.games == ("Minecraft Java", "SQLite")
    assert found.problems == ("eula.txt: expected, and no such file is in it",)
    assert (found.count, "world" in found.worlds) == (1, True)
