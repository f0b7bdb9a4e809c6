"""The boundary to the hosts of the files: a signed link goes in, bytes or a `HostError` come out.

What must hold: the panel's key is not known here, so it can reach no other host. Each request has its own httpx client,
without auth, cookies or `~/.netrc`. No text holds a link. A few redirects are followed, by hand, and never from https
to http. If the panel is https, http is followed only on this machine, or with `clear`. As for the panel, the
environment's proxies are used for https alone.

It uses httpx without asyncio, since nothing runs beside a download: for a large body, that takes half the processor
time of `AsyncClient`. A body whose length is known is read from the connection itself, past httpx, which took
0.47 s of processor time for 512 MiB in one run, where httpx took 1.5 to 1.7 s for 1 GiB (see benchmarks/README.md).
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import httpcore
from pydantic import SecretStr

from daemon._imports import without
from daemon.clock import Clock
from daemon.core.addresses import is_clear
from daemon.errors import BackupdError, Exit, ProblemCode
from daemon.panel import reach
from daemon.panel.answers import clean, whole
from daemon.panel.http import CONNECT_SECONDS, FOREIGN
from daemon.panel.proxies import UnusableVariableError

with without("httpx._main"):
    import httpx

SILENCE_SECONDS = 60.0  # without a byte, after which the connection counts as broken
LEAST_BYTES, LEAST_SECONDS = 64 * 1024, 60.0  # what must come in which time, so that no host can drip for ever
MOST_REDIRECTS = 3
BATCH = 2**20  # bytes that are handed on at once, or what came within:
BATCH_SECONDS = 0.2
READ = 2**18  # bytes that are read from the connection at most at once

CLEAR_HINT = "anyone on the path could read the world: give the node TLS, or set allow_http = true for the panel"
UNANSWERED: tuple[type[Exception], ...] = (*FOREIGN, ValueError, ImportError)
BROKEN: tuple[type[Exception], ...] = (*FOREIGN, httpcore.NetworkError, httpcore.TimeoutException)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class HostError(BackupdError):
    """The host does not deliver the file, or not to its end; a new link and some patience may help."""

    exit_code = Exit.FAILED
    code = ProblemCode.HOST
    default_hint = "look at the node, or the object store: is it up, and reachable from this machine?"
    transient = True


class LinkRefusedError(HostError):
    """The host answers 4xx: the link is used up or too old, or the file is not there."""

    code = ProblemCode.LINK_REFUSED
    default_hint = "the host no longer has the file, or the clocks of panel and host differ"


class RangeRefusedError(HostError):
    """The host does not continue where it was asked to; from the beginning it may work."""

    code = ProblemCode.RANGE_REFUSED


class StrangeHostError(HostError):
    """The link leads nowhere that may be followed."""

    code = ProblemCode.STRANGE_HOST
    default_hint = "look at the panel's backup settings: which address does it hand out for downloads?"
    transient = False


@dataclass(frozen=True)
class Stream:
    """An answer that is being read. Its bytes belong at `start` of the file, whose size is `total` if the host gives
    it.

    `continues` says that the host can resume, and `etag` identifies the file then. `delimited` is False if only the end
    of the connection marks the end of the file.
    """

    start: int
    total: int | None
    etag: str | None
    continues: bool
    delimited: bool
    pieces: Iterator[bytes] = field(repr=False)


class FileHost:
    """The host that a signed link leads to; with `clear`, also if the link is plain http beyond this machine."""

    def __init__(
        self,
        *,
        clock: Clock,
        clear: bool = True,
        verify: ssl.SSLContext | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._clock = clock
        self._clear = clear
        self._verify = verify
        self._timeout = httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS)

    @contextmanager
    def open(self, link: SecretStr, *, start: int = 0, etag: str | None = None) -> Iterator[Stream]:
        """Request the file from byte `start` on, if it still has that `etag`; raises HostError.

        The host may answer with the whole file all the same: check the stream's `start`.
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": "ptero-backupd"}
        if start:
            headers["Range"] = f"bytes={start}-"
            headers |= {"If-Range": etag} if etag else {}
        with ExitStack() as held:
            response = self._followed(held, address_of(link.get_secret_value()), headers)
            yield self._stream(response, start)

    def _followed(self, held: ExitStack, url: httpx.URL, headers: dict[str, str]) -> httpx.Response:
        """Return the first answer that is no redirect, kept open by `held`."""
        for _ in range(MOST_REDIRECTS + 1):
            response = self._asked(held, url, headers)
            if not response.is_redirect:
                return response
            held.close()
            url = _redirected(url, response.headers.get("location", ""))
        raise StrangeHostError(f"the download is redirected more than {MOST_REDIRECTS} times, at last to {url.host}")

    def _asked(self, held: ExitStack, url: httpx.URL, headers: dict[str, str]) -> httpx.Response:
        """Return one host's answer, its body not yet read."""
        if not self._clear and is_clear(str(url)):
            raise StrangeHostError(f"the panel is asked by https, and its link to {url.host} is http", hint=CLEAR_HINT)
        try:
            client = httpx.Client(
                auth=httpx.Auth(),  # an explicit one, so that neither ~/.netrc nor the address itself makes one
                headers=headers,
                timeout=self._timeout,
                follow_redirects=False,
                trust_env=False,
                proxy=reach.proxy(str(url)),
                verify=self._verify or reach.certificates(str(url)),
            )
            return held.enter_context(held.enter_context(client).stream("GET", url))
        except httpx.InvalidURL:  # httpx looks at a redirect even where it does not follow it
            failure: HostError = StrangeHostError(f"host {url.host} redirects the download to no address")
        except UnusableVariableError as error:
            failure = StrangeHostError(f"host {url.host} is not asked: {error}", hint=error.hint)
        except UNANSWERED as error:
            words = clean(str(error)) if isinstance(error, httpx.ConnectError) else ""
            failure = HostError(f"host {url.host} gives no answer ({words or type(error).__name__})")
        raise failure

    def _stream(self, response: httpx.Response, asked: int) -> Stream:
        """Return the answer as a stream, or raise what it says instead."""
        host, status, headers = response.url.host, response.status_code, response.headers
        start, total = 0, whole(headers.get("content-length"))
        if status == httpx.codes.PARTIAL_CONTENT:
            start, total = _range(headers.get("content-range", ""), asked, host)
        elif status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise RangeRefusedError(f"host {host} has nothing from byte {asked} on")
        elif status != httpx.codes.OK:
            refused = httpx.codes.is_client_error(status) and status != httpx.codes.TOO_MANY_REQUESTS
            raise (LinkRefusedError if refused else HostError)(f"host {host} answers {status}")
        etag = headers.get("etag", "")
        return Stream(
            start=start,
            total=total,
            etag=etag if etag.startswith('"') else None,  # a weak one does not vouch for each byte
            continues=start > 0 or headers.get("accept-ranges") == "bytes",
            delimited=total is not None or "transfer-encoding" in headers or response.http_version != "HTTP/1.1",
            pieces=self._pieces(response),
        )

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body in batches; if the connection breaks, yield what came before raising."""
        batch: list[bytes] = []
        failure: HostError | None = None
        try:
            yield from self._batches(response, batch)
        except BROKEN as error:
            failure = HostError(f"the connection to {response.url.host} broke ({type(error).__name__})")
        except HostError as error:
            failure = error
        if batch:
            yield b"".join(batch)
        if failure:
            raise failure

    def _batches(self, response: httpx.Response, batch: list[bytes]) -> Iterator[bytes]:
        """Yield what has collected in `batch` whenever it is large enough, or old enough."""
        size, since = 0, self._clock.monotonic()
        window, in_window = since, 0
        for piece in self._body(response):
            batch.append(piece)
            size += len(piece)
            in_window += len(piece)
            now = self._clock.monotonic()
            if size >= BATCH or now - since >= BATCH_SECONDS:
                yield b"".join(batch)
                batch.clear()
                size, since = 0, now
            if now - window >= LEAST_SECONDS:
                if in_window < LEAST_BYTES:
                    raise HostError(f"host {response.url.host} sends next to nothing")
                window, in_window = now, 0

    def _body(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body as it comes. What httpx has read already, behind the headers, is all in its first piece."""
        pieces = response.iter_raw()
        stream: httpcore.NetworkStream | None = response.extensions.get("network_stream")
        left = whole(response.headers.get("content-length"))
        if stream is None or left is None or not _is_plain(response):
            yield from pieces
            return
        piece = next(pieces, b"")
        while piece:
            yield piece
            left -= len(piece)
            piece = stream.read(min(READ, left), self._timeout.read) if left else b""
        if left:
            raise httpx.RemoteProtocolError("the connection ended before the body did")


