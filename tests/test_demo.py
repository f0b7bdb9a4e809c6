"""The demo: the real service on a panel in memory, told in plain words, and an end that can come out badly."""

import asyncio
import io
import json
import logging
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog

from daemon import demo
from daemon.clock import SystemClock
from daemon.core.calendar import parse_schedule
from daemon.demo.checks import LedgerChecks
from daemon.demo.copies import ReadBack, read_back
from daemon.demo.narrator import Narrator, _Events
from daemon.demo.play import Pace, play
from daemon.demo.screen import Screen
from daemon.demo.setup import DemoSetup, build_world, good_schedule
from daemon.demo.summary import closing_rows, general
from daemon.errors import Exit, UsageError
from daemon.log import get_logger
from daemon.sandbox.records import Server, State, Work
from daemon.sandbox.scenes import empty, history, one_server, own_name
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from tests.fakes import START, FakeClock

QUICK = Pace(every="every 1w", seconds=2.5, patience=5, thinking=0.1, copying=None, drilling=None)
COPIED = replace(QUICK, copying=20)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The demo takes the log over; what it configures ends with the test."""
    before, level, handlers = structlog.get_config(), logging.root.level, logging.root.handlers[:]
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


# The end --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(clock: FakeClock) -> tuple[World, Server]:
    """One server with one backup of each kind: own, locked, pending, foreign."""
    world, server = one_server(clock)
    world.add_backup(server, own_name("survival", START, 1))
    world.add_backup(server, own_name("survival", START, 2), locked=True)
    world.add_backup(server, own_name("survival", START, 3), state=State.PENDING)
    world.add_backup(server, "by hand")
    return world, server


def broken(checks: LedgerChecks) -> list[tuple[str, ...]]:
    """What broke each promise."""
    return [finding.broken_by for finding in checks.findings()]


def make_good(world: World, server: Server) -> None:
    """A new backup that turns good at once."""
    server.work = Work(seconds=0)
    world.create(server, own_name("survival", START, 9), ignored=(), locked=False, by="admin")


def test_every_promise_holds_where_an_own_unlocked_backup_was_deleted(scene: tuple[World, Server]) -> None:
    """After a new good one was made."""
    world, server = scene
    checks = LedgerChecks(world)
    make_good(world, server)
    world.remove(server, next(iter(server.backups.values())), by="admin")
    assert broken(checks) == [(), (), (), ()]
    assert [finding.told for finding in checks.findings()] == [
        "every one of the 1 backups that were locked is still there",
        "no backup was deleted while it was being made",
        "no backup that somebody made by hand was deleted",
        "each of the 1 servers that can be backed up has a new good backup",
    ]


@pytest.mark.parametrize(("victim", "promise"), [(1, 0), (2, 1), (3, 2)])
def test_a_deletion_that_must_not_be_breaks_its_promise(scene: tuple[World, Server], victim: int, promise: int) -> None:
    """The locked one, the pending one, the one made by hand."""
    world, server = scene
    checks = LedgerChecks(world)
    make_good(world, server)
    backup = list(server.backups.values())[victim]
    world.remove(server, backup, by="admin")
    found = checks.findings()
    assert [finding.holds for finding in found] == [number != promise for number in range(4)]
    assert found[promise].told.endswith(f", but for: {backup.name}")


def test_a_backup_that_is_unlocked_and_then_deleted_breaks_the_promise_too(scene: tuple[World, Server]) -> None:
    """What counts is the lock at the beginning."""
    world, server = scene
    checks = LedgerChecks(world)
    locked = list(server.backups.values())[1]
    world.toggle_lock(server, locked, by="admin")
    world.remove(server, locked, by="admin")
    assert broken(checks)[0] == (locked.name,)


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_a_server_without_a_new_good_backup_breaks_the_promise(scene: tuple[World, Server], state: State) -> None:
    """One that fails, or never ends, is none; those that were there before do not count."""
    world, server = scene
    checks = LedgerChecks(world)
    world.add_backup(server, own_name("survival", START, 9), state=state)
    assert broken(checks)[3] == ("survival",)


def test_a_suspended_server_needs_no_new_backup(scene: tuple[World, Server]) -> None:
    """It cannot be backed up."""
    world, server = scene
    server.status = "suspended"
    assert broken(LedgerChecks(world))[3] == ()


def came_back(server: Server, number: int, sha1: str | None = None) -> ReadBack:
    """A copy of one of the backups, whole unless told otherwise."""
    backup = list(server.backups.values())[number]
    return ReadBack(server.name, backup.uuid, backup.name, backup.size, sha1 or backup.archive.digest("sha1"))


def test_copies_that_are_what_the_panel_had_keep_their_promise(scene: tuple[World, Server]) -> None:
    """Also of a backup that the panel has deleted meanwhile, and of one that was made meanwhile."""
    world, server = scene
    checks = LedgerChecks(world)
    make_good(world, server)
    copies = [came_back(server, 0), came_back(server, 4)]
    world.remove(server, next(iter(server.backups.values())), by="admin")
    found = checks.finding_of_copies(copies)
    assert found.told == "each of the 2 copies comes back with the checksum that the panel gave"


def test_a_copy_that_is_something_else_or_of_nothing_breaks_the_promise(scene: tuple[World, Server]) -> None:
    """The panel's own files are what it is compared with."""
    world, server = scene
    checks = LedgerChecks(world)
    copies = [came_back(server, 0), came_back(server, 1, sha1="0" * 40), ReadBack("x", "unknown", "by nobody", 1, "")]
    assert checks.finding_of_copies(copies).broken_by == (copies[1].backup, "by nobody")


