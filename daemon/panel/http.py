"""The boundary to httpx: a `Call` goes in, an `Answer` or a `PanelError` comes out, and no httpx object or error.

Foreign exceptions are translated in one place. The translation is raised outside their `except`, so that neither its
text nor its chain holds what httpx, h11 or the key's own header said. No redirect is followed, no cookie is kept, no
`~/.netrc` is read (an explicit auth forbids it), and no answer is read beyond 16 MiB.

Proxies from the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY; daemon/panel/proxies.py) are used for https, where they
carry a tunnel in which they cannot read the key, and never for http, where they could.
"""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Callable, Generator
from http.cookiejar import CookieJar, DefaultCookiePolicy

from pydantic import SecretStr

from daemon._imports import missing, without
from daemon.panel import reach
from daemon.panel.answers import Answer, ApiCall, clean
from daemon.panel.errors import (
    KeyRefusedError,
    OutcomeUnknownError,
    PanelError,
    PanelUnreachableError,
    ProxyError,
    StrangeAnswerError,
)
from daemon.panel.proxies import UnusableProxyError, UnusableVariableError
from daemon.panel.reach import SOCKS_ERRORS

with without("httpx._main"):
    import httpx

missing("sniffio")  # httpcore tries to import it several times a request: a third of what a request costs us

CONNECTIONS = 10
URGENT_CONNECTIONS = 4  # deletions are a quarter of what a rotation asks, and more: two would hold up a whole fleet
CONNECT_SECONDS = 10.0
LARGEST_ANSWER = 16 * 2**20
IDENTITY = "identity"  # nothing compressed: a few bytes could unpack to as many as there is memory
OVERALL_MARGIN = 30.0  # beyond the read timeout, for an answer to a read that drips
SENDING = "http11.send_request_headers.started"  # https://www.encode.io/httpcore/extensions/#trace
OF_APPLICATIONS = ("ptla_", "papp_")  # keys that every call of this API refuses with 403

# What cannot have reached the panel; everything else may have, and a write is then of unknown outcome.
NOT_SENT: tuple[type[Exception], ...] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
    *SOCKS_ERRORS,
)
ENVIRONMENT_HINT = "look at SSL_CERT_FILE and SSL_CERT_DIR in the environment"
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE")  # OpenSSL's names, of 3.0 and of newer ones
_UNKNOWN_ISSUER = re.compile("issuer certificate|self.signed certificate")
FOREIGN: tuple[type[Exception], ...] = (
    *(httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError),
    *(*SOCKS_ERRORS, OSError, UnicodeError),
)


