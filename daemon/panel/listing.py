"""Whole lists out of pages that may shift while they are read.

The panel's rows come in no promised order, a page shifts when another client creates or deletes, and `total` can be
wrong. So pages are counted here, rows are told apart by their id, and a list is believed only if one pass finds as many
distinct rows as `total` says (invariant 5). httpx is not known here.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from daemon.core.model import Backup, Completeness, Listing, Server
from daemon.panel.wire import MOST_ROWS, read_backup, read_rows, read_server_if_possible

BACKUPS_PER_PAGE = 50  # what the panel silently caps at
SERVERS_PER_PAGE = 100
MOST_PAGES = 200
MOST_PASSES = 3

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page: its rows by id, the panel's total, the panel's clock, and ours when the request left."""

    rows: dict[str, Row]
    total: int | None
    taken_at: datetime
    sent_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Pass(Generic[Row]):
    """One reading of all pages. `total` is the last page's; `steady` says that every page gave the same one.

    `taken_at` and `sent_at` are the first page's: no row is older.
    """

    rows: dict[str, Row]
    total: int | None
    taken_at: datetime
    sent_at: float
    pages: int
    steady: bool
    ended: bool

    @property
    def whole(self) -> bool:
        """Whether there are as many distinct rows as the panel says."""
        return self.ended and self.steady and len(self.rows) == self.total


Fetch = Callable[[int], Awaitable[Page[Row]]]


async def read_pass(fetch: Fetch[Row]) -> Pass[Row]:
    """Read page after page until the rows are as many as `total`, or a page brings nothing new."""
    first = page = await fetch(1)
    rows, totals, number, fresh = dict(page.rows), {page.total}, 1, bool(page.rows)
    while fresh and len(rows) != page.total and number < MOST_PAGES and len(rows) < MOST_ROWS:
        number += 1
        page = await fetch(number)
        totals.add(page.total)
        fresh = not page.rows.keys() <= rows.keys()
        rows |= page.rows
    ended = not fresh or len(rows) == page.total
    steady = len(totals) == 1
    return Pass(rows, page.total, first.taken_at, first.sent_at, number, steady=steady, ended=ended)


async def read_passes(fetch: Fetch[Row], most: int = MOST_PASSES) -> tuple[Pass[Row], Completeness]:
    """Read up to `most` passes, until one is whole; return the last, and how far it can be trusted.

    If the last two give the same rows, the list is not changing, so `total` is what is wrong.
    """
    before: Pass[Row] | None = None
    latest = await read_pass(fetch)
    for _ in range(most - 1):
        if latest.whole:
            break
        before, latest = latest, await read_pass(fetch)
    if latest.whole:
        return latest, Completeness.COMPLETE
    steady = before is not None and before.ended and latest.ended and before.rows.keys() == latest.rows.keys()
    return latest, Completeness.STEADY if steady else Completeness.PARTIAL


async def read_listing(fetch: Fetch[Backup], passes: int = MOST_PASSES) -> tuple[Listing, float]:
    """Read every backup of one server; also return a monotonic moment that nothing in the listing is older than."""
    latest, completeness = await read_passes(fetch, passes)
    listing = Listing(
        backups=tuple(latest.rows.values()),
        total=len(latest.rows) if latest.total is None else latest.total,
        taken_at=latest.taken_at,
        completeness=completeness,
        pages=latest.pages,
    )
    return listing, latest.sent_at


def backup_page(document: object, taken_at: datetime) -> Page[Backup]:
    """Given one answer of the backup list, return its page; raises UnreadableError if it is none."""
    rows, total = read_rows(document)
    return Page({backup.uuid: backup for backup in map(read_backup, rows)}, total, taken_at)


def server_page(document: object, taken_at: datetime) -> Page[Server]:
    """Given one answer of the server list, return its page without the rows that are no server."""
    rows, total = read_rows(document)
    servers = [server for row in rows if (server := read_server_if_possible(row))]
    return Page({server.uuid: server for server in servers}, total, taken_at)


def listing_from_documents(documents: Iterable[Any], *, taken_at: datetime) -> Listing:
    """Given saved list answers of one server, return the listing; raises UnreadableError (a ValueError) if one is no
    list.

    Their order does not matter, and pages may repeat. If there are not as many distinct rows as every page's total
    says, a page is missing or the list has shifted: PARTIAL.
    """
    pages: Sequence[Page[Backup]] = [backup_page(document, taken_at) for document in documents]
    rows = {uuid: backup for page in pages for uuid, backup in page.rows.items()}
    totals = {page.total for page in pages}
    complete = totals == {len(rows)}
    return Listing(
        backups=tuple(rows.values()),
        total=max((total for total in totals if total is not None), default=len(rows)),
        taken_at=taken_at,
        completeness=Completeness.COMPLETE if complete else Completeness.PARTIAL,
        pages=len(pages),
    )
