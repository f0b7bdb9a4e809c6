"""What a console showed: when the text came that was waited for, and the last lines, as they look.

What must hold: no control character is kept, and no more than a few short lines.
"""

import re
from collections import deque
from dataclasses import dataclass, field

LAST_LINES = 5
LONGEST_LINE = 160
"""How many characters of a line are kept."""

MOST_LINES = 200_000
"""A large modpack writes some thousand lines while it starts."""

MOST_CHARACTERS = 64 * 2**20

_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # ECMA-48, 5.4: colours, movements of the cursor
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # 5.6: strings, such as a window's title
    r"|[ -/]*[0-~])"  # everything else that begins with ESC
)


@dataclass(slots=True)
class ConsoleSeen:
    """What came so far. `text` is waited for, and was shown at `shown_at` (monotonic seconds); None: not yet."""

    text: str
    shown_at: float | None = None
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    lines: int = 0
    characters: int = 0

    def take(self, line: str, now: float) -> None:
        """Take note of a line."""
        self.lines += 1
        self.characters += len(line)
        plain = looks(line)
        if self.shown_at is None and self.text in plain:
            self.shown_at = now
        if plain.strip():
            self.last.append(plain.strip()[:LONGEST_LINE])

    @property
    def full(self) -> bool:
        """Whether it is more than anybody should read on."""
        return self.lines >= MOST_LINES or self.characters >= MOST_CHARACTERS

    def told(self) -> str:
        """Return the last lines in words; "" where there are none."""
        return f"its console ended with: {' | '.join(self.last)}" if self.last else ""


def looks(line: str) -> str:
    """Return a line as it looks on a terminal: without colours and other control sequences."""
    plain = _SEQUENCES.sub("", line)
    return "".join(one if one.isprintable() else " " for one in plain)
