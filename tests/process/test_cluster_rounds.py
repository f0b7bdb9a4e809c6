"""Three rounds of a cluster in trouble; `cluster_rounds` tells how, and plays more."""

import os
from pathlib import Path

import pytest

from tests.process.cluster_rounds import cluster_rounds

SEED = 1159
"""It has members stopped, evicted and without answers, a standby promoted, a clock moved, and a disk full."""


@pytest.mark.timeout(600)  # three daemons that start again and again, on a machine that may be busy
def test_a_cluster_in_trouble_backs_up_every_server_and_deletes_nothing_that_is_another_members(tmp_path: Path) -> None:
    """$ROUNDS_SEED draws other troubles."""
    with cluster_rounds(tmp_path, int(os.environ.get("ROUNDS_SEED") or SEED)) as rounds:
        rounds.play(3)
        assert rounds.pruned
