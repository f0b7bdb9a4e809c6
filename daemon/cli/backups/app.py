"""Declare the commands below `backups`, which manage one server's backups by hand."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

from typing import Annotated

import typer

from daemon.cli.backups.choices import Only, Sort
from daemon.cli.onto_options import Into, Sftp, SftpHosts, SftpKey, SftpPassword, Stop, Via, Yes
from daemon.cli.options import Backup, Depth, HowDeep, Json, Server, settings
from daemon.errors import UsageError

Backups = Annotated[
    list[str] | None,
    typer.Argument(metavar="BACKUP", help="Each a uuid, a unique prefix of one, an exact name, or latest."),
]
All = Annotated[bool, typer.Option("--all", help="All backups that have a whole file.")]
ManyBackups = Annotated[
    list[str],
    typer.Argument(metavar="BACKUP...", help="Each a uuid, a unique prefix of one, an exact name, or latest."),
]
backups_app = typer.Typer(help="Manage one server's backups by hand.", rich_markup_mode=None)


@backups_app.command("list")
def list_(
    context: typer.Context,
    server: Server,
    only: Annotated[
        list[Only] | None,
        typer.Option(help="Show only these; if repeated, a backup must match all.", show_choices=True),
    ] = None,
    sort: Annotated[Sort, typer.Option(help="Sort order.")] = Sort.CREATED,
    json: Json = False,
) -> int:
    """List a server's backups, with retention's verdict on each."""
    from daemon.cli.backups.listing import list_backups

    return list_backups(settings(context), server, only=only or (), sort=sort, as_json=json)


@backups_app.command()
def show(context: typer.Context, server: Server, backup: Backup, json: Json = False) -> int:
    """Show one backup, and why retention keeps or deletes it."""
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
        str | None,
        typer.Option("--output", "-o", metavar="FILE|DIR|-", help="Target; '-' is stdout. Default: this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing, different file.")] = False,
    json: Json = False,
) -> int:
    """Download backups, checked; skip those already there."""
    from daemon.cli.backups.download import DownloadOptions, download_backups

    options = DownloadOptions(backups or (), every=every, output=output, force=force, as_json=json)
    return download_backups(settings(context), server, options)


@backups_app.command()
def verify(
    context: typer.Context,
    *,
    server: Server,
    backups: Backups = None,
    every: All = False,
    level: HowDeep = Depth.WALKED,
    json: Json = False,
) -> int:
    """Read backups to their end and check them; write nothing."""
    from daemon.cli.backups.verify import verify_backups

    return verify_backups(settings(context), server, backups or (), every=every, level=level, as_json=json)


@backups_app.command()
def create(
    context: typer.Context,
    *,
    server: Server,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the backup. Default: by hand and the time.")
    ] = None,
    ignored: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Files to leave out; may be repeated; '' for none. Default: the policy's."
        ),
    ] = None,
    lock: Annotated[bool, typer.Option("--lock", help="Lock the backup.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is completed, and check its lock.")] = False,
    json: Json = False,
) -> int:
    """Create a backup; never make room for it at the panel's limit."""
    from daemon.cli.backups.writes import create_backup

    return create_backup(settings(context), server, title=name, ignored=ignored, lock=lock, wait=wait, as_json=json)


@backups_app.command()
def lock(context: typer.Context, server: Server, backups: ManyBackups, json: Json = False) -> int:
    """Lock backups so that nothing deletes them."""
    from daemon.cli.backups.writes import set_backup_locks

    return set_backup_locks(settings(context), server, backups, lock=True, as_json=json)


@backups_app.command()
def unlock(context: typer.Context, server: Server, backups: ManyBackups, json: Json = False) -> int:
    """Unlock backups; retention may delete them from then on."""
    from daemon.cli.backups.writes import set_backup_locks

    return set_backup_locks(settings(context), server, backups, lock=False, as_json=json)


@backups_app.command()
def accept(context: typer.Context, server: Server, backup: Backup, json: Json = False) -> int:
    """Accept a suspicious backup as good, and remember it."""
    from daemon.cli.backups.writes import accept_backup

    return accept_backup(settings(context), server, backup, as_json=json)


@backups_app.command()
def restore(
    context: typer.Context,
    *,
    server: Server,
    backup: Backup,
    truncate: Annotated[bool, typer.Option("--truncate", help="First delete all files of the server.")] = False,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Restore a damaged one too; with --truncate or --onto read none first.")
    ] = False,
    no_safety_backup: Annotated[
        bool, typer.Option("--no-safety-backup", help="Do not back up the current files first.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until the restore has ended.")] = False,
    onto: Annotated[
        str | None, typer.Option(metavar="SERVER", help="Bring it onto this server instead, by the panel's file API.")
    ] = None,
    into: Into = None,
    stop: Stop = False,
    via: Via = None,
    sftp: Sftp = None,
    sftp_key: SftpKey = None,
    sftp_password_file: SftpPassword = None,
    sftp_known_hosts: SftpHosts = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Restore a good backup; back up the current files first."""
    from daemon.cli.backups.writes import restore_backup
    from daemon.operations.restore import RestoreOptions

    if onto is not None:
        from daemon.cli.backups.onto import restore_onto
        from daemon.cli.onto import OntoArguments, SftpArguments
        from daemon.operations.ways import WayName

        arguments = OntoArguments(
            truncate=truncate,
            into=into,
            stop=stop,
            safety=not no_safety_backup,
            unproven=unproven,
            via=None if via is None else WayName(via),
            sftp=SftpArguments(sftp, sftp_key, sftp_password_file, sftp_known_hosts),
            yes=yes,
            as_json=json,
        )
        return restore_onto(settings(context), server, backup, onto, arguments)
    if stop or any(option is not None for option in (into, via, sftp, sftp_key, sftp_password_file, sftp_known_hosts)):
        raise UsageError("--into, --stop, --via and --sftp… go with --onto")
    options = RestoreOptions(truncate=truncate, safety=not no_safety_backup, wait=not no_wait, unproven=unproven)
    prove = truncate and not unproven
    return restore_backup(settings(context), server, backup, options, prove=prove, yes=yes, as_json=json)


@backups_app.command()
def delete(
    context: typer.Context,
    *,
    server: Server,
    backups: Backups = None,
    beyond_retention: Annotated[
        bool, typer.Option("--beyond-retention", help="Exactly those that `plan` would delete.")
    ] = False,
    max_deletions: Annotated[
        int | None,
        typer.Option(min=-1, metavar="N", help="With --beyond-retention: delete up to N good ones; -1: any number."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Delete backups; refuse locked ones and those still being made."""
    from daemon.cli.backups.writes import Deletion, delete_backups

    deletion = Deletion(backups or (), beyond_retention, max_deletions)
    return delete_backups(settings(context), server, deletion, yes=yes, as_json=json)
