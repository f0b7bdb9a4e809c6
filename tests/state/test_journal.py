"""The journal: nothing that was written is lost, and nothing half-written is there."""

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from daemon.core.applied import AppliedRetention
from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.core.proof import Level
from daemon.errors import JournalBusyError, JournalDamagedError, StateError
from daemon.state import ProofAsked, Rotation, Snapshot
from daemon.state.local import file as history_file
from daemon.state.local import schema
from daemon.state.local.journal import SqliteJournal

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A journal in a folder of its own."""
    with SqliteJournal.open(tmp_path / "state") as opened:
        yield opened


def begin(journal: SqliteJournal, **changes: Any) -> int:
    """Begin a rotation of which nothing matters but what is named."""
    usual: dict[str, Any] = {
        "server_uuid": UUID,
        "server": "survival",
        "panel": "main",
        "policy": "standard",
        "trigger": "schedule",
        "start_at": AT,
        "at": AT,
    }
    return journal.begin(**usual | changes)


def in_another_process(code: str, state_dir: Path) -> subprocess.Popen[str]:
    """Run code that has the journal of `state_dir` open as `journal`; it waits wherever it calls `input()`."""
    opening = f"""
from datetime import UTC, datetime
from pathlib import Path
from daemon.state.local.journal import SqliteJournal
at = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
journal = SqliteJournal.open(Path({str(state_dir)!r}))
def begin(uuid="{UUID}"):
    return journal.begin(server_uuid=uuid, server="other", panel="main", policy="standard", trigger="manual",
                         start_at=None, at=at)
"""
    command = [sys.executable, "-c", opening + code]
    return subprocess.Popen(  # noqa: S603 — our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )


def unfinished(journal: SqliteJournal) -> Rotation | None:
    """The server's newest rotation that has not ended."""
    return next((row for row in journal.running() if row.server_uuid == UUID), None)


def last(journal: SqliteJournal) -> Rotation | None:
    """The server's newest rotation."""
    return next((row for row in journal.recent() if row.server_uuid == UUID), None)


def test_a_rotation_is_read_as_it_was_written(journal: SqliteJournal) -> None:
    """Every field comes back, moments as aware UTC, details as they were."""
    rotation = begin(journal, at=AT + MINUTE)
    journal.step(rotation, "create", AT + 2 * MINUTE, name="auto-survival-…", ignored=["*.tmp"], nested={"a": None})
    journal.step(rotation, "created", AT + 3 * MINUTE)
    journal.end(
        rotation,
        at=AT + 4 * MINUTE,
        result="failed",
        retry_at=AT + 14 * MINUTE,
        backup_uuid="b-1",
        summary={"deleted": ["b-0"], "kept": 7},
    )
    read = last(journal)
    assert read is not None
    assert read == Rotation(
        id=rotation,
        server_uuid=UUID,
        server="survival",
        panel="main",
        policy="standard",
        trigger="schedule",
        start_at=AT,
        began_at=AT + MINUTE,
        ended_at=AT + 4 * MINUTE,
        result="failed",
        retry_at=AT + 14 * MINUTE,
        backup_uuid="b-1",
        summary={"deleted": ["b-0"], "kept": 7},
        steps=read.steps,
    )
    assert [(step.name, step.at) for step in read.steps] == [("create", AT + 2 * MINUTE), ("created", AT + 3 * MINUTE)]
    assert read.steps[0].detail == {"name": "auto-survival-…", "ignored": ["*.tmp"], "nested": {"a": None}}
    assert read.began_at.tzinfo is UTC


def test_a_moment_of_another_zone_is_the_same_moment(journal: SqliteJournal) -> None:
    """What is stored is UTC, whatever zone it came in."""
    begin(journal, at=AT.astimezone(timezone(timedelta(hours=9))))
    assert [row.began_at for row in journal.recent()] == [AT]


def test_a_moment_without_a_zone_is_refused(journal: SqliteJournal) -> None:
    """A naive datetime is a bug, and is not written."""
    with pytest.raises(ValueError, match="without a time zone"):
        begin(journal, at=AT.replace(tzinfo=None))
    assert journal.recent() == []


def test_an_unknown_trigger_is_refused(journal: SqliteJournal) -> None:
    """The words of the journal are a closed set."""
    with pytest.raises(ValueError, match="no such trigger: 'whim'"):
        begin(journal, trigger="whim")


