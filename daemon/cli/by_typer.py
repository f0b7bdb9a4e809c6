"""The command line as typer reads it, with its errors of usage as exit codes and lines on stderr."""

from collections.abc import Sequence

import typer

from daemon.cli.app import app
from daemon.cli.settings import PROGRAM
from daemon.cli.ui.output import say_trouble
from daemon.errors import Exit

# typer exports this one error of usage; its base is what all of them share.
_USAGE: type[Exception] = typer.BadParameter.__bases__[0]


def obey(words: Sequence[str]) -> int:
    """Run the command and return its exit code; what a command raises passes through."""
    try:
        return int(app(args=list(words), prog_name=PROGRAM, standalone_mode=False) or Exit.DONE)
    except SystemExit:  # typer's answer where the reader of a help went away
        return Exit.DONE
    except typer.Abort:
        return Exit.INTERRUPTED
    except _USAGE as error:
        return _usage(error)


def _usage(error: Exception) -> int:
    """Report that the command line is wrong, and where its help is."""
    context: typer.Context | None = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    if context and option and (right := _written_before(option, context)):
        say_trouble(f"no such option here: {option}", f"write it before the command: `{right}`")
        return Exit.USAGE
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    command = context.command_path if context else PROGRAM
    text = text.replace("Value error, ", "").rstrip(".")
    say_trouble(text[:1].lower() + text[1:], f"`{command} --help` shows what can be written")
    return Exit.USAGE


def _written_before(option: str, context: typer.Context) -> str:
    """Return the command with the option where it belongs, before it; "" if the error has nothing to do with that."""
    before = {name: known for known in context.find_root().command.params for name in known.opts}
    if context.parent is None or option not in before:
        return ""
    command = context.command_path.removeprefix(PROGRAM).strip()
    return " ".join(filter(None, (PROGRAM, option, before[option].metavar, command, "…")))
