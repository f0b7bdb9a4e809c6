"""`./scripts/simulate`: many seeds on all cores, the story of the first that fails, and what was covered."""

import argparse
import concurrent.futures
import gc
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

from daemon.clock import SystemClock
from tests.simulation.checker import TITLES, Violation
from tests.simulation.chosen import CHOSEN
from tests.simulation.cluster.trouble import OF_CLUSTERS
from tests.simulation.cluster.world import KINDS as CLUSTER_KINDS
from tests.simulation.run import CIRCUMSTANCES, KINDS, Report
from tests.simulation.story import Cut, shrink, told, told_whole

OCCURRENCES = (*KINDS, *OF_CLUSTERS, *CIRCUMSTANCES)
CLOCK = SystemClock()
AHEAD = 4
"""Seeds that wait for each worker."""
FRESH = 10
"""How many seeds `--check` plays that nobody has seen, after those that are always the same."""
CLUSTERS = 6
"""And how many clusters, always the same: too few to meet each kind of trouble, which is not asked of them."""
EVERY_SECONDS = 10.0
SHORT_SECONDS = 10.0  # what is told with its tenths


def say(text: str) -> None:
    """Write a line for whoever runs this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def counted(number: int, noun: str) -> str:
    """Given 1 and "run", return "1 run"; given 2, "2 runs"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def main(words: list[str] | None = None) -> int:
    """Run it; 0 where every rule held, 1 where one was broken."""
    asked = _arguments().parse_args(words)
    first = random.SystemRandom().randrange(10**6, 10**9) if asked.seed is None else asked.seed
    if asked.check:
        return _check(first, asked.workers)
    runs = asked.runs or (1 if asked.seed is not None else 200)
    kinds = CLUSTER_KINDS if asked.cluster else KINDS
    if unknown := set(asked.without) - {*kinds}:
        raise SystemExit(f"no such kinds here: {', '.join(sorted(unknown))}; there are: {'; '.join(kinds)}")
    if runs > 1 and (asked.without or asked.length != 1.0):
        raise SystemExit("--without and --length are for one seed: name it with --seed")
    if runs == 1:
        return _one(Cut(first, tuple(asked.without), asked.length, asked.cluster), verbose=asked.verbose)
    say(f"seeds {first} to {first + runs - 1}, {asked.workers} workers")
    totals = Totals()
    _play(_seeds(first, runs, cluster=asked.cluster), asked.workers, totals, keep_going=asked.keep_going)
    say(totals.table())
    return 1 if totals.failures else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./scripts/simulate", description=__doc__)
    parser.add_argument("--runs", type=int, help="how many seeds (200; 1 where --seed is given)")
    parser.add_argument("--seed", type=int, help="the first of them; drawn where it is left out")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="KIND",
        help=f"switch it off; one of: {'; '.join(KINDS)}; and in a cluster also: {'; '.join(OF_CLUSTERS)}",
    )
    parser.add_argument("--length", type=float, default=1.0, help="how much of the troubled time to play (1.0)")
    parser.add_argument("--cluster", action="store_true", help="play worlds of two or three members on one database")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first seed that fails")
    checked = f"play {len(CHOSEN)} chosen seeds, {FRESH} fresh ones and {CLUSTERS} clusters"
    parser.add_argument("--check", action="store_true", help=checked)
    parser.add_argument("--verbose", action="store_true", help="tell the whole story of one seed")
    return parser


def _check(fresh: int, workers: int) -> int:
    """What every change has to pass; in the chosen seeds each trouble and each rule must occur."""
    clusters = f"as clusters 0 to {CLUSTERS - 1}"
    say(f"{counted(len(CHOSEN), 'chosen seed')}, and {fresh} to {fresh + FRESH - 1}; {clusters}")
    totals = Totals()
    _play([*map(Cut, CHOSEN), *_seeds(0, CLUSTERS, cluster=True)], workers, totals, keep_going=False)
    missing = [] if totals.failures else totals.never_occurred()
    if not totals.failures:
        _play(_seeds(fresh, FRESH), workers, totals, keep_going=False)
    say(totals.table())
    if missing:
        say(f"the chosen seeds never met: {', '.join(missing)}")
    return 1 if totals.failures or missing else 0


def _seeds(first: int, count: int, *, cluster: bool = False) -> list[Cut]:
    return [Cut(seed, cluster=cluster) for seed in range(first, first + count)]


def _one(cut: Cut, *, verbose: bool) -> int:
    totals = Totals()
    report = cut.play()
    totals.add(report)
    if report.violation is None:
        if verbose:
            say(told_whole(report))
        say(f"seed {cut.seed} holds every rule; its trace is {report.digest[:16]}")
        say(totals.table(seen_only=True))
        return 0
    if not cut.without and cut.length == 1.0:
        cut, report = shrink(report)
    say(told(report, cut, shown=10**6 if verbose else 60))
    return 1


