"""The commands under `backups`: one server's backups by hand."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

from typing import Annotated

import typer

from daemon.cli.backups.choices import Only, Sort
from daemon.cli.options import Backup, Json, Server, settings

Backups = Annotated[
    list[str] | None,
    typer.Argument(metavar="BACKUP", help="Each a uuid, a unique beginning of it, the exact name, or latest."),
]
All = Annotated[bool, typer.Option("--all", help="Every backup that has a whole file.")]
ManyBackups = Annotated[
    list[str],
    typer.Argument(metavar="BACKUP...", help="Each a uuid, a unique beginning of it, the exact name, or latest."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

backups_app = typer.Typer(help="One server's backups by hand.", rich_markup_mode=None)


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
    from daemon.cli.backups.listing import list_backups

    return list_backups(settings(context), server, only=only or (), sort=sort, as_json=json)


@backups_app.command()
def show(context: typer.Context, server: Server, backup: Backup, json: Json = False) -> int:
    """Show all that is known of one backup, and why retention keeps or deletes it."""
    from daemon.cli.backups.listing import show_backup

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
    from daemon.cli.backups.download import Wish, download_backups

    wish = Wish(backups or (), every=every, output=output, force=force, as_json=json)
    return download_backups(settings(context), server, wish)


@backups_app.command()
def verify(
    context: typer.Context, *, server: Server, backups: Backups = None, every: All = False, json: Json = False
) -> int:
    """Read backups to their end and check them; nothing is written."""
    from daemon.cli.backups.verify import verify_backups

    return verify_backups(settings(context), server, backups or (), every=every, as_json=json)


@backups_app.command()
def create(
    context: typer.Context,
    *,
    server: Server,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call it, if not by hand and the time.")
    ] = None,
    ignored: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave that out; may be repeated; '' for nothing. Else as the policy."),
    ] = None,
    lock: Annotated[bool, typer.Option("--lock", help="Lock it.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it is completed, and see that it is locked.")
    ] = False,
    json: Json = False,
) -> int:
    """Make a backup. No room is made for it."""
    from daemon.cli.backups.writes import create_backup

    return create_backup(settings(context), server, title=name, ignored=ignored, lock=lock, wait=wait, as_json=json)


@backups_app.command()
def lock(context: typer.Context, server: Server, backups: ManyBackups, json: Json = False) -> int:
    """Lock backups, so that nothing deletes them."""
    from daemon.cli.backups.writes import set_backup_locks

    return set_backup_locks(settings(context), server, backups, lock=True, as_json=json)


@backups_app.command()
def unlock(context: typer.Context, server: Server, backups: ManyBackups, json: Json = False) -> int:
    """Unlock backups; retention may delete them from then on."""
    from daemon.cli.backups.writes import set_backup_locks

    return set_backup_locks(settings(context), server, backups, lock=False, as_json=json)


@backups_app.command()
def accept(context: typer.Context, server: Server, backup: Backup, json: Json = False) -> int:
    """Say that a suspicious backup is good after all; it is remembered."""
    from daemon.cli.backups.writes import accept_backup

    return accept_backup(settings(context), server, backup, as_json=json)


@backups_app.command()
def restore(
    context: typer.Context,
    *,
    server: Server,
    backup: Backup,
    truncate: Annotated[bool, typer.Option("--truncate", help="Delete all files of the server first.")] = False,
    no_safety_backup: Annotated[
        bool, typer.Option("--no-safety-backup", help="Make no backup of what is there now.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end of the restore.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Restore a good backup onto its server; what is there now is backed up first."""
    from daemon.cli.backups.writes import restore_backup
    from daemon.operations.restore import Wishes

    wishes = Wishes(truncate=truncate, safety=not no_safety_backup, wait=not no_wait)
    return restore_backup(settings(context), server, backup, wishes, yes=yes, as_json=json)


@backups_app.command()
def delete(
    context: typer.Context,
    *,
    server: Server,
    backups: Backups = None,
    beyond_retention: Annotated[
        bool, typer.Option("--beyond-retention", help="Exactly those that `plan` says would be deleted.")
    ] = False,
    max_deletions: Annotated[
        int | None,
        typer.Option(min=-1, metavar="N", help="With --beyond-retention: allow so many good ones; -1: any number."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Delete backups; locked ones and those still being made are refused."""
    from daemon.cli.backups.writes import Deletion, delete_backups

    deletion = Deletion(backups or (), beyond_retention, max_deletions)
    return delete_backups(settings(context), server, deletion, yes=yes, as_json=json)
