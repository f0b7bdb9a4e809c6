"""Declare every command, with its arguments and options, on one page.

Each command here only calls its module, which imports what it needs; so `--help` waits for none of that.
"""
# ruff: noqa: PLC0415 — see above

from pathlib import Path
from typing import Annotated

import typer

from daemon import __version__
from daemon.cli.backups.app import backups_app
from daemon.cli.cluster.app import cluster_app, state_app
from daemon.cli.config_app import config_app
from daemon.cli.copies.app import copies_app
from daemon.cli.daemon_line import RUN, TO_STDOUT
from daemon.cli.options import Json, Servers, settings
from daemon.cli.settings import PROGRAM, Settings
from daemon.errors import Exit, UsageError
from daemon.service.process import take_signals

app = typer.Typer(
    name=PROGRAM,
    help="Rotate the backups of game servers on Pterodactyl and Pelican panels.",
    add_completion=False,
    rich_markup_mode=None,  # plain help is there in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(backups_app, name="backups")
app.add_typer(copies_app, name="copies")
app.add_typer(cluster_app, name="cluster")
app.add_typer(state_app, name="state")
app.add_typer(config_app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def before(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Configuration file. Default: $PTERO_BACKUPD_CONFIG, else /etc/ptero-backupd/config.toml.",
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log everything.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log only errors.")] = False,
    version: Annotated[  # noqa: ARG001 — its callback has answered
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Read the options before the command."""
    if context.invoked_subcommand != RUN:  # the daemon takes signals when it can obey them
        take_signals()
    if verbose and quiet:
        raise UsageError("--verbose and --quiet contradict each other")
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(Exit.USAGE)
    context.obj = Settings(config, "debug" if verbose else "error" if quiet else None)


@app.command(RUN)
def run(
    context: typer.Context,
    log_to_stdout: Annotated[
        bool, typer.Option(TO_STDOUT, help="Log to stdout instead of stderr, as containers do.")
    ] = False,
) -> int:
    """Run the daemon in the foreground."""
    from daemon.cli.commands.run import run_daemon

    return run_daemon(settings(context), log_to_stdout=log_to_stdout)


@app.command()
def rotate(
    context: typer.Context,
    servers: Servers = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only show what would be done.")] = False,
    max_deletions: Annotated[
        int | None,
        typer.Option(
            min=-1, metavar="N", help="Lift the named servers' brake once: delete up to N good ones; -1: any number."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Back up now, then delete what retention does not keep."""
    from daemon.cli.commands.rotate import rotate_now

    return rotate_now(settings(context), servers or (), dry_run=dry_run, max_deletions=max_deletions, as_json=json)


@app.command()
def plan(
    context: typer.Context,
    *,
    servers: Servers = None,
    listing: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge saved list responses instead of a panel; '-' is stdin."),
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="RULES", help="With --listing: the rules, such as last=3,daily=7.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="With --listing: time zone of days and weeks.")
    ] = None,
    now: Annotated[str | None, typer.Option(metavar="TIME", help="With --listing: when the list was saved.")] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="With --listing: judge only backups with such names.")
    ] = None,
    json: Json = False,
) -> int:
    """Show what retention would keep and delete now, and why."""
    offline = {"--keep": keep, "--timezone": timezone, "--now": now, "--name": name}
    if listing is None:
        if given := [option for option, value in offline.items() if value is not None]:
            raise UsageError(f"{given[0]} needs --listing", hint="without --listing, the configuration decides that")
        from daemon.cli.commands.plan import plan_servers

        return plan_servers(settings(context), servers or (), as_json=json)
    if servers:
        raise UsageError("--listing judges a file, not a server of the configuration")
    if keep is None:
        raise UsageError("--listing needs --keep", hint="such as --keep last=3,daily=7,weekly=4")
    from daemon.cli.commands.plan_listing import plan_listing

    return plan_listing(listing, keep, timezone=timezone or "UTC", now=now, name=name, as_json=json)


@app.command()
def prove(
    context: typer.Context,
    servers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SERVER",
            help="Name in the configuration. Default: all that have `prove`. Or: accept SERVER BACKUP.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Read nothing; show what is due, and why.")] = False,
    due: Annotated[bool, typer.Option("--due", help="Read all that is due, not the newest good backup alone.")] = False,
    json: Json = False,
) -> int:
    """Read backups to their end, so that they are known to be restorable; accept: let a failed proof be."""
    from daemon.cli.commands.prove import prove as prove_now

    return prove_now(settings(context), servers or (), plan=plan, due=due, as_json=json)


