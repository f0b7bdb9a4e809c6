"""Messages in the forms that receivers understand: JSON of our own, Discord's JSON, a ping's address. All pure.

The form of our own is part of the contract: its keys change only with `schema`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from daemon.config.values import PLACEHOLDERS
from daemon.core.watch import Event
from daemon.notify.message import Message, Ping

LONGEST_PING = 10_000  # bytes that healthchecks.io and its like keep, at least
_DISCORD = re.compile(r"(?:\w+\.)?discord(?:app)?\.com")
_DISCORD_LONGEST = {"content": 2000, "description": 4096, "value": 1024, "footer": 2048}
_COLOURS = {Event.RECOVERED: 0x2E9E4F, Event.DONE: 0x2E9E4F, Event.SUSPICIOUS: 0xD9822B, Event.OVERDUE: 0xD9822B}
_RED = 0xC23030


@dataclass(frozen=True, slots=True)
class Post:
    """One request. The address is a secret, and never shown."""

    url: str = field(repr=False)
    kind: str
    body: bytes


def webhook(url: str, message: Message) -> Post:
    """The message as JSON: of our own form, or Discord's where the address is Discord's."""
    parts = urlsplit(url)
    discord = _DISCORD.fullmatch(parts.hostname or "") and "/webhooks/" in parts.path
    document = as_discord(message) if discord else as_json(message)
    return Post(url, "application/json", json.dumps(document).encode())


def as_json(message: Message) -> Mapping[str, Any]:
    """Our own form."""
    server, backup = message.server, message.backup
    return {
        "schema": 1,
        "event": message.news.event.value,
        "server": server.name,
        "panel": server.panel.name,
        "policy": server.policy.name,
        "at": _moment(message.at),
        "title": message.title,
        "text": message.text,
        "hint": message.hint,
        "after": [event.value for event in message.news.after],
        "last_good_at": _moment(message.good_at),
        "backup": {"uuid": backup.uuid, "name": backup.name, "bytes": backup.bytes} if backup else None,
    }


def as_discord(message: Message) -> Mapping[str, Any]:
    """Discord's form, within its lengths; nobody is mentioned, whatever a backup is called."""
    where = f"{message.server.panel.name}, policy {message.server.policy.name}"
    embed: dict[str, Any] = {
        "description": _cut(message.text, "description"),
        "color": _COLOURS.get(message.news.event, _RED),
        "timestamp": _moment(message.at),
        "footer": {"text": _cut(where, "footer")},
    }
    if message.hint:
        embed["fields"] = [{"name": "What to do", "value": _cut(message.hint, "value")}]
    title = _cut(f"**{message.title}**", "content")
    return {"content": title, "embeds": [embed], "allowed_mentions": {"parse": []}}


def ping(url: str, of: Ping) -> Post:
    """A ping as healthchecks.io has it: /start, nothing, or /fail behind the address; the reason is the body."""
    names = (of.server.panel.name, of.server.policy.name, of.server.name)
    for word, name in zip(PLACEHOLDERS, names, strict=True):
        url = url.replace(f"{{{word}}}", name)
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + {"start": "/start", "success": "", "fail": "/fail"}[of.step]
    query = "&".join(filter(None, (parts.query, f"rid={of.run}")))
    address = urlunsplit(SplitResult(parts.scheme, parts.netloc, path, query, ""))
    return Post(address, "text/plain; charset=utf-8", of.text.encode()[:LONGEST_PING])


def as_text(message: Message) -> str:
    """The message's body for people."""
    return f"{message.text}\n\n{message.hint}" if message.hint else message.text


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _cut(text: str, part: str) -> str:
    longest = _DISCORD_LONGEST[part]
    return text if len(text) <= longest else text[: longest - 1] + "…"
