"""The commands under `backups`: one server's backups by hand."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

from enum import StrEnum
from typing import Annotated

import typer

from daemon.cli.options import Backup, Json, Server, settings

Backups = Annotated[
    list[str] | None,
    typer.Argument(metavar="BACKUP", help="Each a uuid, a unique beginning of it, the exact name, or latest."),
]
All = Annotated[bool, typer.Option("--all", help="Every backup that has a whole file.")]

backups_app = typer.Typer(help="Look at one server's backups.", rich_markup_mode=None)


class Only(StrEnum):
    """What a list can be narrowed to."""

    GOOD = "good"
    FAILED = "failed"
    PENDING = "pending"
    SUSPICIOUS = "suspicious"
    STRANGE = "strange"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    OWN = "own"
    FOREIGN = "foreign"
    KEEP = "keep"
    DELETE = "delete"
    IGNORE = "ignore"


class Sort(StrEnum):
    """What a list can be ordered by; of each the greatest comes first, but for names."""

    CREATED = "created"
    SIZE = "size"
    TOOK = "took"
    NAME = "name"


@backups_app.command("list")
def list_(
    context: typer.Context,
    server: Server,
    only: Annotated[
        list[Only] | None, typer.Option(help="Only those; repeated: those that are all of it.", show_choices=True)
    ] = None,
    sort: Annotated[Sort, typer.Option(help="The order.")] = Sort.CREATED,
    json: Json = False,
) -> int:
    """List all backups of a server, and what retention would say."""
    from daemon.cli.backups import list_backups

    return list_backups(settings(context), server, only=only or (), sort=sort, as_json=json)


@backups_app.command()
def show(context: typer.Context, server: Server, backup: Backup, json: Json = False) -> int:
    """Show all that is known of one backup, and why retention keeps or deletes it."""
    from daemon.cli.backups import show_backup

    return show_backup(settings(context), server, backup, as_json=json)


@backups_app.command()
def download(
    context: typer.Context,
    *,
    server: Server,
    backups: Backups = None,
    every: All = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|DIR|-", help="Where to; '-' is stdout. Else here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another file of that name.")] = False,
    json: Json = False,
) -> int:
    """Download backups, whole and checked; what is there already is passed over."""
    from daemon.cli.download import Wish, download_backups

    wish = Wish(backups or (), every=every, output=output, force=force, as_json=json)
    return download_backups(settings(context), server, wish)


@backups_app.command()
def verify(
    context: typer.Context, *, server: Server, backups: Backups = None, every: All = False, json: Json = False
) -> int:
    """Read backups to their end and check them; nothing is written."""
    from daemon.cli.verify import verify_backups

    return verify_backups(settings(context), server, backups or (), every=every, as_json=json)
