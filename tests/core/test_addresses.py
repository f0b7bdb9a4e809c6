"""Addresses that others can read along with."""

import pytest

from daemon.core.addresses import is_clear


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://panel.example.com", True),
        ("http://192.168.0.2:8080/x", True),
        ("http://[fd00::1]", True),
        ("https://panel.example.com", False),
        ("http://localhost:80", False),
        ("http://panel.localhost", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:9000", False),
        ("http:", True),
    ],
)
def test_http_beyond_this_machine_is_clear(url: str, clear: bool) -> None:
    """On this machine nobody is on the way."""
    assert is_clear(url) is clear