def test_the_newest_step_of_a_name_is_found(journal: SqliteJournal) -> None:
    """A rotation that tried twice is picked up at its second try."""
    rotation = begin(journal)
    journal.step(rotation, "create", AT, name="first")
    journal.step(rotation, "create", AT, name="second")
    read = last(journal)
    assert read is not None
    found = read.step("create")
    assert found is not None
    assert found.detail["name"] == "second"
    assert read.step("delete") is None


def test_the_newest_unfinished_rotation_is_picked_up(journal: SqliteJournal) -> None:
    """An ended one and another server's are not."""
    assert unfinished(journal) is None
    wanted = begin(journal)
    journal.step(wanted, "create", AT, name="auto-1")
    begin(journal, server_uuid="other")
    journal.end(begin(journal), at=AT, result="done", summary={})
    found = unfinished(journal)
    assert found is not None
    assert found.id == wanted
    assert [step.name for step in found.steps] == ["create"]
    journal.end(wanted, at=AT, result="done", summary={})
    assert unfinished(journal) is None


def test_recent_is_newest_first_and_bounded(journal: SqliteJournal) -> None:
    """`history` asks for one server, or for all."""
    first, second, third = begin(journal), begin(journal, server="creative"), begin(journal)
    assert [rotation.id for rotation in journal.recent()] == [third, second, first]
    assert [rotation.id for rotation in journal.recent(limit=2)] == [third, second]
    assert [rotation.id for rotation in journal.recent("survival")] == [third, first]


def test_attempts_are_a_servers_rotations_without_their_steps(journal: SqliteJournal) -> None:
    """What a starting daemon asks for each of its servers."""
    first, _, third = begin(journal), begin(journal, server="creative"), begin(journal)
    journal.step(third, "created", AT)
    assert journal.attempts("survival", 1) == [replace(journal.recent("survival")[0], steps=())]
    assert [rotation.id for rotation in journal.attempts("survival", 5)] == [third, first]


def test_what_may_have_asked_for_a_starts_backup_is_found(journal: SqliteJournal) -> None:
    """The tries for that very start, and what was killed, whatever it was for; by hand only the latter."""
    for start in (AT, AT + MINUTE):
        journal.end(begin(journal, start_at=start), at=AT, result="failed", summary={})
    killed = begin(journal, start_at=AT - MINUTE)
    journal.end(begin(journal, start_at=None), at=AT, result="done", summary={})
    begin(journal, server_uuid="other")
    assert [rotation.id for rotation in journal.of_start(UUID, AT)] == [killed, 1]
    assert [rotation.id for rotation in journal.of_start(UUID, None)] == [killed]


def test_running_are_all_that_have_not_ended(journal: SqliteJournal) -> None:
    """`status` shows them, whatever their server."""
    first, second, ended = begin(journal), begin(journal, server_uuid="other"), begin(journal)
    journal.end(ended, at=AT, result="done", summary={})
    assert [rotation.id for rotation in journal.running()] == [second, first]


def test_steps_stay_with_their_own_rotation(journal: SqliteJournal) -> None:
    """Steps of rotations that run at once do not mix."""
    first, second = begin(journal), begin(journal)
    journal.step(first, "one", AT)
    journal.step(second, "two", AT)
    journal.step(first, "three", AT)
    names = {rotation.id: [step.name for step in rotation.steps] for rotation in journal.recent()}
    assert names == {first: ["one", "three"], second: ["two"]}


def test_a_backup_is_known_by_whatever_is_remembered_of_it(journal: SqliteJournal) -> None:
    """That it was made, seen, accepted or deleted; and on this server alone."""
    number = begin(journal)
    journal.step(number, "delete", AT, uuid="stepped")
    journal.end(number, at=AT, result="done", backup_uuid="made", summary={"deleted": [{"uuid": "summed"}]})
    journal.accept(UUID, "accepted", AT)
    journal.deleted_by_hand(UUID, "by-hand", AT)
    journal.snapshot(Snapshot(UUID, "main", AT, '{"uuid": "seen"}'), 0)
    for backup in ("stepped", "made", "summed", "accepted", "by-hand", "seen"):
        assert journal.knows(UUID, backup)
        assert not journal.knows("other", backup)
    assert not journal.knows(UUID, "never")
    journal.prune(AT + timedelta(days=1000))
    assert not journal.knows(UUID, "by-hand")


