"""The judgement on its own: how long `judge` takes for a listing, and how that grows with its length.

A hundred thousand backups (one an hour for eleven years, in the order in which the panel lists them, with locked,
failed and foreign ones among them), six rules, every verdict with its reasons. Wanted: under 0.5 s.

The ideal is what cannot be left out: every name matched with the policy's template, the backups sorted, every moment
put on the zone's clock, and one verdict made of each. The alternative is the oracle of the simulation, written
straight from the words of docs/design.md: a pass over all backups for each rule. It says what is deleted, and gives
no reasons.

    python -m benchmarks.core [--backups N] [--runs N] [--curve]

`--curve` measures from 100 to 300,000 and draws docs/performance-core.svg.
"""

import argparse
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import log2
from time import process_time
from typing import TypeVar
from zoneinfo import ZoneInfo

from benchmarks.chart import Axis, Curve, draw
from benchmarks.measure import Figure, Spread, in_turn, report, say
from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, Scope, State, Verdict
from daemon.core.names import Ownership, Template
from daemon.core.retention import Retention, judge
from daemon.core.states import newest_first
from tests.simulation import oracle

NOW = datetime(2026, 4, 1, 4, tzinfo=UTC)
TEMPLATE = Template.parse("auto-{server}-{time}-{id}")
OWNERSHIP = Ownership((TEMPLATE,), "survival")
RULES = {"last": 24, "hourly": 48, "daily": 30, "weekly": 26, "monthly": 24, "yearly": -1}
RETENTION = Retention(keep=Keep.from_mapping(RULES), zone=ZoneInfo("Europe/Berlin"), scope=Scope.OWN)
MANY = 100_000
WANTED = 0.5
POLICY = {"name": TEMPLATE.text, "timezone": str(RETENTION.zone), "scope": "own", "keep": RULES}
LENGTHS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)

Given = TypeVar("Given")


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--backups", type=int, default=MANY, metavar="N")
    options.add_argument("--runs", type=int, default=7, metavar="N")
    options.add_argument("--curve", action="store_true", help="draw how it grows")
    given = options.parse_args()
    beside_the_ideal(given.backups, given.runs)
    if given.curve:
        curve(given.runs)


def beside_the_ideal(length: int, runs: int) -> None:
    """One listing judged, beside the ideal and the oracle."""
    backups = listing(length)
    rows = [oracle_row(backup) for backup in backups]
    took = in_turn(
        {
            "judge": lambda: seconds(judged, backups),
            "ideal": lambda: seconds(unavoidable, backups),
            "oracle": lambda: seconds(by_the_oracle, rows),
        },
        runs,
    )
    measured, ideal, alternative = (Spread(tuple(values)) for values in took.values())
    wanted = WANTED if length == MANY else None
    what = f"{length:,} backups, processor time"
    report([Figure(what, "s", measured, wanted, ideal=ideal, alternative=alternative)])


def curve(runs: int) -> None:
    """How it grows, beside n log n through the quickest point."""
    measured = []
    for length in LENGTHS:
        backups = listing(length)
        measured.append((length, Spread(tuple(seconds(judged, backups) for _ in range(runs))).median))
        say(f"{length:>7,}  {measured[-1][1]:.4f} s  {measured[-1][1] / length * 1e6:.2f} µs each")
    least = min(took / (length * log2(length)) for length, took in measured)
    line = [(length, least * length * log2(length)) for length in LENGTHS]
    file = draw(
        "performance-core.svg",
        "Judging a listing by six rules",
        across=Axis("backups", logarithmic=True),
        up=Axis("processor time, s", logarithmic=True),
        curves=[Curve("measured", measured), Curve("n log n", line, ideal=True)],
    )
    say(f"drawn: {file.name}")


def listing(length: int) -> list[Backup]:
    """Backups of every hour, oldest first; the same at every call."""
    chance = random.Random(length)  # noqa: S311 — a listing that repeats
    return [_backup(NOW - timedelta(hours=hours), chance) for hours in range(length, 0, -1)]


def _backup(hour: datetime, chance: random.Random) -> Backup:
    created_at = hour + timedelta(minutes=chance.randrange(60))
    uuid = f"{chance.getrandbits(128):032x}"
    successful, mine = bool(chance.randrange(50)), bool(chance.randrange(20))
    return Backup(
        uuid=uuid,
        name=TEMPLATE.render("survival", created_at, uuid[:8]) if mine else f"by hand {uuid[:8]}",
        successful=successful,
        locked=not chance.randrange(30),
        bytes=10**9 + chance.randrange(10**8) if successful else 0,
        created_at=created_at,
        completed_at=created_at + timedelta(minutes=5),
    )


def seconds(work: Callable[[Given], object], given: Given) -> float:
    """The processor's seconds that the work takes, the letting go of what it made not counted."""
    began = process_time()
    made = work(given)
    took = process_time() - began
    del made
    return took


def judged(backups: list[Backup]) -> object:
    """What is measured."""
    return judge(backups, RETENTION, ownership=OWNERSHIP, now=NOW)


def unavoidable(backups: list[Backup]) -> object:
    """The ideal: match, sort, convert, and make a verdict of each."""
    ordered = newest_first(backups)
    moments = [backup.created_at.astimezone(RETENTION.zone) for backup in ordered if backup.created_at]
    own = [OWNERSHIP.owns(backup.name) for backup in ordered]
    return moments, [
        Verdict(backup, State.GOOD, mine, Action.KEEP, ()) for backup, mine in zip(ordered, own, strict=True)
    ]


def by_the_oracle(rows: list[oracle.Row]) -> object:
    """The alternative."""
    return oracle.judge(rows, POLICY, "survival", NOW)


def oracle_row(backup: Backup) -> oracle.Row:
    """The same backup, as the oracle takes it."""
    assert backup.created_at  # noqa: S101 — the listing above dates all of them
    return oracle.Row(
        uuid=backup.uuid,
        name=backup.name,
        successful=backup.successful,
        locked=backup.locked,
        bytes=backup.bytes,
        created=backup.created_at,
        completed=backup.completed_at,
    )


if __name__ == "__main__":
    main()
