"""The queue of copies in the journal: of one daemon after the other, or of several members of a cluster at a time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from daemon.clock import SystemClock
from daemon.copies.workers import CopyWorker
from daemon.copying.copying import Copying
from daemon.copying.kept import KeptQueue
from daemon.core.copies_queue import CopyQueue
from daemon.errors import StateError
from daemon.fleet.clients import Clients
from daemon.rotation.outcome import Result
from daemon.rotation.run import RotationContext
from daemon.state import Journal
from daemon.state.local.journal import SqliteJournal
from tests.alerts.build import outcome
from tests.at_once import awaited
from tests.closed import closed_in_the_end
from tests.config.support import loaded
from tests.web.gallery import with_stores

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
    queue = await one.recalled(lambda: queue)
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


def meanwhile(journal: Journal, call: str, what: Callable[[], None]) -> None:
    """Let that happen once, while the journal answers this call."""
    patch, asked_of = pytest.MonkeyPatch(), getattr(journal, call)

    async def answered(*arguments: object) -> object:
        patch.undo()
        answer: Awaitable[object] = asked_of(*arguments)
        done = await answer
        what()
        return done

    patch.setattr(journal, call, answered)


async def test_what_changes_while_the_journal_is_read_is_not_undone(journal: Journal) -> None:
    """A new backup waits, a server was taken, and one that was given away does not come back."""
    queue = asked("survival", "given")
    await kept(member(journal), queue.failed("survival", ["nas"], NOW, "down").failed("given", ["nas"], NOW, "down"))
    one = member(journal)

    def changes() -> None:
        nonlocal queue
        one.leave({"given"}, STORES, queue)
        queue = queue.without({"given"}, ()).asked("survival", ["nas"], NOW, fresh=True)
        queue = queue.asked("taken", ["nas"], NOW, fresh=False)

    meanwhile(journal, "copy_queue", changes)
    queue = await one.recalled(lambda: queue)
    assert {server: row.fresh for (server, _), row in queue.waiting.items()} == {"survival": True, "taken": False}
    assert queue.waiting["survival", "nas"].tries == 1
    await kept(one, queue)
    assert ("given", "nas") in (await journal.copy_queue()).waiting


async def test_what_is_given_away_while_the_journal_is_written_stays_there(journal: Journal) -> None:
    """With the trouble of the store that it waits for; the next write does not remove its row."""
    one = member(journal)
    queue = await kept(one, asked("survival"))
    more = queue.asked("given", ["offsite"], NOW, fresh=True).store_failed("offsite", NOW, "full", server="given")
    more = await one.recalled(lambda: more)
    meanwhile(journal, "requeue_copies", lambda: one.leave({"given"}, STORES, queue))
    await one.keep(more)
    await kept(one, queue.failed("survival", ["nas"], NOW, "down"))
    left = await journal.copy_queue()
    assert {server for server, _ in left.waiting} == {"survival", "given"}
    assert "offsite" in left.troubles


async def test_a_backup_that_is_made_while_the_queue_is_read_is_copied_next(journal: Journal, tmp_path: Path) -> None:
    """The rotation ends in the midst of the first step of all."""
    config = with_stores(loaded(tmp_path))
    kept_by = member(journal)
    context = kept_by._context
    context.clock = SystemClock()
    copying = Copying(context, cast("Clients", None), cast("CopyWorker", None))
    copying._config = config
    copying._ask(config.servers["survival"], fresh=False)
    made = outcome(Result.DONE, good=True)
    meanwhile(journal, "copy_queue", lambda: copying.rotated("survival", made))
    copying._looked_at = context.clock.monotonic()
    copying._make = AsyncMock()  # type: ignore[method-assign]  # it is not followed further
    await copying._step()
    assert copying.queue.waiting["survival", "nas"].fresh


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
