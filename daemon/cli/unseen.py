"""Servers that a command could not look at; a suspended one is skipped without failing, as a rotation skips it."""

from daemon.cli.ui.output import say_trouble
from daemon.errors import BackupdError
from daemon.panel.errors import ServerStateError


def is_suspended(error: BackupdError | None) -> bool:
    """Return whether the server is suspended, which is no failure."""
    return isinstance(error, ServerStateError) and error.suspended


def passes(error: BackupdError | None) -> bool:
    """Return whether the server is in a state that ends by itself."""
    return isinstance(error, ServerStateError) and error.transient


def say_unseen(server: str, error: BackupdError) -> None:
    """Say why a server could not be looked at."""
    say_trouble(f"{server}: {error.text}", error.hint, "note" if is_suspended(error) else "error")
