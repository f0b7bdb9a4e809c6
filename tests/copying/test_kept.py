"""The queue of copies in the journal: of one daemon after the other, or of several members of a cluster at a time."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from daemon.copying.kept import KeptQueue
from daemon.core.copies_queue import CopyQueue
from daemon.errors import StateError
from daemon.rotation.run import RotationContext
from daemon.state import Journal
from daemon.state.local.journal import SqliteJournal
from tests.at_once import awaited
from tests.closed import closed_in_the_end

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
STORES = ["nas", "offsite"]


@pytest.fixture
def journal() -> Journal:
    """The journal that all members share."""
    return awaited(closed_in_the_end(SqliteJournal.memory()))


def member(journal: Journal, *, alone: bool = False) -> KeptQueue:
    """A member that has just begun."""
    leadership = SimpleNamespace(shares=None if alone else object())
    context = SimpleNamespace(journal=journal, engine=SimpleNamespace(leadership=leadership))
    return KeptQueue(cast("RotationContext", context))


def asked(*servers: str, store: str = "nas") -> CopyQueue:
    """What a member asks for when it begins to act for these servers."""
    queue = CopyQueue()
    for server in servers:
        queue = queue.asked(server, [store], NOW, fresh=False)
    return queue


async def kept(one: KeptQueue, queue: CopyQueue) -> CopyQueue:
    """One step of that member: what its queue is then."""
    queue = await one.recalled(queue)
    await one.keep(queue)
    return queue


async def test_a_member_that_starts_leaves_what_waits_of_servers_that_others_hold(journal: Journal) -> None:
    """Their order, their tries, and the troubles of stores that it has nothing for."""
    first, second = member(journal), member(journal)
    failed = (await kept(first, asked("survival"))).failed("survival", ["nas"], NOW, "the node is down")
    failed = failed.asked("far", ["offsite"], NOW, fresh=True).store_failed("offsite", NOW, "full", server="far")
    failed = await kept(first, failed)
    theirs = await kept(second, asked("creative"))
    assert await journal.copy_queue() == CopyQueue({**failed.waiting, **theirs.waiting}, failed.troubles)
    await kept(second, theirs.done("creative", ["nas"]))
    assert await journal.copy_queue() == failed


async def test_who_takes_a_server_goes_on_with_what_the_one_before_left(journal: Journal) -> None:
    """That one forgets it in its own memory alone, and the other servers' rows stay as they are."""
    first, second = member(journal), member(journal)
    queue = (await kept(first, asked("survival", "creative"))).failed("survival", ["nas"], NOW, "the node is down")
    left = await kept(first, queue.store_failed("nas", NOW, "full", server="creative"))
    theirs = await kept(second, asked("other", store="offsite"))
    first.leave({"survival", "creative", "other"}, STORES, CopyQueue())
    await kept(first, CopyQueue())
    taken = await kept(second, theirs.asked("survival", ["nas"], NOW, fresh=False))
    assert taken.waiting["survival", "nas"] == left.waiting["survival", "nas"]
    assert taken.troubles == left.troubles
    assert (await journal.copy_queue()).waiting == {**left.waiting, **theirs.waiting}
    second.leave({"survival", "creative"}, STORES, theirs)
    await kept(second, theirs)
    again = await kept(first, asked("survival"))
    assert again.waiting["survival", "nas"].tries == 1


async def test_what_is_configured_no_more_is_forgotten_by_who_had_it(journal: Journal) -> None:
    """A server, and a store that is in trouble."""
    first, second = member(journal), member(journal)
    theirs = await kept(second, asked("creative"))
    await kept(first, asked("survival", store="offsite").store_failed("offsite", NOW, "full"))
    first.leave({"creative"}, ["nas"], CopyQueue())
    await kept(first, CopyQueue())
    assert await journal.copy_queue() == theirs


async def test_a_daemon_that_is_alone_forgets_whatever_is_not_its_own(journal: Journal) -> None:
    """Nobody else copies it; what the journal held is read once."""
    before = member(journal, alone=True)
    queue = await kept(before, asked("survival", "gone"))
    await kept(before, queue.failed("survival", ["nas"], NOW, "down"))
    after = member(journal, alone=True)
    recalled = await kept(after, asked("survival"))
    assert recalled.waiting["survival", "nas"].tries == 1
    assert await journal.copy_queue() == recalled
    more = await kept(after, recalled.asked("new", ["nas"], NOW, fresh=True))
    assert await journal.copy_queue() == more


async def test_while_the_journal_cannot_be_read_a_member_writes_nothing_over_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on with its own queue, and reads the journal later."""

    async def broken() -> CopyQueue:
        raise StateError("the database is gone")

    first, second = member(journal), member(journal)
    left = await kept(first, asked("survival"))
    left = await kept(first, left.failed("survival", ["nas"], NOW, "down"))
    with monkeypatch.context() as patched, capture_logs() as lines:
        patched.setattr(journal, "copy_queue", broken)
        queue = await kept(second, asked("survival"))
    assert queue == asked("survival")
    assert [line["event"] for line in lines] == ["copy_queue_not_read"]
    assert await journal.copy_queue() == left
    assert await kept(second, queue) == left
