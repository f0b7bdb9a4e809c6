"""`./scripts/simulate`: many seeds on all cores, the story of the first that fails, and what was covered."""

import argparse
import concurrent.futures
import gc
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

from tests.simulation.rules import TITLES
from tests.simulation.run import KINDS, Report, simulate
from tests.simulation.story import Cut, shrink, told

AHEAD = 4
"""Seeds that wait for each worker."""


def say(text: str) -> None:
    """Write a line for whoever runs this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(words: list[str] | None = None) -> int:
    """Run it; 0 where every rule held, 1 where one was broken."""
    asked = _arguments().parse_args(words)
    first = random.SystemRandom().randrange(10**6, 10**9) if asked.seed is None else asked.seed
    runs = asked.runs or (1 if asked.seed is not None else 200)
    if runs == 1:
        return _one(Cut(first, tuple(asked.without), asked.length), verbose=asked.verbose)
    say(f"seeds {first} to {first + runs - 1}, {asked.workers} workers")
    totals = Totals()
    for report in _reports(range(first, first + runs), asked.workers):
        totals.add(report)
        if report.violation is not None:
            say(f"seed {report.seed} fails, and is cut down …")
            cut, shorter = shrink(report)
            say(told(shorter, cut))
            if not asked.keep_going:
                return 1
    say(totals.table())
    return 1 if totals.failed else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./scripts/simulate", description=__doc__)
    parser.add_argument("--runs", type=int, help="how many seeds (200; 1 where --seed is given)")
    parser.add_argument("--seed", type=int, help="the first of them; drawn where it is left out")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument("--without", action="append", default=[], choices=KINDS, metavar="KIND", help="switch it off")
    parser.add_argument("--length", type=float, default=1.0, help="how much of the troubled time to play (1.0)")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first seed that fails")
    parser.add_argument("--verbose", action="store_true", help="tell the whole story of one seed")
    return parser


def _one(cut: Cut, *, verbose: bool) -> int:
    report = cut.play()
    totals = Totals()
    totals.add(report)
    if report.violation is None:
        if verbose:
            say("\n".join(f"{event.at:12.3f}  {event.text}" for event in report.story))
        say(f"seed {cut.seed} holds every rule; its trace is {report.digest[:16]}")
        say(totals.table(seen_only=True))
        return 0
    if not cut.without and cut.length == 1.0:
        cut, report = shrink(report)
    say(told(report, cut, shown=10**6 if verbose else 60))
    return 1


def _reports(seeds: Iterable[int], workers: int) -> Iterator[Report]:
    """The reports as they come; never many more seeds in the queue than are worked at."""
    if workers <= 1:
        yield from map(simulate, seeds)
        return
    waiting = iter(seeds)
    with ProcessPoolExecutor(workers) as pool:
        running: set[Future[Report]] = {pool.submit(_slim, seed) for seed in islice(waiting, workers * AHEAD)}
        try:
            while running:
                done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                running |= {pool.submit(_slim, seed) for seed in islice(waiting, len(done))}
                for future in sorted(done, key=lambda future: future.result().seed):
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _slim(seed: int) -> Report:
    """A report without the story where nobody will read it."""
    gc.freeze()  # modules and caches need not be looked at by every collection
    report = simulate(seed)
    if report.violation is None:
        report.story = []
    return report


class Totals:
    """What many runs had in them."""

    def __init__(self) -> None:
        self.runs = self.failed = self.rotations = self.requests = self.deletions = 0
        self.days = 0.0
        self.happened: Counter[str] = Counter()
        self.runs_with: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()

    def add(self, report: Report) -> None:
        """Count one run."""
        self.runs += 1
        self.failed += report.violation is not None
        self.rotations += report.rotations
        self.requests += report.requests
        self.deletions += report.deletions
        self.days += report.virtual_seconds / 86400
        self.happened.update(report.happened)
        self.runs_with.update(report.happened.keys())
        self.checked.update(report.checked)

    def never_happened(self) -> list[str]:
        """The kinds of trouble that no run met."""
        return [kind for kind in KINDS if not self.happened[kind] and kind != "one victim"]

    def table(self, *, seen_only: bool = False) -> str:
        """The counts, one line each."""
        lines = [
            f"{self.runs} runs, {self.failed} failed; {self.days:.0f} days in them, with",
            f"{self.rotations} rotations, {self.requests} requests, {self.deletions} of them deletions",
            "",
            "trouble                                     times   in runs",
            *(
                f"  {kind:<40}{self.happened[kind]:>7}{self.runs_with[kind]:>10}"
                for kind in KINDS
                if kind != "one victim" and (self.happened[kind] or not seen_only)
            ),
            "",
            "rule                                                                            held against",
            *(f"  {rule:<5}{title:<75}{self.checked[rule]:>12}" for rule, title in TITLES.items()),
        ]
        return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
