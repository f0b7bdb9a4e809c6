"""What a run would work out again and again though it always comes to the same: kept, so that seeds pass faster.

None of it is a decision of the daemon's: what a URL is made of, an empty journal in memory, cookies of an answer that
sets none.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from unittest import mock

import httpx
from httpx import _urlparse, _urls

import daemon.state.local.store
from daemon.state.local import file

IN_MEMORY = file.in_memory
TAKE_COOKIES = httpx.Cookies.extract_cookies


@contextmanager
def shortened() -> Iterator[None]:
    """Take the shortcuts."""
    with ExitStack() as taken:
        taken.enter_context(mock.patch.object(_urls, "urlparse", _PARSED))
        taken.enter_context(mock.patch.object(httpx.Cookies, "extract_cookies", _take_cookies))
        taken.enter_context(mock.patch.object(daemon.state.local.store, "in_memory", _in_memory))
        yield


_PARSED = lru_cache(maxsize=4096)(_urlparse.urlparse)


def _take_cookies(cookies: httpx.Cookies, response: httpx.Response) -> None:
    if "set-cookie" in response.headers:
        TAKE_COOKIES(cookies, response)


@contextmanager
def _in_memory() -> Iterator[sqlite3.Connection]:
    """An empty journal as `file.in_memory` makes it, without creating every table anew."""
    with file.connected(None) as connection:
        connection.deserialize(_empty())
        yield connection


@cache
def _empty() -> bytes:
    with IN_MEMORY() as connection:
        return connection.serialize()
