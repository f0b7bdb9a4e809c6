"""Which addresses are valid: a panel's, to which keys are sent, and the one at which the daemon itself answers."""

import ipaddress
import re
from urllib.parse import urlsplit

from daemon.config.value_error import value_error


def panel_url(text: str) -> str:
    """Return a panel's address: without credentials, query, /api or trailing slash; else raise ValueError."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 — reading it is the check
    except ValueError:
        raise value_error("cannot be read as an address", 'such as "https://panel.example.com"') from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or any(c.isspace() or c < " " for c in text):
        raise value_error("must be an address", 'such as "https://panel.example.com"')
    if "@" in parts.netloc:
        raise value_error("must not hold a user or a password", "the panel is asked with api_key_file alone")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise value_error("must end with the host or a path", "leave out ? and # and what follows")
    if re.search(r"/api(/client)?/*$", parts.path):
        raise value_error("must be the panel's own address", "leave out /api and what follows")
    return text.rstrip("/")


def split_listen(text: str) -> tuple[str, int]:
    """Given "127.0.0.1:9180", "[::1]:9180" or "localhost:9180", return host and port; else ValueError."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if re.fullmatch(r"\[.*:.*\]", host) else host.replace(":", " ")
    try:
        named = bare == "localhost" or bool(ipaddress.ip_address(bare))
    except ValueError:
        named = False
    if not named or not re.fullmatch("[0-9]{1,5}", port) or int(port) >= 1 << 16:
        raise value_error("must be an address of this machine and a port", 'such as "127.0.0.1:9180" or "[::1]:9180"')
    return bare, int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach that host."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def host_name(text: str) -> str:
    """Return the host name as a browser sends it, without scheme and port."""
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", text.lower()):
        raise value_error("must be the name of a host", 'such as "backups.example.com", without scheme and port')
    return text.lower()