def test_accepted_backups_are_remembered_per_server(journal: SqliteJournal) -> None:
    """Accepting twice is accepting."""
    journal.accept(UUID, "small", AT)
    journal.accept(UUID, "small", AT + MINUTE)
    journal.accept(UUID, "smaller", AT)
    assert journal.accepted(UUID) == {"small", "smaller"}
    assert journal.accepted("other") == frozenset()


def test_the_last_complete_listing_is_remembered_for_its_sizes(journal: SqliteJournal) -> None:
    """Only what succeeded is a measure; the next one takes its place, and one of long ago is forgotten."""
    row = Backup("one", "auto-1", True, False, 10, AT, AT)
    failed, pending = replace(row, uuid="two", successful=False), replace(row, uuid="three", completed_at=None)
    undated = replace(row, uuid="four", created_at=None)
    assert journal.last_listing(UUID) == ()
    journal.listed(UUID, [row, failed, pending, undated], AT)
    assert journal.last_listing(UUID) == (row,)
    journal.listed(UUID, [replace(row, uuid="five", bytes=7)], AT)
    assert [(one.uuid, one.bytes) for one in journal.last_listing(UUID)] == [("five", 7)]
    assert journal.last_listing("other") == ()
    journal.prune(AT + timedelta(days=401))
    assert journal.last_listing(UUID) == ()


def test_what_is_remembered_of_a_backup_is_forgotten_once_it_is_long_gone(journal: SqliteJournal) -> None:
    """Not by its age alone: a yearly one is there for years, and would be foreign, small or whole again."""
    there = Backup("there", "auto-1", True, False, 10, AT, AT)
    for uuid in ("there", "gone"):
        journal.was_altered(UUID, uuid, Altered("asked", "kept"), AT)
        journal.accept(UUID, uuid, AT)
        journal.ask(UUID, uuid, AT)
    late = AT + timedelta(days=401)
    journal.listed(UUID, [there], late - timedelta(days=1))
    journal.prune(AT + timedelta(days=399))
    assert len(journal.altered(UUID)) == len(journal.accepted(UUID)) == len(journal.asked(UUID)) == 2
    journal.prune(late)
    assert set(journal.altered(UUID)) == journal.accepted(UUID) == journal.asked(UUID) == {"there"}
    journal.prune(late + timedelta(days=401))
    assert set(journal.altered(UUID)) == journal.accepted(UUID) == journal.asked(UUID) == set()


def test_what_was_applied_is_forgotten_with_its_server(journal: SqliteJournal) -> None:
    """As long as there are rotations of it, or a list of its backups, somebody may still be told what waits."""
    applied = AppliedRetention("keep", ("one",))
    journal.apply(UUID, applied)
    journal.apply("listed", applied)
    journal.apply(UUID, applied, "nas")
    begin(journal)
    journal.listed("listed", (), AT)
    journal.prune(AT + timedelta(days=399))
    assert journal.applied(UUID) == journal.applied("listed") == journal.applied(UUID, "nas") == applied
    journal.prune(AT + timedelta(days=401))
    assert journal.applied(UUID) is journal.applied("listed") is journal.applied(UUID, "nas") is None


def test_a_step_or_an_end_of_no_rotation_is_an_error(journal: SqliteJournal) -> None:
    """A rotation that another hand removed is not silently ended."""
    with pytest.raises(StateError, match="FOREIGN KEY"):
        journal.step(17, "create", AT)
    with pytest.raises(StateError, match="no rotation 17"):
        journal.end(17, at=AT, result="done", summary={})


def test_old_rotations_are_forgotten_with_their_steps(journal: SqliteJournal) -> None:
    """Age is counted from the begin; each server's newest attempt is spared."""
    old, spared = begin(journal, at=AT - timedelta(days=500)), begin(journal, at=AT - timedelta(days=450))
    journal.step(old, "create", AT)
    young = begin(journal, server_uuid="other", at=AT - timedelta(days=399))
    assert journal.prune(AT) == 1
    assert [rotation.id for rotation in journal.recent()] == [young, spared]
    assert count(journal, "step") == 0
    assert journal.prune(AT) == 0


def test_only_the_newest_are_kept(journal: SqliteJournal) -> None:
    """The bound on number holds against every age, and for every server."""
    numbers = [begin(journal, server_uuid=f"server-{n}") for n in range(5)]
    assert journal.prune(AT, most=5) == 0
    assert journal.prune(AT, most=2) == 3
    assert [rotation.id for rotation in journal.recent()] == [numbers[4], numbers[3]]


