"""What several commands take, declared once; importing this imports typer and nothing heavier."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

PROGRAM = "ptero-backupd"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was said before the command. `level` is None where each command chooses how much it logs."""

    config: Path | None = None
    level: str | None = None


def settings(context: typer.Context) -> Settings:
    """Given a command's context, return what was said before the command."""
    found = context.obj
    assert isinstance(found, Settings)  # noqa: S101 — the callback of the app has set it
    return found


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Servers = Annotated[
    list[str] | None, typer.Argument(metavar="SERVER", help="As named in the configuration; all if none is named.")
]
Server = Annotated[str, typer.Argument(metavar="SERVER", help="As named in the configuration.")]
Backup = Annotated[
    str, typer.Argument(metavar="BACKUP", help="uuid, a unique beginning of it, the exact name, or latest.")
]
