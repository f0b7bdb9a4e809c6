"""Which proxy of the environment carries a request. It is decided here, since httpx refuses what others write.

The variables are curl's (curl(1), "Environment"): `https_proxy` and `HTTPS_PROXY`, else `all_proxy` and `ALL_PROXY`,
and `no_proxy` and `NO_PROXY` for exceptions; the one in lower case takes precedence. Requests that are not encrypted
never use a proxy. NO_PROXY lists names (which include all names below them), addresses and networks, each with or
without a port. Pure: the environment is an argument.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SCHEMES = ("http", "https", "socks5", "socks5h")
_HTTPS_PORT = 443
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ENTRY = re.compile(r"(?:[a-z]+://)?(?:\[(?P<bracketed>[^]]*)\]|(?P<host>[^:]*|.*:.*:.*?))(?::(?P<port>[0-9]+))?/?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it. The address may hold a password."""

    url: str = field(repr=False)
    variable: str

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS, which not every library does."""
        return self.url.startswith("socks")


class UnusableVariableError(ValueError):
    """A variable says how hosts are reached, and cannot be used; the text names the variable and no address."""

    hint = "correct the variable"


class UnusableProxyError(UnusableVariableError):
    """A variable names a proxy that cannot be used."""

    hint = "correct the variable, or add the host to NO_PROXY"

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"the proxy in {variable} cannot be used: {reason}")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of NO_PROXY: a name or a network, with a port or for all of them."""

    of: str | Network
    port: int | None

    def holds_for(self, host: str, port: int) -> bool:
        if self.port not in {None, port}:
            return False
        if isinstance(self.of, str):
            return self.of == "*" or f".{host}".endswith(f".{self.of}")
        address = _network(host)
        return address is not None and address.version == self.of.version and address[0] in self.of


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Given an address, return the proxy that carries requests to it, or None; raises UnusableProxyError."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return None
    variable, text = _set(environ, "https_proxy")
    if not text:
        variable, text = _set(environ, "all_proxy")
    host, port = (parts.hostname or "").rstrip("."), parts.port or _HTTPS_PORT
    if not text or any(entry.holds_for(host, port) for entry in _entries(environ).values() if entry):
        return None
    return Proxy(_checked(text, variable), variable)


def unread_entries(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the entries of NO_PROXY that match nothing."""
    return tuple(text for text, entry in _entries(environ).items() if entry is None)


def _set(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable that counts, and its value: the one in lower case if it is set, even if it is empty."""
    name = name if name in environ else name.upper()
    return name, environ.get(name, "").strip()


def _checked(text: str, variable: str) -> str:
    """Return the address of a proxy, with its scheme; raises UnusableProxyError."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise UnusableProxyError(variable, "it is no address") from None
    if parts.scheme not in SCHEMES:
        raise UnusableProxyError(variable, f"its scheme is none of {', '.join(SCHEMES)}")
    if not host or re.search(r"\s", host):
        raise UnusableProxyError(variable, "it names no host")
    try:
        parts.port  # noqa: B018 — reading it is the check
    except ValueError:
        raise UnusableProxyError(variable, "its port is no number up to 65535") from None
    return url


def _entries(environ: Mapping[str, str]) -> dict[str, _Entry | None]:
    """Return each entry of NO_PROXY and what it means; None for nothing."""
    texts = re.split(r"[\s,]+", _set(environ, "no_proxy")[1].lower())
    return {text: _entry(text) for text in texts if text}


def _entry(text: str) -> _Entry | None:
    if network := _network(text):
        return _Entry(network, None)
    found = _ENTRY.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    if network := _network(found["bracketed"] or found["host"] or ""):
        return _Entry(network, port)
    name = "*" if found["host"] == "*" else (found["host"] or "").removeprefix("*").strip(".")
    return _Entry(name, port) if name == "*" or _NAME.fullmatch(name) else None


def _network(text: str) -> Network | None:
    """Return the text as a network; an address is a network of one."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