def _play(seeds: Sequence[Cut], workers: int, totals: "Totals", *, keep_going: bool) -> None:
    """Play and count them, tell the story of each that fails, and now and then how far it is."""
    told_at = CLOCK.monotonic()
    for number, (report, story) in enumerate(_reports(seeds, workers), start=1):
        totals.add(report)
        if story:
            say(story)
            if not keep_going:
                break
        if CLOCK.monotonic() - told_at >= EVERY_SECONDS:
            told_at = CLOCK.monotonic()
            sys.stderr.write(f"{number} of {len(seeds)}, {len(totals.failures)} failed\n")


Played = tuple[Report, str]
"""What came of a seed, and its story where it fails."""


def _reports(seeds: Iterable[Cut], workers: int) -> Iterator[Played]:
    """The reports as they come; never many more seeds in the queue than are worked at."""
    if workers <= 1:
        yield from map(_played, seeds)
        return
    waiting = iter(seeds)
    with ProcessPoolExecutor(workers, initializer=gc.freeze) as pool:  # what is imported need not be looked at again
        running: set[Future[Played]] = {pool.submit(_played, seed) for seed in islice(waiting, workers * AHEAD)}
        try:
            while running:
                done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                running |= {pool.submit(_played, seed) for seed in islice(waiting, len(done))}
                yield from sorted((future.result() for future in done), key=lambda played: played[0].seed)
        finally:
            pool.shutdown(cancel_futures=True)


def _played(seed: Cut) -> Played:
    """Play a seed, and cut it down where it fails: in the worker, so that the others go on. Its events stay there."""
    report = seed.play()
    story = ""
    if report.violation is not None:
        cut, shorter = shrink(report)
        story = told(shorter, cut)
    report.story = []
    return report, story


class Totals:
    """What many runs had in them."""

    def __init__(self) -> None:
        self.began = CLOCK.monotonic()
        self.runs = self.rotations = self.requests = self.deletions = 0
        self.days = 0.0
        self.failures: list[tuple[str, Violation]] = []
        self.happened: Counter[str] = Counter()
        self.runs_with: Counter[str] = Counter()
        self.checked: Counter[str] = Counter()

    def add(self, report: Report) -> None:
        """Count one run."""
        self.runs += 1
        self.rotations += report.rotations
        self.requests += report.requests
        self.deletions += report.deletions
        self.days += report.virtual_seconds / 86400
        if report.violation is not None:
            self.failures.append((f"{report.seed}{' as a cluster' if report.cluster else ''}", report.violation))
        self.happened.update(report.happened)
        self.runs_with.update(report.happened.keys())
        self.checked.update(report.checked)

    def never_occurred(self) -> list[str]:
        """The kinds of trouble that no run met, and the rules that were never held against anything."""
        troubles = [kind for kind in (*KINDS, *CIRCUMSTANCES) if not self.happened[kind]]
        return troubles + [f"rule {rule} ({title})" for rule, title in TITLES.items() if not self.checked[rule]]

    def table(self, *, seen_only: bool = False) -> str:
        """The counts, one line each, then the seeds that failed, and all in one line."""
        seen = [kind for kind in OCCURRENCES if self.happened[kind] or not seen_only]
        troubles = {kind: (self.happened[kind], self.runs_with[kind]) for kind in seen}
        rules = {f"{rule:<5}{title}": (self.checked[rule],) for rule, title in TITLES.items()}
        lines = [
            *_aligned("trouble", ("  times", "in runs"), troubles),
            "",
            *_aligned("rule", ("held against",), rules),
            "",
            *(f"seed {seed} breaks rule {broken.rule}: {broken.text}" for seed, broken in self.failures),
            self.line(),
        ]
        return "\n".join(lines)

    def line(self) -> str:
        """All of it in one line."""
        seconds = CLOCK.monotonic() - self.began
        counts = (
            counted(round(self.days), "day"),
            counted(self.rotations, "rotation"),
            counted(self.requests, "request"),
            counted(self.deletions, "deletion"),
            counted(len(self.failures), "failure"),
            f"{seconds:.{0 if seconds >= SHORT_SECONDS else 1}f} seconds",
        )
        return f"{counted(self.runs, 'run')}: {', '.join(counts)}"


def _aligned(about: str, heads: Sequence[str], rows: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """The lines of a table: what a row is about, however long, and its numbers below their heads."""
    width = max(map(len, (about, *rows))) + 2
    yield f"{about:<{width}}" + "".join(f"{head:>{len(head) + 2}}" for head in heads)
    for name, numbers in rows.items():
        cells = (f"{number:>{len(head) + 2}}" for number, head in zip(numbers, heads, strict=True))
        yield f"  {name:<{width - 2}}" + "".join(cells)


if __name__ == "__main__":
    sys.exit(main())
