"""Google's requests, as obstore sends them, answered by a real service: SeaweedFS, which speaks Amazon's dialect.

Google's XML API and Amazon's differ in the names of a few headers and in how one says "only if nothing is there". So a
gateway between the two translates these, and nothing else: names, parts, pages, ranges and answers are the service's.
No emulator of Google's that was tried knows these requests.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit

from obstore.store import GCSStore

NOTHING_THERE = "x-goog-if-generation-match"
PASSED_ON = {"content-type", "content-length", "range", "if-match"}
PASSED_BACK = {"content-type", "content-range", "etag", "last-modified"}

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by their lower-case names, and body."""


def opened(base_url: str, bucket: str, prefix: str) -> GCSStore:
    """What obstore opens, with a key that names the gateway in the place of Google."""
    key = {"type": "service_account", "gcs_base_url": base_url, "disable_oauth": True, "client_email": "x"}
    return GCSStore(
        bucket,
        prefix=prefix,
        config={"service_account_key": json.dumps({**key, "private_key": "", "private_key_id": ""})},
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


class Gateway(ThreadingHTTPServer):
    """Stands before a service."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.netloc = urlsplit(endpoint).netloc
        self.copying = Lock()

    @property
    def base_url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """What the service answers; 502 where it has gone."""
        connection = http.client.HTTPConnection(self.netloc, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException):
            return 502, {}, b""
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def do_PUT(self) -> None:
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            self._pass_on({"if-none-match": "*"} if self._only_new() else {})
            return
        with self.server.copying:  # the service has no condition for a copy
            if self._only_new() and self.server.asked("HEAD", self.path, {}, b"")[0] == HTTPStatus.OK:
                self._answer(HTTPStatus.PRECONDITION_FAILED, {}, b"")
            else:
                self._pass_on({"x-amz-copy-source": source})

    def do_GET(self) -> None:
        self._pass_on({})

    do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815 — as the standard library calls them

    def _only_new(self) -> bool:
        return self.headers.get(NOTHING_THERE) == "0"

    def _pass_on(self, more: dict[str, str]) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON}
        self._answer(*self.server.asked(self.command, self.path, headers | more, body))

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_response(status)
        for name in headers.keys() & PASSED_BACK:
            self.send_header(name, headers[name])
        self.send_header("content-length", length)
        self.end_headers()
        with suppress(ConnectionError):  # who asked may have ended
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def gateway(endpoint: str) -> Iterator[str]:
    """Run it before a service; its base URL."""
    with Gateway(endpoint) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.base_url
        finally:
            server.shutdown()
            thread.join()
