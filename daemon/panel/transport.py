"""All requests of one key to one panel: sent in turn below the API limit, and retried where that is safe.

A read is retried after passing trouble. A write is sent again only if the API limit turned it away, since after
anything else the panel may have done it (invariant 6). daemon/panel/http.py sends the requests.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from random import Random
from typing import TYPE_CHECKING

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.backoff import Backoff
from daemon.core.cut_off import Contact
from daemon.panel.answers import Answer, ApiCall, whole
from daemon.panel.configured import Configured
from daemon.panel.dates import PanelClock
from daemon.panel.error_map import refusal
from daemon.panel.errors import (
    ApiLimitError,
    HeldBackError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PanelUnreachableError,
)
from daemon.panel.hindrance import Hindrance, must_be_let, unhindered
from daemon.panel.http import CONNECTIONS, URGENT_CONNECTIONS, HttpSession
from daemon.panel.outage import Outage, is_down
from daemon.panel.rate_limiter import Budget, QueuedRequest, RateLimiter

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 4
DELAYS = Backoff(1.0, 60.0)
"""Seconds between attempts: a dropped connection is back at once, and the API limit counts by the minute."""

NOTICEABLE, SAY_SECONDS = 2.0, 15.0  # waits for the API limit that are reported, and how often

_PASSING = (PanelUnreachableError, PanelTroubleError, ApiLimitError)


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
        transport: "httpx.AsyncBaseTransport | None" = None,
        randomness: Random | None = None,
        waits: Callable[[float], None] = lambda _: None,
        hindrance: Hindrance = unhindered,
        configured: Configured | None = None,
    ) -> None:
        self._configured = configured
        self._session = HttpSession(url, key, heard=self._heard, verify=verify, transport=transport)
        self._clock = clock
        self.contact = Contact()
        self._turn = QueuedRequest(limiter, clock, self._say_wait)
        self._waits = waits
        self._hindrance = hindrance
        self._said_at = float("-inf")
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._urgent_places = asyncio.Semaphore(URGENT_CONNECTIONS)
        self._random = randomness or Random()  # noqa: S311 — jitter, nothing secret
        self.panel_clock = PanelClock(clock)
        self._outage = Outage(clock)

    @property
    def count(self) -> int:
        """How many requests were sent so far."""
        return self._session.count

    @property
    def answers(self) -> Mapping[str, int]:
        """How many answers of each class there were so far, as `HttpSession` counts them."""
        return self._session.answers

    @property
    def throttled_seconds(self) -> float:
        """For how many seconds requests have waited for their turn, all together."""
        return self._turn.waited

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.aclose()

    async def read(self, call: ApiCall) -> Answer:
        """Make a call that changes nothing; after passing trouble retry it, four tries in all.

        While the panel is down, one call retries, and all others try once (daemon/panel/outage.py).
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

    async def write(self, call: ApiCall) -> Answer:
        """Make a call that changes something; send it again only if the API limit turned it away.

        Of all 5xx, only the node's trouble says that nothing was done, since the panel rolls back. Any other may come
        after the panel did it, and a 503 of its maintenance cannot be told from that of a proxy that lost the panel.
        """
        try:
            return await self._let_in(call)
        except PanelTroubleError as error:
            trouble = error
        text = f"{trouble.text}, so that nothing says whether it was done"
        raise OutcomeUnknownError(
            text, status=trouble.status, retry_after=trouble.retry_after, spoken=trouble.spoken
        ) from trouble

    async def _let_in(self, call: ApiCall) -> Answer:
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
        """Report a noticeable wait for the API limit, now and then."""
        now = self._clock.monotonic()
        if seconds >= NOTICEABLE and now - self._said_at >= SAY_SECONDS:
            self._said_at = now
            self._waits(seconds)

    def _delay(self, attempt: int, error: PanelError) -> float:
        """Return the seconds before the next attempt: as the panel asked, else doubling; with jitter."""
        return DELAYS.pause(attempt + 1, asked=error.retry_after, jitter=self._random.random())

    async def once(self, call: ApiCall) -> Answer:
        """Make one request in its turn, and return the answer if it is 2xx."""
        try:
            return await self._once(call)
        except PanelError as error:
            if self._configured is not None:
                self._configured.name_in(error)
            raise

    async def _once(self, call: ApiCall) -> Answer:
        self._session.check_key(call)
        async with self._urgent_places if call.urgent else self._places:
            sent_at = await self._turn.take(urgent=call.urgent)
            if sent_at > call.not_after:
                raise HeldBackError(f"{call.action}: the API limit held it back for too long; nothing was sent")
            if call.on_send is not None:
                await call.on_send()
            self._must_be_let(call)
            answer = await self._session.exchange(call, sent_at, leave=lambda: self._must_be_let(call))
            self._learn(answer, call)
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self._outage.answered()
            return answer
        refused = refusal(answer, call, application=self._session.of_application)
        if not is_down(refused):
            self._outage.answered()
        raise refused

    def _heard(self, answered: bool) -> None:
        """Take note that the panel answered a request, whatever it answered, or that no answer came."""
        now = self._clock.monotonic()
        self.contact = self.contact.with_answer(now) if answered else self.contact.with_loss(now)

    def _must_be_let(self, call: ApiCall) -> None:
        """Raise HeldBackError for a write that may not leave at this moment, or what its caller has against it."""
        if not call.reads:
            must_be_let(self._hindrance, call.action, creates=call.creates)
            call.still()

    def _learn(self, answer: Answer, call: ApiCall) -> None:
        """Take note of what an answer says of the panel's clock and of the API limit."""
        now = self._clock.monotonic()
        if answer.date is not None:
            self.panel_clock.learn(answer.date)
        limiter = self._turn.limiter
        limit, remaining = (whole(answer.headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining"))
        # A write can be under a limit of its own (newer panels: 3 restores in 15 min) and carry that one's headers.
        general = (call.reads and not call.own_limit) or (limiter.budget is not None and limit == limiter.budget.limit)
        if general and limit and remaining is not None:
            limiter.learn(now, answer.sent_at, Budget(limit, remaining))
        if (
            general
            and answer.status == HTTPStatus.TOO_MANY_REQUESTS
            and isinstance(refusal(answer, call), ApiLimitError)
        ):
            limiter.refused(now, answer.retry_after)


def _is_too_long(error: PanelError) -> bool:
    """Return whether the API limit lasts for longer than anybody should wait."""
    return isinstance(error, ApiLimitError) and (error.retry_after or 0) > DELAYS.most
