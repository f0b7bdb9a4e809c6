"""When a drill is due, as an operator writes it."""

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.core.drills import DrillRules
from tests.config.support import ENVIRONMENT, RIGHT, problems, write

DRILL = '\n[drills.weekly]\nserver = "spare"\nfrom = ["survival"]\n'
SPARE = '\n[servers.spare]\nid = "deadbeef"\n'


def test_the_daemon_drills_as_often_as_is_asked(tmp_path: Path) -> None:
    """By itself never, unless it is asked."""
    for written, every in (("", None), ('every = "never"', None), ('every = "7d"', timedelta(days=7))):
        config = load(write(tmp_path, RIGHT + SPARE + DRILL + written), ENVIRONMENT)
        assert config.drills["weekly"].rules == DrillRules("weekly", "spare", ("survival",), every)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            RIGHT + SPARE + DRILL + 'every = "30m"',
            ("drills.weekly.every", "must be at least 1h, since everything is read and unpacked each time"),
        ),
        (
            'state_dir = "none"\n' + RIGHT + SPARE + DRILL + 'every = "7d"',
            ("state_dir", 'with "none" nothing is remembered of drills, so that none can be scheduled'),
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, told: tuple[str, str]) -> None:
    """With the key, and why."""
    assert [(one.key, one.reason) for one in problems(write(tmp_path, text))] == [told]


def test_by_hand_it_may_be_without_a_state(tmp_path: Path) -> None:
    """Nobody asks then whose turn it is."""
    config = load(write(tmp_path, 'state_dir = "none"\n' + RIGHT + SPARE + DRILL), ENVIRONMENT)
    assert config.drills["weekly"].every is None
