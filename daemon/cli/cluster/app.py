"""Declare the commands below `cluster` and `state`."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

from typing import Annotated

import typer

from daemon.cli.options import Json, settings

PLACE = "A state folder, or `cluster` for the configured database."

MemberOrOwn = Annotated[str | None, typer.Argument(metavar="MEMBER", help="Default: this host's.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Wait = Annotated[int, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for it to hand over.")]

cluster_app = typer.Typer(help="Look after the cluster.", rich_markup_mode=None)
state_app = typer.Typer(help="Look after where the state is.", rich_markup_mode=None)


@cluster_app.command()
def status(context: typer.Context, json: Json = False) -> int:
    """Show the cluster's members, and which nodes each of them holds."""
    from daemon.cli.cluster.status import show_cluster

    return show_cluster(settings(context), as_json=json)


@cluster_app.command()
def leave(
    context: typer.Context, member: MemberOrOwn = None, wait: Wait = 60, yes: Yes = False, json: Json = False
) -> int:
    """Let a member hand over its nodes, each once nothing is done there, and stay out until `cluster join`."""
    from daemon.cli.cluster.membership import leave_cluster

    return leave_cluster(settings(context), member, wait=wait, yes=yes, as_json=json)


@cluster_app.command()
def join(context: typer.Context, member: MemberOrOwn = None, json: Json = False) -> int:
    """Let a member that left or was evicted act again."""
    from daemon.cli.cluster.membership import join_cluster

    return join_cluster(settings(context), member, as_json=json)


@cluster_app.command()
def evict(
    context: typer.Context,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Name, as `cluster status` shows it.")],
    yes: Yes = False,
    json: Json = False,
) -> int:
    """End a member's leases at once, whatever it is doing; it stays out until `cluster join`."""
    from daemon.cli.cluster.membership import evict_member

    return evict_member(settings(context), member, yes=yes, as_json=json)


@state_app.command()
def copy(
    context: typer.Context,
    source: Annotated[str, typer.Option("--from", metavar="PLACE", help=PLACE)],
    target: Annotated[str, typer.Option("--to", metavar="PLACE", help=PLACE)],
    json: Json = False,
) -> int:
    """Copy the whole state to an empty place, and compare it row by row; the daemons must be stopped."""
    from daemon.cli.cluster.copy import copy_state

    return copy_state(settings(context), source, target, as_json=json)


@cluster_app.callback()
def _cluster() -> None:
    """Look after the cluster."""


@state_app.callback()
def _state() -> None:
    """Look after where the state is."""
