"""`./scripts/mutate`: every mutant of the core, who survived, and whether tests/mutation/README.md knows why."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.page import PAGE, Change, listed
from tests.mutation.trial import CORE, Baseline, Fate, observe, trials

FLOOR = 98
"""The least share of the mutants, in percent, that must be killed."""


def say(text: str) -> None:
    """Write a line for whoever runs this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run it; 0 where enough were killed and the page tells of exactly those that were not, else 1."""
    asked = _arguments().parse_args()
    say("the tests without a mutant …")
    baseline = observe()
    say(f"{len(baseline.seconds)} tests, {sum(baseline.seconds.values()):.0f} s of processor time\n")
    say(f"{'module':12} mutants  killed  endless  survived    share")
    total, unnoticed = Counter[Fate](), dict[Change, Fate]()
    for module in asked.modules:
        fates, by_no_test = _module(module, baseline, asked.workers)
        say(_row(module, fates))
        unnoticed |= by_no_test
        total += fates
    say(_row("all", total))
    excused = {change for change in listed(PAGE.read_text()) if change.module in asked.modules}
    complaints = list(_complaints(total, unnoticed, excused))
    say("\n".join(complaints) or "No survivor that tests/mutation/README.md does not excuse.")
    return 1 if complaints else 0


def _arguments() -> argparse.ArgumentParser:
    modules = sorted(path.stem for path in CORE.glob("[!_]*.py"))
    parser = argparse.ArgumentParser(prog="./scripts/mutate", description=__doc__)
    parser.add_argument("modules", nargs="*", default=modules, metavar="MODULE", help="of daemon/core (all of them)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one for each core)")
    return parser


def _module(module: str, baseline: Baseline, workers: int) -> tuple[Counter[Fate], dict[Change, Fate]]:
    """What became of a module's mutants, and which no test failed for; the module itself must survive."""
    path = CORE / f"{module}.py"
    itself = Mutant(Change(module, "module", "", ""), path.read_text(), range(10**6))
    if [fate for _, fate in trials([itself], baseline, 1)] != [Fate.SURVIVED]:
        raise RuntimeError(f"the tests of {module} do not pass where the module stands in for itself")
    fates, unnoticed = Counter[Fate](), dict[Change, Fate]()
    for mutant, fate in trials(mutants(path), baseline, workers):
        fates[fate] += 1
        if fate in {Fate.ENDLESS, Fate.SURVIVED}:
            say(f"    {fate}: {mutant.change}")
            unnoticed[mutant.change] = fate
    return fates, unnoticed


def _share(fates: Counter[Fate]) -> float:
    """How many of a hundred were killed; one that cannot be imported is no mutant."""
    killed = fates[Fate.KILLED] + fates[Fate.ENDLESS]
    return 100 * killed / max(1, killed + fates[Fate.SURVIVED])


def _row(name: str, fates: Counter[Fate]) -> str:
    number = fates.total() - fates[Fate.STILLBORN]
    figures = f"{number:7} {fates[Fate.KILLED]:7} {fates[Fate.ENDLESS]:8} {fates[Fate.SURVIVED]:9}"
    return f"{name:12} {figures} {_share(fates):6.1f} %"


def _complaints(total: Counter[Fate], unnoticed: Mapping[Change, Fate], excused: Collection[Change]) -> Iterator[str]:
    """What is not as it must be. One that is only slow may be excused too: how slow it is depends on the machine."""
    if _share(total) < FLOOR:
        yield f"Less than {FLOOR} % were killed."
    for change, fate in unnoticed.items():
        if fate is Fate.SURVIVED and change not in excused:
            yield f"No test notices, and tests/mutation/README.md does not say why: {change.module}, {change}"
    for change in excused:
        if change not in unnoticed:
            yield f"tests/mutation/README.md excuses it, but it is none or was killed: {change.module}, {change}"


if __name__ == "__main__":
    sys.exit(main())
