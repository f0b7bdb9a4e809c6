"""Declare the commands below `cluster` and `state`."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

from typing import Annotated

import typer

from daemon.cli.options import Json, settings

PLACE = "A state folder, or `cluster` for the configured database."

cluster_app = typer.Typer(help="Look after the cluster.", rich_markup_mode=None)
state_app = typer.Typer(help="Look after where the state is.", rich_markup_mode=None)


@cluster_app.command()
def status(context: typer.Context, json: Json = False) -> int:
    """Show the cluster's members, and which nodes each of them holds."""
    from daemon.cli.cluster.status import show_cluster

    return show_cluster(settings(context), as_json=json)


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
