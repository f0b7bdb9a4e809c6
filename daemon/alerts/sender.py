"""Sending one request to a receiver; a failure is returned as a value without a word of the address.

No redirect is followed, since it would carry the message, and secrets in the address, to another host. No answer is
read, and no cookie kept. The environment's proxies are used for https alone (daemon/panel/proxies.py).
"""

import asyncio
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from daemon.alerts.formats import Post
from daemon.panel import reach
from daemon.panel.proxies import UnusableVariableError
from daemon.panel.reach import SOCKS_ERRORS

SECONDS = 10.0
UNANSWERED: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, *SOCKS_ERRORS)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not taken; `passing` says that another try may succeed. `retry_after` is in seconds."""

    reason: str
    passing: bool
    retry_after: float | None = None


class Sender:
    """All requests to all receivers."""

    def __init__(self, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._clients: dict[tuple[bool, str | None], httpx.AsyncClient] = {}

    async def send(self, post: Post) -> Failure | None:
        """Send once; return None if it was taken."""
        try:
            async with asyncio.timeout(SECONDS):
                client = self._client(post.url)
                headers = {"Content-Type": post.kind}
                async with client.stream("POST", post.url, content=post.body, headers=headers) as response:
                    return _failure(response)
        except UnusableVariableError as error:
            return Failure(str(error), passing=False)
        except UNANSWERED as error:
            return Failure(f"no answer ({type(error).__name__})", passing=not isinstance(error, httpx.InvalidURL))

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, url: str) -> httpx.AsyncClient:
        """Return the client for all addresses that are reached in the same way."""
        proxy = None if self._transport else reach.proxy(url)
        way = (url.startswith("https:"), str(proxy.url) if proxy else None)
        if way not in self._clients:
            self._clients[way] = httpx.AsyncClient(
                headers={"User-Agent": "ptero-backupd"},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                follow_redirects=False,
                timeout=SECONDS,
                verify=reach.certificates(url),
                trust_env=False,
                proxy=proxy,
                transport=self._transport,
            )
        return self._clients[way]


def _failure(response: httpx.Response) -> Failure | None:
    """Return what an answer means, without its words, which may repeat the address."""
    if response.is_success:
        return None
    status = response.status_code
    if response.is_redirect:
        return Failure(f"answered {status}, a redirect, which is not followed", passing=False)
    passing = response.is_server_error or status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
    return Failure(f"answered {status}", passing, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After; None if it is a date, or anything else."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
