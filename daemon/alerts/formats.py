"""Messages in the formats of receivers: our own JSON, Discord's JSON, a ping's address. All pure.

Our own format is part of the contract: its keys change only with `schema`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, takewhile
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from daemon.alerts.message import GOOD_NEWS, WARNINGS, Digest, Made, Message, Ping
from daemon.config.values import PLACEHOLDERS, ServerConfig
from daemon.core.alerting import Alert, Event
from daemon.core.units import read_rfc3339, rfc3339

LONGEST_PING = 10_000  # bytes that healthchecks.io and its like keep, at least
LONGEST_BODY = 64 * 1024  # bytes of alerts in one digest: common servers refuse a body of 100 kB, or of 1 MB
_DISCORD = re.compile(r"(?:\w+\.)?discord(?:app)?\.com")
_DISCORD_LONGEST = {"content": 2000, "description": 4096, "value": 1024, "footer": 256}  # together below 6,000
_COLOURS = dict.fromkeys(GOOD_NEWS, 0x2E9E4F) | dict.fromkeys(WARNINGS, 0xD9822B)
_RED = 0xC23030


@dataclass(frozen=True, slots=True)
class Post:
    """One request. The address is a secret, and never shown."""

    url: str = field(repr=False)
    kind: str
    body: bytes


def webhook(url: str, message: Message | Digest) -> Post:
    """Return the message as JSON: in our own format, or in Discord's for an address of Discord's."""
    document = as_discord(message) if is_discord(url) else as_json(message)
    return Post(url, "application/json", json.dumps(document).encode())


def is_discord(url: str) -> bool:
    """Return whether the address is one of Discord's webhooks."""
    parts = urlsplit(url)
    return bool(_DISCORD.fullmatch(parts.hostname or "")) and "/webhooks/" in parts.path


def fitting(messages: Sequence[Message]) -> int:
    """Return how many of the first messages one digest in our own form takes: at least one."""
    sizes = accumulate(len(json.dumps(_message_as_json(message))) for message in messages)
    return max(1, sum(1 for _ in takewhile(LONGEST_BODY.__ge__, sizes)))


def as_json(message: Message | Digest) -> Mapping[str, Any]:
    """Return the message in our own format."""
    return _digest_as_json(message) if isinstance(message, Digest) else _message_as_json(message)


def _message_as_json(message: Message) -> Mapping[str, Any]:
    backup = message.backup
    return {
        "schema": 1,
        "event": message.news.event.value,
        "server": message.server,
        "panel": message.panel,
        "policy": message.policy,
        "at": _moment(message.at),
        "title": message.title,
        "text": message.text,
        "hint": message.hint,
        "after": [event.value for event in message.news.after],
        "stores": list(message.news.stores),
        "last_good_at": _moment(message.good_at),
        "backup": {"uuid": backup.uuid, "name": backup.name, "bytes": backup.bytes} if backup else None,
    }


def _digest_as_json(digest: Digest) -> Mapping[str, Any]:
    """Return a digest with all its messages, since a program reads it."""
    return {
        "schema": 1,
        "event": "digest",
        "at": _moment(digest.at),
        "title": digest.title,
        "text": digest.text,
        "hint": digest.hint,
        "alerts": [_message_as_json(message) for message in digest.messages],
    }


def from_json(document: Mapping[str, Any]) -> Message:
    """Return a stored message, with its `done`; raises KeyError, TypeError or ValueError if it is none."""
    good_at, backup = document["last_good_at"], document["backup"]
    return Message(
        news=Alert(Event(document["event"]), tuple(map(Event, document["after"])), tuple(document.get("stores", ()))),
        server=document["server"],
        panel=document["panel"],
        policy=document["policy"],
        at=read_rfc3339(document["at"]),
        text=document["text"],
        hint=document["hint"],
        good_at=read_rfc3339(good_at) if good_at else None,
        backup=Made(backup["uuid"], backup["name"], backup["bytes"]) if backup else None,
        done=document.get("done", False),
    )


def as_discord(message: Message | Digest) -> Mapping[str, Any]:
    """Return the message in Discord's format, within its lengths; it mentions nobody, whatever a backup is called."""
    embed: dict[str, Any] = {
        "description": _cut(message.text, "description"),
        "color": _COLOURS.get(worst(message), _RED),
        "timestamp": _moment(message.at),
    }
    if isinstance(message, Message):
        where = f"{message.panel}, policy {message.policy}" if message.panel else message.about
        embed["footer"] = {"text": _cut(where, "footer")}
    if message.hint:
        embed["fields"] = [{"name": "What to do", "value": _cut(message.hint, "value")}]
    title = _cut(f"**{message.title}**", "content")
    return {"content": title, "embeds": [embed], "allowed_mentions": {"parse": []}}


def worst(message: Message | Digest) -> Event:
    """Return the event that says of what kind the message is."""
    return message.events[0] if isinstance(message, Digest) else message.news.event


def ping(url: str, of: Ping) -> Post:
    """Return a ping as healthchecks.io expects it: /start, nothing, or /fail after the address; the reason as body."""
    parts = urlsplit(address_of(url, of.server))
    path = parts.path.rstrip("/") + {"start": "/start", "success": "", "fail": "/fail"}[of.step]
    query = "&".join(filter(None, (parts.query, f"rid={of.run}")))
    address = urlunsplit(SplitResult(parts.scheme, parts.netloc, path, query, ""))
    return Post(address, "text/plain; charset=utf-8", of.text.encode()[:LONGEST_PING])


def address_of(url: str, server: ServerConfig) -> str:
    """Return the address of a server's pings."""
    for word, name in zip(PLACEHOLDERS, (server.panel.name, server.policy.name, server.name), strict=True):
        url = url.replace(f"{{{word}}}", name)
    return url


def as_text(message: Message | Digest) -> str:
    """Return the message's body for people."""
    return f"{message.text}\n\n{message.hint}" if message.hint else message.text


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None


def _cut(text: str, part: str) -> str:
    longest = _DISCORD_LONGEST[part]
    return text if len(text) <= longest else text[: longest - 1] + "…"
