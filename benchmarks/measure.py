"""What every benchmark says alike: the machine, how far the runs lay apart, and a table with the ideal beside it.

A figure is the median of several runs, with the least and the most of them; what is compared runs in turn in the same
minute, so that whoever else uses the machine slows both. The table is Markdown: it can be pasted into docs/.
"""

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daemon.clock import SystemClock

CLOCK = SystemClock()
MIB = 2**20

Result = TypeVar("Result")

_TICKS = os.sysconf("SC_CLK_TCK")
_THOUSAND = 1000
_HEADINGS = ("", "measured", "wanted", "reached", "ideal", "/ ideal", "alternative", "/ alternative")


@dataclass(frozen=True, slots=True)
class Spread:
    """What several runs gave, at least one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        """The median, with the least and the most where there are several."""
        around = f" ({number(min(self.values))} to {number(max(self.values))})" if len(self.values) > 1 else ""
        return number(self.median) + around


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; all its numbers are in the one unit. `at_least` turns the bound `wanted` round."""

    what: str
    unit: str
    measured: Spread
    wanted: float | None = None
    at_least: bool = False
    ideal: Spread | None = None
    alternative: Spread | None = None

    @property
    def reached(self) -> bool:
        """Whether it is what was wanted."""
        if self.wanted is None:
            return True
        return self.measured.median >= self.wanted if self.at_least else self.measured.median <= self.wanted

    def cells(self) -> list[str]:
        """The line, as the headings of the table have it."""
        sign = "≥" if self.at_least else "≤"
        wanted = ["", ""] if self.wanted is None else [f"{sign} {number(self.wanted)}", "yes" if self.reached else "no"]
        return [
            f"{self.what}, {self.unit}",
            str(self.measured),
            *wanted,
            *self._beside(self.ideal),
            *self._beside(self.alternative),
        ]

    def _beside(self, other: Spread | None) -> list[str]:
        return ["", ""] if other is None else [str(other), number(self.measured.median / other.median)]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took from its start to its end: seconds, the processor's seconds, and its peak memory in bytes."""

    seconds: float
    processor: float
    peak: int


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def machine() -> str:
    """The machine, in one line; the load says who else used it."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.machine())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores ({model}), {python}, load {os.getloadavg()[0]:.1f}"


def report(figures: Sequence[Figure]) -> None:
    """Print the figures as a table, without the columns that nobody fills, and the machine under it."""
    lines = [list(_HEADINGS), *(figure.cells() for figure in figures)]
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(len(cell) for cell in column) for column in columns]
    first, *rest = zip(*columns, strict=True)
    for cells in (first, ["-" * width for width in widths], *rest):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        say(f"| {' | '.join(padded)} |")
    most = max(len(figure.measured.values) for figure in figures)
    say(f"\nMedians of up to {most} runs; {machine()}")


def number(value: float) -> str:
    """Three digits that count; what is too small or too large for that wants another unit."""
    return f"{value:.3g}" if abs(value) < _THOUSAND else f"{value:,.0f}"


def in_turn(calls: Mapping[str, Callable[[], Result]], runs: int) -> dict[str, list[Result]]:
    """Call all of them, `runs` times over, and return what each gave; a run before those does not count."""
    gave: dict[str, list[Result]] = {name: [] for name in calls}
    for run in range(runs + 1):
        for name, call in calls.items():
            result = call()
            if run:
                gave[name].append(result)
    return gave


def run_to_end(words: Sequence[str]) -> Usage:
    """Run a command, in silence; it must succeed."""
    began = CLOCK.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 — our words
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = CLOCK.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {process.returncode}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def processor_seconds(process: int, *, ended: bool = False) -> float:
    """The processor time that a process has taken so far, with `ended` that of its children that have ended as well; it
    is counted in hundredths.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended else 13])) / _TICKS


def resident(process: int) -> float:
    """The resident memory of a process, in MiB."""
    return _status(process, "VmRSS")


def peak(process: int) -> float:
    """The most memory that a process has had, in MiB."""
    return _status(process, "VmHWM")


def _status(process: int, what: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024
