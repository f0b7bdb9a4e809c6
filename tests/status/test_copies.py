"""How copies stand: of each server in each store, and of each store; from the catalogue and the journal's queue."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.core.copies_queue import CopyQueue
from daemon.core.copies_state import CopyState
from daemon.state import Holding, ShelfRecord
from daemon.status.copies import CopiesSeen, copies_of, stores_of
from daemon.status.history import Good, ServerHistory
from daemon.status.server_status import status_of
from daemon.status.troubles import Kind
from tests.at_once import at_once, sqlite
from tests.web.gallery import DAY, NOW, Gallery, configured, empty, with_stores

UUID = "00000001-0000-4000-8000-000000000000"
MADE = NOW - timedelta(hours=6)
HISTORY = replace(ServerHistory.begun(NOW - 30 * DAY), fine_at=MADE, good=Good(MADE))
HOLDING = Holding("nas", "main", UUID, NOW, 12, 4096, MADE)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gallery]:
    """Two servers with two stores each, of which nothing is known yet."""
    gallery = empty(with_stores(configured(tmp_path, ["survival", "lobby"])))
    yield gallery
    at_once(gallery.context.close())


def test_each_store_of_a_server_has_its_own_state(made: Gallery) -> None:
    """One has the newest good backup; the other failed, and tells why and when it is tried again."""
    server, queue = made.config.servers["survival"], CopyQueue().asked("survival", ["offsite"], MADE, fresh=True)
    seen = CopiesSeen.of([HOLDING], queue.failed("survival", ["offsite"], NOW, "the node has lost the file"))
    nas, offsite = copies_of(server, made.config.stores, seen, HISTORY, DAY)
    assert (nas.state, nas.newest, nas.copies, nas.bytes, nas.late_at) == (CopyState.COPIED, MADE, 12, 4096, None)
    assert (offsite.state, offsite.newest, offsite.copies) == (CopyState.FAILED, None, 0)
    assert (offsite.error, offsite.since) == ("the node has lost the file", MADE)
    assert offsite.next_at == NOW + timedelta(minutes=10)
    assert offsite.late_at == MADE + DAY


def test_a_store_in_trouble_counts_for_every_server_that_it_lacks(made: Gallery) -> None:
    """It is never shown as copied, though nothing of the server was tried yet."""
    troubled = CopiesSeen.of([replace(HOLDING, newest=MADE - DAY)], CopyQueue().store_failed("nas", NOW, "it is full"))
    nas, offsite = copies_of(made.config.servers["survival"], made.config.stores, troubled, HISTORY, DAY)
    assert (nas.state, nas.error) == (CopyState.FAILED, "it is full")
    assert offsite.state is CopyState.WAITING


def test_a_copy_that_is_missing_for_too_long_is_a_trouble_of_the_server(made: Gallery) -> None:
    """In words: how old the newest copy is, and why there is none newer."""
    server = made.config.servers["survival"]
    queue = CopyQueue().asked("survival", ["nas"], NOW - 2 * DAY, fresh=True)
    seen = CopiesSeen.of(
        [replace(HOLDING, newest=NOW - 3 * DAY), replace(HOLDING, store="offsite")],
        queue.store_failed("nas", NOW, "it is full"),
    )
    copies = copies_of(server, made.config.stores, seen, HISTORY, DAY)
    (trouble,) = status_of(server, HISTORY, MADE + timedelta(minutes=1), copies=copies).troubles
    assert trouble.kind is Kind.UNCOPIED
    assert "The newest copy in nas is of a backup that is 2 d 18 h old: it is full." in trouble.text
    assert "offsite" not in trouble.text


def test_a_store_counts_what_it_holds_and_what_waits(made: Gallery) -> None:
    """Servers without a copy are not counted, and of several moments the newest is told."""
    queue = CopyQueue().asked("survival", ["nas", "offsite"], NOW, fresh=True).asked("lobby", ["nas"], NOW, fresh=True)
    other = "00000002-0000-4000-8000-000000000000"
    holdings = [HOLDING, replace(HOLDING, server_uuid=other, copies=0, bytes=0, newest=None)]
    seen = CopiesSeen.of(holdings, queue.failed("lobby", ["nas"], NOW, "gone"))
    nas, offsite = stores_of(made.config.stores.values(), seen)
    assert (nas.servers, nas.copies, nas.bytes, nas.newest) == (1, 12, 4096, MADE)
    assert (nas.waiting, nas.failing, nas.trouble) == (2, 1, None)
    assert (offsite.servers, offsite.waiting, offsite.newest) == (0, 1, None)


def test_what_another_process_copied_is_seen_after_a_while(made: Gallery) -> None:
    """The catalogue and the journal are asked at most every ten seconds, or once something was copied here."""
    tracker, catalogue = made.tracker, made.context.engine.catalogue

    def states() -> list[CopyState | None]:
        status = at_once(tracker.status("survival"))
        assert status
        return [copy.state for copy in status.copies]

    tracker.histories["survival"] = HISTORY
    assert states() == [CopyState.WAITING, CopyState.WAITING]
    at_once(catalogue.remember(ShelfRecord(HOLDING, "{}")))
    assert states() == [CopyState.WAITING, CopyState.WAITING]
    made.clock.elapsed += 10
    assert states() == [CopyState.COPIED, CopyState.WAITING]
    at_once(catalogue.remember(ShelfRecord(replace(HOLDING, store="offsite"), "{}")))
    made.context.on_copies([], 0.0)
    assert states() == [CopyState.COPIED, CopyState.COPIED]


def test_a_journal_that_cannot_be_read_is_as_if_nothing_waited(made: Gallery) -> None:
    """The page is shown all the same."""
    made.tracker.histories["survival"] = HISTORY
    sqlite(made.context.journal).close()
    status = at_once(made.tracker.status("survival"))
    assert status
    assert [copy.state for copy in status.copies] == [CopyState.WAITING, CopyState.WAITING]


def test_where_no_store_is_left_nothing_is_kept(made: Gallery, tmp_path: Path) -> None:
    """A reload without stores forgets what was read."""
    at_once(made.tracker.copies.seen())
    made.tracker.follow(configured(tmp_path, ["survival"]))
    status = at_once(made.tracker.status("survival"))
    assert status
    assert status.copies == ()
    assert at_once(made.tracker.copies.stores_now()) == ()
