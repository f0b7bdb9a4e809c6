"""The simulation itself: seeds that hold every rule, each the same to the last step, and stories that are short.

`./scripts/simulate` plays as many seeds as one likes, and `--check` those that every change has to hold; here are few.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tests.simulation.__main__
from tests.simulation.__main__ import Totals, main
from tests.simulation.builds import BREAKS
from tests.simulation.chosen import Candidate, choose
from tests.simulation.run import CIRCUMSTANCES, KINDS, simulate
from tests.simulation.story import Cut, shrink, told, told_whole

ROOT = Path(__file__).parents[2]
BATCH = 15
FEW = 4

pytestmark = pytest.mark.timeout(180)


def test_seeds_hold_every_rule() -> None:
    """The same ones each time, and the first of those that `--check` plays; the story says how a rule is broken."""
    for seed in range(FEW):
        report = simulate(seed)
        if report.violation is not None:
            cut, shorter = shrink(report)
            pytest.fail(told(shorter, cut))


def test_a_seed_plays_the_same_to_the_last_step_in_every_process() -> None:
    """Twice in one process, and in processes whose sets of texts come in another order."""
    command = "from tests.simulation.run import simulate; print(*(simulate(seed).digest for seed in (3, 19)))"
    digests = {" ".join(simulate(seed).digest for seed in (3, 19))}
    for hash_seed in ("1", "4242"):
        environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(  # noqa: S603 — our own interpreter
            [sys.executable, "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        )
        digests.add(ran.stdout.strip())
    assert len(digests) == 1


def test_trouble_that_is_switched_off_does_not_happen() -> None:
    """And leaves every other dice as it was."""
    whole = next(report for report in map(simulate, range(33, 33 + BATCH)) if report.happened["odd JSON"])
    quiet = simulate(whole.seed, without=["odd JSON"])
    assert not quiet.happened["odd JSON"]
    assert set(whole.kinds) - set(quiet.kinds) == {"odd JSON"}
    assert simulate(whole.seed, without=KINDS).happened.keys() <= set(CIRCUMSTANCES)


def test_a_world_without_trouble_is_calm() -> None:
    """Nothing happens but rotations, and each rule that needs no trouble is still held against something."""
    report = simulate(9, without=KINDS)
    assert report.violation is None
    assert report.rotations > 5
    assert all(report.checked[rule] for rule in ("2", "3", "4", "5", "6", "7", "8", "10", "told", "live", "calm"))


def test_a_broken_rule_is_told_as_a_short_story() -> None:
    """Cut down to what it needs, with the command that plays it again, and the same each time."""
    make = BREAKS["the newest goes first"].make
    with make():
        report = next(report for report in map(simulate, range(36, 36 + BATCH)) if "4" in report.broken)
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
    assert story.splitlines()[-1] in told_whole(shorter).splitlines()  # told in the same lines by --verbose


def test_the_command_says_what_was_covered(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each trouble and each rule."""
    assert main(["--seed", "0", "--runs", "3", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    line = r"3 runs: \d+ days, \d+ rotations, \d+ requests, \d+ deletions, 0 failures, [\d.]+ seconds"
    assert re.fullmatch(line, said.splitlines()[-1])
    assert all(f"  {kind} " in said for kind in (*KINDS, *CIRCUMSTANCES))
    assert "a locked backup is never deleted" in said


def test_what_was_covered_stands_in_columns_and_one_is_not_many() -> None:
    """However long the name of a trouble or of a rule is."""
    totals = Totals()
    totals.add(simulate(0))
    totals.happened[max(CIRCUMSTANCES, key=len)] += 10**6
    table = totals.table()
    for part in table.split("\n\n")[:2]:
        assert len({len(line) for line in part.splitlines()}) == 1
    assert re.search(r"^1 run: \d+ days?, .*, 0 failures, \d+(\.\d)? seconds$", table.splitlines()[-1])
    assert not re.search(r"\b1 (runs|days|rotations|requests|deletions|failures)\b", table)


def test_the_command_fails_with_the_story(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the seed."""
    monkeypatch.setattr(tests.simulation.__main__, "shrink", lambda report: (Cut(report.seed), report))
    make = BREAKS["the newest goes first"].make
    with make():
        seed = next(seed for seed in range(36, 36 + BATCH) if simulate(seed).violation)
        assert main(["--seed", str(seed)]) == 1
    assert f"seed {seed} breaks rule " in capsys.readouterr().out


def test_several_that_fail_are_told_and_summed_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its command, and all of them once more at the end."""
    monkeypatch.setattr(tests.simulation.__main__, "shrink", lambda report: (Cut(report.seed), report))
    make = BREAKS["the newest goes first"].make
    with make():
        assert main(["--seed", "36", "--runs", str(FEW), "--workers", "1", "--keep-going"]) == 1
    said = capsys.readouterr().out
    failing = re.findall(r"^seed (\d+) breaks rule \S+: ", said, re.MULTILINE)
    assert len(failing) > 1
    assert re.findall(r"play it again: ./scripts/simulate --seed (\d+)", said) == failing
    assert f"{len(failing)} failures" in said


def test_the_check_asks_for_every_trouble_and_every_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One seed cannot meet all of them."""
    monkeypatch.setattr(tests.simulation.__main__, "CHOSEN", (1,))
    monkeypatch.setattr(tests.simulation.__main__, "FRESH", 1)
    monkeypatch.setattr(tests.simulation.__main__, "CLUSTERS", 0)
    assert main(["--check", "--workers", "1"]) == 1
    assert "never met: " in capsys.readouterr().out


def test_seeds_are_chosen_until_each_thing_is_met_often_enough() -> None:
    """The cheapest ones first, and no more than it takes; what is met more rarely is met as often as it is."""
    cheap, dear = Candidate(1, frozenset({"503", "rule 1"}), 10), Candidate(2, frozenset({"503", "rule 1"}), 20)
    needed, useless = Candidate(3, frozenset({"503", "disk full"}), 1000), Candidate(4, frozenset(), 1)
    assert choose([useless, dear, cheap, needed], times=1) == (1, 3)
    assert choose([useless, dear, cheap, needed], times=2) == (1, 2, 3)


def test_totals_know_what_never_occurred() -> None:
    """So that a trouble that no seed meets, and a rule that is never asked, is seen."""
    assert {"odd JSON", "clocks change for daylight saving", "rule 8 (every verdict says why)"} <= set(
        Totals().never_occurred()
    )