@app.command()
def schedule(
    context: typer.Context,
    servers: Servers = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="How many starts per server.")] = 5,
    now: Annotated[str | None, typer.Option(metavar="TIME", help="Show starts from this time on.")] = None,
    json: Json = False,
) -> int:
    """Show the next starts."""
    from daemon.cli.commands.schedule import show_schedule

    return show_schedule(settings(context), servers or (), count=count, now=now, as_json=json)


@app.command()
def drill(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the drill in the configuration.")],
    server: Annotated[
        str | None, typer.Argument(metavar="SERVER", help="Whose backup. Default: the one whose last drill is oldest.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    json: Json = False,
) -> int:
    """Try a backup on a spare server, and delete it there again."""
    from daemon.cli.commands.drill import run_drill

    return run_drill(settings(context), name, server, yes=yes, as_json=json)


@app.command()
def check(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Contact no panel and no store.")] = False,
    json: Json = False,
) -> int:
    """Check the configuration, panels, keys and limits."""
    from daemon.cli.commands.check import check_all

    return check_all(settings(context), offline=offline, as_json=json)


@app.command()
def stores(context: typer.Context, json: Json = False) -> int:
    """List the stores, and what was last seen in them."""
    from daemon.cli.commands.stores import list_stores

    return list_stores(settings(context), as_json=json)


@app.command()
def servers(context: typer.Context, json: Json = False) -> int:
    """Show the servers that the keys can see."""
    from daemon.cli.commands.servers import show_servers

    return show_servers(settings(context), as_json=json)


@app.command()
def history(
    context: typer.Context,
    server: Annotated[str | None, typer.Argument(metavar="SERVER", help="Only this server.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, metavar="N", help="How many rotations, newest first.")
    ] = 20,
    json: Json = False,
) -> int:
    """Show past rotations."""
    from daemon.cli.commands.history import show_history

    return show_history(settings(context), server, limit=limit, as_json=json)


@app.command()
def status(context: typer.Context, json: Json = False) -> int:
    """Show each server's last, running and next rotation."""
    from daemon.cli.commands.status import show_status

    return show_status(settings(context), as_json=json)


@app.command()
def init(
    context: typer.Context,
    *,
    url: Annotated[str | None, typer.Option(metavar="URL", help="The panel's URL.")] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File that contains the API key; '-' is stdin.")
    ] = None,
    panel: Annotated[str, typer.Option(metavar="NAME", help="Name for the panel in the configuration.")] = "main",
    server: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Cover only this server; may be repeated. Default: all.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write. Default: that of --config.")
    ] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Allow sending the key over plain http.")] = False,
    all_servers: Annotated[
        bool, typer.Option("--all-servers", help="Cover all servers of the panel; needs an administrator's key.")
    ] = False,
    store: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]URL", help="Copy backups to this store, such as file:///mnt/nas; may be repeated."
        ),
    ] = None,
) -> int:
    """Write a first configuration for the servers that a key can see.

    The key comes from --api-key-file, $PTERO_BACKUPD_PANELS__MAIN__API_KEY or a prompt; it is never an argument.
    """
    from daemon.cli.commands.init import InitOptions, write_first

    servers, stores = tuple(server or ()), tuple(store or ())
    options = InitOptions(url, api_key_file, panel, servers, output, allow_http, all_servers, stores)
    return write_first(settings(context), options)


@app.command()
def sandbox(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address to listen on.")] = "127.0.0.1:8808",
    kind: Annotated[str, typer.Option(metavar="KIND", help="Kind of panel: pterodactyl or pelican.")] = "pterodactyl",
) -> int:
    """Run a panel in memory to try things on."""
    from daemon.cli.commands.sandbox import serve_sandbox

    return serve_sandbox(listen, kind)


@app.command()
def demo(
    keep_running: Annotated[bool, typer.Option("--keep-running", help="Keep running until Ctrl-C.")] = False,
) -> int:
    """Show the daemon at work; needs no configuration."""
    from daemon.demo import run as run_demo

    return run_demo(keep_running)
