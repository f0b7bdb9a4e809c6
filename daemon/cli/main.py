"""The one place that turns the end of a command into an exit code and a line on stderr."""

import sys
import traceback
from collections.abc import Sequence

import typer

from daemon.cli.app import app
from daemon.cli.options import PROGRAM
from daemon.cli.streams import output_error
from daemon.cli.ui.output import say, say_error, say_trouble
from daemon.errors import BackupdError, Exit

# typer exports this one error of usage; its base is what all of them share.
_USAGE: type[Exception] = typer.BadParameter.__bases__[0]


def run(words: Sequence[str]) -> int:
    """Run the command line and return its exit code; raise nothing."""
    _never_fail_at_encoding()
    try:
        code = app(args=list(words), prog_name=PROGRAM, standalone_mode=False)
    except BackupdError as error:
        say_error(error)
        return error.exit_code
    except SystemExit:  # typer's answer where the reader of a help went away
        code = Exit.DONE
    except (typer.Abort, KeyboardInterrupt):
        code = Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 — the last place before the user
        if isinstance(error, _USAGE):
            return _usage(error)
        if unwritten := output_error(error):  # typer prints help by itself
            say_error(unwritten)
            return unwritten.exit_code
        return _bug(error, words)
    if code == Exit.INTERRUPTED:
        say("interrupted")
    return int(code or Exit.DONE)


def _never_fail_at_encoding() -> None:
    """Escape what a terminal without UTF-8 cannot show, such as a name from a panel."""
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")


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


def _bug(error: Exception, words: Sequence[str]) -> int:
    """Report a bug of ours: short, unless more is asked for; without secrets either way."""
    from daemon.log import redact  # noqa: PLC0415 — not needed when all is well

    if {"-v", "--verbose"} & set(words):
        say(redact("".join(traceback.format_exception(error))).rstrip())
    summary = redact(f"{type(error).__name__}: {error}")
    say_trouble(
        f"this is a bug in {PROGRAM}: {summary}",
        f"please report it, with what `{PROGRAM} --verbose …` prints",
    )
    return Exit.BUG
