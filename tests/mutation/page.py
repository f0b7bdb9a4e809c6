"""What README.md says: the mutants that no test can notice, each with the reason why.

Below the heading of its module a reason is a paragraph, and the mutants that it excuses are the list that follows, each
as "- `function`: `line` becomes `line`." or "- `function`: `line` is left out.", wrapped as one likes; `module` stands
for what is outside of functions.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).with_name("README.md")

_NAME = "tests/mutation/README.md"
_CHANGE = re.compile(r"`(?P<function>[\w.]+)`: `(?P<before>[^`]+)` (?:becomes `(?P<after>[^`]+)`|is left out)\.")


class Change(NamedTuple):
    """A mistake: in which module and function which line becomes which."""

    module: str
    function: str
    before: str
    after: str

    def __str__(self) -> str:
        """As the page has it."""
        became = f"becomes `{self.after}`" if self.after else "is left out"
        return f"`{self.function}`: `{self.before}` {became}."


def listed(text: str) -> Iterator[Change]:
    """The mutants that the page excuses; ValueError where one cannot be read, or has no reason."""
    _, *sections = re.split(r"^### `(\w+)`$", text, flags=re.MULTILINE)
    for module, section in zip(sections[::2], sections[1::2], strict=True):
        paragraphs = re.split(r"\n{2,}", re.split(r"^#", section, flags=re.MULTILINE)[0].strip())
        if len(paragraphs) % 2:
            raise ValueError(f"{_NAME}, {module}: a reason without mutants, or mutants without a reason")
        for mutants in paragraphs[1::2]:
            for line in re.split(r"^- ", mutants, flags=re.MULTILINE)[1:]:
                yield _change(module, " ".join(line.split()))


def _change(module: str, line: str) -> Change:
    found = _CHANGE.fullmatch(line)
    if found is None:
        raise ValueError(f"{_NAME}, {module}: no mutant can be read from: {line}")
    return Change(module, found["function"], found["before"], found["after"] or "")
