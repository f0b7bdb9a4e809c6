"""Three rounds of a cluster in trouble; `cluster_rounds` tells how, and plays more."""

import os
import random
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.process.cluster_rounds import cluster_rounds

ROUNDS = 3


@pytest.mark.timeout(900)
def test_a_cluster_in_trouble_backs_up_every_server_once_and_deletes_nothing_that_is_another_members(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    """Whatever happens to one member, or to the database; $CLUSTER_SEED draws the same again."""
    seed = int(os.environ.get("CLUSTER_SEED") or random.SystemRandom().randrange(10**6))
    print(f"CLUSTER_SEED={seed}")  # noqa: T201 — shown where it fails
    with cluster_rounds(tmp_path, postgres_server, random.Random(seed)) as rounds:
        rounds.play(ROUNDS)
    assert rounds.met.total() >= ROUNDS
