"""What a copy in a store is, as far as decisions ask; its manifest says the rest."""

from dataclasses import dataclass
from datetime import datetime

from daemon.core.copies_layout import CopyName
from daemon.core.model import Backup


@dataclass(frozen=True, slots=True)
class Copy:
    """One whole copy in a store. `backup` is what the panel said of it, `installation` who wrote it, `bytes` what its
    data takes in the store.

    `verified` says that the panel's checksum agreed with the very bytes. `locked_until` is when the later of the locks
    of data and manifest ends; None where there is none. `lock_known` is false if there may be one that cannot be read.
    """

    name: CopyName
    backup: Backup
    installation: str
    bytes: int
    verified: bool
    locked_until: datetime | None
    lock_known: bool = True
