"""A day of a fleet, after which everything that the daemon says of it must agree with what the sandbox knows.

The day is lived through once; `day` tells how. What is compared is reckoned from the sandbox's records and ledger and
from the journal's rows by rules that are written anew here, but for the verdicts: those are judged by the daemon's
own retention, on the sandbox's backups.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.config.values import ServerConfig
from daemon.core.model import Backup, Verdict
from daemon.core.retention import judge
from daemon.core.units import format_size
from daemon.sandbox import records
from daemon.sandbox.records import Change, Entry
from daemon.state import Rotation
from tests.virtual import START
from tests.whole.day import FULL, NEWCOMER, REMOVED, SMALL, STOPPED, Day, spend

pytestmark = pytest.mark.timeout(300)
"""The day takes a quarter of a minute of work: on a busy machine the bound for one test ended a rotation in it."""

GRACE = timedelta(minutes=30)
LOOK = timedelta(minutes=1)
OF_DAEMON = "admin"
"""Through whom the sandbox says that the daemon's key did something."""

STEPS = {
    "gathered": ("gather", "done"),
    "adopted": ("create", "adopted"),
    "created": ("create", "done"),
    "create_refused": ("create", "refused"),
    "turned_good": ("wait", "done"),
    "room_done": ("room", "done"),
    "delete_done": ("delete", "done"),
}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The day, once for all tests."""
    return spend(tmp_path_factory.mktemp("day"))


# The truth -----------------------------------------------------------------------------------------------------------


def is_own(backup: records.Backup, server: str) -> bool:
    """Whether the name says that the daemon made it."""
    return re.fullmatch(rf"auto-{server}-\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}", backup.name) is not None


def state_of(backup: records.Backup) -> str:
    """What it is worth: the day has exactly one that is suspiciously small."""
    return "suspicious" if backup.bytes == SMALL else backup.state.value


def good_of(day: Day, server: str) -> list[records.Backup]:
    """Own good backups, oldest first."""
    backups = day.server(server).backups.values()
    good = (backup for backup in backups if is_own(backup, server) and state_of(backup) == "good")
    return sorted(good, key=lambda backup: backup.created_at)


def judged(day: Day, config: ServerConfig, at: datetime) -> tuple[Verdict, ...]:
    """What retention says at that moment of the backups that the sandbox holds."""
    backups = [
        Backup(one.uuid, one.name, one.successful, one.locked, one.bytes, one.created_at, one.completed_at)
        for one in day.server(config.name).backups.values()
    ]
    return judge(backups, config.policy.retention, ownership=config.ownership, now=at)


def happened(day: Day, change: Change, by: str = OF_DAEMON) -> list[Entry]:
    """The ledger's lines of that kind."""
    return [entry for entry in day.world.ledger if entry.change is change and entry.by == by]


def uuids(row: Rotation, *steps: str) -> list[str]:
    """The backups that these steps of a rotation name."""
    return [step.detail["uuid"] for step in row.steps if step.name in steps]


def moment(text: str) -> datetime:
    """A time as the status writes it."""
    return datetime.fromisoformat(text)


