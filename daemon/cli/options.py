"""Declare the arguments and options that several commands share; importing this imports typer and nothing heavier."""

from enum import StrEnum
from typing import Annotated

import typer

from daemon.cli.settings import Settings


def settings(context: typer.Context) -> Settings:
    """Given a command's context, return the options before the command."""
    found = context.obj
    assert isinstance(found, Settings)  # noqa: S101 — the callback of the app has set it
    return found


class Depth(StrEnum):
    """How far a file is looked into: to the archive's end, or into what a game needs as well."""

    WALKED = "walked"
    SANE = "sane"


HowDeep = Annotated[Depth, typer.Option("--level", help="walked: to its end; sane: also what the game needs of it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Servers = Annotated[
    list[str] | None, typer.Argument(metavar="SERVER", help="Name in the configuration. Default: all servers.")
]
Server = Annotated[str, typer.Argument(metavar="SERVER", help="Name in the configuration.")]
Backup = Annotated[
    str, typer.Argument(metavar="BACKUP", help="A uuid, a unique prefix of one, an exact name, or latest.")
]
