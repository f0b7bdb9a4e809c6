"""A service that speaks as much of Azure's protocol as the engine for clouds asks for, and refuses some of it.

No emulator has keys with fewer rights than all. What it says where it refuses is what Microsoft documents:
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from pydantic import SecretStr

from daemon.stores.values import BucketLocation, Credentials, StoreSettings

NO_RIGHT = "AuthorizationPermissionMismatch"
WRONG_KEY = "AuthenticationFailed"
NONE: Mapping[str, str] = MappingProxyType({})
_DATE = "Wed, 01 Apr 2026 04:00:00 GMT"


@contextmanager
def refusing(what: set[str], code: str = NO_RIGHT) -> Iterator[StoreSettings]:
    """Serve a container on 127.0.0.1, and refuse these: "PUT", "GET", "HEAD", "DELETE" or "LIST"."""

    class Handler(_Handler):
        refused, error, blobs = what, code, {}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    keys = Credentials(account_name=SecretStr("account"), account_key=SecretStr(base64.b64encode(b"key").decode()))
    endpoint = f"http://127.0.0.1:{server.server_port}/account"
    try:
        yield StoreSettings("vault", BucketLocation("az", "box", "games"), endpoint=endpoint, credentials=keys)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refused: set[str]
    error: str
    blobs: dict[str, bytes]

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        listed, name = "comp=list" in url.query, unquote(url.path).removeprefix("/account/box/")
        if ("LIST" if listed else self.command) in self.refused:
            self._say(403, _refusal(self.error), {"x-ms-error-code": self.error})
        elif listed:
            self._say(200, _listing(self.blobs))
        elif self.command == "POST":
            self._delete_all(sent.decode())
        elif self.command == "PUT":
            self.blobs[name] = sent
            self._say(201)
        elif name not in self.blobs:
            self._say(404, b"", {"x-ms-error-code": "BlobNotFound"})
        else:
            self._say_blob(self.blobs[name])

    do_PUT = do_GET = do_HEAD = do_POST = _answer  # noqa: N815 — as http.server asks for them

    def _delete_all(self, batch: str) -> None:
        """Answer a request that holds many, with an answer to each."""
        parts = []
        for number, path in re.findall(r"Content-ID: (\d+).*?DELETE (\S+) ", batch, re.DOTALL):
            if "DELETE" in self.refused:
                status = f"403 Forbidden\r\nx-ms-error-code: {self.error}"
            else:
                self.blobs.pop(unquote(urlsplit(path).path).removeprefix("/account/box/"), None)
                status = "202 Accepted"
            parts.append(
                f"--batch\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\nHTTP/1.1 {status}\r\n\r\n"
            )
        body = "".join(parts) + "--batch--\r\n"
        self._say(202, body.encode(), {"content-type": "multipart/mixed; boundary=batch"})

    def _say_blob(self, blob: bytes) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range") or self.headers.get("x-ms-range") or "")
        if span is None:
            self._say(200, blob)
            return
        start, last = int(span[1]), min(int(span[2]), len(blob) - 1)
        self._say(206, blob[start : last + 1], {"content-range": f"bytes {start}-{last}/{len(blob)}"})

    def _say(self, status: int, body: bytes = b"", headers: Mapping[str, str] = NONE) -> None:
        self.send_response(status)
        known = {"content-length": str(len(body)), "last-modified": _DATE, "etag": '"1"'}
        for name, value in {**known, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def _refusal(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>Not so.\nRequestId:1</Message></Error>'.encode()


def _listing(blobs: dict[str, bytes]) -> bytes:
    rows = "".join(
        f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{_DATE}</Creation-Time>"
        f"<Last-Modified>{_DATE}</Last-Modified><Etag>1</Etag><Content-Length>{len(blob)}</Content-Length>"
        "<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for name, blob in blobs.items()
    )
    return f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker/></EnumerationResults>".encode()
