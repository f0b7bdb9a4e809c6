"""The answers as they arrived: what a client could read of them, and of which list a rotation could know.

Read by the words of the panel's API alone, a second time and more simply than the daemon does.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tests.simulation.oracle import Row
from tests.simulation.recorder import Exchange, Rotation


def rows_of(exchange: Exchange) -> dict[str, Row]:
    """The rows of a list's answer as it arrived."""
    if exchange.rows is None:
        document = exchange.document
        data = document.get("data") if isinstance(document, dict) else None
        exchange.rows = tuple(map(_row, data if isinstance(data, list) else ()))
    return {row.uuid: _as_asked(row, exchange) for row in exchange.rows}


def _as_asked(row: Row, exchange: Exchange) -> Row:
    """The row with the name that was asked for, where the panel keeps another instead."""
    if row.uuid not in exchange.altered:
        return row
    asked, kept = exchange.altered[row.uuid]
    return replace(row, name=asked) if row.name == kept else row


def _row(item: Any) -> Row:
    """One row as it arrived; strange where a field is not as it should be."""
    said = item["attributes"]
    wrong = _uuid(said) is None or not isinstance(said.get("name"), str)
    wrong |= not isinstance(said.get("is_successful"), bool) or not isinstance(said.get("is_locked"), bool)
    created, completed = _moment(said.get("created_at")), _moment(said.get("completed_at"))
    wrong |= created is None or (completed is None and said.get("completed_at") is not None)
    size = said.get("bytes")
    wrong |= type(size) is not int and not (size is None and said.get("completed_at") is None)
    wrong |= type(size) is int and not 0 <= size < 2**63  # no disk is so large
    return Row(
        uuid=_uuid(said) or f"row {json.dumps(said, sort_keys=True)}",
        name=str(said.get("name", "")),
        successful=said.get("is_successful") is True,
        locked=said.get("is_locked") is not False,
        bytes=size if type(size) is int else 0,
        created=created or parsedate_to_datetime("Thu, 01 Jan 1970 00:00:00 +0000"),
        completed=completed,
        strange=bool(wrong),
    )


def _uuid(said: Mapping[str, Any]) -> str | None:
    uuid = said.get("uuid")
    return uuid if isinstance(uuid, str) and re.fullmatch(r"[0-9a-f-]{36}", uuid) else None


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def total(page: Exchange) -> Any:
    """How many backups there are, as a page of the list says."""
    return page.document["meta"]["pagination"].get("total")


def merged(pages: Sequence[Exchange]) -> dict[str, Row]:
    """The distinct rows of a pass."""
    return {uuid: row for page in pages for uuid, row in rows_of(page).items()}


def every_pass(rotation: Rotation) -> list[list[Exchange]]:
    """The passes of all listings that a rotation read, each a row of pages, the first one first."""
    return _passes([exchange for exchange in rotation.exchanges if _shows_rows(exchange)])


def last_passes(rotation: Rotation, before: Exchange | None = None) -> list[list[Exchange]]:
    """The passes of the listing that was read last, each a row of pages; before that request where one is given."""
    pages: list[Exchange] = []
    for exchange in reversed(rotation.exchanges):
        if before is not None and exchange.number >= before.number:
            continue
        if exchange.call == "list":
            if _shows_rows(exchange):
                pages.append(exchange)
        elif pages:
            break
    return _passes(pages[::-1])


def _shows_rows(exchange: Exchange) -> bool:
    """Whether it is a page of a list that arrived."""
    arrived = exchange.call == "list" and exchange.delivered
    return arrived and isinstance(exchange.document, dict) and "data" in exchange.document


def _passes(pages: Sequence[Exchange]) -> list[list[Exchange]]:
    """The same pages, each pass apart."""
    passes: list[list[Exchange]] = []
    for page in pages:
        if page.page == 1:
            passes.append([])
        if passes:
            passes[-1].append(page)
    return passes


def last_read(exchange: Exchange) -> Exchange | None:
    """The last answer that showed a backup to the rotation before it asked for its deletion."""
    if exchange.rotation is None:
        return None
    for earlier in reversed(exchange.rotation.exchanges):
        if earlier.number >= exchange.number or not earlier.delivered:
            continue
        if earlier.call == "view" and earlier.backup == exchange.backup:
            return earlier
        if earlier.call == "list" and exchange.backup in rows_of(earlier):
            return earlier
    return None