def test_no_copy_at_all_breaks_the_promise(scene: tuple[World, Server]) -> None:
    """Something is to be shown."""
    world, _ = scene
    assert LedgerChecks(world).finding_of_copies([]).broken_by == ("no copy was made",)


@pytest.mark.parametrize(
    ("because", "expected"),
    [
        ("2 of the 3 newest backups", "one of the 3 newest backups"),
        ("newest of week 2026-W14, 2 of 4; newest of month 2026-04", "newest of its week; newest of its month"),
        ("beyond the 3 newest; superseded by a in b in day 2026-04-01", "beyond the 3 newest; superseded in its day"),
        ("newest of day 2026-04-01, within 3 mo of the newest", "newest of its day, within 3 mo of the newest"),
        ("failed, and ended more than 2 d ago", "failed, and ended more than 2 d ago"),
    ],
)  # fmt: skip
def test_what_is_said_of_one_backup_is_said_of_many(because: str, expected: str) -> None:
    """Slots, counts and names are left out; all else is the daemon's own words."""
    assert general(because) == expected


# What is told ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def out() -> io.StringIO:
    """What the watcher sees."""
    return io.StringIO()


@pytest.fixture
def narrator(out: io.StringIO, clock: FakeClock) -> Narrator:
    """A teller that writes there."""
    return Narrator(Screen(out), clock)


def told(out: io.StringIO) -> list[str]:
    """The lines, without the seconds and with single spaces."""
    return [" ".join(line.split()[2:]) for line in out.getvalue().splitlines()]


