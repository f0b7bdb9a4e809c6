"""The list of breaks: what a careless hand could do to the shell, and the tests that notice.

It is read from `list.toml`, and README.md beside it is made of it. A break is a change of text, as a commit would make,
so `old` must be in its file exactly once: where the code has moved on the list must follow. Nothing is run here.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "tests/breaks/README.md"


@dataclass(frozen=True, slots=True)
class Break:
    """One break. `promise` is the row of docs/reliability.md that it breaks; `tests` are ids of pytest, no parameters.

    All of these tests must fail where it is made.
    """

    title: str
    promise: str
    matters: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def made(self, text: str) -> str:
        """Given the file's text, return it with the break in it; ValueError where `old` is not there exactly once."""
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.title}: the old text is {count} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)


def listed() -> list[Break]:
    """All breaks, in the order of the list."""
    rows = tomllib.loads(Path(__file__).with_name("list.toml").read_text())["break"]
    return [Break(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def page(breaks: Iterable[Break]) -> str:
    """The page beside the list."""
    rows = [f"| {one.title} | {one.matters} | {one.promise} | {_tests(one)} |" for one in breaks]
    return _HEAD.format(count=len(rows)) + "\n".join(rows) + "\n"


def _tests(one: Break) -> str:
    return ", ".join(f"[{name}](../../{file})" for file, _, name in (test.partition("::") for test in one.tests))


_HEAD = """\
# Broken by hand

A test that cannot fail proves nothing. Here are {count} changes to everything around the pure core, each of them small,
each of them something that a tired person could commit, and each of them bad for somebody's backups. The tests named
beside a change fail as soon as it is made. They are ordinary tests of the suite; what the simulation finds by itself
([reliability.md](../../docs/reliability.md)) comes on top, and what is changed in the core is found by mutation.

Whoever doubts it lets each of them be made in a copy of this checkout, one at a time, and sees every test that is named
here fail:

```console
$ ./scripts/breaks
$ ./scripts/breaks blindly "second listing"
```

The second line makes only those whose title holds one of these words. First of all the tests run on the unbroken copy,
where they must pass.

This page is made from [list.toml](list.toml), where the changes themselves are, by `./scripts/breaks --page`. “Promise”
is the row of [reliability.md](../../docs/reliability.md) that would no longer hold; a dash stands at what would be told
wrongly, and at what is done by hand.

| the careless change | why it matters | promise | caught by |
| --- | --- | --- | --- |
"""
