"""How far a backup is known to be restorable."""

import pytest

from daemon.core.proof import Level, reached


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
    assert [*Level] == ["read", "walked", "sane"]