def test_a_rotation_is_told_from_its_creation_to_its_end(
    narrator: Narrator, out: io.StringIO, clock: FakeClock
) -> None:
    """The first deletions one by one, the others as a number."""
    narrator.hear({"event": "rotation_began", "server": "survival"})
    assert narrator.under_way == {"survival"}
    narrator.hear({"event": "backup_created", "server": "survival", "uuid": "u", "backup": "auto-1"})
    clock.elapsed = 4.06
    narrator.hear({"event": "turned_good", "server": "survival", "uuid": "u", "bytes": 2048})
    for number in range(5):
        narrator.hear({"event": "backup_deleted", "server": "survival", "backup": f"old-{number}", "because": "old"})
    narrator.hear({"event": "rotation_ended", "server": "survival", "result": "done", "kept": 3})
    assert told(out) == [
        "survival created auto-1",
        "survival good auto-1, 2 KiB",
        "survival deleted old-0, because: old",
        "survival deleted old-1, because: old",
        "survival deleted old-2, because: old",
        "survival deleted … and 2 more; the table at the end says why",
        "survival done 5 deleted, 3 are there",
    ]
    assert out.getvalue().splitlines()[1].startswith("  4.1 s  survival  good")
    assert not narrator.under_way


def test_a_problem_is_told_once_and_in_a_word(narrator: Narrator, out: io.StringIO) -> None:
    """Each rotation meets the suspended server again; the watcher need not."""
    for code, text in [("server-state", "suspended"), ("server-state", "suspended"), ("odd", "what now")]:
        narrator.hear({"event": "problem", "level": "warning", "server": "museum", "code": code, "text": text})
    assert told(out) == ["museum skipped suspended", "museum trouble what now"]


def test_only_copies_of_what_was_made_meanwhile_are_told_one_by_one(narrator: Narrator, out: io.StringIO) -> None:
    """A new store is filled with older ones too; how many is told at the end, and the table counts all."""
    assert narrator.copied == set()
    narrator.hear({"event": "backup_created", "server": "lobby", "uuid": "u", "backup": "auto-1"})
    for name in ("auto-1", "auto-0"):
        narrator.hear({"event": "copy_made", "server": "lobby", "store": "nas", "backup": name, "bytes": 2048})
    narrator.hear({"event": "copying_failed", "server": "museum", "code": "server-state", "text": "suspended"})
    narrator.hear({"event": "daemon_stopped"})
    assert told(out) == [
        "lobby created auto-1",
        "lobby copied auto-1 to the store nas, 2 KiB",
        "museum skipped suspended",
        "lobby copied … and 1 more, made before",
        "daemon stopped nothing was left unfinished",
    ]
    assert narrator.copied == {"lobby"}


def test_the_brake_is_noticed_once_its_rotation_has_ended(narrator: Narrator) -> None:
    """The operator looks when there is something to look at."""
    narrator.hear({"event": "problem", "server": "survival", "code": "max-deletions", "text": "would delete 110"})
    narrator.hear({"event": "rotation_ended", "server": "creative", "result": "done"})
    assert not narrator.braked.is_set()
    narrator.hear({"event": "rotation_ended", "server": "survival", "result": "refused"})
    assert narrator.braked.is_set()
    assert narrator.braked_server == "survival"


def test_trouble_that_it_has_no_words_for_is_told_and_all_else_is_passed_over(
    narrator: Narrator, out: io.StringIO
) -> None:
    """A warning is never swallowed."""
    narrator.hear({"event": "listing", "level": "debug"})
    narrator.hear({})
    narrator.hear({"event": "look_failed", "level": "warning", "server": "lobby", "text": "no answer"})
    narrator.hear({"event": "daemon_stopped", "left": ["lobby"]})
    assert told(out) == ["lobby trouble look_failed no answer", "daemon stopped left for the next start: lobby"]


def test_it_hears_what_is_logged_with_secrets_taken_out(narrator: Narrator, out: io.StringIO) -> None:
    """Only while it listens."""
    with narrator.listening():
        get_logger().warning("odd", text="Bearer ptlc_EXAMPLE123")
    get_logger().info("odd")
    assert told(out) == ["daemon trouble odd Bearer «redacted»"]


def test_no_line_of_the_log_is_kept(narrator: Narrator) -> None:
    """It is a stream, but nothing piles up in it."""
    events = _Events(narrator)
    events.write(json.dumps({"event": "x"}))
    assert events.getvalue() == ""


