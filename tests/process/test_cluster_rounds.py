"""Three rounds of a cluster in trouble; `cluster_rounds` tells how, and plays more."""

import os
from pathlib import Path

import pytest

from tests.process.cluster_rounds import cluster_rounds
from tests.process.cluster_trouble import Trouble

SEED = 1159
"""It says whose the troubles are, and when."""

ROUNDS = (
    (Trouble.KILLED, Trouble.DATABASE_HELD_LONG, Trouble.CLOCK_WRONG, Trouble.RESTARTED),
    (Trouble.STOPPED, Trouble.FULL, Trouble.PANEL_HELD_BACK),
    (Trouble.CLOCK_MOVED, Trouble.DATABASE_CUT, Trouble.PANEL_CUT, Trouble.PROMOTED),
)
"""What happens in each round; a promotion comes last, since nothing is deleted for a while after it."""


@pytest.mark.timeout(600)  # three daemons that start again and again, on a machine that may be busy
def test_a_cluster_in_trouble_backs_up_every_server_and_deletes_nothing_that_is_another_members(tmp_path: Path) -> None:
    """$ROUNDS_SEED draws whose they are, and when, anew."""
    with cluster_rounds(tmp_path, int(os.environ.get("ROUNDS_SEED") or SEED)) as rounds:
        rounds.play_named(ROUNDS)
        rounds.end()
        named = {trouble for troubles in ROUNDS for trouble in troubles}
        assert {met.trouble for met in rounds.met} == named & rounds.possible
        assert rounds.pruned
        if missing := named - rounds.possible:
            pytest.skip(f"only without: {', '.join(missing)}; that takes root, the right to mount, and libfaketime")
