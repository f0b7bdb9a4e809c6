"""Bedrock's database: CURRENT names a MANIFEST that is there, and every table ends as a table does.

The format is LevelDB's own (doc/impl.md and doc/table_format.md of its sources).
"""

import re

from daemon.proof.findings import Findings

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""The last eight bytes of every table."""

_MANIFEST = re.compile(rb"(MANIFEST-[0-9]{6,20})\n?")
_LONGEST_CURRENT = 64


class TableReader:
    """One table, of which only the end is looked at."""

    def __init__(self, path: str, size: int, findings: Findings) -> None:
        self._path = path
        self._size = size
        self._findings = findings
        self._last = b""

    def add(self, piece: bytes) -> None:
        """Keep the last bytes."""
        self._last = (self._last + piece[-len(MAGIC) :])[-len(MAGIC) :]

    def end(self) -> None:
        """A table that is empty, or ends otherwise, was not written to its end."""
        if not self._size:
            self._findings.add(self._path, "an empty table")
        elif self._last != MAGIC:
            self._findings.add(self._path, "the table was not written to its end")


def manifest_named(current: bytes) -> str | None:
    """Given the content of CURRENT, return the manifest that it names; None if it names none."""
    found = _MANIFEST.fullmatch(current[:_LONGEST_CURRENT])
    return found[1].decode() if found else None
