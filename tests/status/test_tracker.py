"""What the watcher remembers of each rotation, in this life and after a restart."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.config.values import Config, ServerConfig
from daemon.core.model import Server, State
from daemon.errors import ProblemCode
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order, Stage
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.state import Rotation, Step
from daemon.state.local.journal import SqliteJournal
from daemon.status.history import Good, ServerHistory
from daemon.status.stored import from_stored, to_stored, to_watch
from tests.at_once import at_once, awaited, sqlite
from tests.closed import closed_in_the_end
from tests.web.gallery import DAY, NOW, Gallery, backup, configured, empty, judged, nightly, open_client, snapshot

UUID = "00000001-0000-4000-8000-000000000000"
SEEN = Server(UUID, "00000001", "Survival", "fsn-03", 30)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A journal on disk."""
    with SqliteJournal.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def gallery(tmp_path: Path, journal: SqliteJournal) -> Gallery:
    """One server, of which nothing is known yet."""
    return empty(configured(tmp_path, ["survival"]), journal=journal)


def server_of(gallery: Gallery) -> ServerConfig:
    """The one server."""
    return gallery.config.servers["survival"]


def history_of(gallery: Gallery) -> ServerHistory:
    """How it stands."""
    return at_once(gallery.tracker.history("survival"))


def good(server: ServerConfig, at: datetime = NOW) -> Outcome:
    """A rotation that made a good backup."""
    verdicts = judged(server, nightly(server, at, days=10), at)
    created = verdicts[0].backup
    return Outcome(
        server.name,
        "main",
        "standard",
        Result.DONE,
        created,
        deleted=(backup(server, at - DAY, 1),),
        kept=9,
        seen=SEEN,
        verdicts=verdicts,
        steps=(
            Step("create", at, {"backup": "b"}),
            Step("created", at, {"uuid": "u", "backup": "b"}),
            Step("planned", at, {"keep": 9, "delete": 1, "refused": None}),
        ),
    )


def bad(result: Result = Result.FAILED, *, passing: bool = False, retry_at: datetime | None = None) -> Outcome:
    """A rotation that came to nothing."""
    problem = Problem(ProblemCode.NODE, "the node does not answer")
    return Outcome("survival", "main", "standard", result, problems=(problem,), passing=passing, retry_at=retry_at)


def rotated(gallery: Gallery, outcome: Outcome, *, seconds: float = 60) -> None:
    """Let the fleet tell of one rotation, and the journal hold it."""
    server, tracker, clock = server_of(gallery), gallery.tracker, gallery.clock
    journal = sqlite(gallery.context.journal)
    order = Order(server, "schedule", clock.now())
    number = journal.begin(
        server_uuid=UUID,
        server=server.name,
        panel="main",
        policy="standard",
        trigger="schedule",
        start_at=order.start_at,
        at=clock.now(),
    )
    at_once(tracker.began(order))
    clock.elapsed += seconds
    summary = {
        "good": bool(outcome.verdicts),
        "problems": [{"code": p.code, "text": p.text, "hint": p.hint} for p in outcome.problems],
    }
    journal.end(number, at=clock.now(), result=outcome.result.value, retry_at=outcome.retry_at, summary=summary)
    at_once(tracker.ended(order, outcome))


def test_a_good_rotation_leaves_a_snapshot_and_the_newest_good_backup(gallery: Gallery) -> None:
    """And nothing to complain of since its end."""
    outcome = good(server_of(gallery))
    rotated(gallery, outcome)
    history = history_of(gallery)
    assert history.snapshot
    assert history.snapshot.verdicts == outcome.verdicts
    assert (history.snapshot.node, history.snapshot.limit) == ("fsn-03", 30)
    assert outcome.created
    assert history.good_at == outcome.created.created_at
    assert history.fine_at == gallery.clock.now()
    assert history.last
    assert (history.last.result, history.last.good, history.last.deleted) == (Result.DONE, True, 1)
    assert history.began is None


