"""What is shown of a server: troubles in words, progress, and the order of the list."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.values import ServerConfig
from daemon.core.model import State
from daemon.errors import ProblemCode
from daemon.rotation.order import Stage
from daemon.rotation.outcome import Problem, Result
from daemon.status.history import Ended, Good, ServerHistory, after
from daemon.status.server_status import Work, by_trouble, progress_of, status_of
from daemon.status.timetable import Timetable, times_of
from daemon.status.troubles import Kind
from tests.at_once import at_once
from tests.web.gallery import DAY, GIB, NOW, Gallery, configured, empty, nightly, seen, snapshot

MINUTE = timedelta(minutes=1)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """One server, of which nothing is known yet."""
    made = empty(configured(tmp_path, ["survival"]))
    yield made
    at_once(made.context.close())


def after_nights(gallery: Gallery, *, until: timedelta = timedelta(0), **nights: Any) -> ServerHistory:
    """Let the server have its nightly backups up to a while ago, and the last rotation be well."""
    server = gallery.config.servers["survival"]
    backups = nightly(server, NOW - until, days=40, **nights)
    made = max(backup.created_at for backup in backups if backup.created_at)
    history = gallery.tracker.histories["survival"] = seen(server, backups, made + 12 * MINUTE)
    return history


def kinds(gallery: Gallery) -> list[Kind]:
    """What is wrong with the server."""
    view = at_once(gallery.fleet_status.server("survival"))
    assert view
    return [trouble.kind for trouble in view.troubles]


def sentences(gallery: Gallery) -> str:
    """What is wrong with the server, and what to do, in words."""
    view = at_once(gallery.fleet_status.server("survival"))
    assert view
    return " ".join(f"{trouble.text} {trouble.hint}" for trouble in view.troubles)


def test_a_server_with_last_night_s_backup_is_in_order(gallery: Gallery) -> None:
    """Nothing to say of it."""
    after_nights(gallery)
    view = at_once(gallery.fleet_status.server("survival"))
    assert view
    assert view.troubles == ()
    assert not view.overdue
    assert view.age == NOW - gallery.config.servers["survival"].starts.latest(NOW)
    assert view.times.interval == DAY


def test_a_server_is_overdue_when_a_start_brought_nothing_within_its_time(gallery: Gallery) -> None:
    """Which is what a rotation may take, and some grace: until then it may still come."""
    overdue_at = after_nights(gallery, until=DAY).fine_at + DAY + timedelta(hours=6, minutes=30)
    gallery.clock.elapsed += (overdue_at - NOW - timedelta(seconds=1)).total_seconds()
    assert kinds(gallery) == []
    gallery.clock.elapsed += 1
    assert kinds(gallery) == [Kind.OVERDUE]
    assert "1 d 6 h old; one was due at 2026-04-16 04:" in sentences(gallery)


def test_a_server_without_any_good_backup_is_told_of_once_one_was_due(gallery: Gallery) -> None:
    """At first nothing is wrong: it was just configured."""
    assert kinds(gallery) == []
    gallery.clock.elapsed += DAY.total_seconds() * 2
    assert kinds(gallery) == [Kind.OVERDUE]
    assert "no good backup at all" in sentences(gallery)


@pytest.mark.parametrize("result", [Result.FAILED, Result.REFUSED])
def test_a_rotation_that_failed_is_told_with_its_reason_and_the_next_try(gallery: Gallery, result: Result) -> None:
    """And with how many before it."""
    history = after_nights(gallery)
    problem = Problem(ProblemCode.NODE, "the node does not answer", "is wings running?")
    last = Ended("schedule", NOW, NOW, result, problems=(problem,), retry_at=NOW + timedelta(minutes=20))
    gallery.tracker.histories["survival"] = replace(history, last=last, failures=3)
    assert kinds(gallery) == [Kind.FAILING]
    said = sentences(gallery)
    verb = "failed" if result is Result.FAILED else "was refused"
    assert f"The last rotation {verb}, and 2 before it did not succeed either: the node" in said
    assert "tried again at 2026-04-16 12:00 CEST" in said
    assert "is wings running?" in said


def test_deletions_that_the_brake_holds_are_no_failure(gallery: Gallery) -> None:
    """It says how many and since when, and what to do; the names are a paragraph, and stand on the server's page."""
    history = after_nights(gallery)
    names = "would delete 12 good backups, more than max_deletions = 10: auto-survival-1, auto-survival-2"
    problem = Problem(ProblemCode.MAX_DELETIONS, names, "look at `ptero-backupd plan survival`")
    last = Ended("schedule", NOW, NOW, Result.REFUSED, good=True, problems=(problem,))
    assert history.snapshot
    snapshot = replace(history.snapshot, tally=replace(history.snapshot.tally, beyond=12))
    held = replace(history, snapshot=snapshot, last=last, failures=3, held_since=NOW - 2 * DAY)
    gallery.tracker.histories["survival"] = held
    assert kinds(gallery) == [Kind.HELD]
    said = sentences(gallery)
    assert (
        "The new backup is good; the brake holds the deletion of 12 good backups since 2026-04-14 11:40 CEST." in said
    )
    assert "look at `ptero-backupd plan survival`" in said
    assert "auto-survival-1" not in said
    node = Ended("schedule", NOW, NOW, Result.FAILED, problems=(Problem(ProblemCode.NODE, "the node does not answer"),))
    gallery.tracker.histories["survival"] = replace(held, last=node)
    assert kinds(gallery) == [Kind.FAILING, Kind.HELD]
    assert "The brake holds" in sentences(gallery)


