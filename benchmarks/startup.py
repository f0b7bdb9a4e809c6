"""How long the commands take that answer at once: whole processes, beside a Python that does nothing at all.

Wanted: `--version` under 100 ms, `--help` under 250 ms, `plan --listing` of 100 backups under 400 ms. The ideal is
`python -c pass`, since no command of a Python program can be quicker than that; all of them run in turn.

    python -m benchmarks.startup [--runs N]
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.core import NOW, listing
from benchmarks.measure import Figure, Spread, Usage, in_turn, report, run_to_end
from daemon.core.model import Backup

BACKUPS = 100
BARE = "python -c pass"
WANTED = {"--version": 100, "--help": 250, "plan --listing": 400}
"""In milliseconds."""


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=15, metavar="N")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        took = in_turn(commands(Path(folder)), given.runs)
    wall = {name: milliseconds(used, lambda usage: usage.seconds) for name, used in took.items()}
    processor = {name: milliseconds(used, lambda usage: usage.processor) for name, used in took.items()}
    report(
        [Figure(f"`{name}`", "ms", wall[name], wanted, ideal=wall[BARE]) for name, wanted in WANTED.items()]
        + [Figure(f"`{name}`, processor time", "ms", processor[name], ideal=processor[BARE]) for name in WANTED]
    )


def commands(folder: Path) -> dict[str, Callable[[], Usage]]:
    """What is measured, by name."""
    file = folder / "backups.json"
    file.write_text(json.dumps(answer(listing(BACKUPS))), encoding="utf-8")
    rules = "last=3,daily=7,weekly=4,monthly=6"
    words = {
        "--version": ["--version"],
        "--help": ["--help"],
        "plan --listing": ["plan", "--listing", str(file), "--keep", rules, "--now", NOW.isoformat()],
    }
    ours = {name: partial(run_to_end, [sys.executable, "-m", "daemon", *rest]) for name, rest in words.items()}
    return {BARE: partial(run_to_end, [sys.executable, "-c", "pass"]), **ours}


def answer(backups: list[Backup]) -> dict[str, object]:
    """The panel's answer that lists them."""
    count = len(backups)
    pages = {"total": count, "count": count, "per_page": count, "current_page": 1, "total_pages": 1, "links": {}}
    return {"object": "list", "data": [_row(backup) for backup in backups], "meta": {"pagination": pages}}


def _row(backup: Backup) -> dict[str, object]:
    told = {
        "uuid": backup.uuid,
        "name": backup.name,
        "is_successful": backup.successful,
        "is_locked": backup.locked,
        "bytes": backup.bytes,
        "checksum": None,
        "ignored_files": [],
        "created_at": backup.created_at and backup.created_at.isoformat(),
        "completed_at": backup.completed_at and backup.completed_at.isoformat(),
    }
    return {"object": "backup", "attributes": told}


def milliseconds(used: list[Usage], of: Callable[[Usage], float]) -> Spread:
    """One side of what the runs took."""
    return Spread(tuple(of(usage) * 1000 for usage in used))


if __name__ == "__main__":
    main()
