"""A stand-in for the panel, below httpx: it answers from a script and keeps what it was asked."""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

import httpx
from pydantic import SecretStr

from daemon.panel.client import PanelClient
from daemon.panel.hindrance import Hindrance, unhindered
from tests.captures import load
from tests.fakes import FakeClock

KEY = "ptlc_EXAMPLEsecretsecretsecret"
SERVER = "95bfba30"
UUID = "9f2f9b87-86fa-4ba7-9810-0062696ca805"

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def captured(name: str) -> httpx.Response:
    """The answer of that capture."""
    capture = load(name)
    headers = {key: value for key, value in capture.headers.items() if key != "transfer-encoding"}
    return httpx.Response(capture.status, headers=headers, content=capture.body.encode("utf-8", "surrogateescape"))


def refusing(status: int, code: str, detail: str = "Words.", **headers: str) -> httpx.Response:
    """An error as the panel words it."""
    errors = [{"code": code, "status": str(status), "detail": detail}]
    return httpx.Response(status, json={"errors": errors}, headers={k.replace("_", "-"): v for k, v in headers.items()})


def html(status: int) -> httpx.Response:
    """A proxy's page."""
    return httpx.Response(status, html=f"<html><head><title>{status} Bad Gateway</title></head></html>")


def row(uuid: object = UUID, **changed: object) -> dict[str, Any]:
    """A good backup, but for what is changed."""
    attributes = {
        "uuid": uuid,
        "is_successful": True,
        "is_locked": False,
        "name": "daily",
        "ignored_files": [],
        "checksum": "sha1:" + "a" * 40,
        "bytes": 1000,
        "created_at": "2026-03-31T04:00:00+00:00",
        "completed_at": "2026-03-31T04:05:00+00:00",
    }
    return {"object": "backup", "attributes": attributes | changed}


def backup(uuid: str = UUID, **changed: object) -> httpx.Response:
    """A single backup."""
    return httpx.Response(200, json=row(uuid, **changed))


def listing(rows: Iterable[dict[str, Any]], total: int | None, **headers: str) -> httpx.Response:
    """One page of a list that claims that total."""
    pagination = {} if total is None else {"pagination": {"total": total}}
    return httpx.Response(200, json={"object": "list", "data": list(rows), "meta": pagination}, headers=headers)


class Script:
    """Replies in order, the last one for ever; `asked` holds what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        answer = reply if isinstance(reply, httpx.Response) else reply(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def lines(self) -> list[str]:
        """What was asked, as method and path below the server."""
        return [f"{r.method} {r.url.path.partition('/servers/')[2]}" for r in self.asked]

    def sent(self, number: int = -1) -> dict[str, object]:
        """The body of a request, read as JSON."""
        return cast("dict[str, object]", json.loads(self.asked[number].content))


def client(
    *replies: Reply,
    clock: FakeClock | None = None,
    url: str = "https://panel.example.com",
    key: str = KEY,
    tell: Callable[[str], None] = lambda _: None,
    hindrance: Hindrance = unhindered,
) -> PanelClient:
    """A client of a panel that answers so."""
    script = replies[0] if len(replies) == 1 and isinstance(replies[0], Script) else Script(*replies)
    transport = httpx.MockTransport(script)
    return PanelClient(
        "main",
        url,
        SecretStr(key),
        clock=clock or FakeClock(),
        transport=transport,
        tell=tell,
        hindrance=hindrance,
    )
