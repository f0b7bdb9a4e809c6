"""What the readers find: problems that a server would suffer from, and how many of them are told."""

from dataclasses import dataclass, field

MOST_TOLD = 10
"""Problems that are told word by word; the rest is counted."""

LONGEST_PATH = 200
"""Of a path so many characters are told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which file of the archive, and what and where in it."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(slots=True)
class Findings:
    """The first of them, and how many there are."""

    count: int = 0
    first: list[Finding] = field(default_factory=list)

    def add(self, path: str, text: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < MOST_TOLD:
            self.first.append(Finding(path[:LONGEST_PATH], text))
