"""When somebody is told: of each trouble once, then of its end, and of what is overdue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.alerting import (
    GRACE,
    Alert,
    AlertState,
    Event,
    RotationReport,
    cluster_looked,
    copies_looked,
    drills_looked,
    due_by,
    looked,
    proof_lateness_looked,
    proofs_looked,
    pruning_looked,
    reported,
    store_looked,
    wanted,
)
from daemon.core.calendar import Starts, parse_schedule

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
GOOD = RotationReport(good=True)
TROUBLES = (Event.FAILED, Event.LIMIT, Event.SUSPICIOUS, Event.OVERDUE)


def told(watch: AlertState, *reports: RotationReport) -> list[list[Alert]]:
    """What is told of each of the reports."""
    heard = []
    for report in reports:
        watch, news = reported(watch, report)
        heard.append(list(news))
    return heard


def trouble(event: Event, *, good: bool = False) -> RotationReport:
    """A rotation that met this trouble."""
    return RotationReport(good=good, trouble=event)


def test_the_events_are_called_as_the_configuration_calls_them() -> None:
    """Whoever is to be told asks for them by these words."""
    assert [*Event] == [
        "failed",
        "limit",
        "suspicious",
        "overdue",
        "uncopied",
        "store",
        "unpruned",
        "unproven",
        "proof_late",
        "drill_failed",
        "promoted",
        "members_differ",
        "nobody_acts",
        "new_normal",
        "copied",
        "pruned",
        "proven",
        "drilled",
        "recovered",
        "done",
    ]
    assert RotationReport() == RotationReport(good=False, trouble=None, excused=False)


def test_a_trouble_is_told_once_and_then_its_end() -> None:
    """Three failures make one message, and the good backup after them another."""
    failed = trouble(Event.FAILED)
    assert told(AlertState(), failed, failed, failed, GOOD, GOOD) == [
        [Alert(Event.FAILED)],
        [],
        [],
        [Alert(Event.RECOVERED, (Event.FAILED,)), Alert(Event.DONE)],
        [Alert(Event.DONE)],
    ]


def test_each_suspicious_backup_is_told() -> None:
    """Three of them may be three nights in which somebody could still have looked."""
    small = trouble(Event.SUSPICIOUS)
    assert told(AlertState(), small, small, small) == [[Alert(Event.SUSPICIOUS)]] * 3


def test_that_small_ones_are_believed_is_told_as_what_it_is() -> None:
    """It is no recovery; and only where small ones were told before it."""
    small, believed = trouble(Event.SUSPICIOUS), RotationReport(good=True, shrunk=True)
    new_normal = Alert(Event.NEW_NORMAL, (Event.SUSPICIOUS,))
    assert told(AlertState(), small, believed, believed)[1:] == [
        [new_normal, Alert(Event.DONE)],
        [Alert(Event.DONE)],
    ]
    failed = told(AlertState(), trouble(Event.FAILED), believed)[1]
    assert failed == [Alert(Event.RECOVERED, (Event.FAILED,)), Alert(Event.DONE)]


@pytest.mark.parametrize(
    ("events", "hears"),
    [({"suspicious"}, True), ({"recovered", "overdue"}, True), ({"recovered"}, False), ({"failed", "done"}, False)],
)
def test_of_a_new_normal_hears_who_heard_of_what_is_over(events: set[str], hears: bool) -> None:
    """In place of a recovery; whoever asks for suspicious ones need not ask for it by name."""
    assert wanted(Alert(Event.NEW_NORMAL, (Event.OVERDUE, Event.SUSPICIOUS)), set(map(Event, events))) is hears


def test_another_trouble_is_told_as_well_and_one_end_ends_them_all() -> None:
    """A server at its limit that then fails: both, each once."""
    heard = told(AlertState(), trouble(Event.LIMIT), trouble(Event.FAILED), trouble(Event.LIMIT), GOOD)
    assert [news.event for each in heard for news in each] == ["limit", "failed", "recovered", "done"]
    assert heard[-1][0].after == (Event.FAILED, Event.LIMIT)


def test_after_its_end_the_same_trouble_is_news_again() -> None:
    """A server that fails every other night is worth a message each time."""
    failed = trouble(Event.FAILED)
    events = [news.event for each in told(AlertState(), failed, GOOD, failed) for news in each]
    assert events == ["failed", "recovered", "done", "failed"]


def test_a_good_backup_in_a_refused_rotation_ends_what_was_and_tells_the_refusal() -> None:
    """max_deletions: the new backup stands, nothing was deleted."""
    late = AlertState(alerted=frozenset({Event.OVERDUE}))
    braked = trouble(Event.FAILED, good=True)
    assert told(late, braked, braked, GOOD) == [
        [Alert(Event.RECOVERED, (Event.OVERDUE,)), Alert(Event.FAILED)],
        [],
        [Alert(Event.RECOVERED, (Event.FAILED,)), Alert(Event.DONE)],
    ]


def test_a_good_backup_ends_what_was_told() -> None:
    """What is wrong beside it goes on."""
    for report, open_troubles in ((GOOD, set()), (trouble(Event.LIMIT, good=True), {Event.LIMIT})):
        state, _ = reported(AlertState(alerted=frozenset({Event.FAILED})), report)
        assert state == AlertState(beside=frozenset(open_troubles))


def test_what_decides_nothing_tells_nothing_and_changes_nothing() -> None:
    """A first failure that is tried again, a state that passes."""
    state = AlertState(alerted=frozenset({Event.LIMIT}))
    assert reported(state, RotationReport()) == (state, ())


def test_a_suspended_server_is_excused_and_has_not_recovered() -> None:
    """What was told stays told."""
    state = AlertState(alerted=frozenset({Event.FAILED}))
    assert reported(state, RotationReport(excused=True)) == (state, ())


@pytest.mark.parametrize(
    ("schedule", "fine_at", "due"),
    [
        ("0 4 * * *", datetime(2026, 4, 1, 4, 12, tzinfo=UTC), datetime(2026, 4, 2, 10, 42, tzinfo=UTC)),
        ("0 4 * * *", datetime(2026, 4, 1, 3, 59, tzinfo=UTC), datetime(2026, 4, 2, 10, 29, tzinfo=UTC)),
        ("0 4 * * 1-5", datetime(2026, 4, 3, 4, 12, tzinfo=UTC), datetime(2026, 4, 6, 10, 30, tzinfo=UTC)),
        ("0 4,5 * * *", datetime(2026, 4, 1, 5, 12, tzinfo=UTC), datetime(2026, 4, 2, 10, 30, tzinfo=UTC)),
        ("every 6h", datetime(2026, 4, 1, 6, 12, tzinfo=UTC), datetime(2026, 4, 1, 18, 42, tzinfo=UTC)),
    ],
)
def test_overdue_is_what_one_interval_should_have_brought(schedule: str, fine_at: datetime, due: datetime) -> None:
    """A start since the last good backup, an interval at least, the six hours that it may take, and half an hour."""
    starts = Starts(parse_schedule(schedule), ZoneInfo("UTC"), timedelta(0), "1a7ce997")
    assert due_by(fine_at, starts, timedelta(hours=6)) == due
    assert timedelta(minutes=30) == GRACE


def test_the_splay_is_allowed_for() -> None:
    """The server's own delay moves its start."""
    starts = Starts(parse_schedule("0 4 * * *"), ZoneInfo("UTC"), timedelta(minutes=20), "1a7ce997")
    assert due_by(NOON, starts, timedelta(0)) == NOON + timedelta(hours=24) + GRACE
    late = starts.after(NOON) - timedelta(days=1)
    assert due_by(late, starts, timedelta(0)) == starts.after(NOON) + GRACE


