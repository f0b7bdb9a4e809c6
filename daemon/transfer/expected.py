"""What the panel says a file is, and whether what came is that. Pure."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.transfer.errors import NotGoodError

_SHA1 = re.compile(r"sha1:\s*([0-9a-f]{40})", re.IGNORECASE)


class Tally:
    """How many bytes there were, and their sha1."""

    def __init__(self) -> None:
        self.size = 0
        self._sha1 = hashlib.sha1(usedforsecurity=False)

    def add(self, piece: bytes) -> None:
        """Count these bytes too. For a large piece other threads go on meanwhile."""
        self._sha1.update(piece)
        self.size += len(piece)

    @property
    def sha1(self) -> str:
        """Of all bytes so far, 40 hex digits."""
        return self._sha1.hexdigest()


@dataclass(frozen=True, slots=True)
class Expected:
    """`sha1` is None where the panel gives none that can be checked; `unchecked` then says why."""

    size: int
    sha1: str | None
    unchecked: str | None = None

    @classmethod
    def of(cls, backup: Backup) -> Self:
        """What the panel says of a backup; NotGoodError for one that is pending or failed."""
        if backup.completed_at is None:
            raise NotGoodError("it is not completed yet", hint="wait until it is; `backups list` shows it")
        if not backup.successful:
            raise NotGoodError("it failed, so there is no whole file of it")
        if backup.bytes <= 0:
            raise NotGoodError("the panel says that it is empty")
        if found := _SHA1.fullmatch((backup.checksum or "").strip()):
            return cls(backup.bytes, found[1].lower())
        if not backup.checksum:
            return cls(backup.bytes, None, "the panel gives no checksum, so that only the size was compared")
        kind = backup.checksum.partition(":")[0][:20]
        return cls(
            backup.bytes, None, f'the checksum is of the unknown kind "{kind}", so that only the size was compared'
        )

    def difference(self, tally: Tally) -> str | None:
        """What is wrong with what came, in words; None where it is right as far as can be told."""
        if tally.size > self.size:
            return f"it is longer than the {_exactly(self.size)} that the panel says"
        if tally.size < self.size:
            return f"it is {_exactly(tally.size)} long, and the panel says {_exactly(self.size)}"
        if self.sha1 is not None and tally.sha1 != self.sha1:
            return f"its sha1 is {tally.sha1}, and the panel says {self.sha1}"
        return None


def _exactly(size: int) -> str:
    return f"{size} bytes ({format_size(size)})" if size >= 1024 else f"{size} bytes"  # noqa: PLR2004
