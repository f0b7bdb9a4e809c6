"""What is deleted was seen a moment ago, in its place among all others, and is journalled before: nothing rests on
how things were before a wait, and a kill at any moment leaves behind what was meant.
"""

from datetime import timedelta

import pytest

from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import own_name
from tests.whole.rig import Rig
from tests.whole.test_trouble import deleted, problem

pytestmark = pytest.mark.anyio


async def test_what_somebody_deletes_during_the_wait_is_not_counted_any_more(rig: Rig) -> None:
    """Three are kept: with the newest of them gone meanwhile, the oldest is not one too many."""
    names = rig.fill(3)
    newest = next(reversed(rig.server.backups.values()))
    rig.server.work = Work(seconds=600)
    rig.world.later(300, lambda: rig.world.remove(rig.server, newest, by="somebody"))
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE
    assert names[0] in rig.names()


async def test_a_new_backup_that_is_gone_from_the_list_of_several_pages_deletes_nothing(rig: Rig) -> None:
    """It was seen completed by a view of itself; the list that follows does not hold it."""
    rig.fill(60)
    rig.server.work = Work(seconds=75)

    def vanish(*_: object) -> None:
        rig.world.remove(rig.server, next(reversed(rig.server.backups.values())), by="somebody")

    rig.world.faults.order(faults.meanwhile(vanish), on=Call.LIST, skip=4)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.FAILED, "vanished")
    assert len(rig.names()) == 60


async def test_each_backup_that_was_listed_more_than_a_minute_ago_is_looked_at_again(rig: Rig) -> None:
    """Six go, and each DELETE takes 25 s: three leave within the minute, before each of the others there is a look."""
    rig.fill(8)
    rig.world.faults.order(faults.slow(25), on=Call.DELETE, times=None)
    assert (await rig.rotate()).result is Result.DONE
    assert len(deleted(rig)) == 6
    assert rig.requests(Call.VIEW) == 3


async def test_room_is_decided_on_a_listing_that_the_api_limit_has_not_aged(rig: Rig) -> None:
    """The 429 holds the create back for a minute; an operator makes what was superseded the only good one meanwhile."""
    rig.configure(keep={"last": 1})
    rig.fill(2)
    older, newer = rig.server.backups.values()
    rig.server.limit = 2

    def operator() -> None:
        rig.world.remove(rig.server, newer, by="operator")
        rig.world.add_backup(rig.server, "by hand", created_at=rig.world.now())

    rig.world.faults.order(faults.api_limit("60"), on=Call.CREATE)
    rig.world.later(40, operator)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "limit")
    assert older.name in rig.names()


async def test_what_was_deleted_counts_towards_the_brake_when_the_list_is_judged_anew(rig: Rig) -> None:
    """Two may go. One is gone, the other is locked meanwhile, and two others are unlocked: that would make three."""
    names = rig.fill(4)
    for day in (31, 30):
        made = rig.world.now() - timedelta(days=day)
        rig.world.add_backup(rig.server, own_name("survival", made, day), created_at=made, locked=True)
    rig.configure(max_deletions=2)

    def toggle(*_: object) -> None:
        for backup in rig.server.backups.values():
            backup.locked = backup.name == names[1]

    rig.world.faults.order(faults.meanwhile(toggle), on=Call.DELETE, skip=1)
    outcome = await rig.rotate()
    assert (outcome.result, problem(outcome)[0]) == (Result.REFUSED, "max-deletions")
    assert deleted(rig) == names[:1]


async def test_a_deletion_is_journalled_with_its_reason_before_it_is_made(rig: Rig) -> None:
    """Killed in the midst of it, the journal still says what was meant, and why."""
    names = rig.fill(3)
    found = []

    def look(*_: object) -> None:
        (row,) = rig.journal.recent(limit=1)
        found.append(row.steps[-1])

    rig.world.faults.order(faults.meanwhile(look), on=Call.DELETE)
    await rig.rotate()
    (step,) = found
    assert (step.name, step.detail["backup"]) == ("delete", names[0])
    assert step.detail["because"] == "beyond the 3 newest backups"
