"""Which server is copied next, to which stores, and when a failed one is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.copies_queue import SERVER_PAUSES, STORE_PAUSES, CopyQueue, StoreTrouble, Visit, Waiting

NOW = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EMPTY = CopyQueue()


def asked(*servers: str, stores: tuple[str, ...] = ("nas",), fresh: bool = True) -> CopyQueue:
    """A queue in which these servers wait, the first for the longest."""
    queue = EMPTY
    for number, server in enumerate(servers):
        queue = queue.asked(server, stores, NOW + number * MINUTE, fresh=fresh)
    return queue


def test_nothing_is_due_while_nothing_waits() -> None:
    """Nor is any moment at which it will be."""
    assert (EMPTY.next_visit(NOW), EMPTY.next_at(NOW)) == (None, None)


def test_a_server_is_visited_for_all_its_stores_at_once() -> None:
    """So that its backup is downloaded once."""
    queue = asked("survival", stores=("nas", "offsite"))
    assert queue.next_visit(NOW) == Visit("survival", ("nas", "offsite"), fresh=True)
    assert queue.next_at(NOW) == NOW


def test_of_equals_the_one_that_has_waited_longest_comes_first() -> None:
    """And once it is done, the next."""
    queue = asked("survival", "creative")
    assert queue.next_visit(NOW + HOUR) == Visit("survival", ("nas",), fresh=True)
    assert queue.done("survival", ["nas"]).next_visit(NOW + HOUR) == Visit("creative", ("nas",), fresh=True)


def test_a_new_backup_comes_before_older_ones() -> None:
    """However long those have waited: a new store is filled when nothing else is to be done."""
    queue = asked("filling", fresh=False).asked("survival", ["nas"], NOW + HOUR, fresh=True)
    assert queue.next_visit(NOW + HOUR) == Visit("survival", ("nas",), fresh=True)


def test_what_is_left_lines_up_behind_the_others() -> None:
    """One old backup of each server in turn: none waits until another server's store is full."""
    queue = asked("survival", "creative", fresh=False).left("survival", ["nas"], NOW + HOUR)
    assert queue.next_visit(NOW + HOUR) == Visit("creative", ("nas",), fresh=False)
    assert queue.done("creative", ["nas"]).next_visit(NOW + HOUR) == Visit("survival", ("nas",), fresh=False)


def test_what_is_left_of_a_server_that_failed_before_may_go_on_at_once() -> None:
    """The store has taken a backup of it since, and only older ones are left, unless a new one is made."""
    queue = (
        asked("survival").failed("survival", ["nas"], NOW, "the node is down").left("survival", ["nas"], NOW + MINUTE)
    )
    assert queue.next_visit(NOW + MINUTE) == Visit("survival", ("nas",), fresh=False)
    assert queue.waiting["survival", "nas"] == Waiting("survival", "nas", NOW + MINUTE, False, 1)
    assert asked("survival").left("survival", ["nas"], NOW).next_visit(NOW) == Visit("survival", ("nas",), fresh=False)


def test_pauses_grow_to_a_day_for_a_server_and_to_an_hour_for_a_store() -> None:
    """One that is as long as can be is kept too: only a longer one was written by another clock."""
    assert [SERVER_PAUSES.pause(tries) for tries in (1, 99)] == [10 * MINUTE, 24 * HOUR]
    assert [STORE_PAUSES.pause(tries) for tries in (1, 99)] == [2 * MINUTE, HOUR]
    queue = asked("survival").postponed("survival", ["nas"], NOW + 24 * HOUR)
    assert queue.next_at(NOW) == NOW + 24 * HOUR
    trouble = StoreTrouble("nas", NOW, 99, NOW + HOUR, "unreachable")
    assert CopyQueue(asked("survival").waiting, {"nas": trouble}).next_at(NOW) == NOW + HOUR


def test_what_waits_already_keeps_its_place() -> None:
    """To look again each day moves nobody; a new backup is tried at once, though earlier tries failed."""
    failed = asked("survival").failed("survival", ["nas"], NOW, "the node is down")
    assert failed.asked("survival", ["nas"], NOW + MINUTE, fresh=False) == failed
    again = failed.asked("survival", ["nas"], NOW + MINUTE, fresh=True)
    assert again.waiting["survival", "nas"] == Waiting("survival", "nas", NOW, True, 1, None, "the node is down")
    assert again.next_visit(NOW + MINUTE) is not None


