"""Declare the arguments and options that several commands share; importing this imports typer and nothing heavier."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

PROGRAM = "ptero-backupd"


@dataclass(frozen=True, slots=True)
class Settings:
    """The options before the command. `level` is None if each command chooses how much it logs."""

    config: Path | None = None
    level: str | None = None


def settings(context: typer.Context) -> Settings:
    """Given a command's context, return the options before the command."""
    found = context.obj
    assert isinstance(found, Settings)  # noqa: S101 — the callback of the app has set it
    return found


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Servers = Annotated[
    list[str] | None, typer.Argument(metavar="SERVER", help="Name in the configuration. Default: all servers.")
]
Server = Annotated[str, typer.Argument(metavar="SERVER", help="Name in the configuration.")]
Backup = Annotated[
    str, typer.Argument(metavar="BACKUP", help="A uuid, a unique prefix of one, an exact name, or latest.")
]
