"""How a host is reached: which certificates are trusted, and through which proxy. Everything that uses httpx asks here.

Certificates are checked as most programs do, without OpenSSL's strict flag, which Python sets since 3.13: it refuses
private authorities as they were made for decades (without RFC 5280's key usage or authority key identifier).
"""

import functools
import os
import ssl
from importlib.util import find_spec
from urllib.parse import urlsplit

from daemon._imports import without
from daemon.core.words import that_installs
from daemon.log import get_logger
from daemon.panel.proxies import Proxy, UnusableProxyError, UnusableVariableError, proxy_for, unread_entries

with without("httpx._main"):
    import httpx

try:
    from socksio.exceptions import SOCKSError
except ImportError:  # the extra [socks] is not installed
    SOCKS_ERRORS: tuple[type[Exception], ...] = ()
else:
    SOCKS_ERRORS = (SOCKSError,)
"""What httpx lets through where a SOCKS proxy answers with nonsense."""

log = get_logger()


class UnusableCertificatesError(UnusableVariableError):
    """A variable names certificates that cannot be read."""

    hint = "name a PEM file with the authority's certificate (SSL_CERT_DIR: a folder of such files), or no variable"


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return the one TLS context of the process, built when first needed: the well-known authorities and the machine's
    own. Raises UnusableCertificatesError.
    """
    try:
        context = httpx.create_ssl_context()
        context.load_default_certs()
    except OSError as error:  # ssl.SSLError is one
        variable = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        why = "it holds none" if isinstance(error, ssl.SSLError) else error.strerror
        raise UnusableCertificatesError(f"the certificates in {variable} cannot be used: {why}") from error
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def certificates(url: str) -> ssl.SSLContext:
    """Return the TLS context for an address; an unencrypted one gets an empty context, which costs nothing.

    Raises UnusableCertificatesError.
    """
    return trusted() if urlsplit(url).scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def proxy(url: str) -> httpx.Proxy | None:
    """Return the environment's proxy for an address, or None; raises UnusableProxyError."""
    found = _proxy(url)
    return None if found is None else _made(found)


def proxy_address(url: str) -> str | None:
    """Return the address of the environment's proxy for a web page, or None; raises UnusableProxyError.

    For SOCKS, websockets needs a library of its own, which no extra installs.
    """
    found = _proxy(url)
    if found is not None and found.is_socks and find_spec("python_socks") is None:
        raise UnusableProxyError(found.variable, "a console through SOCKS needs a library: pip install python-socks")
    return None if found is None else found.url


def _proxy(url: str) -> Proxy | None:
    _tell_unread(unread_entries(os.environ))
    return proxy_for(url, os.environ)


def _made(found: Proxy) -> httpx.Proxy:
    if found.is_socks and not SOCKS_ERRORS:
        raise UnusableProxyError(found.variable, f"SOCKS needs an extra: {that_installs('socks')}")
    try:
        return httpx.Proxy(found.url, ssl_context=trusted() if found.url.startswith("https:") else None)
    except (httpx.InvalidURL, ValueError):
        pass  # raised outside, since these words hold the address
    raise UnusableProxyError(found.variable, "it is no address")


@functools.cache
def _tell_unread(entries: tuple[str, ...]) -> None:
    """Log each entry of NO_PROXY that matches nothing, once."""
    for entry in entries:
        log.warning("no_proxy_entry_ignored", entry=entry, reason="it is no name, address or network")
