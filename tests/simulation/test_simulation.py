"""The simulation itself: seeds that hold every rule, each the same to the last step, and stories that are short.

`./scripts/simulate` plays as many seeds as one likes; here are a few that never change and a few that nobody has seen.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import Totals, main
from tests.simulation.run import KINDS, Report, simulate
from tests.simulation.story import Cut, shrink, told
from tests.simulation.test_broken_builds import BREAKS

ROOT = Path(__file__).parents[2]
BATCH = 15
FRESH = 4

pytestmark = pytest.mark.timeout(180)


def held(report: Report) -> None:
    """Fail with the story where a rule was broken."""
    if report.violation is not None:
        cut, shorter = shrink(report)
        pytest.fail(told(shorter, cut))


@pytest.mark.parametrize("first", range(0, 4 * BATCH, BATCH))
def test_fixed_seeds_hold_every_rule(first: int) -> None:
    """The same ones each time."""
    for seed in range(first, first + BATCH):
        held(simulate(seed))


@pytest.mark.parametrize("batch", range(4))
def test_fresh_seeds_hold_every_rule(batch: int) -> None:
    """Others each time; a failure says which."""
    first = random.SystemRandom().randrange(10**6, 10**9)
    for seed in range(first, first + FRESH):
        held(simulate(seed))


def test_a_seed_plays_the_same_to_the_last_step_in_every_process() -> None:
    """Twice in one process, and in processes whose sets of texts come in another order."""
    command = "from tests.simulation.run import simulate; print(*(simulate(seed).digest for seed in (14, 26, 9)))"
    digests = {" ".join(simulate(seed).digest for seed in (14, 26, 9))}
    for hash_seed in ("1", "4242"):
        environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(  # noqa: S603 — our own interpreter
            [sys.executable, "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        )
        digests.add(ran.stdout.strip())
    assert len(digests) == 1


def test_trouble_that_is_switched_off_does_not_happen() -> None:
    """And leaves every other dice as it was."""
    whole = simulate(9)
    assert whole.happened["odd JSON"]
    quiet = simulate(9, without=["odd JSON"])
    assert not quiet.happened["odd JSON"]
    assert set(whole.kinds) - set(quiet.kinds) == {"odd JSON"}
    assert not simulate(9, without=KINDS).happened


def test_a_world_without_trouble_is_calm() -> None:
    """Nothing happens but rotations, and each rule that needs no trouble is still held against something."""
    report = simulate(9, without=KINDS)
    assert report.violation is None
    assert report.rotations > 5
    assert all(report.checked[rule] for rule in ("2", "3", "4", "5", "6", "7", "8", "10", "live", "calm"))


def test_a_broken_rule_is_told_as_a_short_story() -> None:
    """Cut down to what it needs, with the command that plays it again, and the same each time."""
    make, _, _ = BREAKS["the newest goes first"]
    with make():
        report = next(report for report in map(simulate, range(BATCH)) if "4" in report.broken)
        seed = report.seed
        cut, shorter = shrink(report)
        story = told(shorter, cut)
        again = cut.play()
    assert len(shorter.story) < len(report.story)
    assert story.startswith(f"seed {seed} breaks rule ")
    assert f"play it again: ./scripts/simulate --seed {seed}" in story
    assert "!!! " in story
    assert len(shorter.kinds) < len(report.kinds)
    assert again.violation == shorter.violation
    assert again.digest == shorter.digest
    assert Cut(7).command() == "./scripts/simulate --seed 7"


def test_the_command_says_what_was_covered(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each trouble and each rule."""
    assert main(["--seed", "0", "--runs", "3", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "3 runs, 0 failed" in said
    assert all(kind in said for kind in KINDS if kind != "one victim")
    assert "a locked backup is never deleted" in said


def test_the_command_fails_with_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the seed."""
    make, _, _ = BREAKS["the newest goes first"]
    with make():
        seed = next(seed for seed in range(BATCH) if simulate(seed).violation)
        assert main(["--seed", str(seed)]) == 1
    assert f"seed {seed} breaks rule " in capsys.readouterr().out


def test_totals_know_what_never_happened() -> None:
    """So that a trouble that no seed meets is seen."""
    assert "odd JSON" in Totals().never_happened()
