"""The daemon killed many times at random moments; `kills` tells how, and plays it longer."""

import os
import random
from pathlib import Path

import pytest

from tests.process.kills import suffer

KILLS = 25


@pytest.mark.timeout(300)
def test_many_kills_at_random_moments_cost_no_backup_and_make_none_twice(tmp_path: Path) -> None:
    """Each time it is started again, and the last one brings everything to its end; $KILL_SEED draws the same again."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KILL_SEED={seed}")  # noqa: T201 — shown where it fails
    stages = suffer(tmp_path, KILLS, seed)
    print(stages)  # noqa: T201
    assert stages.total() == KILLS
    assert stages["starting"] < KILLS / 2, "most of them were at work when they were killed"
