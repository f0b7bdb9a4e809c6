"""Which addresses are safe from eavesdroppers, and how one is shown that may hold a secret."""

import ipaddress
import re
from urllib.parse import urlsplit


def is_clear(url: str) -> bool:
    """Return whether requests to this address leave the machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not (parts.hostname and is_this_machine(parts.hostname))


def masked(url: str) -> str:
    """Return what was written as an address without what may be a secret: its user, its query, rclone's options."""
    scheme, colon, rest = url.partition(":")
    if "@" in rest:
        rest = f"…@{rest.rpartition('@')[2]}"
    return re.sub(r"([?#,]).+", r"\1…", f"{scheme}{colon}{rest}", flags=re.DOTALL)


def hosts_of(url: str) -> list[str]:
    """Return the hosts that an address of a database names, without user and ports; [""] for none."""
    places = urlsplit(url).netloc.rpartition("@")[2].split(",")
    return [place.rpartition("]")[0].lstrip("[") if "]" in place else place.partition(":")[0] for place in places]


def is_this_machine(host: str) -> bool:
    """Return whether what is sent to that host surely stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