def iso(at: datetime) -> str:
    """The same the other way round."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# The day itself ------------------------------------------------------------------------------------------------------


def test_the_day_was_one_worth_comparing(day: Day) -> None:
    """Trouble of every kind came to pass, and every kind of end, step and news."""
    assert len(day.config.servers) == 50
    assert len(day.world.faults.happened) >= 14
    assert {row.result for row in day.rotations} == {"done", "skipped", "failed", "refused"}
    codes = {problem["code"] for row in day.rotations for problem in row.summary["problems"]}
    assert codes >= {"backup-failed", "backup-suspicious", "limit", "max-deletions", "node", "server-state", "stuck"}
    steps = {step.name for row in day.rotations for step in row.steps}
    assert steps >= {*STEPS, "planned", "delete_refused"}
    events = {message["event"] for message in day.told}
    assert events == {"failed", "limit", "suspicious", "overdue", "recovered", "done"}
    states = Counter(state_of(backup) for name in day.config.servers for backup in day.server(name).backups.values())
    assert states["good"] > 100
    assert min(states[state] for state in ("failed", "pending", "suspicious")) > 0
    assert not [line for line in day.logged if "bug" in line["event"]]


def test_every_server_has_rested_in_the_calm(day: Day) -> None:
    """Else what follows would compare old news: nothing happened to a server since it was last looked at."""
    for one in day.status["servers"]:
        mine = day.server(one["server"])
        seen_at = moment(one["seen_at"]) + timedelta(seconds=1)  # told without what is beyond its second
        since = [entry for entry in day.world.ledger if entry.server == mine.uuid and entry.at > seen_at]
        assert not since, one["server"]


# The status, the page ------------------------------------------------------------------------------------------------


def test_the_status_counts_what_the_sandbox_holds(day: Day) -> None:
    """Server by server, state by state, to the last backup and byte."""
    assert [one["server"] for one in day.status["servers"]] == list(day.config.servers)
    for one in day.status["servers"]:
        name, config = one["server"], day.config.servers[one["server"]]
        server = day.server(name)
        there = list(server.backups.values())
        states = Counter(map(state_of, there))
        assert one["backups"] == {
            "total": len(there),
            **{state: states[state] for state in ("good", "failed", "pending", "suspicious", "strange")},
            "locked": sum(backup.locked for backup in there),
            "own": sum(is_own(backup, name) for backup in there),
            "kept": sum(verdict.action.value == "keep" for verdict in judged(day, config, moment(one["seen_at"]))),
            "bytes": sum(backup.bytes for backup in there),
            "limit": server.limit,
        }, name
        assert one["node"] == server.node.name
        good = good_of(day, name)
        assert one["newest_good_at"] == (iso(good[-1].created_at) if good else None), name


def test_the_status_tells_the_journals_last_rotation(day: Day) -> None:
    """How it ended, what it made and deleted, how many before it failed in a row."""
    for one in day.status["servers"]:
        rows = day.of(one["server"])
        row, last = rows[-1], one["last"]
        created = row.summary["created"]
        assert last["result"] == row.result
        assert last["good"] == row.summary["good"]
        assert last["created"] == (created["name"] if created else None)
        assert last["deleted"] == len(row.summary["deleted"])
        assert last["problems"] == row.summary["problems"]
        assert one["failures"] == failures(rows), one["server"]


def failures(rows: list[Rotation]) -> int:
    """How many rotations in a row failed or were refused, skipped ones aside; what is held did not fail."""
    count = 0
    for row in (row for row in rows if row.result != "skipped"):
        count = 0 if row.result == "done" or is_held(row) else count + 1
    return count


def is_held(row: Rotation) -> bool:
    """Whether it got its good backup, and the brake holds what it would have deleted (invariant 7)."""
    problems = row.summary["problems"]
    return bool(row.summary["good"] and row.result == "refused" and problems[-1]["code"] == "max-deletions")


def test_the_status_names_the_troubles_that_there_are(day: Day) -> None:
    """At the end of a calm evening: one server at its limit, one that was suspended while the brake held its
    deletions, and nothing else; and the day's bad file is forgotten.
    """
    troubled = {one["server"]: [kind["kind"] for kind in one["troubles"]] for one in day.status["servers"]}
    assert {name: kinds for name, kinds in troubled.items() if kinds} == {
        FULL: ["overdue", "failing", "limit_full"],
        STOPPED: ["held"],
    }
    assert is_held(next(row for row in reversed(day.of(STOPPED)) if row.result != "skipped"))
    assert day.status["ready"] is True
    assert day.status["notes"] == []
    assert len(day.status_when_refused["notes"]) == 1
    assert "refused" in day.status_when_refused["notes"][0]


def test_the_page_shows_the_same_counts(day: Day) -> None:
    """Kept, there, locked, failed, pending, suspicious and bytes, in each server's row; and the sum of the bytes."""
    rows = {
        re.findall(r'href="/servers/([^"]+)"', row)[0]: words(row.partition('class="why"')[0])
        for row in day.page.split("<tbody>")[1:]
    }
    assert rows.keys() == day.config.servers.keys()
    for one in day.status["servers"]:
        server = day.server(one["server"])
        there = list(server.backups.values())
        states, text = Counter(map(state_of, there)), rows[one["server"]]
        counted = {
            word: int(number) for number, word in re.findall(r"\b(\d+) (kept|locked|failed|pending|suspi)", text)
        }
        counts = {"locked": sum(backup.locked for backup in there), "suspi": states["suspicious"]}
        counts |= {"failed": states["failed"], "pending": states["pending"], "kept": one["backups"]["kept"]}
        assert counted == {word: number for word, number in counts.items() if number or word == "kept"}, text
        assert f" {len(there) - states['failed']} of {server.limit} there " in text
        assert f" {format_size(sum(backup.bytes for backup in there))} " in f"{text} "
    everything = sum(backup.bytes for name in day.config.servers for backup in day.server(name).backups.values())
    assert f"{format_size(everything)} in all" in words(day.page)


