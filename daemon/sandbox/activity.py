"""A server's activity log, as the panel shows it: the ledger's lines on its backups in the panel's words.

`server.backup.restore-failed` has a dot where all others have a colon: that is the panel's own spelling.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daemon.sandbox.answers import PanelRefusal
from daemon.sandbox.records import Change, Entry, Server
from daemon.sandbox.settings import Kind, Settings
from daemon.sandbox.shapes import cut_page, page_link, time_text, whole_number

PER_PAGE = 25
MOST_PER_PAGE = 100

EVENTS = {
    Change.CREATED: "server:backup.start",
    Change.COMPLETED: "server:backup.complete",
    Change.FAILED: "server:backup.fail",
    Change.LOCKED: "server:backup.lock",
    Change.UNLOCKED: "server:backup.unlock",
    Change.RENAMED: "server:backup.rename",
    Change.DELETED: "server:backup.delete",
    Change.RESTORING: "server:backup.restore",
    Change.RESTORED: "server:backup.restore-complete",
    Change.RESTORE_FAILED: "server.backup.restore-failed",
}
"""The panel notes nothing of a file that the node lost."""

BY_ITSELF = frozenset({"node", "panel"})


def of_server(ledger: Iterable[Entry], server: Server) -> list[Entry]:
    """Return what the log tells of that server, oldest first."""
    return [entry for entry in ledger if entry.server == server.uuid and entry.change in EVENTS]


def page(entries: Sequence[Entry], settings: Settings, query: Mapping[str, str], url: str) -> dict[str, Any]:
    """Return one page of the log; raises 400 for a filter that the panel does not know."""
    wanted = _filter(query)
    shown = [(number, entry) for number, entry in enumerate(entries) if wanted in EVENTS[entry.change]]
    if query.get("sort") == "-timestamp":
        shown.sort(key=lambda one: (one[1].at.replace(microsecond=0), one[0]), reverse=True)
    per_page = min(whole_number(query.get("per_page")) or PER_PAGE, MOST_PER_PAGE)
    document = cut_page(shown, per_page, query, lambda number: page_link(url, query, number))
    document["data"] = [_shape(number, entry, settings) for number, entry in document["data"]]
    return document


def _filter(query: Mapping[str, str]) -> str:
    unknown = [name[7:-1] for name in query if name.startswith("filter[") and name != "filter[event]"]
    if unknown:
        detail = f"Requested filter(s) `{', '.join(unknown)}` are not allowed. Allowed filter(s) are `event`."
        raise PanelRefusal(400, "InvalidFilterQuery", detail)
    return query.get("filter[event]", "")


def _shape(number: int, entry: Entry, settings: Settings) -> dict[str, Any]:
    by_user = entry.by not in BY_ITSELF
    pelican = settings.kind is Kind.PELICAN
    properties: dict[str, Any] = {"name": entry.name}
    if entry.truncate is not None:
        properties["truncate"] = entry.truncate or "" if pelican else entry.truncate
    return {
        "object": "activity_log",
        "attributes": {
            "id": hashlib.sha1(f"{entry.server} {number}".encode(), usedforsecurity=False).hexdigest(),
            **({} if pelican else {"batch": None}),
            "event": EVENTS[entry.change],
            "is_api": by_user,
            "ip": "127.0.0.1" if by_user else None,
            "description": None,
            "properties": properties,
            "has_additional_metadata": False,
            "timestamp": time_text(entry.at, settings),
        },
    }
