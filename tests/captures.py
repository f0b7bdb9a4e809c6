"""Reads the captured exchanges of `tests/captures/` — what a real Pterodactyl answered, byte for byte — and those of a
real Pelican in `tests/captures/pelican/`.

A capture is a request (status line, headers, body), a line `--- response`, and the answer. One capture has only a
comment where the request was; its request is made from that comment.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("captures")


@dataclass(frozen=True)
class Capture:
    """One exchange. Header names are in lower case; a body is as it was, with its last line feed cut."""

    name: str
    method: str
    target: str
    request_headers: dict[str, str]
    request_body: str
    status: int
    headers: dict[str, str]
    body: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The answer's body, read as JSON."""
        return json.loads(self.body)

    def __str__(self) -> str:
        return self.name


def _message(text: str) -> tuple[str, dict[str, str], str]:
    """Given one HTTP message as text, return its first line, its headers and its body."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    pairs = (line.partition(":") for line in lines if line)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}, body.removesuffix("\n")


def _request(text: str) -> tuple[str, str, dict[str, str], str]:
    """Given the request's part of a capture, return method, target, headers and body."""
    if comment := re.match(r"#.*?: (POST) (\{.*\})", text):
        return comment[1], "/api/client/servers/95bfba30/backups", {}, comment[2]
    first, headers, body = _message(text)
    method, target, _ = first.split(" ")
    return method, target, headers, body.strip("\n")


@cache
def load(name: str) -> Capture:
    """Return the capture whose file is called so, or begins with that number ("068", "pelican/080")."""
    within, _, called = name.rpartition("/")
    (path,) = [path for path in (FOLDER / within).glob("*.txt") if called in (path.stem, path.stem[:3])]
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if text.startswith("#"):
        request, _, answer = text.partition("\n")
    else:
        request, _, answer = text.partition("--- response")
        answer = answer.partition("\n")[2]
    method, target, request_headers, request_body = _request(request)
    first, headers, body = _message(answer)
    status = int(first.split(" ")[1])
    return Capture(name if within else path.stem, method, target, request_headers, request_body, status, headers, body)


@cache
def every(within: str = "") -> tuple[Capture, ...]:
    """All captures of that folder, in the order in which they were made."""
    prefix = f"{within}/" if within else ""
    return tuple(load(prefix + path.stem) for path in sorted((FOLDER / within).glob("*.txt")))
