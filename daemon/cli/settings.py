"""The program's name, and the options before a command as its module gets them. Imports nothing large."""

from dataclasses import dataclass
from pathlib import Path

PROGRAM = "ptero-backupd"


@dataclass(frozen=True, slots=True)
class Settings:
    """The options before the command. `level` is None if each command chooses how much it logs."""

    config: Path | None = None
    level: str | None = None
