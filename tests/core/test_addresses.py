"""Addresses that others can read along with."""

import pytest

from daemon.core.addresses import hosts_of, is_clear, masked


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


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://db/backups", ["db"]),
        ("postgresql://user:p@ss@db.example.com:5432/backups", ["db.example.com"]),
        ("postgresql://user@[fd00::1]:5432,b:1,[::1],c/backups", ["fd00::1", "b", "::1", "c"]),
        ("postgresql:///backups", [""]),
    ],
)
def test_the_hosts_of_a_database_are_named_without_user_and_ports(url: str, hosts: list[str]) -> None:
    """Each may be where the password goes."""
    assert hosts_of(url) == hosts


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://panel.example.com/a", "https://panel.example.com/a"),
        ("sftp://me:word@h@nas.lan/x", "sftp:…@nas.lan/x"),
        ("az://c/p?sig=SECRET&b#c", "az://c/p?…"),
        ("s3://b/p#SECRET,x", "s3://b/p#…"),
        ("rclone:drive,token=SECRET:p?", "rclone:drive,…"),
        ("s3://b?one\nSECRET", "s3://b?…"),
        ("no address", "no address"),
    ],
)
def test_what_may_be_a_secret_in_an_address_is_masked(url: str, shown: str) -> None:
    """User and password up to the last at sign, and everything after the first of these marks."""
    assert masked(url) == shown
