"""Declare the commands below `config`."""
# ruff: noqa: PLC0415 — as in daemon/cli/app.py

import typer

config_app = typer.Typer(help="Work with the configuration file.", rich_markup_mode=None, no_args_is_help=False)


@config_app.command("schema")
def config_schema() -> int:
    """Print the JSON Schema of the configuration file, for editors."""
    from daemon.cli.commands.schema import show_schema

    return show_schema()


@config_app.callback()
def _config() -> None:
    """Work with the configuration file."""