def test_a_failed_copy_is_tried_again_later_and_later() -> None:
    """And holds up no other server meanwhile, nor its own other store."""
    queue = asked("survival", stores=("nas", "offsite")).failed("survival", ["nas"], NOW, "the node is down")
    assert queue.next_visit(NOW) == Visit("survival", ("offsite",), fresh=True)
    queue = queue.done("survival", ["offsite"])
    first = SERVER_PAUSES.pause(1)
    assert queue.waiting["survival", "nas"] == Waiting(
        "survival", "nas", NOW, False, 1, NOW + first, "the node is down"
    )
    assert queue.next_at(NOW) == NOW + first
    assert queue.next_visit(NOW + first - MINUTE) is None
    assert queue.next_visit(NOW + first) == Visit("survival", ("nas",), fresh=False)
    queue = queue.failed("survival", ["nas"], NOW + first, "the node is down")
    assert queue.next_at(NOW) == NOW + first + SERVER_PAUSES.pause(2)


def test_a_store_in_trouble_is_asked_once_for_all_its_servers() -> None:
    """The next one is asked only when the pause is over, and the pause grows; other stores are not held up."""
    queue = asked("survival", "creative", stores=("nas", "offsite")).store_failed(
        "nas", NOW, "unreachable", server="survival"
    )
    assert queue.next_visit(NOW) == Visit("survival", ("offsite",), fresh=True)
    queue = queue.done("survival", ["offsite"]).done("creative", ["offsite"])
    assert queue.next_visit(NOW) is None
    then = NOW + STORE_PAUSES.pause(1)
    assert queue.next_at(NOW) == then
    assert queue.next_visit(then) == Visit("creative", ("nas",), fresh=True)
    again = queue.store_failed("nas", then, "unreachable", server="creative")
    assert again.troubles["nas"] == StoreTrouble("nas", NOW, 2, then + STORE_PAUSES.pause(2), "unreachable")
    assert again.next_visit(then) is None
    assert [one.tries for place, one in again.waiting.items() if place[1] == "nas"] == [1, 1]


def test_when_its_trouble_has_passed_all_that_waits_for_the_store_is_due() -> None:
    """The servers were not to blame, so no pause of their own is left."""
    queue = asked("survival", "creative").store_failed("nas", NOW, "unreachable", server="survival").store_worked("nas")
    assert queue.troubles == {}
    assert queue.next_visit(NOW + MINUTE) == Visit("creative", ("nas",), fresh=True)
    assert queue.done("creative", ["nas"]).next_visit(NOW + MINUTE) == Visit("survival", ("nas",), fresh=True)


def test_a_backup_that_a_store_never_takes_holds_up_no_other_server() -> None:
    """Each failure looks like trouble with the store; those that were not tried yet have their turn in between."""
    queue, now, visited = asked("poison", "survival", "creative", fresh=False), NOW + HOUR, []
    for _ in range(4):
        visit = queue.next_visit(now)
        assert visit is not None
        visited.append(visit.server)
        if visit.server == "poison":
            queue = queue.store_failed("nas", now, "too large", server="poison")
        else:
            queue = queue.store_worked("nas").done(visit.server, ["nas"])
        now += HOUR
    assert visited == ["poison", "survival", "creative", "poison"]


def test_what_is_put_off_is_not_due_before_that_moment_and_was_not_tried() -> None:
    """A node that makes backups is looked at again in a minute; a newer backup is looked at at once."""
    queue = asked("survival").postponed("survival", ["nas"], NOW + HOUR)
    assert (queue.next_at(NOW), queue.waiting["survival", "nas"].tries) == (NOW + HOUR, 0)
    assert queue.asked("survival", ["nas"], NOW, fresh=True).next_at(NOW) == NOW


def test_what_is_put_off_says_why_until_it_is_copied() -> None:
    """A pause without a reason of its own leaves the last one; what was copied in part has none any more."""
    queue = asked("survival").postponed("survival", ["nas"], NOW + HOUR, "the server is suspended")
    again = queue.postponed("survival", ["nas"], NOW + HOUR)
    assert again.waiting["survival", "nas"].text == "the server is suspended"
    assert again.left("survival", ["nas"], NOW).waiting["survival", "nas"].text == ""