def test_a_rotation_that_saw_nothing_leaves_what_was_known(gallery: Gallery) -> None:
    """The panel may be down; the backups are still there."""
    rotated(gallery, good(server_of(gallery)))
    before = history_of(gallery)
    rotated(gallery, bad())
    after = history_of(gallery)
    assert (after.snapshot, after.good_at, after.fine_at) == (before.snapshot, before.good_at, before.fine_at)
    assert after.last
    assert after.last.problems[0].text == "the node does not answer"


def test_failures_are_counted_until_a_rotation_is_done(gallery: Gallery) -> None:
    """A refusal counts as well, a skip neither way."""
    counted = []
    for outcome in (bad(), bad(Result.REFUSED), bad(Result.SKIPPED, passing=True), bad(), good(server_of(gallery))):
        rotated(gallery, outcome)
        counted.append(history_of(gallery).failures)
    assert counted == [1, 2, 2, 3, 0]


def held(gallery: Gallery) -> Outcome:
    """A rotation that got its good backup, and would have deleted too many others."""
    problem = Problem(ProblemCode.MAX_DELETIONS, "would delete 12 good backups", "look at the plan")
    return replace(good(server_of(gallery)), result=Result.REFUSED, problems=(problem,), deleted=())


def test_it_is_known_since_when_the_brake_holds(gallery: Gallery) -> None:
    """The first of them says it; a failure in between lets nothing go, what is done does. A restart forgets nothing."""
    rotated(gallery, held(gallery))
    first = gallery.clock.now()
    for outcome in (bad(), bad(Result.SKIPPED, passing=True), *[held(gallery)] * 30):
        rotated(gallery, outcome)
        assert history_of(gallery).held_since == first
    gallery.tracker.histories.clear()
    assert history_of(gallery).held_since == first
    assert history_of(gallery).failures == 0  # each got its good backup
    rotated(gallery, good(server_of(gallery)))
    assert history_of(gallery).held_since is None


def test_a_suspended_server_is_excused(gallery: Gallery) -> None:
    """It does not become overdue; one that is only busy does."""
    rotated(gallery, bad(Result.SKIPPED))
    assert history_of(gallery).fine_at == gallery.clock.now()
    rotated(gallery, bad(Result.SKIPPED, passing=True))
    assert history_of(gallery).fine_at < gallery.clock.now()


def test_a_created_backup_that_is_not_good_is_no_good_rotation(gallery: Gallery) -> None:
    """Whatever the rotation's result."""
    outcome = good(server_of(gallery))
    first = outcome.verdicts[0]._replace(state=State.SUSPICIOUS)
    rotated(gallery, replace(outcome, result=Result.FAILED, verdicts=(first, *outcome.verdicts[1:])))
    last = history_of(gallery).last
    assert last
    assert not last.good
    assert history_of(gallery).good_at == outcome.verdicts[1].backup.created_at


def test_a_restarted_daemon_knows_what_it_knew(gallery: Gallery) -> None:
    """From the journal alone."""
    rotated(gallery, good(server_of(gallery)))
    rotated(gallery, bad(retry_at=NOW + DAY))
    rotated(gallery, bad(retry_at=NOW + DAY))
    before = history_of(gallery)
    again = empty(gallery.config, gallery.clock.now() + DAY, sqlite(gallery.context.journal))
    after = history_of(again)
    assert (after.good_at, after.fine_at, after.failures) == (before.good_at, before.fine_at, 2)
    assert after.last == before.last
    assert after.snapshot
    assert before.snapshot
    assert after.snapshot.tally == before.snapshot.tally
    assert [one.reasons for one in after.snapshot.verdicts] == [one.reasons for one in before.snapshot.verdicts]


def test_a_restarted_daemon_has_watched_a_server_since_its_first_rotation(gallery: Gallery) -> None:
    """Or a daemon that is restarted each day would never find one overdue that never had a good backup."""
    first = gallery.clock.now()
    rotated(gallery, bad())
    assert history_of(empty(gallery.config, NOW + 3 * DAY, sqlite(gallery.context.journal))).fine_at == first