def test_overdue_is_told_once_from_the_moment_on() -> None:
    """However late somebody looks: a machine that slept through it tells when it is awake."""
    watch, late = AlertState(), NOON + timedelta(days=3)
    assert looked(watch, late, late - timedelta(seconds=1)) == (watch, ())
    now_told, news = looked(watch, late, late)
    assert news == (Alert(Event.OVERDUE),)
    assert now_told == AlertState(alerted=frozenset({Event.OVERDUE}))
    assert looked(now_told, late, late + timedelta(days=30)) == (now_told, ())


def test_of_an_end_only_those_are_told_who_were_told_of_what_ended() -> None:
    """Who asked for overdue alone does not hear that a failure is over."""
    end = Alert(Event.RECOVERED, (Event.FAILED,))
    assert wanted(end, {Event.RECOVERED, Event.FAILED})
    assert not wanted(end, {Event.RECOVERED, Event.OVERDUE})
    assert not wanted(end, {Event.FAILED})


def test_who_knows_already_why_there_is_no_backup_is_not_told_that_it_is_overdue() -> None:
    """Two messages for one outage are one too many; who asked for overdue alone gets that one."""
    _, (overdue,) = looked(AlertState(alerted=frozenset({Event.FAILED})), NOON, NOON)
    assert overdue == Alert(Event.OVERDUE, (Event.FAILED,))
    assert not wanted(overdue, {Event.OVERDUE, Event.FAILED})
    assert wanted(overdue, {Event.OVERDUE, Event.LIMIT})
    assert wanted(Alert(Event.OVERDUE), {Event.OVERDUE})