class _Key(httpx.Auth):
    """Puts the key on a request when it leaves, so that no value or frame of ours holds it in clear."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"  # the panel refuses "bearer"
        yield request


class HttpSession:
    """The connections of one key to one panel, opened at the first request. `heard` is called after each request with
    whether anything at all answered it.
    """

    def __init__(
        self,
        url: str,
        key: SecretStr,
        *,
        heard: Callable[[bool], None] = lambda _: None,
        verify: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base = url.rstrip("/") + "/api/client"
        self.count = 0  # requests that were sent
        self.answers: Counter[str] = Counter()  # by class: "2xx" to "5xx", and "none" where the answer was lost
        self._key = key
        self._heard = heard
        self._verify = verify
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    @property
    def of_application(self) -> bool:
        """Whether the key is one of the application API, which every call here refuses."""
        return self._key.get_secret_value().startswith(OF_APPLICATIONS)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    def check_key(self, call: ApiCall) -> None:
        """Raise KeyRefusedError if the key cannot stand in a header; httpx's own complaint would show it."""
        key = self._key.get_secret_value()
        if not (key.isascii() and key.isprintable() and key and " " not in key):
            raise KeyRefusedError(f"{call.action}: the key is empty or holds characters that no key has")

    async def exchange(self, call: ApiCall, sent_at: float, *, leave: Callable[[], None] = lambda: None) -> Answer:
        """Send one request and return its answer, read whole; `sent_at` (monotonic) is noted in it.

        For a write `leave` is called once the connection stands, right before anything is sent, and may raise.
        PanelUnreachableError where nothing was sent, or the answer to a read was lost; OutcomeUnknownError where that
        to a write was.
        """
        try:
            client = self._opened(call)
        except PanelError:
            self._heard(False)
            raise
        self.count += 1
        kind = "none"
        try:
            async with asyncio.timeout(CONNECT_SECONDS + call.seconds + (OVERALL_MARGIN if call.reads else 0.0)):
                answer = await self._stream(client, call, sent_at, leave)
            kind = f"{answer.status // 100}xx"
            return answer
        except FOREIGN as error:
            self._heard(False)
            failure = lost(error, call, self._key)
        finally:
            self.answers[kind] += 1  # also where the caller gives up, or the answer cannot be used
        raise failure

    async def _stream(
        self, client: httpx.AsyncClient, call: ApiCall, sent_at: float, leave: Callable[[], None]
    ) -> Answer:
        """Send one request and read its answer, up to a bound."""

        async def trace(event: str, _: object) -> None:
            if event == SENDING:
                leave()

        timeout = httpx.Timeout(call.seconds, connect=CONNECT_SECONDS, pool=None)
        async with client.stream(
            call.method,
            self.base + call.path,
            params=dict(call.query) or None,
            json=call.body,
            timeout=timeout,
            extensions={} if call.reads else {"trace": trace},
        ) as response:
            self._heard(True)
            error = StrangeAnswerError if call.reads else OutcomeUnknownError
            if response.headers.get("content-encoding", IDENTITY).lower() != IDENTITY:
                raise error(f"{call.action}: the answer is compressed, which was not asked for")
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > LARGEST_ANSWER:
                    raise error(f"{call.action}: the answer is larger than {LARGEST_ANSWER >> 20} MiB")
            headers = {name.lower(): value for name, value in response.headers.items()}
            echo = self._key.get_secret_value().encode()
            return Answer(response.status_code, headers, bytes(body).replace(echo, b"[key]"), sent_at)

    def _opened(self, call: ApiCall) -> httpx.AsyncClient:
        """Return the httpx client, made at the first request."""
        try:
            self._client = self._client or self._open()
            return self._client
        except UnusableProxyError as error:
            failure: PanelError = ProxyError(f"{call.action}: {error}")
        except UnusableVariableError as error:
            failure = PanelUnreachableError(f"{call.action}: {error}", hint=error.hint)
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            name = type(error).__name__  # its words could hold a secret
            failure = PanelUnreachableError(f"{call.action}: no client can be made ({name})", hint=ENVIRONMENT_HINT)
        raise failure

    def _open(self) -> httpx.AsyncClient:
        """Make the httpx client."""
        return httpx.AsyncClient(
            auth=_Key(self._key),
            headers={"Accept": "application/json", "Accept-Encoding": IDENTITY, "User-Agent": "ptero-backupd"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            limits=httpx.Limits(
                max_connections=CONNECTIONS + URGENT_CONNECTIONS, max_keepalive_connections=CONNECTIONS
            ),
            verify=self._verify or reach.certificates(self.base),
            trust_env=False,
            proxy=None if self._transport else reach.proxy(self.base),
            transport=self._transport,
        )


def lost(error: Exception, call: ApiCall, key: SecretStr) -> PanelError:
    """Given what httpx raised instead of an answer, return our error for it."""
    name = type(error).__name__
    if isinstance(error, NOT_SENT):
        # Only a connection error's own words are shown: those about an illegal header would hold the key.
        words = str(error).replace(key.get_secret_value(), "…") if isinstance(error, httpx.ConnectError) else ""
        return PanelUnreachableError(f"{call.action}: no connection ({clean(words) or name})", hint=_hint(words))
    if call.reads:
        return PanelUnreachableError(f"{call.action}: the answer was lost ({name})")
    return OutcomeUnknownError(f"{call.action}: the answer was lost ({name}), and nothing says whether it was done")


def _hint(words: str) -> str | None:
    """Return a hint that the words of a failed connection suggest; None if they suggest nothing."""
    if _NO_TLS.search(words):
        return PanelUnreachableError.clear_hint
    return PanelUnreachableError.private_hint if _UNKNOWN_ISSUER.search(words) else None
