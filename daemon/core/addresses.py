"""Which addresses are safe from eavesdroppers."""

import ipaddress
from urllib.parse import urlsplit


def is_clear(url: str) -> bool:
    """Return whether requests to this address leave the machine unencrypted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "http" and not loopback
