"""What is deleted too soon, by too little, or after all: broken rotations, once they are at their deletions."""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import daemon.alerts.dispatcher
import daemon.core.plan
import daemon.core.retention
import daemon.core.states
import daemon.fleet.fleet
import daemon.panel.client
import daemon.panel.dates
import daemon.panel.decode
import daemon.panel.listing
import daemon.panel.transport
import daemon.panel.wire
import daemon.rotation.create
import daemon.rotation.delete
import daemon.rotation.prune
import daemon.rotation.report
import daemon.rotation.room
import daemon.rotation.rotate
import daemon.rotation.run
import daemon.rotation.wait
from daemon.core.model import Backup
from daemon.core.retention import Retention
from daemon.panel.errors import PanelError
from daemon.rotation.gather import DatedListing
from daemon.rotation.run import Run
from daemon.state.local.journal import SqliteJournal
from tests.simulation.builds.registry import PATCH, broken, looked_at_once, original, together


@broken("a new backup that is not good is followed by deletions", "3", insist={"backup fails": 0.7}, first=30)
def _deletes_whatever_became_of_the_new_one() -> AbstractContextManager[Any]:
    async def look_at_created(run: Run, decided: Any) -> None:
        """Whatever it is."""

    return PATCH(daemon.rotation.prune, "_look_at_created", look_at_created)


@broken("room is made though nothing is beyond retention", "3", insist={"limit lowered": 0.8}, first=26)
def _makes_room_by_the_oldest() -> AbstractContextManager[Any]:
    real = original(daemon.rotation.room, "make_room")

    def room(listing: Any, retention: Retention, **options: Any) -> Any:
        bold = replace(retention, keep=replace(retention.keep, last=1, daily=0, weekly=0, hourly=0, within=None))
        return real(listing, bold, **options)

    return PATCH(daemon.rotation.room, "make_room", room)


@broken("the listing from before the wait is used", "3", "4", "5", first=5)
def _skips_the_second_listing() -> AbstractContextManager[Any]:
    real, real_gather = original(daemon.rotation.rotate, "wait"), original(daemon.rotation.rotate, "gather")
    listings: dict[int, Any] = {}

    async def gather(run: Run) -> DatedListing:
        dated: DatedListing = await real_gather(run)
        listings[id(run)] = dated.listing
        return dated

    async def wait(run: Run, backup: Backup, expectation: Any) -> Any:
        seen, _ = await real(run, backup, expectation)
        before = listings[id(run)]
        backups = (*before.backups, seen)
        return seen, DatedListing(replace(before, backups=backups), run.context.clock.monotonic())

    return together(PATCH(daemon.rotation.rotate, "gather", gather), PATCH(daemon.rotation.rotate, "wait", wait))


@broken(
    "a server that is gone from the configuration is still pruned",
    "3",
    "4",
    insist={"configuration reloaded": 3},
    first=2,
)
def _obeys_the_old_configuration() -> AbstractContextManager[Any]:
    return together(PATCH(daemon.rotation.delete, "current_config", lambda run: run.config), looked_at_once())


@broken(
    "a listing that did not hold together is judged",
    "5",
    insist={"a backup appears between pages": 6, "a backup vanishes between pages": 8},
    first=176,
)
def _judges_a_part() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.plan, "_partial", lambda listing: None)


@broken("only the first page is read", "5", first=6)
def _reads_one_page() -> AbstractContextManager[Any]:
    real = daemon.panel.listing.read_pass

    async def read_pass(fetch: Any) -> Any:
        async def first(number: int) -> Any:
            page = await fetch(number)
            return replace(page, total=len(page.rows))

        return await real(first)

    return PATCH(daemon.panel.listing, "read_pass", read_pass)


@broken("room is made again and again", "3", insist={"limit lowered": 1, "backup never ends": 0.9}, first=24)
def _makes_room_again() -> AbstractContextManager[Any]:
    return PATCH(SqliteJournal, "steps_since", lambda *_: [])


@broken("what cannot be journalled is deleted all the same", "4", insist={"disk full": 0.7}, first=2)
def _deletes_without_a_journal() -> AbstractContextManager[Any]:
    return PATCH(Run, "journal_failed", lambda self, error: None)


@broken("a reload amid deletions is not obeyed", "3", insist={"reload races with a DELETE": 1}, first=30)
def _ends_its_list_by_the_old_configuration() -> AbstractContextManager[Any]:
    real = original(daemon.rotation.delete, "expect")
    return PATCH(daemon.rotation.delete, "expect", lambda holds, text: "configuration" in text or real(holds, text))


@broken(
    "one backup that cannot be deleted ends all deletions", "past", insist={"backup cannot be deleted": 0.5}, first=39
)
def _stops_at_the_first() -> AbstractContextManager[Any]:
    real = daemon.rotation.delete._leave

    def leave(run: Run, backup: Backup, error: PanelError) -> None:
        real(run, backup, error)
        raise daemon.rotation.delete.undeleted(run)

    return PATCH(daemon.rotation.delete, "_leave", leave)


@broken(
    "a backup that was half deleted counts as a good one",
    "3",
    insist={"a locked database once the file is gone": 1},
    first=24,
)
def _forgets_what_was_half_deleted() -> AbstractContextManager[Any]:
    real = Run.marks

    async def marks(self: Run) -> Any:
        return replace(await real(self), asked=frozenset())

    return PATCH(Run, "marks", marks)


@broken("a clock that panel and daemon share is not watched", "9", insist={"both clocks jump by months": 1}, first=2)
def _watches_no_shared_clock() -> AbstractContextManager[Any]:
    real = original(daemon.panel.dates, "doubt")

    def doubt(**given: Any) -> Any:
        return real(**{**given, "panel_set": timedelta(0), "ours_set": timedelta(0)})

    return PATCH(daemon.panel.dates, "doubt", doubt)
