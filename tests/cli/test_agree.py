"""The question before something is overwritten or deleted."""

import pytest
import typer

from daemon.cli.ui.confirm import confirm
from tests.cli.conftest import Terminal


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("n\n", False), ("ja\n", False), ("yess\n", False)],
)
def test_nothing_but_yes_is_a_yes(typed: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Enter alone, nor the end of input, nor a slip of the finger."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    if agreed:
        confirm([], "delete it?", yes=False)
    else:
        with pytest.raises(typer.Abort):
            confirm([], "delete it?", yes=False)