def test_the_rotations_that_made_room_are_kept_however_many_follow(journal: SqliteJournal) -> None:
    """A large fleet has a hundred thousand in days; no further good backup may go because of that."""
    made, refused = begin(journal, at=AT - timedelta(days=500)), begin(journal, at=AT - timedelta(days=499))
    journal.step(made, "turned_good", AT)
    journal.step(refused, "room", AT, uuid="gone")
    others = [begin(journal, server_uuid=f"server-{n}") for n in range(3)]
    begin(journal, at=AT)
    assert journal.prune(AT, most=1) == 3
    last = journal.last_step(UUID, ("room", "room_refused", "turned_good"))
    assert last is not None
    assert last.detail["uuid"] == "gone"
    assert not {rotation.id for rotation in journal.recent()} & set(others)


def test_what_may_be_half_deleted_is_remembered_until_a_list_lacks_it(journal: SqliteJournal) -> None:
    """Forgotten, a row without a file would count as a good backup, and displace one that has its file."""
    row = Backup("one", "auto-1", True, False, 10, AT, AT)
    journal.ask(UUID, "one", AT)
    for later in (timedelta(days=500), timedelta(days=5000)):
        begin(journal, at=AT + later)
        journal.prune(AT + later)
        assert journal.asked(UUID) == {"one"}
        journal.listed(UUID, [row], AT + later)
    journal.listed(UUID, [replace(row, uuid="two")], AT + timedelta(days=5000))
    journal.prune(AT + timedelta(days=5000))
    assert journal.asked(UUID) == frozenset()


