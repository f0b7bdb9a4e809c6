"""A store's own page: what it holds of each server, how that grew, what waits for it, and what failed last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from daemon.core.copies_queue import Waiting
from daemon.core.units import format_size
from daemon.state import CopyEvent, CopyRecord, Holding
from daemon.status.copies import IDENTIFIER, StoreStatus, store_trend
from daemon.web.html import Html, Part, tag
from daemon.web.parts import page, trend
from daemon.web.words import local, span, time

UTC = ZoneInfo("UTC")
MOST_SERVERS = 1000
MOST_ERRORS = 10


@dataclass(frozen=True, slots=True)
class StoreView:
    """What the page shows. `names` are the servers' names by panel and the beginning of their uuid.

    `records` are the last of the journal, newest first; None where it cannot be read.
    """

    status: StoreStatus
    names: Mapping[tuple[str, str], str]
    waiting: Sequence[Waiting]
    records: Sequence[CopyRecord] | None
    now: datetime


def store_page(view: StoreView, *, refresh: bool = False) -> str:
    """Return the page of one store."""
    status = view.status
    header = tag(
        "header",
        tag("p", tag("a", "ptero-backupd", href="/"), class_="brand"),
        tag("h1", status.name, " ", _chip(status)),
        _trouble(view),
        _facts(view),
    )
    body = tag("main", _waiting(view), _errors(view), _servers(view))
    tone = "bad" if status.trouble else "ok"
    return page(f"{status.name} · ptero-backupd", header, body, tone=tone, refresh=refresh)


def _chip(status: StoreStatus) -> Html:
    if status.trouble is not None:
        return tag("span", "in trouble", class_="chip bad")
    return tag("span", "waiting", class_="chip run") if status.waiting else tag("span", "in order", class_="chip ok")


def _trouble(view: StoreView) -> Html | None:
    trouble = view.status.trouble
    if trouble is None:
        return None
    since, again = time(trouble.since, span(view.now - trouble.since), UTC), local(trouble.next_at, UTC)
    return tag("div", tag("p", "For ", since, f": {trouble.text}. It is tried again at {again} UTC."), class_="trouble")


def _facts(view: StoreView) -> Html:
    status = view.status
    samples = store_trend(status.bytes, view.records or (), view.now)
    seen = min((one.seen_at for one in status.holdings), default=None)
    facts: list[tuple[str, Part]] = [
        ("where", tag("code", str(status.config.settings.location))),
        ("size", (format_size(status.bytes), trend(samples))),
        ("copies", (status.copies, tag("small", f"of {status.servers} servers"))),
        ("newest copy", _age(status.newest, view.now)),
        ("keeps", tag("code", str(status.config.rules.keep))),
        ("seen", _age(seen, view.now)),
    ]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="known")


def _age(moment: datetime | None, now: datetime) -> Part:
    return "never" if moment is None else time(moment, f"{span(max(now - moment, now - now))} ago", UTC)


def _waiting(view: StoreView) -> Html:
    heading = tag("h2", "What waits")
    if not view.waiting:
        return tag("section", heading, tag("p", "Nothing.", class_="soft"))
    oldest_first = sorted(view.waiting, key=lambda one: (one.since, one.server))
    rows = [
        (
            _link(one.server),
            _age(one.since, view.now),
            str(one.tries),
            local(one.next_at, UTC) if one.next_at else "next",
            one.text,
        )
        for one in oldest_first[:MOST_SERVERS]
    ]
    return tag("section", heading, _table(("server", "since", "failed tries", "next try (UTC)", "last error"), rows))


def _errors(view: StoreView) -> Html:
    heading = tag("h2", "What failed or was held last")
    if view.records is None:
        return tag("section", heading, tag("p", "The journal cannot be read; the log says why.", class_="soft"))
    failed = [one for one in view.records if one.event in {CopyEvent.FAILED, CopyEvent.REFUSED}][:MOST_ERRORS]
    if not failed:
        return tag("section", heading, tag("p", "Nothing that the journal knows of.", class_="soft"))
    rows = [(_age(one.at, view.now), one.server, one.backup, one.text) for one in failed]
    return tag("section", heading, _table(("when", "server", "backup", "why"), rows))


def _servers(view: StoreView) -> Html:
    heading = tag("h2", "What it holds")
    largest_first = sorted(view.status.holdings, key=lambda one: (-one.bytes, one.server_uuid))
    rows = [
        (_named(one, view.names), format_size(one.bytes), str(one.copies), _age(one.newest, view.now))
        for one in largest_first[:MOST_SERVERS]
    ]
    more = len(largest_first) - MOST_SERVERS
    rest = tag("p", f"And {more} smaller ones.", class_="soft") if more > 0 else None
    return tag("section", heading, _table(("server", "size", "copies", "newest"), rows), rest)


def _named(holding: Holding, names: Mapping[tuple[str, str], str]) -> Part:
    name = names.get((holding.panel, holding.server_uuid[:IDENTIFIER]))
    return _link(name) if name else (holding.server_uuid, tag("small", f"{holding.panel}, not configured any more"))


def _link(server: str) -> Html:
    return tag("a", server, href=f"/servers/{server}")


def _table(columns: Iterable[str], rows: Iterable[Sequence[Part]]) -> Html:
    head = tag("thead", tag("tr", [tag("th", word, scope="col") for word in columns]))
    body = [tag("tr", tag("th", row[0], scope="row"), [tag("td", value) for value in row[1:]]) for row in rows]
    return tag("table", head, tag("tbody", body), class_="held")