def address_of(url: str) -> httpx.URL:
    """Given an absolute http(s) address, return it parsed; else raise StrangeHostError, without showing it."""
    with suppress(httpx.InvalidURL, ValueError, TypeError):
        address = httpx.URL(url)
        if address.scheme in {"https", "http"} and address.host:  # a host in Punycode is decoded only here
            return address
    raise StrangeHostError("the download link is no address of a host")


def _is_plain(response: httpx.Response) -> bool:
    """Whether the body is nothing but its bytes, one after the other."""
    return response.http_version == "HTTP/1.1" and "transfer-encoding" not in response.headers


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    """Given the target of a redirect, return that address if it may be followed."""
    try:
        target = address_of(str(url.join(location)))
    except (httpx.InvalidURL, ValueError):
        target = None
    if target is None or not location:
        raise StrangeHostError(f"host {url.host} redirects the download to no address")
    if url.scheme == "https" and target.scheme != "https":
        raise StrangeHostError(f"host {url.host} redirects the download to {target.host} without encryption")
    return target


def _range(header: str, asked: int, host: str) -> tuple[int, int]:
    """Given a Content-Range, return where it starts and the file's size; RangeRefusedError if it is not as asked."""
    found = _CONTENT_RANGE.fullmatch(header.strip())
    first, last, total = map(int, found.groups()) if found else (-1, -1, -1)
    if not asked or first != asked or last != total - 1:
        raise RangeRefusedError(f"host {host} answers with another part of the file than was asked for")
    return first, total