def count(journal: SqliteJournal, table: str) -> int:
    """Count the rows of a table, past the journal's own reading."""
    return int(journal._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def test_memory_forgets(tmp_path: Path) -> None:
    """Without a state folder the journal works the same, and says that it does not last."""
    journal = SqliteJournal.memory()
    assert not journal.persistent
    begin(journal)
    assert unfinished(journal) is not None
    journal.close()
    with SqliteJournal.memory() as another:
        assert another.recent() == []


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """The file outlives the process."""
    with SqliteJournal.open(tmp_path) as journal:
        assert journal.persistent
        assert journal.set_aside is None
        rotation = begin(journal)
    with SqliteJournal.open(tmp_path) as again:
        found = unfinished(again)
        assert found is not None
        assert found.id == rotation


def test_folder_and_files_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lax umask does not open the journal to other users."""
    old = os.umask(0)
    try:
        with SqliteJournal.open(tmp_path / "var" / "state") as journal:
            begin(journal)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "var").rglob("*")}
    finally:
        os.umask(old)
    assert modes.pop("state") == 0o700
    assert set(modes) == {"history.sqlite3", "history.sqlite3-wal", "history.sqlite3-shm", "history.lock"}
    assert set(modes.values()) == {0o600}


def settings(journal: SqliteJournal) -> list[object]:
    """How the file is written: 2 is FULL, 1 is NORMAL."""
    return [
        journal._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    ]


def test_what_is_told_afterwards_does_not_wait_for_the_disk(journal: SqliteJournal) -> None:
    """A power cut may take the newest of it; in WAL the order is kept, and a kill of the process takes none."""
    assert settings(journal) == ["wal", 1, 1]


def test_what_is_announced_is_on_the_disk_before_it_is_done(journal: SqliteJournal) -> None:
    """A power cut must not take what was about to be asked for, nor what an operator accepted."""
    said: list[str] = []
    rotation = begin(journal)
    journal._connection.set_trace_callback(said.append)
    journal.announce(rotation, "create", AT, backup="auto-1")
    journal.accept(UUID, "small", AT)
    spoken = [statement.split(" ")[0] if "PRAGMA" not in statement else statement for statement in said]
    once = ["PRAGMA synchronous = FULL", "BEGIN", "INSERT", "COMMIT", "PRAGMA synchronous = NORMAL"]
    assert spoken == once * 2


def test_the_disk_is_waited_for_no_longer_after_an_announcement_that_failed(journal: SqliteJournal) -> None:
    """Whatever becomes of it, what follows is told as before."""
    with pytest.raises(StateError, match="FOREIGN KEY"):
        journal.announce(17, "create", AT)
    assert settings(journal) == ["wal", 1, 1]


def test_a_kill_loses_nothing_that_was_journalled(tmp_path: Path) -> None:
    """A process that is killed right after a step leaves that step to be picked up."""
    code = """
journal.step(begin(), "create", at, name="auto-unique")
print("ready", flush=True)
input()
"""
    with in_another_process(code, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    with SqliteJournal.open(tmp_path) as journal:
        found = unfinished(journal)
    assert found is not None
    step = found.step("create")
    assert step is not None
    assert step.detail == {"name": "auto-unique"}


def test_two_processes_share_the_journal(journal: SqliteJournal, tmp_path: Path) -> None:
    """`status` reads and `rotate` writes while the daemon has it open, and each sees the other's."""
    ours = begin(journal)
    code = """
print(len(journal.running()), flush=True)
begin("other")
print("written", flush=True)
input()
print(len(journal.running()[1].steps), flush=True)
"""
    with in_another_process(code, tmp_path / "state") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert process.stdout.readline() == "written\n"
        assert [rotation.server for rotation in journal.running()] == ["other", "survival"]
        journal.step(ours, "create", AT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "1\n"
    assert process.returncode == 0


def test_many_processes_open_and_write_at_once(tmp_path: Path) -> None:
    """The first start of several at once makes one journal, and writes queue up."""
    code = """
for _ in range(20):
    journal.step(begin(), "create", at)
"""
    processes = [in_another_process(code, tmp_path / "state") for _ in range(4)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    with SqliteJournal.open(tmp_path / "state") as journal:
        assert len(journal.running()) == 80
        assert all(len(rotation.steps) == 1 for rotation in journal.running())


def test_a_writer_waits_no_longer_than_the_busy_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who holds the file in a shell makes the call fail, and the next one works."""
    monkeypatch.setattr(history_file, "BUSY_SECONDS", 0.01)
    with SqliteJournal.open(tmp_path) as journal:
        shell = sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalBusyError, match=r"rotation's begin cannot be written to the journal .*locked"):
            begin(journal)
        assert journal.recent() == []
        shell.execute("ROLLBACK")
        shell.close()
        begin(journal)


def test_who_found_it_locked_does_not_wait_again_before_it_was_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup tool holds it for minutes while hundreds of rotations write: the daemon stands still once."""
    monkeypatch.setattr(history_file, "BUSY_SECONDS", 0.2)
    patience = "PRAGMA busy_timeout"
    with SqliteJournal.open(tmp_path) as journal:
        shell = sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)
        shell.execute("BEGIN EXCLUSIVE")
        for seconds in (200, 0, 0):
            assert journal._connection.execute(patience).fetchone()[0] == seconds
            with pytest.raises(JournalBusyError):
                begin(journal)
        trouble = journal.trouble
        assert isinstance(trouble, JournalBusyError)
        shell.execute("ROLLBACK")
        shell.close()
        journal.probe()
        assert (journal.trouble, journal._connection.execute(patience).fetchone()[0]) == (None, 200)


def test_a_lock_that_another_holds_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody was stopped in the midst of opening it: the daemon says so, and would obey a signal."""
    monkeypatch.setattr(history_file, "BUSY_SECONDS", 0.1)
    with (tmp_path / "history.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(JournalBusyError, match="another process holds its lock"):
            SqliteJournal.open(tmp_path)
    SqliteJournal.open(tmp_path).close()


def test_trouble_is_remembered_until_something_is_written(journal: SqliteJournal, tmp_path: Path) -> None:
    """Whatever is read meanwhile."""
    before = journal.trouble
    assert before is None
    path = tmp_path / "state" / "history.sqlite3"
    path.rename(path.with_suffix(".gone"))
    with pytest.raises(StateError) as caught:
        journal.look_after()
    assert journal.recent() == []
    assert journal.trouble is caught.value
    path.with_suffix(".gone").rename(path)
    journal.probe()
    assert journal.trouble is None


@pytest.mark.parametrize("statement", ["SELECT * FROM rotation", "BEGIN; SELECT * FROM rotation"])
def test_looking_hinders_no_other_reader_and_is_hindered_by_none(tmp_path: Path, statement: str) -> None:
    """An operator's own `sqlite3`, idle or in the midst of reading."""
    SqliteJournal.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "history.sqlite3", isolation_level=None)) as foreign:
        for part in statement.split(";"):
            foreign.execute(part).fetchall()
        looked = SqliteJournal.look(tmp_path)
        assert looked is not None
        with looked:
            assert looked.recent() == []
            assert foreign.execute("SELECT * FROM rotation").fetchall() == []