def test_each_good_backup_is_told_to_who_asked_for_it() -> None:
    """And to nobody else."""
    assert wanted(Alert(Event.DONE), {Event.DONE})
    assert not wanted(Alert(Event.DONE), {Event.FAILED})


reports = st.builds(
    RotationReport, good=st.booleans(), trouble=st.none() | st.sampled_from(TROUBLES), excused=st.booleans()
)


@given(st.lists(reports, max_size=12))
def test_whatever_happens_troubles_and_ends_alternate(happening: list[RotationReport]) -> None:
    """But for a suspicious backup, a trouble is never told twice without an end between; no end without its trouble.

    What is wrong beside a good backup is another trouble than that none comes, though both have one name.
    """
    open_troubles: set[tuple[Event | None, bool]] = set()
    for report, each in zip(happening, told(AlertState(), *happening), strict=True):
        for news in each:
            if news.event in {Event.RECOVERED, Event.NEW_NORMAL}:
                assert news.after
                assert set(news.after) <= {event for event, _ in open_troubles}
                goes_on = {(report.trouble, True)} & open_troubles
                open_troubles = {one for one in open_troubles if one[0] not in news.after} | goes_on
            elif news.event is not Event.DONE:
                assert (news.event, report.good) not in open_troubles or news.event is Event.SUSPICIOUS
                open_troubles.add((news.event, report.good))


def test_that_no_backup_comes_is_told_though_another_trouble_of_that_name_was_told_beside_good_ones() -> None:
    """A key that may not delete, or a brake that holds; a week later the node is gone."""
    held, failed = trouble(Event.FAILED, good=True), trouble(Event.FAILED)
    assert told(AlertState(), held, held, failed, failed, held, held) == [
        [Alert(Event.FAILED)],
        [],
        [Alert(Event.FAILED)],
        [],
        [Alert(Event.RECOVERED, (Event.FAILED,))],
        [],
    ]


def test_a_backup_that_a_retry_takes_over_is_told_once() -> None:
    """Its deletions failed at first: the backup was told as made by then, and the retry makes no other."""
    state, first = reported(AlertState(), RotationReport(good=True, backup="one"))
    state, again = reported(state, RotationReport(good=True, backup="one"))
    state, by_hand = reported(state, RotationReport(good=True))
    _, new = reported(state, RotationReport(good=True, backup="two"))
    told = [[news.event for news in each] for each in (first, again, by_hand, new)]
    assert told == [[Event.DONE], [], [Event.DONE], [Event.DONE]]
    assert state.backup == "one"


