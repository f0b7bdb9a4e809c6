"""Calls to one bucket: signed, tried again where that may help, and refused as what the refusal is.

Every call here may be repeated: reads change nothing, and what writes is either the same twice or has a condition,
whose refusal is settled by a look (`store`). Four tries take some ten seconds; waiting longer is the caller's.
"""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.core.backoff import Backoff
from daemon.stores.errors import StoreCutError, StoreError
from daemon.stores.held import Part, summed
from daemon.stores.s3.answers import error_words, header_moment
from daemon.stores.s3.http import Answer, Body, S3Http
from daemon.stores.s3.refusal import SKEWED, is_passing, refusal
from daemon.stores.s3.sign import EMPTY_SHA256, SigningKey, encoded_path, encoded_query, presigned_query, signed_headers

ATTEMPTS = 4
BACKOFF = Backoff(first=1.0, most=10.0)  # seconds
SECONDS = 60.0
SLOWEST = 32 * 2**10  # bytes a second that a request may come down to
_NONE: Mapping[str, str] = MappingProxyType({})


class S3Client:
    """One bucket. `path` is where it is at its host: "/bucket", or "" where the host's name has the bucket in it."""

    def __init__(self, http: S3Http, path: str, key: SigningKey, clock: Clock) -> None:
        self._http = http
        self._path = path
        self._key = key
        self._clock = clock
        self._skew = timedelta()

    async def call(
        self,
        what: str,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        body: Part = b"",
        checked: bool = False,
        seconds: float = SECONDS,
    ) -> Answer:
        """Make a call, and return the answer where it is a success; `what` says in an error what could not be done.

        `checked` adds the Content-MD5 that S3 demands where locks are. `seconds` is for one try, and is more for a
        body. The service checks the body against the SHA-256 that is signed.
        """
        seconds += len(body) / SLOWEST
        digest = (await asyncio.to_thread(summed, body, "sha256")).hex() if body else EMPTY_SHA256
        if checked:
            md5 = base64.b64encode(await asyncio.to_thread(summed, body, "md5")).decode()
            headers = {**headers, "content-md5": md5}
        for attempt in range(ATTEMPTS):
            target, signed = self._signed(method, key, query, headers, digest)
            try:
                answer = await self._http.exchange(method, target, signed, body, seconds)
            except StoreError as error:
                if not error.transient or attempt == ATTEMPTS - 1:
                    raise
                delay = BACKOFF.pause(attempt + 1)
            else:
                if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    return answer
                self._raise_lasting(answer, what, attempt)
                delay = BACKOFF.pause(attempt + 1, asked=_asked(answer))
            await self._clock.sleep(delay)
        raise AssertionError("the last attempt returned or raised")

    @asynccontextmanager
    async def download(self, what: str, key: str, headers: Mapping[str, str]) -> AsyncGenerator[Body, None]:
        """Get an object: the answer, and its body as it comes. The beginning is tried again, the body is not."""
        for attempt in range(ATTEMPTS):
            target, signed = self._signed("GET", key, _NONE, headers, EMPTY_SHA256)
            delay = BACKOFF.pause(attempt + 1)
            async with AsyncExitStack() as stack:
                try:
                    body = await stack.enter_async_context(self._http.stream(target, signed))
                except StoreError as error:
                    if not error.transient or attempt == ATTEMPTS - 1:
                        raise
                else:
                    if HTTPStatus.OK <= body.answer.status < HTTPStatus.MULTIPLE_CHOICES:
                        yield body
                        return
                    self._raise_lasting(body.answer, what, attempt)
                    delay = BACKOFF.pause(attempt + 1, asked=_asked(body.answer))
            await self._clock.sleep(delay)

    def link(self, key: str, seconds: int) -> SecretStr:
        """Return a signed URL from which anybody can download the object for `seconds` seconds."""
        path = encoded_path(f"{self._path}/{key}")
        query = presigned_query(self._key, host=self._http.host, path=path, seconds=seconds, now=self.now())
        return SecretStr(f"{self._http.base}{path}?{query}")

    def now(self) -> datetime:
        """Return the service's moment where it said that ours is another; else ours."""
        return self._clock.now() + self._skew

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _signed(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], digest: str
    ) -> tuple[str, dict[str, str]]:
        path, parameters = encoded_path(f"{self._path}/{key}"), encoded_query(query)
        signed = signed_headers(
            self._key,
            method,
            host=self._http.host,
            path=path,
            query=parameters,
            headers=headers,
            body_sha256=digest,
            now=self.now(),
        )
        return f"{path}?{parameters}" if parameters else path, signed

    def _raise_lasting(self, answer: Answer, what: str, attempt: int) -> None:
        """Raise the refusal that the answer is, unless another try may help."""
        if attempt == ATTEMPTS - 1 or not (self._learned_skew(answer) or is_passing(answer)):
            raise refusal(answer, what)

    def _learned_skew(self, answer: Answer) -> bool:
        """Return whether the service's clock turned out to differ from ours: requests are signed by it from now on."""
        if error_words(answer.body)[0] != SKEWED or self._skew:
            return False
        try:
            self._skew = header_moment(answer.headers.get("date", "")) - self._clock.now()
        except StoreCutError:
            return False
        return True


def _asked(answer: Answer) -> float | None:
    """Return the seconds that the service asks us to wait; None where it names none."""
    text = answer.headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
