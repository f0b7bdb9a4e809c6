"""Which servers are discovered: patterns on their names, nodes and descriptions.

A pattern is shell wildcards on the server's name, or `node:` and wildcards on its node, or `tag:` and wildcards on one
of the words that its description marks with a #. Upper and lower case are alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from daemon.core.model import Server

_TAG = re.compile(r"(?<!\S)#([\w.-]+)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern; make it with `Pattern.parse`."""

    field: str
    wildcards: str

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Given a pattern's text, return it; ValueError says what would be right."""
        field, colon, wildcards = text.partition(":")
        if not colon or field not in _WORDS:
            field, wildcards = "name", text
        if not wildcards.strip():
            raise ValueError(f'"{text}" matches nothing: write a name such as "lobby-*", "node:de-*" or "tag:backup"')
        return cls(field, wildcards.lower())

    def matches(self, server: Server) -> bool:
        """Return whether it fits the server."""
        return any(fnmatchcase(word.lower(), self.wildcards) for word in _WORDS[self.field](server))


_WORDS = {
    "name": lambda server: [server.name],
    "node": lambda server: [server.node],
    "tag": lambda server: _TAG.findall(server.description),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Any of `match`, and none of `exclude`."""

    match: tuple[Pattern, ...]
    exclude: tuple[Pattern, ...] = ()

    def holds(self, server: Server) -> bool:
        """Return whether the server is selected."""
        return _any(self.match, server) and not _any(self.exclude, server)


def _any(patterns: Sequence[Pattern], server: Server) -> bool:
    return any(pattern.matches(server) for pattern in patterns)