def test_another_server_of_the_same_name_begins_anew(tmp_path: Path, gallery: Gallery) -> None:
    """A name that a reload gives to another server keeps nothing of the one before."""
    rotated(gallery, good(server_of(gallery)))
    gallery.tracker.follow(of_another_server(tmp_path))
    assert history_of(gallery) == ServerHistory.begun(gallery.clock.now())


@pytest.mark.parametrize("removed", [False, True])
def test_a_rotation_of_the_server_that_had_a_name_before_says_nothing_of_the_one_that_has_it_now(
    tmp_path: Path, gallery: Gallery, *, removed: bool
) -> None:
    """It begins or ends after the reload, and is counted. The name may have stood for none meanwhile."""
    other = of_another_server(tmp_path)
    gallery.tracker.follow(replace(other, servers={}) if removed else other)
    rotated(gallery, good(server_of(gallery)))
    gallery.tracker.follow(other)
    assert (history_of(gallery).last, history_of(gallery).began) == (None, None)
    assert gallery.tracker.counts.rotations["survival", Result.DONE] == 1


def of_another_server(folder: Path) -> Config:
    """The configuration, whose name stands for another server now."""
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(text.replace("00000001", "0000000f"))
    return configured_again(folder)


def configured_again(folder: Path) -> Config:
    """The configuration as it stands in the folder."""
    from daemon.config.load import load  # noqa: PLC0415
    from tests.web.gallery import KEY  # noqa: PLC0415

    return load(folder / "config.toml", {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY})


def test_a_reload_disturbs_no_server_that_stays(gallery: Gallery) -> None:
    """And forgets those that are gone."""
    rotated(gallery, good(server_of(gallery)))
    before = history_of(gallery)
    gallery.tracker.follow(gallery.config)
    assert history_of(gallery) is before
    gallery.tracker.follow(replace(gallery.config, servers={}))
    assert gallery.tracker.histories == {}


