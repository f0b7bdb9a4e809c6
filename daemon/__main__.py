"""`ptero-backupd`, also `python -m daemon`: answers --version at once and leaves all else to the command line."""

import sys
from collections.abc import Sequence

from daemon import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        sys.stdout.write(f"ptero-backupd {__version__}\n")
        return 0
    from daemon.cli.main import run  # noqa: PLC0415 — --version must not wait for it

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