def test_a_daemon_goes_on_with_the_queue_of_the_one_before() -> None:
    """Tries, pauses and troubles, of what is still configured; a new backup stays fresh."""
    before = (
        asked("survival", "gone").failed("survival", ["nas"], NOW, "down").store_failed("nas", NOW, "x", server="gone")
    )
    before = before.asked("usb-only", ["usb"], NOW, fresh=False).store_failed("usb", NOW, "y", server="usb-only")
    now = asked("survival", "new", fresh=False).asked("fresh", ["nas"], NOW, fresh=False)
    recalled = now.recalling(before.asked("fresh", ["nas"], NOW, fresh=True))
    assert set(recalled.waiting) == {("survival", "nas"), ("new", "nas"), ("fresh", "nas")}
    assert recalled.waiting["survival", "nas"] == before.waiting["survival", "nas"]
    assert recalled.waiting["fresh", "nas"].fresh
    assert set(recalled.troubles) == {"nas"}
    assert asked("survival").recalling(before).waiting["survival", "nas"].fresh


def test_what_is_recalled_later_leaves_the_troubles_that_are_known() -> None:
    """A member of a cluster takes over a server, and has used its store itself meanwhile."""
    known = asked("survival").store_failed("nas", NOW, "it was full", server="survival")
    now = asked("survival").store_failed("nas", NOW + HOUR, "it is full")
    assert now.recalling(known).troubles == now.troubles


def test_a_part_of_the_queue_is_that_of_some_servers() -> None:
    """Of them alone, or of all but them; then without some stores' troubles as well."""
    queue = asked("survival", "creative").store_failed("nas", NOW, "full", server="survival")
    assert queue.of(["survival"]) == CopyQueue({("survival", "nas"): queue.waiting["survival", "nas"]}, queue.troubles)
    assert queue.without(["survival"], ()) == queue.of(["creative"])
    assert queue.without((), ["nas"]) == CopyQueue(queue.waiting)
    assert queue.without((), ["offsite"]) == queue


def test_what_is_not_configured_any_more_is_forgotten() -> None:
    """A server, one of its stores, and a store that nobody uses now."""
    queue = asked("survival", "gone", stores=("nas", "offsite")).store_failed(
        "offsite", NOW, "unreachable", server="survival"
    )
    followed = queue.following({"survival": ["nas"]})
    assert list(followed.waiting) == [("survival", "nas")]
    assert followed.troubles == {}
    assert queue.following({"survival": ["nas", "offsite"]}).troubles == queue.troubles


def test_a_pause_written_by_a_clock_that_was_set_back_since_holds_nothing_up() -> None:
    """No pause is as long, so the moment says nothing by the present clock."""
    queue = asked("survival").failed("survival", ["nas"], NOW, "").store_failed("nas", NOW, "", server="survival")
    before = NOW - timedelta(days=365)
    assert queue.next_visit(before) is not None


@pytest.mark.parametrize("change", ["failed", "left"])
def test_who_does_not_wait_is_not_made_to(change: str) -> None:
    """A server that was removed meanwhile stays removed."""
    changed = EMPTY.failed("gone", ["nas"], NOW, "") if change == "failed" else EMPTY.left("gone", ["nas"], NOW)
    assert changed == EMPTY


@given(st.data())
def test_every_server_has_its_turn(data: st.DataObject) -> None:
    """Whatever fails, all that waits is visited within the longest pauses."""
    servers, stores = ("a", "b", "c"), ("nas", "offsite")
    queue = asked(*servers, stores=stores, fresh=False)
    now, left = NOW, {(server, store) for server in servers for store in stores}
    for _ in range(200):
        if (visit := queue.next_visit(now)) is None:
            moment = queue.next_at(now)
            if moment is None:
                break
            assert now < moment <= now + SERVER_PAUSES.most + STORE_PAUSES.most
            now = moment
            continue
        for store in visit.stores:
            left.discard((visit.server, store))
            ended = data.draw(st.sampled_from(["done", "left", "failed", "store"]))
            if ended == "done":
                queue = queue.store_worked(store).done(visit.server, [store])
            elif ended == "left":
                queue = queue.store_worked(store).left(visit.server, [store], now)
            elif ended == "failed":
                queue = queue.failed(visit.server, [store], now, "")
            else:
                queue = queue.store_failed(store, now, "", server=visit.server)
        now += MINUTE
    assert left == set()


def test_what_waits_is_fresh_and_was_not_tried_unless_it_is_said() -> None:
    """It may go at once, and nothing is wrong."""
    assert Waiting("survival", "nas", NOW) == Waiting("survival", "nas", NOW, True, 0, None, "")
    assert CopyQueue() == CopyQueue({}, {})
