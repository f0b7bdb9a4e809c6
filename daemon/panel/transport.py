"""The boundary to httpx: a `Call` goes in, an `Answer` or a `PanelError` comes out, and no httpx object or error.

Foreign exceptions are translated in one place, and the translation is raised outside their `except`, so that neither
its text nor its chain holds what httpx, h11 or the key's own header said. No redirect is followed, no cookie kept, no
`~/.netrc` read (an explicit auth forbids it), no answer read beyond 16 MiB.

Proxies from the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY; daemon/panel/proxies.py) are honoured for https, where
they carry a tunnel that the key is not readable in, and never for http, where the key would be handed to them.
"""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Callable, Generator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from random import Random

from pydantic import SecretStr

from daemon._imports import missing, without
from daemon.clock import Clock
from daemon.panel import reach
from daemon.panel.answers import Answer, Call, clean, whole
from daemon.panel.dates import PanelClock
from daemon.panel.error_map import refusal
from daemon.panel.errors import (
    ApiLimitError,
    HeldBackError,
    KeyRefusedError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PanelUnreachableError,
    ProxyError,
    StrangeAnswerError,
)
from daemon.panel.outage import Outage, is_down
from daemon.panel.proxies import UnusableProxyError
from daemon.panel.rate_limiter import Budget, QueuedRequest, RateLimiter
from daemon.panel.reach import SOCKS_ERRORS

with without("httpx._main"):
    import httpx

missing("sniffio")  # httpcore tries to import it several times a request: a third of what a request costs us

CONNECTIONS = 10
URGENT_CONNECTIONS = 4  # deletions are a quarter of what a rotation asks, and more: two would hold up a whole fleet
CONNECT_SECONDS = 10.0
LARGEST_ANSWER = 16 * 2**20
OF_APPLICATIONS = ("ptla_", "papp_")  # keys that every call of this API refuses with 403
IDENTITY = "identity"  # nothing compressed: a few bytes could unpack to as many as there is memory
ATTEMPTS = 4
FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
NOTICEABLE, SAY_SECONDS = 2.0, 15.0  # waits for the API limit that are told, and how often
OVERALL_MARGIN = 30.0  # beyond the read timeout, for an answer that drips

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


_PASSING = (PanelUnreachableError, PanelTroubleError, ApiLimitError)


