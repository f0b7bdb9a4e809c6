"""What can be wrong with a configuration: where, what, why, and what would be right.

A problem never shows a panel's key, nor what follows the "?" of an address, wherever they were written by mistake;
whatever looks like one is cut.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from daemon.errors import ProblemCode, UsageError

ENVIRONMENT = "environment"
_LONGEST_VALUE = 60
_PANEL_KEY = re.compile(r"(ptlc|ptla|pacc|papp)_\w+", re.IGNORECASE)
_QUERY = re.compile(r'(://[^\s"?#]*[?#])(?:\\.|[^"\\])+')


@dataclass(frozen=True, slots=True)
class ConfigIssue:
    """One mistake. `file` is a path or "environment". `key` is a path such as "policies.standard.keep.weekly", the
    variable if the variable itself is wrong, or "" if the file is. `value` is None if it must not be shown.
    """

    file: str
    key: str
    value: str | None
    reason: str
    suggestion: str = ""

    def __post_init__(self) -> None:
        for name in ("file", "key", "value", "reason", "suggestion"):
            text = getattr(self, name)
            object.__setattr__(self, name, text and redacted(text))

    def __str__(self) -> str:
        tells_value = self.value is not None and self.value not in self.reason
        subject = f"{self.key} = {self.value}" if tells_value else self.key
        sentence = f"{subject}: {self.reason}" if subject else self.reason
        return f"{sentence}; {self.suggestion}" if self.suggestion else sentence


class ConfigError(UsageError):
    """The configuration is refused as a whole; `problems` holds every mistake, ordered by file."""

    code = ProblemCode.CONFIG

    def __init__(self, problems: Iterable[ConfigIssue]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.file))
        super().__init__(_listed(self.problems))


def _listed(problems: Sequence[ConfigIssue]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"the configuration is refused: {count}"]
    for file, group in groupby(problems, key=lambda problem: problem.file):
        lines += [file, *(f"  {problem}" for problem in group)]
    return "\n".join(lines)


def redacted(text: str) -> str:
    """Return the text with whatever looks like a panel's key cut to its kind, and each address at its query."""
    return _QUERY.sub(r"\1…", _PANEL_KEY.sub(r"\1_…", text))


def shown(value: object) -> str:
    """Return a value as the operator wrote it, on one line and shortened."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "…"
    # Cut after redacting: half a key at the end of the line would no longer look like one.
    text = redacted(text)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    from difflib import get_close_matches  # noqa: PLC0415 — seldom needed, and the daemon would keep it

    return next(iter(get_close_matches(word.lower(), list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Given a word and the known ones, return a "did you mean" question, or the known ones if they are few and none is
    near.
    """
    choices = list(known)
    if guess := closest(word, choices):
        return f"did you mean {guess}?"
    return f"known here: {', '.join(choices)}" if 0 < len(choices) <= 20 else ""  # noqa: PLR2004 — what a line holds
