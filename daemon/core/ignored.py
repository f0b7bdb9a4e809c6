"""Whether a server's ignore patterns leave anything to back up. The node reads them as Git reads `.gitignore`."""

from collections.abc import Sequence

_ANYTHING = {"", ".", "*", "**"}


def leaves_nothing(patterns: Sequence[str]) -> str | None:
    """Return the pattern that ignores everything, or nearly everything; None if something is left.

    A later pattern that begins with "!" includes something again.
    """
    for place, pattern in enumerate(patterns):
        everything = bool(pattern.strip()) and _ANYTHING.issuperset(pattern.strip().split("/"))
        if everything and not any(later.startswith("!") for later in patterns[place + 1 :]):
            return pattern
    return None
