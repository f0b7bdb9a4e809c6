"""What panels were seen to make of a backup's name: filters, columns and forks that keep another than was asked for."""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping


def _stripped(name: str) -> str:
    """Only plain characters are left."""
    return re.sub(r"[^a-zA-Z0-9\s\-_.]", "", name)


def _cut(name: str) -> str:
    """Return the name up to the first character of four bytes, as a column of MySQL's three-byte utf8 keeps it."""
    return re.split(r"[\U00010000-\U0010ffff]", name)[0].rstrip()


ALTERATIONS: Mapping[str, Callable[[str], str]] = {
    "strip": _stripped,
    "escape": html.escape,
    "cut": _cut,
    "lower": str.lower,
    "nfd": lambda name: unicodedata.normalize("NFD", name),
}
"""Each by its name."""