def test_that_a_trouble_beside_a_told_backup_is_over_is_told() -> None:
    """It needed somebody, who wants to know."""
    state, _ = reported(AlertState(), RotationReport(good=True, backup="one", trouble=Event.FAILED))
    _, news = reported(state, RotationReport(good=True, backup="one"))
    assert [one.event for one in news] == [Event.RECOVERED, Event.DONE]


# Copies --------------------------------------------------------------------------------------------------------------

TWO = ("nas", "offsite")


def test_a_missing_copy_is_alerted_once_and_then_its_end() -> None:
    """However often it is looked at; of each store for itself."""
    state, news = copies_looked(AlertState(), stores=TWO, late=["nas"], copied=["offsite"])
    assert news == (Alert(Event.UNCOPIED, stores=("nas",)),)
    assert copies_looked(state, stores=TWO, late=["nas"], copied=["offsite"]) == (state, ())
    state, news = copies_looked(state, stores=TWO, late=TWO, copied=[])
    assert news == (Alert(Event.UNCOPIED, stores=("offsite",)),)
    state, news = copies_looked(state, stores=TWO, late=["offsite"], copied=["nas"])
    assert news == (Alert(Event.COPIED, (Event.UNCOPIED,), ("nas",)),)
    assert state == AlertState(uncopied=frozenset({"offsite"}))


def test_a_missing_copy_has_not_come_because_nothing_is_known_of_it() -> None:
    """Nor because it is not late any more; but a store that is not configured any more is forgotten."""
    state = AlertState(frozenset({Event.FAILED}), uncopied=frozenset({"nas"}))
    assert copies_looked(state, stores=TWO, late=[], copied=[]) == (state, ())
    assert copies_looked(state, stores=["offsite"], late=[], copied=[]) == (replace(state, uncopied=frozenset()), ())


def test_a_good_backup_ends_no_missing_copy() -> None:
    """Only the copy does."""
    state, _ = reported(AlertState(uncopied=frozenset({"nas"})), RotationReport(good=True, backup="a"))
    assert state == AlertState(backup="a", uncopied=frozenset({"nas"}))


def test_a_store_in_trouble_is_alerted_once_and_then_its_end() -> None:
    """After a quarter of an hour, and however often it is tried."""
    since = datetime(2026, 4, 1, tzinfo=UTC)
    early = since + timedelta(minutes=14, seconds=59)
    assert store_looked(AlertState(), "nas", since, early) == (AlertState(), ())
    state, news = store_looked(AlertState(), "nas", since, since + timedelta(minutes=15))
    assert news == (Alert(Event.STORE, stores=("nas",)),)
    assert store_looked(state, "nas", since, since + timedelta(days=9)) == (state, ())
    assert store_looked(state, "nas", None, early) == (
        AlertState(),
        (Alert(Event.RECOVERED, (Event.STORE,), ("nas",)),),
    )
    assert store_looked(AlertState(), "nas", None, early) == (AlertState(), ())


@pytest.mark.parametrize(
    ("events", "hears"),
    [({"uncopied", "recovered"}, True), ({"uncopied"}, False), ({"recovered"}, False), ({"store", "recovered"}, False)],
)
def test_that_it_is_copied_again_hears_who_heard_that_it_was_not(events: set[str], hears: bool) -> None:
    """As with any other end."""
    assert wanted(Alert(Event.COPIED, (Event.UNCOPIED,), ("nas",)), set(map(Event, events))) is hears