def test_a_full_disk_fails_the_call_and_room_heals_it(journal: SqliteJournal) -> None:
    """What did not fit leaves no half of it behind; what was there can be read throughout."""
    rotation = begin(journal)
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match=r"step 'create' cannot be written to the journal .*full") as caught:
        journal.step(rotation, "create", AT, name="x" * 100_000)
    assert "free space" in caught.value.hint
    left_open = unfinished(journal)
    assert left_open is not None
    assert left_open.steps == ()
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    journal.step(rotation, "create", AT, name="x" * 100_000)


def test_a_journal_that_was_deleted_under_us_is_not_written_on(journal: SqliteJournal, tmp_path: Path) -> None:
    """SQLite would go on with the deleted file, and a restart would find nothing."""
    path = tmp_path / "state" / "history.sqlite3"
    path.rename(path.with_suffix(".gone"))
    with pytest.raises(StateError, match="sqlite3 was removed or replaced"):
        begin(journal)
    path.touch()
    with pytest.raises(StateError, match="replaced while it was open") as caught:
        begin(journal)
    assert caught.value.hint == "a daemon opens it anew"


def test_a_row_that_is_not_ours_is_an_error_of_state(journal: SqliteJournal) -> None:
    """A hand-edited row is named as trouble with the journal, not shown as a bug."""
    rotation = begin(journal)
    journal._connection.execute("UPDATE rotation SET began_at = 'yesterday' WHERE id = ?", (rotation,))
    with pytest.raises(StateError, match=r"holds what cannot be read: .*yesterday"):
        last(journal)


def test_closing_twice_is_closing(tmp_path: Path) -> None:
    """And a closed journal says so as an error of state."""
    journal = SqliteJournal.open(tmp_path)
    journal.close()
    journal.close()
    with pytest.raises(StateError, match="closed"):
        journal.recent()


@pytest.mark.parametrize("content", [b"this is no database at all " * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_journal_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """The daemon goes on with a new one, the old one is kept, and the caller is told where."""
    path = tmp_path / "history.sqlite3"
    path.write_bytes(content)
    with SqliteJournal.open(tmp_path) as journal:
        assert journal.set_aside == tmp_path / "history.sqlite3.damaged-1"
        begin(journal)
    assert (tmp_path / "history.sqlite3.damaged-1").read_bytes() == content
    with SqliteJournal.open(tmp_path) as again:
        assert again.set_aside is None
        assert len(again.recent()) == 1


def test_what_lies_beside_a_damaged_journal_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write-ahead log that SQLite could not clear away would be played into the new file."""
    monkeypatch.setattr(history_file, "_damaged", lambda *_, **__: True)
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"no database " * 1000)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).write_bytes(b"of the old one")
    with SqliteJournal.open(tmp_path) as journal:
        begin(journal)
    left = {beside.name for beside in tmp_path.iterdir() if b"of the old one" in beside.read_bytes()}
    assert left == {"history.sqlite3.damaged-1-wal", "history.sqlite3.damaged-1-shm"}


def test_looking_leaves_a_damaged_journal_where_it_is(tmp_path: Path) -> None:
    """Who only looks, says what is wrong; it is set aside by whoever goes on with a new one."""
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(JournalDamagedError, match=f"^the journal {path} is damaged$") as caught:
        SqliteJournal.look(tmp_path)
    assert "when the daemon starts next" in caught.value.hint
    assert path.read_bytes() == b"no database " * 1000
    assert not list(tmp_path.glob("*.damaged-*"))


def test_damage_inside_is_found_when_opening(tmp_path: Path) -> None:
    """A page of rubbish deep in the file is seen by SQLite's own check; earlier damage stays where it was put."""
    path = tmp_path / "history.sqlite3"
    path.with_name("history.sqlite3.damaged-1").touch()
    with SqliteJournal.open(tmp_path) as journal:
        rotation = begin(journal)
        for _ in range(50):
            journal.step(rotation, "create", AT, name="x" * 1000)
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xa5" * 8 * 4096)
    with SqliteJournal.open(tmp_path) as journal:
        assert journal.set_aside == tmp_path / "history.sqlite3.damaged-2"
        assert journal.recent() == []


def test_a_damaged_journal_in_use_stays(tmp_path: Path) -> None:
    """Nobody moves the file away under a daemon that has it open."""
    path = tmp_path / "history.sqlite3"
    with SqliteJournal.open(tmp_path):
        content = b"no database " * 1000
        path.with_name("history.sqlite3-wal").unlink()
        path.write_bytes(content)
        with pytest.raises(StateError, match="damaged, and another process has it open") as caught:
            SqliteJournal.open(tmp_path)
        assert "stop the daemon" in caught.value.hint
        assert path.read_bytes() == content


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    """After a downgrade the journal is neither misread nor set aside."""
    SqliteJournal.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "history.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match=r"newer ptero-backupd \(schema 99, this one knows up to \d+\)"):
        SqliteJournal.open(tmp_path)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_an_older_schema_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before stays, and what is new is added, once."""
    with SqliteJournal.open(tmp_path) as journal:
        begin(journal)
    following = ("ALTER TABLE rotation ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, following))
    for _ in range(2):
        with SqliteJournal.open(tmp_path) as journal:
            assert len(journal.recent()) == 1
            assert journal._connection.execute("SELECT mood FROM rotation").fetchone()[0] == "calm"


def test_a_journal_that_says_nothing_of_proofs_asked_for_gets_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the version before wrote, with what it holds."""
    earlier = next(n for n, one in enumerate(schema.MIGRATIONS) if "proof_asked" in "".join(one))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:earlier])
        with SqliteJournal.open(tmp_path) as journal:
            begin(journal)
    asked = ProofAsked("main", UUID[:8], Level.SANE, AT)
    with SqliteJournal.open(tmp_path) as journal:
        assert (len(journal.recent()), journal.proofs_asked()) == (1, [])
        journal.ask_proofs([asked])
    with SqliteJournal.open(tmp_path) as journal:
        assert journal.proofs_asked() == [asked]