# The screen -----------------------------------------------------------------------------------------------------------


def on_terminal(write: Callable[[Screen], None]) -> str:
    """What a terminal of 60 columns is sent."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "60")
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        write(Screen(terminal))
        sent = os.read(ours, 10_000).decode()
    os.close(ours)
    return sent


def test_lines_fit_the_terminal_and_words_have_colour_there() -> None:
    """Nothing is cut: the text goes on below itself."""
    sent = on_terminal(
        lambda screen: screen.line(1.0, "survival", "deleted", "a sentence that is much too long for it")
    )
    first, second = sent.split("\r\n")[:2]
    assert "\x1b[31mdeleted" in first
    assert second == " " * 28 + "for it"


def test_in_a_pipe_each_line_is_one_line_without_colour(out: io.StringIO) -> None:
    """Whatever its length."""
    Screen(out).line(1.0, "survival", "deleted", "x " * 500)
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_a_table_without_column_names_has_no_head(out: io.StringIO) -> None:
    """And markup in a name is only text."""
    Screen(out).table(("", ""), [("holds", "[red]x[/red]")])
    assert out.getvalue() == "holds  [red]x[/red]\n"


def test_a_reader_that_went_away_is_no_error() -> None:
    """`demo | head` ends as if nothing were."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", buffering=1)
    Screen(stream).say("hello")
    with pytest.raises(BrokenPipeError):
        stream.close()


# The stage ------------------------------------------------------------------------------------------------------------


