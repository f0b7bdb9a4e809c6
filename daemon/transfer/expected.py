"""What the panel or a manifest says a file is, and whether it is what came. Pure."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.transfer.errors import NotGoodError

USUAL = "sha1"
_KNOWN = re.compile(r"(?:(sha1):\s*([0-9a-f]{40})|(sha256):\s*([0-9a-f]{64}))", re.IGNORECASE)
"""Nodes use the first, or the second if they are configured to."""


class Tally:
    """How many bytes there were, and their checksum by that algorithm."""

    def __init__(self, algorithm: str = USUAL) -> None:
        self.size = 0
        self.algorithm = algorithm
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    def add(self, piece: bytes) -> None:
        """Count these bytes too. For a large piece, other threads run meanwhile."""
        self._digest.update(piece)
        self.size += len(piece)

    @property
    def checksum(self) -> str:
        """The checksum so far, as the panel writes it: the algorithm, a colon, hex digits."""
        return f"{self.algorithm}:{self._digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a file should be, and who says so. `checksum` is None if none can be checked: see `unchecked`."""

    size: int
    checksum: str | None
    unchecked: str | None = None
    said_by: str = "the panel"

    @property
    def algorithm(self) -> str:
        """The algorithm for the checksum; the usual one if there is nothing to compare with."""
        return USUAL if self.checksum is None else self.checksum.partition(":")[0]

    @classmethod
    def of(cls, backup: Backup) -> Self:
        """Return what the panel says of a backup; raises NotGoodError if it is pending or failed."""
        if backup.completed_at is None:
            raise NotGoodError("it is not completed yet", hint="wait until it is; `backups list` shows it")
        if not backup.successful:
            raise NotGoodError("it failed, so there is no whole file of it")
        if backup.bytes <= 0:
            raise NotGoodError("the panel says that it is empty")
        if found := _KNOWN.fullmatch((backup.checksum or "").strip()):
            return cls(backup.bytes, ":".join(part.lower() for part in found.groups() if part))
        if not backup.checksum:
            return cls(backup.bytes, None, "the panel gives no checksum, so that only the size was compared")
        kind = backup.checksum.partition(":")[0][:20]
        return cls(
            backup.bytes, None, f'the checksum is of the unknown kind "{kind}", so that only the size was compared'
        )

    def difference(self, tally: Tally) -> str | None:
        """Return in words what is wrong with what came; None if it is right as far as can be told."""
        if tally.size > self.size:
            return f"it is longer than the {_exactly(self.size)} that {self.said_by} says"
        if tally.size < self.size:
            return f"it is {_exactly(tally.size)} long, and {self.said_by} says {_exactly(self.size)}"
        if self.checksum is not None and tally.checksum != self.checksum:
            (_, _, found), (_, _, said) = tally.checksum.partition(":"), self.checksum.partition(":")
            return f"its {self.algorithm} is {found}, and {self.said_by} says {said}"
        return None


def _exactly(size: int) -> str:
    return f"{size} bytes ({format_size(size)})" if size >= 1024 else f"{size} bytes"  # noqa: PLR2004
