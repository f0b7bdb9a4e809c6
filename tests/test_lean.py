"""What the idling daemon does not load."""

import subprocess
import sys

import pytest

from daemon.lean import missing, without


def test_the_daemon_loads_nothing_that_only_a_terminal_needs() -> None:
    """httpx's own command line and structlog's coloured tracebacks would load rich, pygments and click."""
    told = subprocess.run(
        [sys.executable, "-c", "import daemon.service, daemon.cli.run, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "httpx" in told.stdout.split()
    assert not {"rich", "pygments", "click", "starlette", "prometheus_client"} & set(told.stdout.split())


def test_a_module_is_missing_within_the_block_alone() -> None:
    """One that was loaded before stays, so that nobody finds half a library."""
    with without("wave", "sys"):
        with pytest.raises(ModuleNotFoundError):
            __import__("wave")
        assert __import__("sys") is sys
    assert __import__("wave").__name__ == "wave"


def test_what_is_not_installed_is_not_searched_for_again_and_what_is_stays() -> None:
    """httpcore imports sniffio several times a request, whether it is there or not."""
    missing("surely_not_installed")
    assert sys.modules["surely_not_installed"] is None
    with pytest.raises(ModuleNotFoundError):
        __import__("surely_not_installed")
    missing("wave")
    assert __import__("wave").__name__ == "wave"
    del sys.modules["surely_not_installed"]
