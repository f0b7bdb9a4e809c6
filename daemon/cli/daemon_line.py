"""Read the daemon's command line, as service units, images and people write it, without typer.

typer and what it loads would stay in the daemon's memory: 1.7 MiB, in a process that idles in a sidecar. Whatever is
written in another way is left to typer, which reads these words alike.
"""

from collections.abc import Sequence
from pathlib import Path

from daemon.cli.settings import Settings

RUN = "run"
TO_STDOUT = "--log-to-stdout"


def read(words: Sequence[str]) -> tuple[Settings, bool] | None:
    """Return the settings of `run`, and whether it logs to stdout; None if typer has to read these words."""
    config, rest = None, list(words)
    if len(rest) > 1 and rest[0] == "--config" and not rest[1].startswith("-"):
        config, rest = Path(rest[1]), rest[2:]
    return (Settings(config), TO_STDOUT in rest) if rest in ([RUN], [RUN, TO_STDOUT]) else None
