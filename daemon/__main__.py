"""`ptero-backupd`, also `python -m daemon`: answers --version at once and leaves all else to the command line."""

import sys
from collections.abc import Sequence

from daemon import __version__
from daemon.cli import streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.open_missing()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        return _tell_version()
    from daemon.service import process  # noqa: PLC0415 — --version must not wait for it

    if arguments is None:
        process.hold_signals()
        process.leave_no_core()
    from daemon.cli.main import run  # noqa: PLC0415 — nor for this

    return run(words)


def _tell_version() -> int:
    try:
        streams.write(f"ptero-backupd {__version__}\n")
    except streams.OutputError as error:
        sys.stderr.write(f"error: {error.text}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