def words(page: str) -> str:
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_each_servers_page_lists_its_backups(day: Day) -> None:
    """Every one that the sandbox holds, newest first, and no other."""
    for name, page in day.pages.items():
        there = sorted(day.server(name).backups.values(), key=lambda one: (one.created_at, one.uuid), reverse=True)
        assert re.findall(r'<span class="name">([^<]*)</span>', page) == [backup.name for backup in there], name


# The metrics ---------------------------------------------------------------------------------------------------------


def labelled(day: Day, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A metric's values by these labels."""
    return {
        tuple(dict(labelled)[label] for label in labels): value
        for (metric, labelled), value in day.metrics.items()
        if metric == name
    }


def test_the_metrics_count_what_the_sandbox_holds(day: Day) -> None:
    """By state, lock and owner; bytes, limits, the newest good one."""
    kinds, newest, newest_bytes = Counter[tuple[str, ...]](), {}, {}
    for name in day.config.servers:
        for backup in day.server(name).backups.values():
            own, locked = (str(holds).lower() for holds in (is_own(backup, name), backup.locked))
            kinds[name, state_of(backup), locked, own] += 1
        for good in good_of(day, name)[-1:]:
            newest[name,] = good.created_at.timestamp()
            newest_bytes[name,] = good.bytes
    servers = [day.server(name) for name in day.config.servers]
    sums = {(server.name,): sum(backup.bytes for backup in server.backups.values()) for server in servers}
    assert labelled(day, "backups", "server", "state", "locked", "own") == kinds
    assert labelled(day, "newest_good_backup_timestamp_seconds", "server") == newest
    assert labelled(day, "newest_good_backup_bytes", "server") == newest_bytes
    assert labelled(day, "backups_bytes", "server") == sums
    assert labelled(day, "backup_limit", "server") == {(server.name,): server.limit for server in servers}


def test_the_metrics_count_the_journals_rotations_and_steps(day: Day) -> None:
    """Every rotation of the day, those of the server that is gone too."""
    results = Counter((row.server, row.result) for row in day.rotations)
    assert labelled(day, "rotations_total", "server", "result") == results
    steps = Counter[tuple[str, str]]()
    for step in (step for row in day.rotations for step in row.steps):
        if step.name == "planned":
            steps["plan", "refused" if step.detail["refused"] else "done"] += 1
        elif step.name in STEPS:
            steps[STEPS[step.name]] += 1
    told = labelled(day, "rotation_steps_total", "step", "result")
    assert {kind: count for kind, count in told.items() if count} == steps
    assert labelled(day, "rotation_duration_seconds_count") == {(): len(day.rotations)}
    streaks = {(name,): failures(day.of(name)) for name in day.config.servers}
    assert labelled(day, "rotation_failures", "server") == streaks


def test_the_metrics_count_the_deletions(day: Day) -> None:
    """What the daemon deleted by its journal: the ledger's, those whose answers told it, and those gone already."""
    journalled = Counter(row.server for row in day.rotations for _ in row.summary["deleted"])
    told = {server: count for (server,), count in labelled(day, "deleted_backups_total", "server").items()}
    assert {server: count for server, count in told.items() if count} == journalled
    assert sum(told.values()) == len(happened(day, Change.DELETED)) - len(untold(day)) + len(gone_already(day))


def test_the_metrics_count_every_request(day: Day) -> None:
    """As the panel did: lost are those whose answer it broke, or gave when the daemon waited no more."""
    seen = Counter(f"{call.status // 100}xx" if call.status else "none" for call in day.app.calls)
    told = {status: count for (status,), count in labelled(day, "panel_requests_total", "status").items()}
    assert sum(told.values()) == seen.total()
    cut, late = (day.world.faults.happened[fault] for fault in ("cut", "late"))
    assert told["none"] == seen["none"] + cut + late
    assert all(told[status] <= seen[status] for status in ("2xx", "4xx", "5xx"))


def test_the_metrics_tell_of_the_daemon_itself(day: Day) -> None:
    """All read well in the end, and nothing late."""
    assert labelled(day, "servers") == {(): 50}
    assert labelled(day, "ready") == labelled(day, "config_last_reload_successful") == {(): 1}
    reloaded = labelled(day, "config_last_reload_success_timestamp_seconds")[()]
    assert reloaded == pytest.approx(day.reloads[-1][0].timestamp(), abs=1)
    starts = sum(row.trigger == "schedule" for row in day.rotations)
    buckets = labelled(day, "scheduler_lateness_seconds_bucket", "le")
    assert 0.9 * starts < buckets["0.1",] == buckets["+Inf",] <= starts


# The history ---------------------------------------------------------------------------------------------------------


def test_every_backup_that_the_daemon_made_is_in_the_history_once(day: Day) -> None:
    """Its name was journalled by one rotation before it was asked for; whoever saw it made says so."""
    made = {entry.backup: entry.name for entry in happened(day, Change.CREATED)}
    names = Counter(name for row in day.rotations for name in asked_names(row))
    assert set(names.values()) == {1}
    assert set(made.values()) <= names.keys()
    said = Counter(uuid for row in day.rotations for uuid in uuids(row, "created"))
    assert set(said.values()) == {1}
    assert said.keys() <= made.keys()
    for row in day.rotations:
        answered = {step.detail["backup"] for step in row.steps if step.name == "created"}
        refused = {step.detail["backup"] for step in row.steps if step.name == "create_refused"}
        assert answered <= asked_names(row)  # what the throttle is known to refuse is not even asked for
        assert answered | refused >= asked_names(row) or row.result == "failed"  # nobody could tell what became of it
    adopted = {uuid for row in day.rotations for uuid in uuids(row, "adopted")}
    assert adopted <= made.keys()
    unheard = made.keys() - said.keys() - adopted  # their answer could not be read, or came when nobody waited any more
    assert len(unheard) <= day.world.faults.happened["half_json"] + day.world.faults.happened["late"]


def asked_names(row: Rotation) -> set[str]:
    """The names that a rotation asked a backup for; where room had to be made it asks twice."""
    return {step.detail["backup"] for step in row.steps if step.name == "create"}


def test_each_rotation_tells_the_backup_that_it_got(day: Day) -> None:
    """The journal's row, its summary, its steps and the ledger name the same one, as good as it was.

    Two rotations got the same one only where the first could not delete all, and the next took it over to go on.
    """
    completed = {entry.backup for entry in day.world.ledger if entry.change is Change.COMPLETED}
    made = {entry.backup: entry for entry in happened(day, Change.CREATED)}
    for row in day.rotations:
        got = uuids(row, "created", "adopted")
        created = row.summary["created"]
        assert got == ([row.backup_uuid] if row.backup_uuid else [])
        assert (created["uuid"] if created else None) == row.backup_uuid
        if row.backup_uuid:
            assert made[row.backup_uuid].server == row.server_uuid
            assert made[row.backup_uuid].name == created["name"]
        assert row.summary["good"] == bool(uuids(row, "turned_good"))
        assert set(uuids(row, "turned_good")) <= completed & set(got)
    got_it: dict[str, Rotation] = {}
    for row in (row for row in day.rotations if row.summary["good"]):
        [uuid] = uuids(row, "turned_good")
        if uuid in got_it:
            before = got_it[uuid]
            assert (row.trigger, row.start_at) == ("retry", before.start_at)
            assert uuids(row, "adopted") == [uuid]
            assert before.summary["undeleted"]
            assert before.retry_at
            assert before.retry_at <= row.began_at
        got_it[uuid] = row


def test_every_deletion_of_the_ledger_is_in_the_history_once_and_no_other(day: Day) -> None:
    """Steps, summaries and ledger; but for what somebody else had deleted, and what no answer told."""
    deleted = Counter(entry.backup for entry in happened(day, Change.DELETED))
    assert set(deleted.values()) == {1}
    done = Counter(uuid for row in day.rotations for uuid in uuids(row, "delete_done", "room_done"))
    assert set(done.values()) == {1}
    for row in day.rotations:
        assert uuids(row, "delete_done", "room_done") or not row.summary["deleted"]
        assert sorted(one["uuid"] for one in row.summary["deleted"]) == sorted(uuids(row, "delete_done", "room_done"))
    assert done.keys() - gone_already(day) == deleted.keys() - untold(day)
    for uuid in untold(day):
        [row] = [row for row in day.rotations if uuid in uuids(row, "delete", "room")]
        assert row.summary["problems"][-1]["code"] == "outcome-unknown"
    others = {entry.backup for entry in day.world.ledger if entry.change is Change.DELETED and entry.by != OF_DAEMON}
    assert gone_already(day) <= others
    held = {entry.backup: entry for entry in happened(day, Change.DELETED)}
    for row in day.rotations:
        for uuid in set(uuids(row, "delete_done", "room_done")) & held.keys():
            assert held[uuid].server == row.server_uuid
            assert row.began_at <= held[uuid].at <= (row.ended_at or row.began_at)


def gone_already(day: Day) -> set[str]:
    """What the daemon was about to delete, and somebody else had."""
    steps = (step for row in day.rotations for step in row.steps if step.name in {"delete_done", "room_done"})
    return {step.detail["uuid"] for step in steps if not step.detail["existed"]}


def untold(day: Day) -> set[str]:
    """What was deleted while the answer was lost, and the look for it as well, so that nobody could know."""
    said = {uuid for row in day.rotations for uuid in uuids(row, "delete_done", "room_done")}
    return {entry.backup for entry in happened(day, Change.DELETED)} - said


def test_the_server_that_was_taken_out_is_left_alone(day: Day) -> None:
    """And the one that came is covered from then on."""
    at = next(at for at, config in day.reloads if NEWCOMER in config.servers)
    gone, come = day.server(REMOVED), day.server(NEWCOMER)
    assert [entry for entry in happened(day, Change.CREATED) if entry.server == gone.uuid and entry.at < at]
    assert not [entry for entry in day.world.ledger if entry.server == gone.uuid and entry.at > at]
    assert {entry.at > at for entry in happened(day, Change.CREATED) if entry.server == come.uuid} == {True}


# The alerts ----------------------------------------------------------------------------------------------------------

Told = tuple[str, tuple[str, ...], str | None]
"""An event, those that are over or went before, and the backup that it is about."""


def test_each_server_is_told_of_exactly_as_the_journal_implies(day: Day) -> None:
    """Each trouble once, its end, and each good backup; when it was, and of which backup.

    Of the good ones of a server that were made while the receiver was away only the newest was told.
    """
    away = 0
    for name in sorted({row.server for row in day.rotations} | day.config.servers.keys()):
        told = [message for message in day.told if message["server"] == name]
        heard = {as_told(message) for message in told}
        every = list(implications(day, name))
        implied = [(at, what) for at, what in every if what[0] != "done" or what in heard]
        away += len(every) - len(implied)
        assert [as_told(message) for message in told] == [what for _, what in implied], name
        for message, (at, _) in zip(told, implied, strict=True):
            assert abs(moment(message["at"]) - at) < timedelta(seconds=2)
    assert 0 < away < 10


def as_told(message: Mapping[str, Any]) -> Told:
    """What of a message is compared."""
    backup = message["backup"]
    return message["event"], tuple(message["after"]), backup["uuid"] if backup else None


class Memory:
    """What must be told of a server, reckoned anew: which troubles are open, and when last all was fine.

    Those that were told beside a good backup are apart: that none comes any more is another trouble, of whatever kind.
    """

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.beside: set[str] = set()
        self.fine_at: datetime | None = None
        self.made: str | None = None
        self._due: dict[tuple[int, datetime], datetime] = {}

    def looked(self, config: ServerConfig, at: datetime) -> Iterator[Told]:
        """At a moment; what is overdue is told where nothing said already why."""
        self.fine_at = self.fine_at or at
        key = (id(config), self.fine_at)
        self._due[key] = self._due.get(key) or due(config, self.fine_at)
        if "overdue" not in self.open and at >= self._due[key]:
            if not self.open:
                yield "overdue", (), None
            self.open.add("overdue")

    def ended(self, row: Rotation, trouble: str | None, at: datetime) -> Iterator[Told]:
        """At the end of a rotation; what it could not delete goes on being wrong, though it is tried again."""
        good = row.summary["good"]
        if good or (row.result == "skipped" and not passing(row)):
            self.fine_at = at
        if good:
            going_on = self.beside & {trouble or "", "failed" if row.summary["undeleted"] else ""}
            over = tuple(sorted(self.open | (self.beside - going_on)))
            self.open, self.beside = set(), going_on
            if over:
                yield "recovered", over, row.backup_uuid
            if trouble is None and row.backup_uuid != self.made:  # a retry takes over what was told as made
                self.made = row.backup_uuid
                yield "done", (), row.backup_uuid
        known = self.beside if good else self.open
        if trouble is not None and (trouble not in known or trouble == "suspicious"):
            known.add(trouble)
            yield trouble, (), row.backup_uuid


def implications(day: Day, name: str) -> Iterator[tuple[datetime, Told]]:
    """What must be told of a server, and when: from its rows in the journal and the configurations in force."""
    memory = Memory()
    for at, row in happenings(day, name):
        config = current_config(day, name, at)
        if config is None:
            memory = Memory()
            continue
        news = memory.looked(config, at) if row is None else memory.ended(row, trouble_of(row, day.of(name)), at)
        yield from ((at, piece) for piece in news)


def happenings(day: Day, name: str) -> Iterable[tuple[datetime, Rotation | None]]:
    """The ends of a server's rotations, reloads, and the looks at the clock that come each minute."""
    ends = [(row.ended_at, row) for row in day.of(name) if row.ended_at]
    looks = [(START + LOOK * count, None) for count in range(1, 24 * 60 + 1)]
    reloads = [(at, None) for at, _ in day.reloads]
    return sorted([*reloads, *looks, *ends], key=lambda one: one[0])


def current_config(day: Day, name: str, at: datetime) -> ServerConfig | None:
    """The server's configuration at that moment."""
    return next(config for since, config in reversed(day.reloads) if since <= at).servers.get(name)


def due(config: ServerConfig, fine_at: datetime) -> datetime:
    """From when on a good backup is overdue: an interval, what one may take, and half an hour."""
    first = config.starts.after(fine_at)
    interval = config.starts.after(first) - first
    return max(first, fine_at + interval) + config.policy.timeout + GRACE


def passing(row: Rotation) -> bool:
    """Whether a skipped rotation was hindered by what ends by itself; that a server is suspended does not."""
    return any(one["code"] == "server-state" and "suspended" not in one["text"] for one in row.summary["problems"])


def trouble_of(row: Rotation, rows: list[Rotation]) -> str | None:
    """What is wrong after a rotation: nothing, where it was a start's first and is tried again."""
    first = not any(one.start_at == row.start_at and one.id < row.id for one in rows)
    if row.result in {"done", "skipped"} or (first and row.retry_at is not None):
        return None
    events = {"limit": "limit", "backup-suspicious": "suspicious"}
    codes = [problem["code"] for problem in reversed(row.summary["problems"])]
    return next((events[code] for code in codes if code in events), "failed")


def test_every_trouble_was_told_once_and_then_its_end(day: Day) -> None:
    """Read from the messages alone: only a suspicious backup comes twice before its end, what is still wrong has none.

    A backup that is good ends "overdue", though its rotation may have failed at a deletion: that trouble goes on.
    """
    open_troubles: dict[str, set[str]] = {}
    for message in day.told:
        mine, event = open_troubles.setdefault(message["server"], set()), message["event"]
        if event == "recovered":
            assert set(message["after"]) <= mine | {"overdue"}
            mine -= {*message["after"], "overdue"}
        elif event != "done":
            assert event not in mine or event == "suspicious"
            mine.add(event)
    left = {name: events for name, events in open_troubles.items() if events}
    assert "limit" in left[FULL]
    assert left.keys() <= {FULL, STOPPED}


def test_each_rotation_pings_its_start_and_its_end(day: Day) -> None:
    """A start for each rotation, a success for each that is well, a failure where there is trouble; where asked for."""
    ends = Counter[tuple[str, str]]()
    for row in (row for row in day.rotations if row.policy == "frequent"):
        ends[row.server, "start"] += 1
        trouble = trouble_of(row, day.of(row.server))
        if trouble is not None:
            ends[row.server, "fail"] += 1
        elif row.summary["good"] or (row.result == "skipped" and not passing(row)):
            ends[row.server, "success"] += 1
    assert Counter(day.pings) == ends
    assert {server for server, step in ends if step == "fail"} >= {"server-025", "server-045"}
