"""Declare the commands below `copies`, which look after what stores hold."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.onto_options import Into, Sftp, SftpHosts, SftpKey, SftpPassword, Stop, Via, Yes
from daemon.cli.options import Depth, HowDeep, Json, Server, Servers, settings

Store = Annotated[str | None, typer.Option("--store", metavar="NAME", help="Only this store.")]
Identity = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="Decrypt with the private key in this file, of age or SSH."),
]

copies_app = typer.Typer(help="Copy backups to stores, and fetch them back.", rich_markup_mode=None)


@copies_app.command("list")
def list_(context: typer.Context, servers: Servers = None, store: Store = None, json: Json = False) -> int:
    """List the copies that were last seen in the stores."""
    from daemon.cli.copies.listing import list_copies

    return list_copies(settings(context), servers or (), store=store, as_json=json)


@copies_app.command()
def run(context: typer.Context, servers: Servers = None, json: Json = False) -> int:
    """Copy now what the servers' stores want and do not have."""
    from daemon.cli.copies.run import run_copies

    return run_copies(settings(context), servers or (), as_json=json)


@copies_app.command()
def verify(
    context: typer.Context,
    *,
    servers: Servers = None,
    store: Store = None,
    every: Annotated[bool, typer.Option("--all", help="All copies, not only the newest in each store.")] = False,
    identity: Identity = None,
    level: HowDeep = Depth.WALKED,
    json: Json = False,
) -> int:
    """Read copies back to their end and check them; write nothing."""
    from daemon.cli.copies.verify import VerifyOptions, verify_copies

    return verify_copies(settings(context), servers or (), VerifyOptions(store, every, identity, level, json))


@copies_app.command()
def prune(
    context: typer.Context,
    *,
    servers: Servers = None,
    store: Store = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only show what would be done.")] = False,
    max_deletions: Annotated[
        int | None,
        typer.Option(
            min=-1, metavar="N", help="Lift the named servers' brake once: delete up to N copies; -1: any number."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Delete from the stores what their own rules let go."""
    from daemon.cli.copies.prune import PruneOptions, prune_copies

    return prune_copies(settings(context), servers or (), PruneOptions(store, dry_run, max_deletions, json))


@copies_app.command()
def rescan(
    context: typer.Context,
    store: Store = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take the copies that other installations wrote as this one's own.")
    ] = False,
    json: Json = False,
) -> int:
    """Look at all that the stores hold, as on a new machine."""
    from daemon.cli.copies.rescan import rescan_stores

    return rescan_stores(settings(context), store=store, adopt=adopt, as_json=json)


@copies_app.command()
def fetch(
    context: typer.Context,
    *,
    server: Server,
    copy: Annotated[
        str,
        typer.Argument(
            metavar="COPY",
            help="A backup's uuid, a unique prefix of one, an exact name, latest, or its date: the newest made then.",
        ),
    ],
    store: Store = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|DIR|-", help="Target; '-' is stdout. Default: this folder."),
    ] = None,
    identity: Identity = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing, different file.")] = False,
    json: Json = False,
) -> int:
    """Fetch a copy from its store, checked against its manifest."""
    from daemon.cli.copies.fetch import FetchOptions, fetch_copy

    options = FetchOptions(store, output, identity, force=force, as_json=json)
    return fetch_copy(settings(context), server, copy, options)


@copies_app.command()
def restore(
    context: typer.Context,
    *,
    server: Server,
    copy: Annotated[str, typer.Argument(metavar="COPY", help="As the backup: a uuid, a prefix, a name, or latest.")],
    onto: Annotated[
        str | None, typer.Option(metavar="SERVER", help="Bring it onto this server. Default: the one it is of.")
    ] = None,
    store: Store = None,
    identity: Identity = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Delete all files of the server first.")] = False,
    unproven: Annotated[bool, typer.Option("--unproven", help="Restore a damaged one too; read none first.")] = False,
    no_safety_backup: Annotated[
        bool, typer.Option("--no-safety-backup", help="Do not back up the current files first.")
    ] = False,
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
    """Bring a copy onto a server by the panel's file API; back up the current files first."""
    from daemon.cli.copies.restore import CopySource, restore_copy
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
    return restore_copy(settings(context), CopySource(server, copy, store, identity), onto or server, arguments)
