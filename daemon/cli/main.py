"""The one place that turns the end of a command into an exit code and a line on stderr."""

import gc
import sys
import traceback
from collections.abc import Sequence

from daemon._imports import without, without_plugins
from daemon.cli import daemon_line
from daemon.cli.settings import PROGRAM
from daemon.cli.streams import output_error
from daemon.cli.ui.output import say, say_error, say_trouble
from daemon.errors import BackupdError, Exit

COLLECTED_AFTER = 50_000
"""Python looks for cycles after so many new objects (700 by default). What a command loads at its start is no garbage,
and looking through it again and again takes a tenth of a short command's time.
"""

_OF_ARCHIVES = ("bz2", "lzma")
"""What shutil would load, and the daemon keep, for archives: it makes none, and does without them where they are
missing.
"""


def run(words: Sequence[str]) -> int:
    """Run the command line and return its exit code; raise nothing."""
    _never_fail_at_encoding()
    try:
        code = _obey(words)
    except BackupdError as error:
        say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 — the last place before the user
        if unwritten := output_error(error):  # typer prints help by itself
            say_error(unwritten)
            return unwritten.exit_code
        return _bug(error, words)
    if code == Exit.INTERRUPTED:
        say("interrupted")
    return code


def _obey(words: Sequence[str]) -> int:
    """Run the command that the words name; the daemon is not to keep what only the others need."""
    daemon = daemon_line.read(words)
    if daemon is None:
        gc.set_threshold(COLLECTED_AFTER)
        from daemon.cli.by_typer import obey  # noqa: PLC0415 — see above

        return obey(words)
    with without_plugins(), without(*_OF_ARCHIVES):
        from daemon.cli.commands.run import run_daemon  # noqa: PLC0415 — as above

    settings, log_to_stdout = daemon
    return run_daemon(settings, log_to_stdout=log_to_stdout)


def _never_fail_at_encoding() -> None:
    """Escape what a terminal without UTF-8 cannot show, such as a name from a panel."""
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")


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
