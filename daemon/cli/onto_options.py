"""The options of commands that bring an archive onto a server."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class WayChoice(StrEnum):
    """The ways onto a node; the same words as in the operations, which are not loaded for a help text."""

    PULL = "pull"
    UPLOAD = "upload"
    SFTP = "sftp"
    HAND = "hand"


Into = Annotated[
    str | None,
    typer.Option(metavar="FOLDER", help="Onto: unpack into this new folder, and leave all other files."),
]
Stop = Annotated[bool, typer.Option("--stop", help="Onto: stop the server first.")]
Via = Annotated[
    WayChoice | None, typer.Option(help="Onto: only this way. Default: pull, else upload, else sftp, if it is set up.")
]
Sftp = Annotated[
    str | None, typer.Option(metavar="URL", help="Onto: the node's SFTP server, sftp://USER.SERVER@HOST:2022.")
]
SftpKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Onto: the private SSH key for that.")]
SftpPassword = Annotated[Path | None, typer.Option(metavar="FILE", help="Onto: or the password, in a file.")]
SftpHosts = Annotated[Path | None, typer.Option(metavar="FILE", help="Onto: the host's key, as ssh-keyscan prints it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
