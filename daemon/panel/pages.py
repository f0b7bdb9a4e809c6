"""Fetching the pages of a list one by one, each by a request of its own, bounded in size all together.

`per_page` is sent with every page, since the panel's `links.next` forgets it. How pages become a list is for
daemon/panel/listing.py to say.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from daemon.core.model import Backup, Server
from daemon.panel.answers import Answer, ApiCall
from daemon.panel.decode import understood
from daemon.panel.errors import StrangeAnswerError
from daemon.panel.listing import BACKUPS_PER_PAGE, SERVERS_PER_PAGE, Fetch, Page, backup_page, server_page

LARGEST_LIST = 64 * 2**20  # bytes; 10,000 servers are about 16 MiB, 10,000 backups 3

Row = TypeVar("Row")
Send = Callable[[ApiCall], Awaitable[Answer]]
Now = Callable[[], datetime]


def server_pages(call: ApiCall, send: Send, now: Now) -> Fetch[Server]:
    """Return a function that fetches page n of the server list; `now` dates an answer that has no date of its own."""
    return _pages(call, SERVERS_PER_PAGE, server_page, send, now)


def backup_pages(call: ApiCall, send: Send, now: Now) -> Fetch[Backup]:
    """Return a function that fetches page n of a server's backups; `now` is as for `server_pages`."""
    return _pages(call, BACKUPS_PER_PAGE, backup_page, send, now)


def _pages(
    call: ApiCall, per_page: int, read: Callable[[object, datetime], Page[Row]], send: Send, now: Now
) -> Fetch[Row]:
    """Return a function that fetches page n; it raises StrangeAnswerError once all since page 1 are too large."""
    size = 0

    async def fetch(number: int) -> Page[Row]:
        nonlocal size
        this = replace(call, query={**call.query, "per_page": str(per_page), "page": str(number)})
        answer = await send(this)
        size = len(answer.body) + (size if number > 1 else 0)
        if size > LARGEST_LIST:
            raise StrangeAnswerError(f"{call.action}: the list is larger than {LARGEST_LIST >> 20} MiB")
        taken_at = answer.date or now()
        page = understood(this, answer, lambda document: read(document, taken_at))
        return replace(page, sent_at=answer.sent_at)

    return fetch