def test_the_configuration_is_read_without_looking_at_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder holds all that it needs; the key is for its owner alone."""
    monkeypatch.setenv("PTERO_BACKUPD_POLICIES__STANDARD__SCHEDULE", "nonsense")
    setup = DemoSetup(tmp_path)
    setup.write(build_world(SystemClock()), "http://127.0.0.1:1", every="@daily")
    config = setup.read()
    assert sorted(config.servers) == ["creative", "lobby", "museum", "survival"]
    assert config.warnings == ()
    assert config.state_dir == tmp_path / "state"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_the_schedule_starts_when_the_brake_was_lifted_and_not_again_before_the_end() -> None:
    """Whenever the demo begins."""
    for seconds in range(0, 5000, 7):
        now = START + timedelta(seconds=seconds)
        schedule = parse_schedule(good_schedule(now))
        first = schedule.after(now, ZoneInfo("UTC"))
        assert 5 <= (first - now).total_seconds() <= 15
        assert schedule.after(first, ZoneInfo("UTC")) - now > timedelta(seconds=22)


def test_lifting_the_brake_concerns_one_server(tmp_path: Path) -> None:
    """As an operator would write it."""
    setup = DemoSetup(tmp_path)
    setup.write(build_world(SystemClock()), "http://127.0.0.1:1", every="@daily")
    setup.lift_brake("survival", 200)
    bounds = {name: server.policy.max_deletions for name, server in setup.read().servers.items()}
    assert bounds == {"survival": 200, "creative": 10, "lobby": 10, "museum": 10}


async def _no_rows(folder: Path) -> list[Any]:
    setup = DemoSetup(folder)
    setup.write(build_world(SystemClock()), "http://127.0.0.1:1", every="@daily", copies=False)
    text = setup.file.read_text().replace('"state"', '"none"')
    setup.file.write_text(text)
    return list(await closing_rows(setup.read(), FakeClock()))


def test_a_panel_that_is_gone_is_said_for_each_server(tmp_path: Path) -> None:
    """The table is there all the same."""
    rows = asyncio.run(_no_rows(tmp_path))
    assert [(row[0], row[1]) for row in rows] == [
        (name, "skipped") for name in ("survival", "creative", "lobby", "museum")
    ]


# The course -----------------------------------------------------------------------------------------------------------


def small_world() -> World:
    """One server with 14 old backups, of which the first is locked; its backups take a moment."""
    clock = SystemClock()
    world, owner, node = empty(clock, settings=Settings(creation_limit=0))
    server = world.add_server("small", owner=owner, node=node, limit=50, work=Work(seconds=0.1))
    now = clock.now().replace(microsecond=0)
    history(
        world, server, [now.replace(day=1, month=1, year=now.year - 1, hour=hour) for hour in range(14)], locked={0}
    )
    return world


def played(world: World, folder: Path, out: io.StringIO, *, keep_running: bool = False, pace: Pace = QUICK) -> Exit:
    """Play on that world."""
    return asyncio.run(play(world, folder, Screen(out), SystemClock(), keep_running=keep_running, pace=pace))


def first_server(world: World) -> Server:
    """The only one."""
    return next(iter(world.servers.values()))


def test_a_short_play_makes_a_backup_deletes_what_is_beyond_and_finds_everything_kept(
    tmp_path: Path, out: io.StringIO
) -> None:
    """The missed start is caught up at once."""
    world = small_world()
    backups = first_server(world).backups
    world.remove(first_server(world), list(backups.values())[5], by="somebody else")
    assert played(world, tmp_path, out, pace=COPIED) == Exit.DONE
    assert "missed" in out.getvalue()
    assert "done     10 deleted, 4 are there" in out.getvalue()
    assert "deleted  10        beyond the 3 newest backups\n" in out.getvalue()
    assert out.getvalue().count("\nholds  ") == 5
    assert len(backups) == 4
    assert_changed_copies_are_found(tmp_path)


def test_a_drill_shows_that_a_backup_runs_elsewhere_and_what_it_leaves_is_found(
    tmp_path: Path, out: io.StringIO
) -> None:
    """By the ledger, whatever the drill says of itself."""
    world = small_world()
    assert played(world, tmp_path, out, pace=replace(QUICK, drilling="small")) == Exit.DONE
    text = out.getvalue()
    assert text.index("unpacking ") < text.index("starting spare") < text.index("stopping spare")
    assert "holds  the newest backup of small was restored onto another server, and ran there after " in text
    spare = next(server for server in world.servers.values() if server.name == "spare")
    assert spare.files.rows("") == []
    spare.files.write("left", b"")
    world.ledger.clear()
    wrong = LedgerChecks(world).finding_of_drill(spare, "small", None).broken_by
    assert wrong == ("there was no backup to try", "no start", "no stop", "nothing was unpacked", "left was left")


def assert_changed_copies_are_found(folder: Path) -> None:
    """What the store gives back is looked at with nothing but the folder: the panel is gone by then."""
    for data in (folder / "copies").rglob("*.tar.gz"):
        data.write_bytes(data.read_bytes()[:-1] + b"x")
    copies = asyncio.run(read_back(DemoSetup(folder).read(), SystemClock(), folder))
    assert copies
    assert {(copy.server, copy.sha1) for copy in copies} == {("small", "")}


def test_where_the_brake_holds_the_operator_lifts_it_and_the_service_obeys(tmp_path: Path, out: io.StringIO) -> None:
    """By writing the file and sending the signal; the next start deletes."""
    world = small_world()
    pace = replace(QUICK, every="every 3s", seconds=6.5)
    assert played(world, tmp_path, out, pace=pace) == Exit.DONE
    text = out.getvalue()
    assert "refused  would delete 11 good backups" in text
    assert text.index("refused") < text.index("you  ") < text.index("reload ") < text.index(" deleted  ")


def test_a_broken_promise_is_said_and_is_exit_code_1(tmp_path: Path, out: io.StringIO) -> None:
    """Somebody deletes the locked backup meanwhile, which no service can know."""
    world = small_world()
    server = first_server(world)
    locked = next(iter(server.backups.values()))
    world.later(0.5, lambda: world.remove(server, locked, by="somebody else"))
    assert played(world, tmp_path, out) == Exit.BUG
    assert (
        f"broken  every one of the 1 backups that were locked is still there, but for: {locked.name}" in out.getvalue()
    )
    assert out.getvalue().endswith("error: a promise was broken; this is a bug in ptero-backupd\n")


def test_a_service_that_cannot_start_is_not_hidden(tmp_path: Path, out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip  # noqa: E501
    """Its error is the demo's."""

    def refuse(_: DemoSetup) -> None:
        raise UsageError("no")

    monkeypatch.setattr(DemoSetup, "read", refuse)
    with pytest.raises(UsageError):
        played(small_world(), tmp_path, out)