def test_nothing_is_recalled_before_somebody_asks(
    tmp_path: Path, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither at the start nor at a reload: of ten thousand servers it takes many seconds and most of the memory."""
    asked: list[str] = []
    attempts = SqliteJournal.attempts

    def counting(journal: SqliteJournal, server: str, limit: int) -> list[Rotation]:
        asked.append(server)
        return attempts(journal, server, limit)

    monkeypatch.setattr(SqliteJournal, "attempts", counting)
    gallery = empty(configured(tmp_path, ["survival", "creative"]), journal=journal)
    gallery.tracker.follow(gallery.config)
    assert (asked, gallery.tracker.histories) == ([], {})
    at_once(gallery.tracker.history("creative"))
    at_once(gallery.tracker.history("creative"))
    assert asked == ["creative"]


def test_a_server_is_watched_since_it_was_configured_whenever_somebody_asks(gallery: Gallery) -> None:
    """And not since it was asked for, or it would be overdue later on a page that is opened late."""
    began = gallery.clock.now()
    gallery.clock.elapsed += 3600
    gallery.tracker.follow(gallery.config)
    assert history_of(gallery) == ServerHistory.begun(began)


def test_what_is_at_hand_of_a_server_is_small(gallery: Gallery) -> None:
    """Its verdicts are packed, a tenth of a kilobyte each."""
    outcome = good(server_of(gallery))
    rotated(gallery, outcome)
    snapshot = history_of(gallery).snapshot
    assert snapshot
    assert len(snapshot.packed) < 120 * len(outcome.verdicts)


def test_a_failed_reload_is_remembered_until_one_succeeds(gallery: Gallery) -> None:
    """With when one last did."""
    began = gallery.tracker.reload.succeeded_at
    gallery.clock.elapsed += 60
    gallery.tracker.reload_failed()
    assert (gallery.tracker.reload.successful, gallery.tracker.reload.succeeded_at) == (False, began)
    gallery.tracker.follow(gallery.config)
    assert (gallery.tracker.reload.successful, gallery.tracker.reload.succeeded_at) == (True, gallery.clock.now())


def test_a_journal_that_cannot_be_read_costs_only_the_memory(gallery: Gallery) -> None:
    """The daemon starts all the same, and each rotation is watched."""
    journal = sqlite(gallery.context.journal)
    journal.close()
    tracker = empty(gallery.config, journal=journal).tracker
    assert at_once(tracker.history("survival")) == ServerHistory.begun(NOW)
    order = Order(server_of(gallery), "schedule")
    at_once(tracker.began(order))
    at_once(tracker.ended(order, good(server_of(gallery))))
    assert at_once(tracker.history("survival")).snapshot
    assert at_once(tracker.trend("survival")) == []


def test_a_snapshot_written_otherwise_is_passed_over(gallery: Gallery, journal: SqliteJournal) -> None:
    """The next rotation brings it anew."""
    rotated(gallery, good(server_of(gallery)))
    connection: sqlite3.Connection = journal._connection
    connection.execute("UPDATE snapshot SET detail = '{\"verdicts\": [{}]}'")
    again = history_of(empty(gallery.config, NOW, journal))
    assert again.snapshot is None
    assert again.good_at is not None


def test_a_snapshot_comes_back_as_it_was_stored(gallery: Gallery) -> None:
    """All that the page shows of it."""
    server = server_of(gallery)
    taken = snapshot(
        server, [*nightly(server, days=9, locked=(3,), failed=(1,)), backup(server, NOW, 0, pending=True)], NOW
    )
    assert from_stored(to_stored(taken, "main")) == taken


def test_lateness_is_counted_for_starts_that_the_scheduler_called(gallery: Gallery) -> None:
    """Not for those that waited for the rotation before them, nor for what somebody did by hand."""
    lateness, tracker, clock = gallery.tracker.counts.lateness, gallery.tracker, gallery.clock
    server = server_of(gallery)
    at_once(tracker.began(Order(server, "schedule", clock.now() - timedelta(seconds=3))))
    assert (lateness.sum, lateness.cumulative()[-1]) == (3.0, 1)
    clock.elapsed += 3600
    at_once(tracker.ended(Order(server, "schedule"), bad()))
    at_once(tracker.began(Order(server, "schedule", clock.now() - timedelta(minutes=20))))
    at_once(tracker.began(Order(server, "catch-up", clock.now() - DAY)))
    at_once(tracker.began(Order(server, "manual")))
    assert lateness.cumulative()[-1] == 1


def test_rotations_steps_and_deletions_are_counted(gallery: Gallery) -> None:
    """By what they came to; the journal is not asked for that."""
    rotated(gallery, good(server_of(gallery)), seconds=90)
    rotated(gallery, bad())
    counts = gallery.tracker.counts
    assert counts.rotations == {("survival", Result.DONE): 1, ("survival", Result.FAILED): 1}
    assert counts.deletions["survival"] == 1
    assert counts.steps == {("create", "done"): 1, ("plan", "done"): 1, ("plan", "refused"): 0}
    assert counts.durations.sum == 150


def test_what_runs_is_told_with_how_long_its_backup_takes_by_now(gallery: Gallery) -> None:
    """Nothing where nothing runs."""
    assert gallery.tracker.work("survival") is None
    gallery.run(
        "survival",
        Stage.WAITING,
        timedelta(minutes=5),
        backup(server_of(gallery), NOW - timedelta(minutes=4), 0, pending=True),
    )
    work = gallery.tracker.work("survival")
    assert work
    assert (work.stage, work.waited, work.began_at) == (Stage.WAITING, timedelta(minutes=4), NOW - timedelta(minutes=5))


def test_the_newest_client_of_each_panel_is_known(gallery: Gallery) -> None:
    """A reload may replace it."""
    made: list[PanelClient] = []

    def opening(panel: object) -> PanelClient:
        made.append(open_client(server_of(gallery).panel, gallery.clock))
        return made[-1]

    open_watched = gallery.tracker.opening(opening)
    assert open_watched(server_of(gallery).panel) is gallery.tracker.clients["main"]
    assert open_watched(server_of(gallery).panel) is gallery.tracker.clients["main"] is made[1]


def by_hand(gallery: Gallery) -> datetime:
    """Let another process rotate the server well, now; return when."""
    journal, at = sqlite(gallery.context.journal), gallery.clock.now()
    number = journal.begin(
        server_uuid=UUID, server="survival", panel="main", policy="standard", trigger="manual", start_at=None, at=at
    )
    journal.end(number, at=at, result="done", summary={"good": True, "problems": []})
    return at


def test_a_server_that_was_rotated_by_hand_is_not_overdue(gallery: Gallery) -> None:
    """The journal is asked before a server is called overdue, and again a minute later at the earliest."""
    rotated(gallery, bad())
    gallery.clock.elapsed += 3 * DAY.total_seconds()
    overdue = at_once(gallery.tracker.status("survival"))
    assert overdue
    assert overdue.overdue
    at = by_hand(gallery)
    gallery.clock.elapsed += 59
    assert at_once(gallery.tracker.status("survival")) == replace(overdue, now=gallery.clock.now())
    gallery.clock.elapsed += 1
    status = at_once(gallery.tracker.status("survival"))
    assert status
    assert not status.overdue
    assert (status.good_at, status.history.failures) == (at, 0)


def test_what_other_members_of_a_cluster_rotated_is_known_once_that_ended(gallery: Gallery) -> None:
    """The journal is not asked before."""
    other = empty(gallery.config, journal=sqlite(gallery.context.journal))
    before = history_of(other)
    rotated(gallery, good(server_of(gallery)))
    assert history_of(other) is before
    other.clock.elapsed = gallery.clock.elapsed
    other.tracker.ended_elsewhere({"survival"})
    assert told_of(other) == told_of(gallery)
    rotated(gallery, bad())
    other.tracker.ended_elsewhere({"survival"})
    assert told_of(other) == told_of(gallery)


def told_of(gallery: Gallery) -> tuple[object, ...]:
    """What is shown of the one server: how it stands, and by which backup."""
    status = at_once(gallery.tracker.status("survival"))
    assert status
    history, last = status.history, status.history.last
    return status.word, status.good_at, status.tally, history.failures, last and (last.result, last.ended_at)


def test_a_member_of_a_cluster_knows_of_what_it_takes_over_when_it_was_last_fine(gallery: Gallery) -> None:
    """Without asking the journal for each server's rotations: as the member that had it wrote that down."""
    tracker, journal = gallery.tracker, sqlite(gallery.context.journal)
    gallery.clock.elapsed += 2 * DAY.total_seconds()
    at_once(tracker.history("survival"))
    assert tracker.overdue_at("survival") < gallery.clock.now()
    journal.watch({"survival": to_watch(ServerHistory.begun(gallery.clock.now()))}, gallery.clock.now())
    at_once(tracker.took_over({"survival", "gone"}))
    assert tracker.histories == {}
    assert tracker.overdue_at("survival") > gallery.clock.now()


def test_the_journal_takes_nothing_back(gallery: Gallery) -> None:
    """It may have failed while the rotation that is known here ended."""
    at_once(gallery.tracker.ended(Order(server_of(gallery), "schedule"), good(server_of(gallery))))
    before = history_of(gallery)
    assert not at_once(gallery.tracker.look_again("survival"))
    sqlite(gallery.context.journal).close()
    assert not at_once(gallery.tracker.look_again("survival"))
    assert history_of(gallery) is before


def test_what_alerts_wrote_is_known_of_all_servers_by_one_query(tmp_path: Path, journal: SqliteJournal) -> None:
    """Since when a server is fine, that has no rotations yet or whose last good one is long ago; a row that makes no
    sense is no row.
    """
    week = NOW - 7 * DAY
    journal.watch(
        {"survival": {"fine_at": week.isoformat(), "good_at": week.isoformat()}, "creative": {"fine_at": "yesterday"}},
        NOW,
    )
    tracker = empty(configured(tmp_path, ["survival", "creative"]), journal=journal).tracker
    at_once(tracker.read_journal())
    assert tracker.at_hand("survival") == ServerHistory(week, week, Good(week))
    assert tracker.at_hand("creative") == ServerHistory.begun(NOW)
    assert tracker.histories == {}
    assert tracker.overdue_at("survival") < NOW < tracker.overdue_at("creative")
    status = at_once(tracker.status("survival"))
    assert status
    assert (status.overdue, status.good_at) == (True, week)


def test_a_journal_that_is_opened_later_is_read_then(gallery: Gallery, journal: SqliteJournal) -> None:
    """The state could not be used at the start, and nothing happened since."""
    again = empty(gallery.config, journal=closed_in_the_end(SqliteJournal.memory()))
    assert history_of(again) == ServerHistory.begun(NOW)
    journal.watch({"survival": {"fine_at": (NOW - DAY).isoformat()}}, NOW)
    again.context.journal = awaited(journal)
    assert history_of(again) == ServerHistory.begun(NOW - DAY)


def test_a_server_that_is_discovered_after_a_restart_is_known_as_well(tmp_path: Path, journal: SqliteJournal) -> None:
    """Its panel is asked only once the daemon runs; one that was taken away and comes back begins anew."""
    week = NOW - 7 * DAY
    journal.watch({"survival": {"fine_at": week.isoformat()}}, NOW)
    config = configured(tmp_path, ["survival"])
    tracker = empty(replace(config, servers={}), journal=journal).tracker
    at_once(tracker.read_journal())
    tracker.follow(config)
    assert tracker.at_hand("survival") == ServerHistory.begun(week)
    tracker.follow(replace(config, servers={}))
    tracker.follow(config)
    assert tracker.at_hand("survival") == ServerHistory.begun(NOW)


def boot_without_a_clock(gallery: Gallery) -> None:
    """The machine has no battery for its clock, which is set once there is a network."""
    gallery.clock.start = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    gallery.tracker.follow(replace(gallery.config, servers={}))
    gallery.tracker.follow(gallery.config)


def test_a_server_is_not_overdue_since_1970_where_the_clock_was_set_late(gallery: Gallery) -> None:
    """It is watched since then."""
    boot_without_a_clock(gallery)
    rotated(gallery, bad())
    assert history_of(gallery).fine_at.year == 1970
    gallery.clock.start = NOW
    status = at_once(gallery.tracker.status("survival"))
    assert status
    assert not status.overdue
    assert status.history.fine_at == gallery.clock.now() > NOW
    gallery.clock.elapsed += 3 * DAY.total_seconds()
    assert gallery.tracker.overdue_at("survival") < gallery.clock.now()


def test_what_was_known_stands_though_the_daemon_starts_in_1970(gallery: Gallery, journal: SqliteJournal) -> None:
    """So an earlier daemon's alarm goes on."""
    week = NOW - 7 * DAY
    journal.watch({"survival": {"fine_at": week.isoformat()}}, NOW)
    boot_without_a_clock(gallery)
    assert history_of(gallery) == ServerHistory.begun(week)


def test_what_a_clock_that_was_not_set_dated_says_nothing(gallery: Gallery, journal: SqliteJournal) -> None:
    """Neither a good rotation, nor when alerts last wrote; another member of a cluster may have such a clock."""
    boot_without_a_clock(gallery)
    rotated(gallery, good(server_of(gallery)))
    journal.watch({"survival": {"fine_at": gallery.clock.now().isoformat()}}, NOW)
    gallery.clock.start = NOW
    again = empty(gallery.config, journal=journal)
    assert history_of(again).fine_at == again.clock.now()
    assert history_of(again).since == again.clock.now()


@pytest.mark.parametrize("outcome", ["failed", "good"])
def test_what_the_journal_tells_counts_though_the_daemon_starts_in_1970(gallery: Gallery, outcome: str) -> None:
    """It tells since when the server is watched, and since when it is overdue, once the clock is set too."""
    rotated(gallery, bad() if outcome == "failed" else good(server_of(gallery)))
    began = NOW
    boot_without_a_clock(gallery)
    again = empty(gallery.config, journal=sqlite(gallery.context.journal))
    again.clock.start = gallery.clock.start
    again.tracker.follow(replace(gallery.config, servers={}))
    again.tracker.follow(gallery.config)
    for _ in range(2):
        history = history_of(again)
        assert history.since == began
        assert history.fine_at == (began if outcome == "failed" else began + timedelta(seconds=60))
        again.clock.start = NOW + 30 * DAY
