"""The simulated clusters themselves: seeds that hold every rule, each the same to the last step."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.cluster.world import KINDS, simulate_cluster
from tests.simulation.story import Cut, shrink, told

ROOT = Path(__file__).parents[3]
SHORT = "from tests.simulation.cluster.world import simulate_cluster; print(simulate_cluster(3, length=0.2).digest)"

pytestmark = pytest.mark.timeout(180)


def test_a_seed_holds_every_rule() -> None:
    """The first of those that `--check` plays; the story says how a rule is broken."""
    report = simulate_cluster(0)
    if report.violation is not None:
        cut, shorter = shrink(report)
        pytest.fail(told(shorter, cut))
    assert report.checked["20"] > report.rotations


def test_without_trouble_one_member_is_gone_and_every_server_is_backed_up() -> None:
    """In the calm days that follow; what was to be deleted is deleted."""
    report = simulate_cluster(1, without=KINDS, length=0.5)
    assert report.violation is None
    assert any("is gone for good" in event.text for event in report.story)
    assert report.checked["live"]


def test_a_seed_plays_the_same_in_every_process() -> None:
    """Whatever order sets of texts have there, and members that are killed or stand still included."""
    digests = {simulate_cluster(3, length=0.2).digest}
    environ = {**os.environ, "PYTHONHASHSEED": "4242"}
    ran = subprocess.run(  # noqa: S603 — our own interpreter
        [sys.executable, "-c", SHORT], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert digests == {ran.stdout.strip()}


def test_a_cluster_is_played_by_the_command_and_named_in_the_command_that_plays_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With trouble of its own to switch off, which one daemon does not have."""
    assert main(["--cluster", "--seed", "1", "--length", "0.1", "--without", "member stands still"]) == 0
    assert "seed 1 holds every rule" in capsys.readouterr().out
    assert Cut(7, cluster=True).command() == "./scripts/simulate --cluster --seed 7"
    with pytest.raises(SystemExit, match="no such kinds here: member stands still"):
        main(["--seed", "1", "--without", "member stands still"])