def test_a_held_pruning_is_told_once_for_each_store_and_so_is_its_end() -> None:
    """A store of which nothing is known meanwhile, as after a restart, ends nothing."""
    both = {"nas", "usb"}
    state, news = pruning_looked(AlertState(), stores=both, held={"nas"}, pruned={"usb"})
    assert news == (Alert(Event.UNPRUNED, stores=("nas",)),)
    assert pruning_looked(state, stores=both, held={"nas"}, pruned={"usb"}) == (state, ())
    assert pruning_looked(state, stores=both, held=(), pruned={"usb"}) == (state, ())
    over = Alert(Event.PRUNED, (Event.UNPRUNED,), ("nas",))
    assert pruning_looked(state, stores=both, held={"usb"}, pruned={"nas"}) == (
        AlertState(unpruned=frozenset({"usb"})),
        (over, Alert(Event.UNPRUNED, stores=("usb",))),
    )
    assert wanted(over, {Event.UNPRUNED, Event.RECOVERED})
    assert not wanted(over, {Event.RECOVERED})


def test_a_freeze_is_told_once_and_so_is_its_end() -> None:
    """However many proofs fail meanwhile."""
    state, news = proofs_looked(AlertState(), frozen=True)
    assert news == (Alert(Event.UNPROVEN),)
    assert proofs_looked(state, frozen=True) == (state, ())
    assert proofs_looked(state, frozen=False) == (AlertState(), (Alert(Event.PROVEN, (Event.UNPROVEN,)),))
    assert proofs_looked(AlertState(), frozen=False) == (AlertState(), ())


def test_a_proof_that_is_late_is_told_once_until_a_newer_backup_is_read() -> None:
    """That those which waited were deleted, and newer ones wait, ends nothing."""
    state, news = proof_lateness_looked(AlertState(), late=True, waits=True, read="one")
    assert (state, news) == (AlertState(proof_late="one"), (Alert(Event.PROOF_LATE),))
    assert proof_lateness_looked(state, late=True, waits=True, read="one") == (state, ())
    assert proof_lateness_looked(state, late=False, waits=True, read="one") == (state, ())
    over = AlertState(), (Alert(Event.PROVEN, (Event.PROOF_LATE,)),)
    assert proof_lateness_looked(state, late=False, waits=True, read="two") == over
    assert proof_lateness_looked(state, late=False, waits=False, read="one") == over
    assert proof_lateness_looked(state, late=True, waits=True, read="two") == (state, ())


def test_a_proof_that_is_not_late_needs_no_alert() -> None:
    """Though one waits, and none was ever read."""
    assert proof_lateness_looked(AlertState(), late=False, waits=True, read="") == (AlertState(), ())
    state, _ = proof_lateness_looked(AlertState(), late=True, waits=True, read="")
    assert proof_lateness_looked(state, late=False, waits=True, read="") == (state, ())
    assert proof_lateness_looked(state, late=False, waits=True, read="one")[0] == AlertState()


def test_members_that_differ_are_alerted_once_and_then_that_they_agree() -> None:
    """After a quarter of an hour: a configuration reaches one member after the other."""
    since = datetime(2026, 4, 1, tzinfo=UTC)
    look = partial(cluster_looked, nobody_since=None, promoted_at=None)
    early, late = since + timedelta(minutes=14, seconds=59), since + timedelta(minutes=15)
    assert look(AlertState(), differ_since=since, now=early) == (AlertState(), ())
    state, news = look(AlertState(), differ_since=since, now=late)
    assert news == (Alert(Event.MEMBERS_DIFFER),)
    assert look(state, differ_since=since, now=since + timedelta(days=9)) == (state, ())
    over = Alert(Event.RECOVERED, (Event.MEMBERS_DIFFER,))
    assert look(state, differ_since=None, now=late) == (AlertState(), (over,))
    assert look(AlertState(), differ_since=None, now=late) == (AlertState(), ())
    assert wanted(over, {Event.MEMBERS_DIFFER, Event.RECOVERED})


