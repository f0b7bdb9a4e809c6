"""One request to an S3 service, and its answer: the boundary to httpx, and its only importer among the stores.

No redirect is followed, no cookie kept, no proxy taken but the environment's for https (daemon/panel/proxies.py), and
no more of an answer is held than it may have. What goes wrong on the way is a StoreError; what the service says is an
`Answer`, whatever its status.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from daemon.panel import reach
from daemon.panel.proxies import UnusableVariableError
from daemon.stores.boundary import translating
from daemon.stores.errors import (
    StoreCutError,
    StoreError,
    StoreIdentityError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.held import Part, pieces_of

import httpx  # isort: skip — `reach` has imported it without what it does not need

CONNECT_SECONDS = 15.0
STALL_SECONDS = 60.0
SLICE = 2**18  # bytes that must get away within STALL_SECONDS
_FAILURES: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    UnusableVariableError,
    TimeoutError,
    *reach.SOCKS_ERRORS,
)
DEEPEST = 10  # exceptions that are wrapped into each other
LARGEST_ANSWER = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said. The names of headers are in lower case; `body` is what was read of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Body:
    """An answer whose body is still coming."""

    answer: Answer
    pieces: AsyncIterator[bytes]


class S3Http:
    """All requests to one host. `url` is its scheme, name and port alone."""

    def __init__(self, name: str, url: str) -> None:
        self._name = name
        self._url = httpx.URL(url)
        self._client: httpx.AsyncClient | None = None
        self.count = 0

    @property
    def base(self) -> str:
        """Where the host is: scheme, name and port."""
        return f"{self._url.scheme}://{self.host}"

    @property
    def host(self) -> str:
        """The host as the header of that name says it."""
        return self._url.netloc.decode("ascii")

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: Part, seconds: float
    ) -> Answer:
        """Send a request, and return the whole answer; raises StoreUnreachableError after `seconds`."""
        with translating(_FAILURES, self._failure):
            async with asyncio.timeout(seconds), self._sent(method, target, headers, body) as response:
                return Answer(response.status_code, _headers(response), await self._held(response))

    @asynccontextmanager
    async def stream(self, target: str, headers: Mapping[str, str]) -> AsyncGenerator[Body, None]:
        """Send a GET; the answer without its body where it is a success, and the body's bytes as they come."""
        with translating(_FAILURES, self._failure):
            async with self._sent("GET", target, headers, b"") as response:
                held = b"" if response.is_success else await self._held(response)
                yield Body(Answer(response.status_code, _headers(response), held), response.aiter_raw())

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    @asynccontextmanager
    async def _sent(
        self, method: str, target: str, headers: Mapping[str, str], body: Part
    ) -> AsyncGenerator[httpx.Response, None]:
        client = self._client = self._client or self._made()
        lengths = {"content-length": str(len(body))} if body or method in {"PUT", "POST"} else {}
        request = httpx.Request(
            method,
            self._url.copy_with(raw_path=target.encode("ascii")),
            headers={**headers, **lengths, "accept-encoding": "identity", "user-agent": "ptero-backupd"},
            content=pieces_of(body, SLICE) if body else None,
            extensions={"timeout": httpx.Timeout(STALL_SECONDS, connect=CONNECT_SECONDS).as_dict()},
        )
        self.count += 1
        response = await client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def _made(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            follow_redirects=False,
            verify=reach.certificates(str(self._url)),
            trust_env=False,
            proxy=reach.proxy(str(self._url)),
        )

    async def _held(self, response: httpx.Response) -> bytes:
        held = bytearray()
        async for piece in response.aiter_raw():
            held += piece
            if len(held) > LARGEST_ANSWER:
                raise StoreTroubleError(f"{self._name}: the service's answer has more than {LARGEST_ANSWER} bytes")
        return bytes(held)

    def _failure(self, error: Exception) -> StoreError:
        """Given what came of a request, return our error; of httpx's words nothing is told, as they may hold a url."""
        host = f"{self._name}: {self.host}"
        if isinstance(error, UnusableVariableError):
            return StoreUnusableError(f"{self._name}: {error}", hint=error.hint)
        if _is_of_certificate(error):
            hint = "if a private authority issued its certificate, set SSL_CERT_FILE to that authority's certificate"
            return StoreIdentityError(f"{host} shows a certificate that is not believed", hint=hint)
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return StoreCutError(f"{host} ended its answer too early")
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return StoreUnreachableError(f"{host} does not answer in time")
        return StoreUnreachableError(f"{host} cannot be reached ({type(error).__name__})")


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _is_of_certificate(error: BaseException | None) -> bool:
    """Return whether TLS failed for the certificate's sake; httpx and its parts wrap that several times."""
    for _ in range(DEEPEST):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, ssl.SSLCertVerificationError)
