"""A thousand servers: the work is the same for each of them, and no answer holds up the others.

Work is counted in calls of functions, which are as many on every machine; `benchmarks/pages.py` measures the seconds.
"""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from daemon.documents.status import status
from daemon.status.metrics import Metrics
from daemon.web.fleet_page import FleetPage
from tests.web.gallery import NOW, Gallery, configured, empty, nightly, seen

pytestmark = pytest.mark.anyio

SERVERS = 1000
CALLS = 600
"""At most so many for each server, and each takes some 0.2 µs: a thousand servers in about a tenth of a second."""


def of_size(folder: Path, servers: int) -> Gallery:
    """So many servers with a year of backups each."""
    made = empty(configured(folder, [f"server-{number}" for number in range(servers)]))
    one = made.config.servers["server-0"]
    history = seen(one, nightly(one), NOW)
    assert history.snapshot
    for name in made.config.servers:
        made.tracker.histories[name] = replace(history, snapshot=replace(history.snapshot, uuid=name))
    return made


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """A thousand servers."""
    return of_size(tmp_path_factory.mktemp("large"), SERVERS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """A quarter of them."""
    return of_size(tmp_path_factory.mktemp("small"), SERVERS // 4)


async def calls(ask: Callable[[], Awaitable[object]]) -> Counter[str]:
    """How often which function is called while it answers."""
    counted: Counter[str] = Counter()

    def count(frame: FrameType, event: str, called: object) -> None:
        if event == "call":
            counted[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            counted[getattr(called, "__qualname__", "")] += 1

    sys.setprofile(count)
    try:
        await ask()
    finally:
        sys.setprofile(None)
    return counted


async def assert_fair(few: Callable[[], Awaitable[object]], many: Callable[[], Awaitable[object]]) -> None:
    """A thousand servers take no more for each than a quarter of them, once the first answer was given."""
    await few()
    less, more = await calls(few), await calls(many)
    assert more.total() < 4.5 * less.total()
    assert more.total() < CALLS * SERVERS
    assert not more["Starts.after"]  # a schedule is worked out for the first answer, and remembered


async def test_the_page_takes_the_same_work_for_each_server(small: Gallery, large: Gallery) -> None:
    """And holds them all."""
    few, many = FleetPage(small.fleet_status), FleetPage(large.fleet_status)
    assert (await many.render()).count('href="/servers/server-') == SERVERS
    await assert_fair(few.render, many.render)


async def test_a_scrape_takes_the_same_work_for_each_server(small: Gallery, large: Gallery) -> None:
    """And holds them all."""
    few, many = Metrics(small.fleet_status), Metrics(large.fleet_status)
    assert (await many.exposition()).count(b"ptero_backupd_backup_limit{") == SERVERS
    await assert_fair(few.exposition, many.exposition)


async def test_the_status_takes_the_same_work_for_each_server(small: Gallery, large: Gallery) -> None:
    """And holds them all."""

    async def document(of: Gallery) -> dict[str, Any]:
        return status(of.fleet_status, await of.fleet_status.servers())

    assert len((await document(large))["servers"]) == SERVERS
    await assert_fair(partial(document, small), partial(document, large))


async def test_others_run_while_the_first_page_is_made(large: Gallery) -> None:
    """The first one works out a thousand schedules: it does so in small pieces."""
    naps = len(large.clock.naps)
    await FleetPage(large.fleet_status).render()
    assert len(large.clock.naps) - naps == 2 * SERVERS // 25
