"""The only module that knows Apprise, which is imported when it is used and not before.

Apprise logs whole addresses, so its own log is silenced.
"""

import asyncio
import logging
import os
from importlib.util import find_spec
from typing import Any

from daemon.alerts.formats import as_text, worst
from daemon.alerts.message import GOOD_NEWS, WARNINGS, Digest, Message
from daemon.alerts.sender import Failure
from daemon.panel.proxies import UnusableProxyError, proxy_for

SECONDS = 60.0
_ANYWHERE = "https://receiver.invalid"  # Apprise's addresses do not show the host
_TYPES = dict.fromkeys(GOOD_NEWS, "success") | dict.fromkeys(WARNINGS, "warning")


def understood(url: str) -> bool:
    """Return whether Apprise knows what to do with this address."""
    return _opened(url) is not None


async def send(url: str, message: Message | Digest) -> Failure | None:
    """Send once; return None if it was taken."""
    receiver = _opened(url)
    if receiver is None:
        return Failure("Apprise does not understand the address", passing=False)
    try:
        async with asyncio.timeout(SECONDS):
            taken = await receiver.async_notify(
                title=message.title, body=as_text(message), notify_type=_TYPES.get(worst(message), "failure")
            )
    except TimeoutError:
        taken = False
    return None if taken else Failure(f"Apprise could not send it{_of_the_proxy()}", passing=True)


def _of_the_proxy() -> str:
    """Return what is wrong with the environment's proxy, of which Apprise says nothing."""
    try:
        proxy = proxy_for(_ANYWHERE, os.environ)
    except UnusableProxyError as error:
        return f", and {error}"
    if proxy is not None and proxy.is_socks and find_spec("socks") is None:
        return f", and {UnusableProxyError(proxy.variable, 'for SOCKS, Apprise needs a library: pip install PySocks')}"
    return ""


def _opened(url: str) -> Any:  # noqa: ANN401 — Apprise's own class, imported only here
    import apprise  # noqa: PLC0415 — heavy, and only for those who use it

    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    receiver = apprise.Apprise()
    return receiver if receiver.add(url) else None