def test_kept_running_it_tells_how_to_use_it_and_ends_well_with_ctrl_c(tmp_path: Path, out: io.StringIO) -> None:
    """The panel, its key, and commands with the configuration's path."""
    world = small_world()

    async def life() -> Exit:
        playing = asyncio.create_task(play(world, tmp_path, Screen(out), SystemClock(), keep_running=True, pace=QUICK))
        while "In another terminal" not in out.getvalue():  # noqa: ASYNC110 — what is printed is what counts
            await asyncio.sleep(0.05)  # noqa: TID251 — the demo runs in real time
        signal.raise_signal(signal.SIGINT)
        return await playing

    assert asyncio.run(life()) == Exit.DONE
    assert f"ptero-backupd --config {tmp_path}/config.toml plan survival" in out.getvalue()
    assert "SIGINT came" in out.getvalue()


# As a process ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    """Exit code 130, one word, no traceback, and its folder is gone."""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "daemon", "demo"]
    with subprocess.Popen(  # noqa: S603 — our own command
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("created" in line for line in iter(process.stdout.readline, ""))
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_whole_demo_ends_within_a_minute_with_everything_kept() -> None:
    """As `./scripts/demo` runs it: brake, limit, failure, suspension and the stuck one are all told."""
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "demo"], check=False, capture_output=True, text=True, timeout=58
    )
    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        "museum    skipped  the server is suspended",
        "lobby     full     the panel's limit is reached, so room is made by one deletion",
        "is pending since",
        "good backups, more than max_deletions = 10",
        "survival  you      have looked at the plan",
        "creative  failed   the new backup",
        "holds  every one of the 6 backups that were locked is still there",
        "holds  each of the 3 servers that can be backed up has a new good backup",
        "What the store still has, now that the panel is gone",
        "holds  the newest backup of lobby was restored onto another server",
        "copies comes back with the checksum that the panel gave",
    ):
        assert expected in done.stdout
    assert "broken" not in done.stdout
    missing = shown_in_the_readme() - {alike(line) for line in done.stdout.splitlines()}
    assert missing == set(), "the README shows what does not come out"


def alike(line: str) -> str:
    """The line without what differs each time: seconds, dates, numbers, the end of a backup's name."""
    return re.sub(r"\b[0-9a-f]{8}\b|\d+", "#", " ".join(line.split()))


def shown_in_the_readme() -> set[str]:
    """What happened and what was promised, as the README shows the demo, with lines put together that it breaks."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    shown = text.partition("$ ./scripts/demo\n")[2].partition("```")[0]
    lines = re.sub(r"\n {28}", " ", shown).splitlines()
    found = {alike(line) for line in lines if re.match(r" *\d+\.\d s  |holds ", line)}
    assert len(found) > 15
    return found


def test_run_hands_over_the_exit_code_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder exists while it plays, for its owner alone."""
    folders: list[Path] = []

    async def stand_in(world: World, folder: Path, *_: object, keep_running: bool) -> Exit:
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700  # noqa: PTH116 — nothing else runs
        assert (len(world.servers), keep_running) == (4, True)
        folders.append(folder)
        return Exit.BUG

    monkeypatch.setattr(demo, "play", stand_in)
    assert demo.run(keep_running=True) == 1
    assert not folders[0].exists()
