"""`./scripts/breaks`: make each break of the list in a copy of the checkout, and see its tests fail."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.breaks.copy import Copy, Ran, Verdict
from tests.breaks.listed import PAGE, ROOT, Break, listed, page


def say(text: str) -> None:
    """Write a line for whoever runs this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(words: list[str] | None = None) -> int:
    """Run it; 0 where every break is caught."""
    parser = _arguments()
    asked = parser.parse_args(words)
    if asked.page:
        (ROOT / PAGE).write_text(page(listed()))
        return 0
    parts = [word.lower() for word in asked.words] or [""]
    chosen = [one for one in listed() if any(part in one.title.lower() for part in parts)]
    if not chosen:
        parser.error(f"no title holds any of these; {PAGE} has them all")
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        return play(chosen, [Copy(Path(folder, str(number))) for number in range(asked.workers)])


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./scripts/breaks", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORDS", help="only breaks whose title holds one of these")
    parser.add_argument("--page", action="store_true", help=f"only write {PAGE} anew from the list")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="copies (one for each core)")
    return parser


def play(breaks: Sequence[Break], copies: Sequence[Copy]) -> int:
    """Make these breaks in these copies, and tell what came of each; 0 where all are caught."""
    tests = sorted({test for one in breaks for test in one.tests})
    whole = copies[0].tested(tests, f"--numprocesses={len(copies)}")
    if whole.code != 0:
        say(f"{whole.output}\nthe tests do not pass unbroken, so their failing would prove nothing")
        return 1
    caught = 0
    for one, ran in _each(breaks, copies):
        verdict = ran.verdict(one.tests)
        say(f"{verdict:<13}{one.title}")
        if verdict is Verdict.CAUGHT:
            caught += 1
            say("\n".join(f"{'':<13}{test}: {why}" for test, why in ran.failed.items()))
        else:
            say(ran.output)
    say(f"{len(breaks)} break{'' if len(breaks) == 1 else 's'}, {caught} caught")
    return 0 if caught == len(breaks) else 1


def _each(breaks: Sequence[Break], copies: Sequence[Copy]) -> Iterator[tuple[Break, Ran]]:
    """Each break with what its tests said, in the order of the list; as many at once as there are copies."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def tried(one: Break) -> Ran:
        copy = free.get()
        try:
            with copy.broken(one):
                return copy.tested(one.tests)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        yield from zip(breaks, pool.map(tried, breaks), strict=True)


if __name__ == "__main__":
    sys.exit(main())