def test_a_proof_that_an_earlier_version_recorded_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays, and stands for no other reading."""
    earlier = next(n for n, one in enumerate(schema.MIGRATIONS) if "proof ADD COLUMN archive" in "".join(one))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:earlier])
        with SqliteJournal.open(tmp_path) as journal:
            journal._connection.execute(
                "INSERT INTO proof VALUES"
                " (?, '', 'b', 'sane', 'survival', 'auto', ?, ?, 'sane', '[]', NULL, NULL, '[]', NULL)",
                (UUID, AT.isoformat(), AT.isoformat()),
            )
    with SqliteJournal.open(tmp_path) as journal:
        (record,) = journal.proofs()
        assert (record.proof.reached, record.proof.archive) == (Level.SANE, "")


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a migration is none."""
    SqliteJournal.open(tmp_path).close()
    broken = ("ALTER TABLE rotation ADD COLUMN mood TEXT", "ALTER TABLE nowhere ADD COLUMN mood TEXT")
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
        with pytest.raises(StateError, match="nowhere"):
            SqliteJournal.open(tmp_path)
    with SqliteJournal.open(tmp_path) as journal:
        begin(journal)
        columns = [row["name"] for row in journal._connection.execute("PRAGMA table_info(rotation)")]
    assert "mood" not in columns


def test_a_folder_that_cannot_be_made_is_an_error_of_state(tmp_path: Path) -> None:
    """The text names the journal and the reason, the hint the key of the configuration."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"file/history.sqlite3 cannot be opened: Not a directory") as caught:
        SqliteJournal.open(tmp_path / "file")
    assert "state_dir" in caught.value.hint


def test_something_else_in_the_place_of_the_file_is_an_error_of_state(tmp_path: Path) -> None:
    """A folder with the journal's name is not moved away."""
    (tmp_path / "history.sqlite3").mkdir()
    with pytest.raises(StateError, match="no plain file"):
        SqliteJournal.open(tmp_path)


def test_what_alerts_remember_is_kept_and_forgotten_by_server(tmp_path: Path) -> None:
    """Written whole in one go, read back by another process."""
    with SqliteJournal.open(tmp_path) as journal:
        journal.watch({"survival": {"told": ["failed"]}, "creative": {"told": []}}, AT)
        journal.watch({"survival": None, "creative": {"told": ["overdue"]}, "never": None}, AT)
    with SqliteJournal.open(tmp_path) as journal:
        assert journal.watches() == {"creative": {"told": ["overdue"]}}