class _Key(httpx.Auth):
    """Puts the key on a request when it leaves, so that no value or frame of ours holds it in clear."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"  # the panel refuses "bearer"
        yield request


class Transport:
    """All requests of one key to one panel."""

    def __init__(
        self,
        url: str,
        key: SecretStr,
        *,
        clock: Clock,
        limiter: RateLimiter,
        verify: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        randomness: Random | None = None,
        waits: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.base = url.rstrip("/") + "/api/client"
        self.count = 0
        self.answers: Counter[str] = Counter()
        self._key = key
        self._clock = clock
        self._turn = QueuedRequest(limiter, clock, self._say_wait)
        self._waits = waits
        self._said_at = float("-inf")
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._urgent_places = asyncio.Semaphore(URGENT_CONNECTIONS)
        self._verify = verify
        self._transport = transport
        self._random = randomness or Random()  # noqa: S311 — jitter, nothing secret
        self._client: httpx.AsyncClient | None = None
        self.panel_clock = PanelClock(clock)
        self._outage = Outage(clock)

    @property
    def throttled_seconds(self) -> float:
        """How long requests have waited for their turn, all together."""
        return self._turn.waited

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    async def read(self, call: Call) -> Answer:
        """Make a call that changes nothing; passing trouble is tried again, four times in all.

        Where the panel is down one call tries, and all others look once (daemon/panel/outage.py).
        """
        leads = gave_up = False
        try:
            for attempt in range(ATTEMPTS):
                try:
                    return await self.once(call)
                except _PASSING as error:
                    down = is_down(error)
                    if attempt == ATTEMPTS - 1 or _is_too_long(error):
                        gave_up = down
                        raise
                    leads = leads or (down and self._outage.lead())
                    if down and not leads and await self._outage.given_up():
                        raise
                    delay = self._delay(attempt, error)
                    if isinstance(error, ApiLimitError):
                        self._say_wait(delay)
                await self._clock.sleep(delay)
        finally:
            if leads:
                self._outage.end(down=gave_up)
        raise AssertionError("the last attempt returned or raised")

    async def write(self, call: Call) -> Answer:
        """Make a call that changes something: sent again only where the API limit turned it away at the door.

        Of all 5xx only the node's trouble says that nothing was done, since the panel rolls back. What else goes wrong
        may do so after the deed, and a maintenance's 503 cannot be told from that of a proxy that lost the panel.
        """
        try:
            return await self._let_in(call)
        except PanelTroubleError as error:
            trouble = error
        text = f"{trouble.text}, so that nothing says whether it was done"
        raise OutcomeUnknownError(
            text, status=trouble.status, retry_after=trouble.retry_after, spoken=trouble.spoken
        ) from trouble

    async def _let_in(self, call: Call) -> Answer:
        """Try until the API limit lets it in, or no attempt is left."""
        for attempt in range(ATTEMPTS - 1):
            try:
                return await self.once(call)
            except ApiLimitError as error:
                if _is_too_long(error):
                    raise
                delay = self._delay(attempt, error)
                self._say_wait(delay)
            await self._clock.sleep(delay)
        return await self.once(call)

    def _say_wait(self, seconds: float) -> None:
        """Tell now and then of a wait for the API limit that somebody would notice."""
        now = self._clock.monotonic()
        if seconds >= NOTICEABLE and now - self._said_at >= SAY_SECONDS:
            self._said_at = now
            self._waits(seconds)

    def _delay(self, attempt: int, error: PanelError) -> float:
        """Return the seconds before the next attempt: as asked, else doubling; a little apart from everybody else's."""
        asked = FIRST_DELAY * 2**attempt if error.retry_after is None else error.retry_after
        return min(asked, LONGEST_DELAY) + self._random.uniform(0, FIRST_DELAY)

    async def once(self, call: Call) -> Answer:
        """Make one request in its turn, and return the answer where it is 2xx."""
        if not self._sendable():
            raise KeyRefusedError(f"{call.action}: the key is empty or holds characters that no key has")
        async with self._urgent_places if call.urgent else self._places:
            sent_at = await self._turn.take(urgent=call.urgent)
            if sent_at > call.not_after:
                raise HeldBackError(f"{call.action}: the API limit held it back for too long; nothing was sent")
            if call.on_send is not None:
                call.on_send()
            answer = await self._exchange(call, sent_at)
            self._learn(answer, call)
        if httpx.codes.is_success(answer.status):
            self._outage.answered()
            return answer
        refused = refusal(answer, call, application=self._key.get_secret_value().startswith(OF_APPLICATIONS))
        if not is_down(refused):
            self._outage.answered()
        raise refused

    def _sendable(self) -> bool:
        """Whether the key can stand in a header; httpx's own complaint would show it."""
        key = self._key.get_secret_value()
        return key.isascii() and key.isprintable() and bool(key) and " " not in key

    def _learn(self, answer: Answer, call: Call) -> None:
        """Take from an answer what it says of the panel's clock and of the API limit."""
        now = self._clock.monotonic()
        if answer.date is not None:
            self.panel_clock.learn(answer.date)
        limiter = self._turn.limiter
        limit, remaining = (whole(answer.headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining"))
        # A write can be under a limit of its own (newer panels: 3 restores in 15 min) and carry that one's headers.
        general = call.reads or (limiter.budget is not None and limit == limiter.budget.limit)
        if general and limit and remaining is not None:
            limiter.learn(now, answer.sent_at, Budget(limit, remaining))
        if (
            general
            and answer.status == httpx.codes.TOO_MANY_REQUESTS
            and isinstance(refusal(answer, call), ApiLimitError)
        ):
            limiter.refused(now, answer.retry_after)

    async def _exchange(self, call: Call, sent_at: float) -> Answer:
        """Send one request and read its answer whole, or raise what became of it."""
        client = self._opened(call)
        self.count += 1
        try:
            async with asyncio.timeout(CONNECT_SECONDS + call.seconds + OVERALL_MARGIN):
                answer = await self._stream(client, call, sent_at)
                self.answers[f"{answer.status // 100}xx"] += 1
                return answer
        except FOREIGN as error:
            self.answers["none"] += 1
            failure = lost(error, call, self._key)
        raise failure

    async def _stream(self, client: httpx.AsyncClient, call: Call, sent_at: float) -> Answer:
        """Send one request and read its answer, no further than is sensible."""
        timeout = httpx.Timeout(call.seconds, connect=CONNECT_SECONDS, pool=None)
        async with client.stream(
            call.method, self.base + call.path, params=dict(call.query) or None, json=call.body, timeout=timeout
        ) as response:
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

    def _opened(self, call: Call) -> httpx.AsyncClient:
        """Return the httpx client, made at the first request."""
        try:
            self._client = self._client or self._open()
            return self._client
        except UnusableProxyError as error:
            failure: PanelError = ProxyError(f"{call.action}: {error}")
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


def _is_too_long(error: PanelError) -> bool:
    """Whether the API limit lasts for longer than anybody should wait."""
    return isinstance(error, ApiLimitError) and (error.retry_after or 0) > LONGEST_DELAY


def lost(error: Exception, call: Call, key: SecretStr) -> PanelError:
    """Given what httpx raised instead of an answer, return our error for it."""
    name = type(error).__name__
    if isinstance(error, NOT_SENT):
        # Only a connection's own words are told: an illegal header's would hold the key.
        words = str(error).replace(key.get_secret_value(), "…") if isinstance(error, httpx.ConnectError) else ""
        return PanelUnreachableError(f"{call.action}: no connection ({clean(words) or name})", hint=_hint(words))
    if call.reads:
        return PanelUnreachableError(f"{call.action}: the answer was lost ({name})")
    return OutcomeUnknownError(f"{call.action}: the answer was lost ({name}), and nothing says whether it was done")


def _hint(words: str) -> str | None:
    """What a failed connection's words suggest; None where nothing in particular."""
    if _NO_TLS.search(words):
        return PanelUnreachableError.clear_hint
    return PanelUnreachableError.private_hint if _UNKNOWN_ISSUER.search(words) else None