def test_a_suspicious_backup_that_is_locked_is_told_with_what_is_wrong(gallery: Gallery) -> None:
    """Not that it is locked."""
    server = gallery.config.servers["survival"]
    backups = nightly(server, days=9, size=lambda ago: 1 if ago == 0 else GIB)
    newest = max(backups, key=lambda backup: backup.created_at or NOW)
    locked = [replace(backup, locked=backup is newest) for backup in backups]
    gallery.tracker.histories["survival"] = seen(server, locked, NOW)
    assert "is suspicious: 1 B, less than 50% of" in sentences(gallery)


@pytest.mark.parametrize("result", [Result.DONE, Result.SKIPPED])
def test_a_rotation_that_was_done_or_skipped_is_no_trouble(gallery: Gallery, result: Result) -> None:
    """A suspended server is nothing to wake up for."""
    history = after_nights(gallery)
    gallery.tracker.histories["survival"] = replace(history, last=Ended("schedule", NOW, NOW, result))
    assert kinds(gallery) == []


def test_a_suspicious_backup_is_told_with_its_size_and_the_way_to_accept_it(gallery: Gallery) -> None:
    """Once, though the rotation failed because of it."""
    history = after_nights(gallery, size=lambda ago: GIB // 9 if ago == 0 else 4 * GIB)
    last = Ended("schedule", NOW, NOW, Result.FAILED, problems=(Problem(ProblemCode.BACKUP_SUSPICIOUS, "so small"),))
    gallery.tracker.histories["survival"] = replace(history, last=last, failures=1)
    assert kinds(gallery) == [Kind.SUSPICIOUS]
    assert history.snapshot
    small = history.snapshot.verdicts[0]
    assert small.state is State.SUSPICIOUS
    assert small.reasons[0].text in sentences(gallery)
    assert f"`ptero-backupd backups accept survival {small.backup.uuid}`" in sentences(gallery)


def test_a_suspicious_backup_before_the_newest_good_one_is_past(gallery: Gallery) -> None:
    """It stays in the list, and is no trouble any more."""
    after_nights(gallery, size=lambda ago: GIB // 9 if ago == 1 else 4 * GIB)
    assert kinds(gallery) == []


def test_a_size_that_was_believed_is_told_while_the_last_whole_one_stays(gallery: Gallery) -> None:
    """Good backups, and still somebody should look; a small one of today is told first, and alone."""
    history = after_nights(gallery, size=lambda ago: GIB // 9 if ago < 6 else 4 * GIB)
    assert kinds(gallery) == [Kind.SUSPICIOUS]
    assert "is the last before it shrank; kept until" in sentences(gallery)
    assert history.snapshot
    newest = history.snapshot.newest_good
    assert newest
    assert f"`ptero-backupd backups accept survival {newest.backup.uuid}`" in sentences(gallery)
    after_nights(gallery, size=lambda ago: 1 if ago == 0 else GIB // 9 if ago < 6 else 4 * GIB)
    assert kinds(gallery) == [Kind.SUSPICIOUS]
    assert "The newest backup" in sentences(gallery)


@pytest.mark.parametrize(("spare", "expected"), [(0, [Kind.LIMIT]), (1, [])])
def test_a_full_limit_is_told(gallery: Gallery, spare: int, expected: list[Kind]) -> None:
    """Failed backups take no place; a limit that holds one more is right."""
    server = gallery.config.servers["survival"]
    backups = nightly(server, days=40, failed=(1,))
    full = sum(backup.successful for backup in backups)
    gallery.tracker.histories["survival"] = seen(server, backups, NOW, limit=full + spare)
    assert kinds(gallery) == expected


def test_the_worst_comes_first(tmp_path: Path) -> None:
    """Then the names in their order."""
    gallery = empty(configured(tmp_path, ["beta", "alpha", "full", "late", "odd", "bad"]))
    servers = gallery.config.servers
    for name in servers:
        gallery.tracker.histories[name] = seen(servers[name], nightly(servers[name], days=9), NOW)
    gallery.tracker.histories["late"] = seen(servers["late"], nightly(servers["late"], NOW - 3 * DAY), NOW - 3 * DAY)
    shrunk = nightly(servers["odd"], days=9, size=lambda ago: 1 if ago == 0 else GIB)
    gallery.tracker.histories["odd"] = seen(servers["odd"], shrunk, NOW)
    gallery.stand("bad", last=Ended("manual", NOW, NOW, Result.FAILED))
    taken = snapshot(servers["full"], nightly(servers["full"], days=9), NOW)
    gallery.stand("full", snapshot=replace(taken, limit=taken.tally.used))
    views = [at_once(gallery.fleet_status.server(name)) for name in servers]
    assert [view.name for view in by_trouble(view for view in views if view)] == [
        "late",
        "bad",
        "odd",
        "full",
        "alpha",
        "beta",
    ]


def test_progress_is_told_by_how_long_earlier_backups_took(gallery: Gallery) -> None:
    """Their median is what the next one is expected to take."""
    history = after_nights(gallery)
    assert history.snapshot
    usual = history.snapshot.usual_duration
    assert usual == timedelta(minutes=11, seconds=14)
    half = progress_of(Work("schedule", NOW, Stage.WAITING, usual / 2), history)
    assert (half.share, half.left) == (0.5, usual / 2)


def test_progress_never_says_done_before_it_is(gallery: Gallery) -> None:
    """One that takes longer than usual stays at 99 %."""
    late = progress_of(Work("schedule", NOW, Stage.WAITING, timedelta(hours=5)), after_nights(gallery))
    assert (late.share, late.left) == (0.99, timedelta(0))


def test_progress_is_unknown_without_an_earlier_backup_or_before_the_backup_is_asked_for(gallery: Gallery) -> None:
    """Then only the stage is shown."""
    assert progress_of(Work("schedule", NOW, Stage.WAITING, MINUTE), ServerHistory.begun(NOW)).share is None
    assert progress_of(Work("schedule", NOW, Stage.QUEUED), after_nights(gallery)).share is None


def test_a_backup_that_the_panel_does_not_delete_is_no_failure_to_back_up(gallery: Gallery) -> None:
    """How many, which was the last, and when it is tried again; later failures do not make it forgotten."""
    history = after_nights(gallery)
    problem = Problem(ProblemCode.UNDELETABLE, "auto-survival-1 could not be deleted: 500", "it is tried again")
    last = Ended(
        "retry", NOW, NOW, Result.FAILED, good=True, undeleted=2, problems=(problem,), retry_at=NOW + timedelta(hours=1)
    )
    stands = after(history, last)
    gallery.tracker.histories["survival"] = stands
    assert kinds(gallery) == [Kind.UNDELETABLE]
    said = sentences(gallery)
    assert "does not delete 2 backups that are to go: auto-survival-1 could not be deleted: 500." in said
    assert "It is tried again at 2026-04-16 " in said
    node = Ended("schedule", NOW, NOW, Result.FAILED, problems=(Problem(ProblemCode.NODE, "the node does not answer"),))
    gallery.tracker.histories["survival"] = after(stands, node)
    assert kinds(gallery) == [Kind.FAILING, Kind.UNDELETABLE]
    gallery.tracker.histories["survival"] = after(stands, Ended("schedule", NOW, NOW, Result.DONE, good=True))
    assert kinds(gallery) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ServerConfig:
    """A server's configuration: nightly at four, Berlin's time."""
    return configured(tmp_path_factory.mktemp("one"), ["survival"]).servers["survival"]


moments = st.integers(-60 * 24 * 40, 60 * 24 * 40).map(lambda minutes: NOW + minutes * MINUTE)


@given(fine_at=moments, good_at=st.none() | moments, failures=st.integers(0, 3), now=moments)
def test_a_status_follows_from_its_history_the_configuration_and_the_clock_alone(
    server: ServerConfig, fine_at: datetime, good_at: datetime | None, failures: int, now: datetime
) -> None:
    """Overdue from one moment on, which is after the next start that follows the last good one; the same each time."""
    good = None if good_at is None else Good(good_at)
    history = replace(ServerHistory.begun(fine_at), good=good, failures=failures)
    status = status_of(server, history, now)
    assert status == status_of(server, history, now, times=times_of(server, fine_at, now))
    assert status.overdue == (now >= status.times.overdue_at) == (Kind.OVERDUE in {one.kind for one in status.troubles})
    assert status.word == ("overdue" if status.overdue else "in order" if good else "not yet")
    assert status.times.next_start > now
    assert status.times.overdue_at > status.times.due_at > fine_at
    assert (status.age is None) == (good is None)
    assert status.age is None or status.age == max(now - (good_at or now), timedelta(0))
    later = status_of(server, history, now + timedelta(days=3))
    assert later.overdue or not status.overdue


def test_a_timetable_remembers_and_answers_the_same(server: ServerConfig) -> None:
    """Until a start passes, the server is fine anew, or its configuration is another."""
    table, other = Timetable(), replace(server, name="survival")
    for fine_at, now in ((NOW, NOW), (NOW, NOW + MINUTE), (NOW, NOW + DAY), (NOW + DAY, NOW + DAY), (NOW, NOW)):
        for config in (server, other):
            assert table.times(config, fine_at, now) == times_of(config, fine_at, now)
            assert table.overdue_at(config, fine_at) == times_of(config, fine_at, now).overdue_at
    assert table.times(server, NOW, NOW) is table.times(server, NOW, NOW + MINUTE)
    table.forget("survival")
    assert table.times(server, NOW, NOW) == times_of(server, NOW, NOW)
