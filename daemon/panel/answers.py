"""One call and its answer, as plain values: what the rest of the client sees instead of httpx's objects.

Nothing here raises for what a panel sends: a header or a body that cannot be read is None, and the caller decides.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from daemon.clock import YEARS

READ_SECONDS = 30.0
WRITE_SECONDS = 60.0  # the panel itself waits up to 15 s for the node before it answers
LONGEST_WAIT = 3600.0  # that an answer may ask for; anything beyond is nonsense
LONGEST_WORDS = 300
LONGEST_INTEGER = 19  # digits; enough for 2^63

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_QUERY = re.compile(r"(https?://[^\s?#\"']*)[?#][^\s\"']*")
_TITLE = re.compile(rb"<title[^>]*>(.{1,200}?)</title", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request to be made. `action` says in words what for; it begins every error's text.

    An `urgent` call goes before those that wait for the API limit. One that could not leave before `not_after` (of the
    monotonic clock) is not sent: the decision behind it is too old by then. `on_send` is awaited right before each time
    it is sent, after all waiting for its turn. `still` is called before a write leaves, once more when its connection
    stands, and raises whatever forbids it by then. `patience` is how many seconds the panel may be silent; None: as
    usual. One with `own_limit` may be under a limit of its own, of which its answers tell instead of the API limit.
    """

    method: str
    path: str
    action: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    urgent: bool = False
    not_after: float = float("inf")
    on_send: Callable[[], Awaitable[None]] | None = None
    still: Callable[[], None] = lambda: None
    patience: float | None = None
    own_limit: bool = False

    @property
    def reads(self) -> bool:
        """Whether it changes nothing on the panel, so that it may be repeated."""
        return self.method == "GET"

    @property
    def creates(self) -> bool:
        """Whether it makes a backup, and so takes nothing away."""
        return self.method == "POST" and self.path.endswith("/backups")

    @property
    def asks_the_node(self) -> bool:
        """Whether the panel asks the server's node before it answers: for a create, a restore, a deletion, files."""
        if self.reads:
            return self.path.endswith(("/files/list", "/resources"))
        return not self.path.endswith("/lock")

    @property
    def seconds(self) -> float:
        """How long the panel may be silent."""
        return self.patience or (READ_SECONDS if self.reads else WRITE_SECONDS)


@dataclass(frozen=True, slots=True)
class Words:
    """What the panel's own error says: the class name, its text, and the field that it is about."""

    code: str
    detail: str
    field: str | None = None


@dataclass(frozen=True)
class Answer:
    """One answer, read whole. Header names are in lower case; `sent_at` (monotonic) is when its request left."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: float = float("-inf")

    @cached_property
    def document(self) -> Any:  # noqa: ANN401 — anything that JSON can hold; daemon/panel/wire.py looks at it
        """The body read as JSON; None if it is not JSON (JSON's own `null` is of no use to anyone either)."""
        try:
            return json.loads(self.body, parse_int=_integer)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def words(self) -> Words | None:
        """The first of the panel's `errors`; None if the body is no such document."""
        errors = self.document.get("errors") if isinstance(self.document, dict) else None
        first = errors[0] if isinstance(errors, list) and errors else None
        if not isinstance(first, dict):
            return None
        meta = first.get("meta")
        source = meta.get("source_field") if isinstance(meta, dict) else None
        return Words(
            code=clean(first.get("code")), detail=clean(first.get("detail")), field=clean(source) if source else None
        )

    @property
    def title(self) -> str | None:
        """An HTML page's title, since that is often all that it says."""
        found = _TITLE.search(self.body)
        return clean(found[1].decode("utf-8", "replace")) if found else None

    @property
    def is_html(self) -> bool:
        """Whether an HTML page came instead of JSON."""
        return "html" in self.headers.get("content-type", "").lower() or self.body.lstrip()[:1] == b"<"

    @cached_property
    def date(self) -> datetime | None:
        """The panel's clock when it answered, in UTC."""
        return http_date(self.headers.get("date"))

    @property
    def retry_after(self) -> float | None:
        """Seconds that the panel asks to wait, an hour at most: a number, a date, or the API limit's own reset."""
        if (seconds := whole(self.headers.get("retry-after"))) is not None:
            return min(float(seconds), LONGEST_WAIT)
        until = http_date(self.headers.get("retry-after")) or _instant(whole(self.headers.get("x-ratelimit-reset")))
        if until is None or self.date is None:
            return None
        return min(max(0.0, (until - self.date).total_seconds()), LONGEST_WAIT)


def _integer(digits: str) -> int | float:
    """Given an integer's digits, return it; one too long for any column becomes a float, which no field accepts."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else float("inf")


def whole(text: str | None) -> int | None:
    """Given a header, return the whole number that it is, else None."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_INTEGER else None


def _instant(seconds: int | None) -> datetime | None:
    """Given seconds since 1970, return that moment, else None."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def http_date(text: str | None) -> datetime | None:
    """Given a header such as `Mon, 23 Nov 2026 06:55:14 GMT`, return it in UTC, else None."""
    try:
        moment = parsedate_to_datetime(text or "")
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.year in YEARS else None


def clean(value: object) -> str:
    """Given any text from the panel, return one short printable line without the query of any URL in it."""
    text = _CONTROL.sub(" ", unpaired(value)) if isinstance(value, str) else ""
    text = _QUERY.sub(r"\1?…", " ".join(text.split()))
    return text if len(text) <= LONGEST_WORDS else text[: LONGEST_WORDS - 1] + "…"


def unpaired(text: str) -> str:
    """Given text, return it with lone surrogates replaced: JSON can hold them, no terminal or file can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