def test_that_nobody_acts_is_alerted_once_and_then_that_somebody_does() -> None:
    """After five minutes, in which a member may have come back; whether the members differ is another matter."""
    since = datetime(2026, 4, 1, tzinfo=UTC)
    differing = AlertState(frozenset({Event.MEMBERS_DIFFER}))
    look = partial(cluster_looked, differ_since=since, promoted_at=None)
    early, late = since + timedelta(minutes=4, seconds=59), since + timedelta(minutes=5)
    assert look(differing, nobody_since=since, now=early) == (differing, ())
    state, news = look(differing, nobody_since=since, now=late)
    assert news == (Alert(Event.NOBODY_ACTS),)
    assert look(state, nobody_since=since, now=since + timedelta(days=9)) == (state, ())
    over = Alert(Event.RECOVERED, (Event.NOBODY_ACTS,))
    assert look(state, nobody_since=None, now=late) == (differing, (over,))
    assert wanted(over, {Event.NOBODY_ACTS, Event.RECOVERED})


def test_each_promotion_is_alerted_once_unless_it_is_old_when_it_is_first_seen() -> None:
    """Whatever the members do meanwhile; it has no end."""
    first = datetime(2026, 4, 1, tzinfo=UTC)
    look = partial(cluster_looked, nobody_since=None)
    state, news = look(AlertState(), differ_since=None, promoted_at=first, now=first)
    assert news == (Alert(Event.PROMOTED),)
    assert look(state, differ_since=None, promoted_at=first, now=first) == (state, ())
    second = first + timedelta(days=2)
    state, news = look(state, differ_since=first, promoted_at=second, now=second)
    assert news == (Alert(Event.MEMBERS_DIFFER), Alert(Event.PROMOTED))
    state, news = look(state, differ_since=None, promoted_at=second, now=second)
    assert (news, state.promoted) == ((Alert(Event.RECOVERED, (Event.MEMBERS_DIFFER,)),), "2026-04-03T00:00:00Z")
    day_later = first + timedelta(days=1)
    assert look(AlertState(), differ_since=None, promoted_at=first, now=day_later)[1] == ()


def test_drills_that_fail_in_a_row_are_told_once_and_so_is_their_end() -> None:
    """The end goes to those who heard of it, and want to know when trouble ends."""
    state, news = drills_looked(AlertState(), failed=True)
    assert news == (Alert(Event.DRILL_FAILED),)
    assert drills_looked(state, failed=True) == (state, ())
    over = Alert(Event.DRILLED, (Event.DRILL_FAILED,))
    assert drills_looked(state, failed=False) == (AlertState(), (over,))
    assert wanted(over, {Event.DRILL_FAILED, Event.RECOVERED})
    assert not wanted(over, {Event.RECOVERED})
    assert not wanted(over, {Event.DRILL_FAILED})


def test_the_end_of_a_freeze_goes_to_those_who_heard_of_it() -> None:
    """And want to know when trouble ends."""
    late = Alert(Event.PROVEN, (Event.PROOF_LATE,))
    assert wanted(late, {Event.PROOF_LATE, Event.RECOVERED})
    assert not wanted(late, {Event.UNPROVEN, Event.RECOVERED})
    over = Alert(Event.PROVEN, (Event.UNPROVEN,))
    assert wanted(over, {Event.UNPROVEN, Event.RECOVERED})
    assert not wanted(over, {Event.UNPROVEN})
    assert not wanted(over, {Event.RECOVERED})


def test_what_is_not_said_of_a_server_a_rotation_or_an_alert_is_not_so() -> None:
    """Each of their values, where none is given."""
    nothing = frozenset[str]()
    assert AlertState() == AlertState(frozenset(), frozenset(), None, nothing, nothing, False, None, False, None)
    assert RotationReport() == RotationReport(False, False, None, None, False, None)
    assert Alert(Event.DONE) == Alert(Event.DONE, (), ())
