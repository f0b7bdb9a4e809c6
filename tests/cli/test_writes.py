"""The commands that change something, against a panel over real HTTP: what is asked, written, and exited with."""

import os
import re
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.sandbox import faults
from daemon.sandbox.archive import Flavour
from daemon.sandbox.records import Backup, BackupEnding, Change, State, User, Work
from daemon.state.local.locks import server_lock
from tests.cli.conftest import Cli, Panel, Ran, Terminal, interrupt
from tests.cli.test_commands import shape

BACKUP = {
    "uuid": "str",
    "name": "str",
    "created_at": "str",
    "completed_at": "str",
    "bytes": "int",
    "state": "str",
    "locked": "bool",
    "ignored": [],
}
PROBLEM = {"code": "str", "text": "str", "hint": "str"}
ABOUT = {"server": "str", "panel": "str", "id": "str"}
ABSENT = "00000000-0000-4000-8000-00000000abcd"

Backups = Callable[..., Ran]


@pytest.fixture
def backups(cli: Cli, panel: Panel) -> Backups:
    """Runs `backups COMMAND survival …`."""
    return lambda command, *words: cli("--config", panel.config, "backups", command, "survival", *words)


@pytest.fixture
def typed(panel: Panel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Backups:
    """As `backups`, at a terminal: `typed("y", "delete", …)`."""

    def run(answer: str, command: str, *words: str) -> Ran:
        monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
        capsys.readouterr()
        code = main(["--config", str(panel.config), "backups", command, "survival", *words])
        written = capsys.readouterr()
        return Ran(code, written.out, written.err)

    return run


def own(panel: Panel, number: int) -> Backup:
    """The own backup of that number; 1 is locked and 5 failed."""
    return next(row for row in panel.survival.backups.values() if row.name.endswith(f"{number:08x}"))


def did(panel: Panel, *changes: Change) -> list[str]:
    """What the panel did, by name, past what was there."""
    return [
        entry.name for entry in panel.world.ledger if entry.change in changes and entry.by not in {"history", "node"}
    ]


def may_only(panel: Panel, *permissions: str) -> None:
    """From now on the configured key is that of a user with these permissions."""
    panel.world.add_key("ptlc_EXAMPLE_reader", User("reader"))
    panel.survival.subusers["reader"] = permissions
    panel.config.with_name("main.key").write_text("ptlc_EXAMPLE_reader")


# create --------------------------------------------------------------------------------------------------------------


def test_create_says_what_is_under_way(backups: Backups, panel: Panel) -> None:
    """One line of data; the steps on stderr."""
    ran = backups("create")
    assert ran.code == 0
    assert re.fullmatch(r"created by hand 2026-04-01 12:00:0\d \([0-9a-f-]{36}\): pending\n", ran.out)
    assert ran.err.startswith("asking for by hand 2026-04-01 12:00:0")


def test_create_and_wait_says_what_was_made(backups: Backups, panel: Panel) -> None:
    """Locked, of what size, without what."""
    ran = backups("create", "--name", "before 1.21", "--ignored", "logs/", "--ignored", "*.tmp", "--lock", "--wait")
    assert ran.code == 0
    assert re.fullmatch(
        r"created before 1\.21 \([0-9a-f-]{36}\): good, 19\.5 KiB, locked, without logs/, \*\.tmp\n", ran.out
    )
    assert ran.err.splitlines() == [
        "asking for before 1.21",
        "waiting for before 1.21; earlier ones took about 7 s",
    ]


def test_create_as_json(backups: Backups, panel: Panel) -> None:
    """Exactly these keys."""
    ran = backups("create", "--wait", "--json")
    assert shape(ran.json) == {**ABOUT, "result": "str", "changed": "bool", "backup": BACKUP, "problems": []}
    assert (ran.json["result"], ran.json["changed"], ran.json["backup"]["state"]) == ("done", True, "good")


def test_create_that_is_refused_as_json(backups: Backups, panel: Panel) -> None:
    """The same keys, with no backup, and the reason within."""
    panel.survival.limit = 7
    ran = backups("create", "--json")
    assert ran.code == 5
    assert shape(ran.json) == {
        **ABOUT,
        "result": "str",
        "changed": "bool",
        "backup": "NoneType",
        "problems": [PROBLEM],
    }
    assert "error" not in ran.err


def test_create_that_is_refused_says_so_where_errors_belong(backups: Backups, panel: Panel) -> None:
    """Nothing on stdout, and what could be done."""
    panel.survival.limit = 7
    ran = backups("create")
    assert (ran.code, ran.out) == (5, "")
    assert "error: panel main, creating a backup of server" in ran.err
    assert "hint: `ptero-backupd backups delete survival --beyond-retention` would free 2" in ran.err


def test_create_waits_out_the_throttle_only_with_wait(backups: Backups, panel: Panel) -> None:
    """Else it says for how long."""
    panel.world.faults.order(faults.creation_throttle("598"), on="create", times=2)
    ran = backups("create")
    assert (ran.code, ran.out) == (4, "")
    assert "; it allows the next one in 10 min" in ran.err
    ran = backups("create", "--wait")
    assert ran.code == 0
    assert "the panel's creation throttle lasts 10 min; trying again then" in ran.err


@pytest.mark.parametrize("words", [["--name", "x" * 192], ["--name", "by hand"], ["--ignored", "a\nb"]])
def test_create_with_what_cannot_be_is_a_usage_error(backups: Backups, panel: Panel, words: list[str]) -> None:
    """Too long, there already, two patterns in one."""
    ran = backups("create", *words)
    assert (ran.code, ran.out, did(panel, Change.CREATED)) == (2, "", ["by hand"])
    assert ran.err.startswith("error: --")


def test_create_that_fails_says_all_that_is_to_be_said(backups: Backups, panel: Panel) -> None:
    """What failed is the error, what else should be known a note."""
    panel.survival.work = Work(outcome=BackupEnding.FAILED)
    ran = backups("create", "--wait", "--lock", "--name", "mine")
    assert (ran.code, ran.out) == (4, "")
    assert "mine is failed" in ran.err
    assert "loses its lock" in ran.err


# lock, unlock, accept ------------------------------------------------------------------------------------------------


def test_lock_and_unlock_by_name_by_uuid_and_by_latest(backups: Backups, panel: Panel) -> None:
    """Already so is success, and said."""
    first, locked, newest = own(panel, 0), own(panel, 1), own(panel, 6)
    ran = backups("lock", first.uuid[:8], locked.name, "latest")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"locked {first.name}",
        f"{locked.name} is locked already",
        f"locked {newest.name}",
    ]
    assert (first.locked, locked.locked, newest.locked) == (True, True, True)
    assert backups("unlock", locked.uuid).out == f"unlocked {locked.name}\n"
    assert not locked.locked


@pytest.mark.parametrize("command", ["lock", "unlock"])
def test_lock_and_unlock_as_json(backups: Backups, panel: Panel, command: str) -> None:
    """Exactly these keys."""
    ran = backups(command, "latest", "--json")
    entry = {**BACKUP, "result": "str", "changed": "bool", "problems": []}
    assert shape(ran.json) == {**ABOUT, "backups": [entry], "problems": []}


def test_lock_whose_answer_is_lost_is_settled(backups: Backups, panel: Panel) -> None:
    """Over a real connection that breaks."""
    panel.world.faults.order(faults.lost_after(), on="lock")
    assert backups("lock", "latest").code == 0
    assert own(panel, 6).locked
    panel.world.faults.order(faults.reset(), on="lock")
    assert backups("unlock", "latest").code == 0
    assert not own(panel, 6).locked


@pytest.mark.parametrize("word", ["mistyped", "auto", "00", ABSENT])
def test_what_is_not_there_is_a_usage_error_for_all(backups: Backups, panel: Panel, word: str) -> None:
    """Nothing is locked, the right one neither."""
    ran = backups("lock", "latest", word)
    assert (ran.code, ran.out) == (2, "")
    assert f'no backup "{word}"' in ran.err
    assert not own(panel, 6).locked


def test_accept_is_remembered(backups: Backups, panel: Panel) -> None:
    """The list judges otherwise from then on; a second time says that it is good."""
    small = panel.world.add_backup(
        panel.survival, "auto-survival-20260401T110000Z-0000ffff", size=100, created_at=panel.world.now()
    )
    assert "suspicious" in backups("show", small.uuid).out
    assert backups("accept", small.uuid).out == f"{small.name} is good from now on\n"
    assert "suspicious" not in backups("show", small.uuid).out
    again = backups("accept", small.uuid)
    assert (again.code, again.out) == (0, f"{small.name} is good, and not suspicious\n")


def test_accept_as_json(backups: Backups, panel: Panel) -> None:
    """The keys of create."""
    ran = backups("accept", own(panel, 5).uuid, "--json")
    expected = {**ABOUT, "result": "str", "changed": "bool", "backup": BACKUP, "problems": [PROBLEM]}
    assert (ran.code, shape(ran.json)) == (5, expected)


def test_accept_without_a_journal_is_a_usage_error(
    backups: Backups, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be forgotten at once."""
    monkeypatch.setenv("PTERO_BACKUPD_STATE_DIR", "none")
    ran = backups("accept", "latest")
    assert (ran.code, ran.out) == (2, "")
    assert 'state_dir is "none"' in ran.err
    assert "hint: configure a state_dir" in ran.err


# restore -------------------------------------------------------------------------------------------------------------


def test_restore_asks_first_naming_what_will_happen_to_what(typed: Backups, panel: Panel) -> None:
    """Panel, server, node, backup, files, safety; a no changes nothing and exits 130."""
    panel.survival.name = "Survival SMP"
    backup = own(panel, 6)
    ran = typed("n", "restore", "latest")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == (
        f'survival is "Survival SMP" ({panel.survival.identifier}) on node1, panel main\n'
        f"the backup: {backup.name}, made 2026-03-31 04:00, 19.6 KiB, good, own\n"
        "the files of the backup overwrite the server's; what is not in the backup stays\n"
        "before that, what is there now is backed up, and that backup is locked\n"
        f"restore {backup.name} onto survival? [y/N] nothing was changed\n"
        "interrupted\n"
    )
    assert did(panel, Change.CREATED, Change.RESTORING) == ["by hand"]


def test_restore_says_louder_what_is_lost(typed: Backups, panel: Panel) -> None:
    """All files, and nothing to go back to."""
    ran = typed("", "restore", "latest", "--truncate", "--no-safety-backup")
    assert "ALL files of the server are deleted, then those of the backup are put in their place\n" in ran.err
    assert "NO backup is made of what is there now: what is overwritten or deleted is lost\n" in ran.err
    assert "before that, the backup is read to its end and checked: " in ran.err
    ran = typed("", "restore", "latest", "--truncate", "--unproven")
    assert "the backup is NOT read first: if its file is damaged or missing, everything is lost\n" in ran.err


def test_restore_with_truncate_reads_the_backup_first(backups: Backups, cli: Cli, panel: Panel) -> None:
    """From its node; a torn one deletes nothing unless that is waived, and is a failed proof."""
    backup = own(panel, 6)
    words = ("restore", "latest", "--truncate", "--no-safety-backup", "--yes")
    first, second = backups(*words), backups(*words)
    assert (first.code, second.code) == (0, 0)
    assert f"reading {backup.name} to its end" in first.err
    assert re.search(f"{backup.name} was read to its end [0-9]+ s ago, and is right", second.err)
    assert f"reading {backup.name} to its end" not in second.err
    backup.flavour = Flavour.TORN
    ran = backups("restore", "latest", "--truncate", "--no-safety-backup", "--yes")
    assert ran.code == 5
    assert f"nothing was restored, since {backup.name} is damaged: world/region/r.0.0.mca: chunk 0,0 is past" in ran.err
    frozen = cli("--config", panel.config, "prove", "accept", "survival", "latest", "--json").json["accepted"]
    assert [(one["name"], one["level"]) for one in frozen] == [(backup.name, "sane")]
    assert backups("restore", "latest", "--truncate", "--no-safety-backup", "--unproven", "--yes").code == 0
    assert did(panel, Change.RESTORING) == [backup.name] * 3


def test_restore_makes_safe_restores_and_waits(typed: Backups, panel: Panel) -> None:
    """And says how that is known."""
    panel.survival.restore_seconds = 600
    ran = typed("yes", "restore", "latest")
    assert ran.code == 0
    known = "the server's activity log says that it completed"
    restored = f"restored {own(panel, 6).name} onto survival; {known}; what was there before is in before restore 2026"
    assert ran.out.startswith(restored)
    assert ran.out.endswith(", locked\n")
    assert "note:" not in ran.err
    assert panel.survival.status is None


def test_restore_without_waiting(backups: Backups, panel: Panel) -> None:
    """It began, and no more is said."""
    panel.survival.restore_seconds = 600
    ran = backups("restore", "latest", "--yes", "--no-safety-backup", "--no-wait")
    assert (ran.code, ran.out) == (0, f"began to restore {own(panel, 6).name} onto survival\n")


def test_restore_as_json(backups: Backups, panel: Panel) -> None:
    """Exactly these keys."""
    ran = backups("restore", "latest", "--yes", "--json")
    document = {
        **ABOUT,
        "result": "str",
        "changed": "bool",
        "backup": BACKUP,
        "problems": [],
        "truncate": "bool",
        "safety_backup": BACKUP,
        "ended": "bool",
        "activity_log": "str",
    }
    assert shape(ran.json) == document
    assert ran.json["safety_backup"]["locked"]


def test_restore_of_a_failed_one_is_refused_without_asking(typed: Backups, panel: Panel) -> None:
    """Though the panel would; the same keys as JSON."""
    ran = typed("y", "restore", own(panel, 5).uuid)
    assert (ran.code, ran.out) == (5, "")
    assert "only a good backup is restored" in ran.err
    assert "[y/N]" not in ran.err
    ran = typed("y", "restore", own(panel, 5).uuid, "--json")
    assert (ran.json["result"], ran.json["safety_backup"], ran.json["ended"]) == ("refused", None, False)
    assert did(panel, Change.RESTORING) == []


def test_restore_while_suspended_is_one_clear_line(backups: Backups, panel: Panel) -> None:
    """Exit 4; while another restore runs it passes, so 3."""
    panel.survival.status = "suspended"
    ran = backups("restore", "latest", "--yes")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "error: the server is suspended\nhint: only an administrator can end that\n"
    panel.survival.status = "restoring_backup"
    ran = backups("restore", "latest", "--yes", "--json")
    assert (ran.code, ran.json["result"], ran.json["problems"][0]["code"]) == (3, "skipped", "server-state")


# delete --------------------------------------------------------------------------------------------------------------


def test_delete_asks_first_listing_what_goes_and_what_does_not(typed: Backups, panel: Panel) -> None:
    """With a warning where it is the newest good one."""
    newest, locked = own(panel, 6), own(panel, 1)
    ran = typed("n", "delete", "latest", own(panel, 5).uuid, locked.uuid)
    assert (ran.code, did(panel, Change.DELETED)) == (130, [])
    lines = ran.err.splitlines()
    assert lines[1:] == [
        f"  {newest.name}, made 2026-03-31 04:00, 19.6 KiB, good, own",
        f"  {own(panel, 5).name}, made 2026-03-30 04:00, 0 B, failed, own",
        f"WARNING: {newest.name} is the newest good backup; the newest is then {own(panel, 4).name}",
        f"not deleted: {locked.name} is locked",
        "delete these 2 backups? [y/N] nothing was changed",
        "interrupted",
    ]


def test_delete_reports_each(typed: Backups, panel: Panel) -> None:
    """Deleted, gone already, and refused with the hint to unlock; 5 wins."""
    first, locked, gone = own(panel, 0), own(panel, 1), own(panel, 2)
    assert typed("y", "delete", gone.uuid).code == 0
    ran = typed("y", "delete", first.uuid, locked.uuid, gone.uuid)
    assert ran.code == 5
    assert ran.out.splitlines() == [f"{gone.uuid} is gone already", f"deleted {first.name}"]
    hint = "if you really want to delete it, run `ptero-backupd backups unlock` first"
    assert f"error: {locked.name} is locked\nhint: {hint}" in ran.err
    assert did(panel, Change.DELETED) == [gone.name, first.name]


def test_delete_of_another_servers_backup_deletes_nothing(backups: Backups, panel: Panel) -> None:
    """Not even what else was named: the server was most likely meant to be another."""
    ran = backups("delete", own(panel, 0).uuid, ABSENT, "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert f"error: {ABSENT} is not on this server" in ran.err
    assert did(panel, Change.DELETED) == []


@pytest.mark.parametrize("state", [State.FAILED, State.PENDING])
def test_delete_of_a_locked_one_that_the_panel_would_delete(backups: Backups, panel: Panel, state: State) -> None:
    """Refused without asking; after an unlock the failed one goes and the pending one does not."""
    row = panel.world.add_backup(panel.survival, "precious", state=state, locked=True)
    assert backups("delete", "precious", "--yes").code == 5
    assert "precious" in [each.name for each in panel.survival.backups.values()]
    assert backups("unlock", "precious").code == 0
    assert backups("delete", "precious", "--yes").code == (0 if state is State.FAILED else 5)
    assert (row.uuid in panel.survival.backups) is (state is State.PENDING)


def test_delete_of_nothing_but_what_is_refused_asks_nothing(typed: Backups, panel: Panel) -> None:
    """There is nothing to agree to."""
    ran = typed("n", "delete", own(panel, 1).uuid)
    assert ran.code == 5
    assert "[y/N]" not in ran.err


def test_delete_as_json(backups: Backups, panel: Panel) -> None:
    """Exactly these keys; one that was gone already has no name."""
    absent = own(panel, 0).uuid
    assert backups("delete", absent, "--yes").code == 0
    ran = backups("delete", "latest", absent, "--yes", "--json")
    entry = {**BACKUP, "result": "str", "changed": "bool", "problems": []}
    missing = {**entry, "name": "NoneType", "created_at": "NoneType", "completed_at": "NoneType", "state": "NoneType"}
    gone, latest = ran.json["backups"]
    assert shape(gone) == missing
    assert shape(latest) == {**entry, "problems": [PROBLEM]}
    assert shape({**ran.json, "backups": []}) == {**ABOUT, "backups": [], "problems": []}


def test_delete_beyond_retention_is_what_plan_says(backups: Backups, cli: Cli, panel: Panel) -> None:
    """The same names; afterwards nothing is beyond it."""
    plan = cli("--config", panel.config, "plan", "survival", "--json").json["servers"][0]["backups"]
    said = [backup["name"] for backup in reversed(plan) if backup["verdict"] == "delete"]
    ran = backups("delete", "--beyond-retention", "--yes")
    assert ran.code == 0
    assert ran.out.splitlines() == [f"deleted {name}" for name in said]
    assert did(panel, Change.DELETED) == said
    ran = backups("delete", "--beyond-retention", "--yes")
    assert (ran.code, ran.out, ran.err) == (0, "", "note: nothing is beyond retention\n")


def test_delete_beyond_retention_asks_with_the_reasons(typed: Backups, panel: Panel) -> None:
    """Those of the plan."""
    ran = typed("n", "delete", "--beyond-retention")
    assert ran.code == 130
    assert re.search(rf"  {own(panel, 0).name}, made .*, good, own: .+\n", ran.err)
    assert "delete these 3 backups? [y/N]" in ran.err


def test_delete_beyond_retention_is_held_by_the_brake(backups: Backups, panel: Panel) -> None:
    """Until it is lifted for once."""
    panel.configure(extra="max_deletions = 1")
    ran = backups("delete", "--beyond-retention", "--yes")
    assert (ran.code, did(panel, Change.DELETED)) == (5, [])
    assert "error: would delete 2 good backups, more than max_deletions = 1" in ran.err
    assert (
        "that is what you want: `ptero-backupd backups delete survival --beyond-retention --max-deletions N`" in ran.err
    )
    ran = backups("delete", "--beyond-retention", "--yes", "--max-deletions", "2")
    assert (ran.code, len(did(panel, Change.DELETED))) == (0, 3)


@pytest.mark.parametrize(
    "words", [[], ["latest", "--beyond-retention"], ["latest", "--max-deletions", "3"]], ids=" ".join
)
def test_delete_with_words_that_contradict_each_other(backups: Backups, panel: Panel, words: list[str]) -> None:
    """Nothing is deleted."""
    ran = backups("delete", *words, "--yes")
    assert (ran.code, did(panel, Change.DELETED)) == (2, [])


# All of them ---------------------------------------------------------------------------------------------------------

WRITES = [
    ("create",),
    ("lock", "latest"),
    ("unlock", "precious"),
    ("restore", "latest", "--yes"),
    ("delete", "latest", "--yes"),
    ("delete", "--beyond-retention", "--yes"),
]


@pytest.mark.parametrize("words", WRITES, ids=" ".join)
def test_a_key_that_may_only_read_changes_nothing(backups: Backups, panel: Panel, words: tuple[str, ...]) -> None:
    """403: exit 4, what is lacking, and a ledger that did not grow."""
    panel.world.add_backup(panel.survival, "precious", locked=True, created_at=panel.world.now() - timedelta(days=9))
    before = len(panel.world.ledger)
    may_only(panel, "backup.read")
    ran = backups(*words)
    assert (ran.code, ran.out, len(panel.world.ledger)) == (4, "", before)
    assert "hint: give the key's user the permission on this server" in ran.err


@pytest.mark.parametrize("words", [("restore", "latest"), ("delete", "latest"), ("delete", "--beyond-retention")])
def test_without_a_terminal_nothing_is_asked(backups: Backups, panel: Panel, words: tuple[str, ...]) -> None:
    """Exit 2 before the panel is asked anything."""
    panel.survival.status = "suspended"  # which would be seen otherwise
    ran = backups(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: an answer is needed, and there is no terminal to ask at\nhint: give --yes\n"


@pytest.mark.parametrize("command", ["create", "lock", "unlock", "accept", "restore", "delete"])
def test_an_unknown_server_is_a_usage_error(cli: Cli, panel: Panel, command: str) -> None:
    """With a guess."""
    words = [] if command == "create" else ["latest"]
    ran = cli("--config", panel.config, "backups", command, "survial", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean 'survival'?" in ran.err


@pytest.mark.parametrize(
    "words", [("create",), ("restore", "latest", "--yes"), ("delete", "--beyond-retention", "--yes")]
)
def test_beside_a_rotation_the_hand_is_kept_off(
    backups: Backups, panel: Panel, words: tuple[str, ...], tmp_path: Path
) -> None:
    """Exit 3, since it passes, and who holds the server."""
    state = tmp_path / ".local" / "state" / "ptero-backupd"
    with server_lock(state, panel.survival.uuid):
        ran = backups(*words)
    assert (ran.code, ran.out) == (3, "")
    assert "is being rotated already" in ran.err


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_while_it_waits_says_what_the_panel_goes_on_with(backups: Backups, panel: Panel) -> None:
    """The backup goes on; how to follow it; exit 130."""
    panel.survival.work = Work(seconds=600)
    interrupt(panel, "list", skip=1)
    ran = backups("create", "--wait", "--name", "mine")
    (row,) = [row for row in panel.survival.backups.values() if row.name == "mine"]
    assert (ran.code, ran.out) == (130, "")
    said = f"mine goes on at the panel; `ptero-backupd backups show survival {row.uuid}` follows it"
    assert ran.err.splitlines()[-2:] == [said, "interrupted"]


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_while_it_asks_says_that_it_may_have_begun(backups: Backups, panel: Panel) -> None:
    """The request was on its way."""
    interrupt(panel, "create")
    ran = backups("create", "--name", "mine")
    assert ran.code == 130
    assert "the panel may have begun mine; `ptero-backupd backups list survival` shows it\n" in ran.err


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_during_a_restore_says_that_nothing_stops_it(backups: Backups, panel: Panel) -> None:
    """It goes on without us."""
    panel.survival.restore_seconds = 600
    interrupt(panel, "server", skip=4)
    ran = backups("restore", "latest", "--yes", "--no-safety-backup")
    assert ran.code == 130
    assert f"the restore of {own(panel, 6).name} goes on at the panel, and nothing stops it\n" in ran.err


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_before_anything_was_asked_for_says_nothing(backups: Backups, panel: Panel) -> None:
    """Nothing goes on."""
    interrupt(panel, "list")
    ran = backups("create")
    assert (ran.code, ran.err) == (130, "interrupted\n")


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_at_a_question_is_a_no(typed: Backups, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, not only after the next line; nothing was begun."""

    def readline(_: Terminal) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "y\n"

    monkeypatch.setattr(Terminal, "readline", readline)
    before = len(panel.world.ledger)
    ran = typed("y", "delete", "latest")
    assert (ran.code, len(panel.world.ledger)) == (130, before)
    assert ran.err.endswith("delete this backup? [y/N] interrupted\n")


def test_quiet_shows_no_steps(cli: Cli, panel: Panel) -> None:
    """The data alone."""
    ran = cli("--quiet", "--config", panel.config, "backups", "create", "survival", "--wait")
    assert (ran.code, ran.err) == (0, "")


def test_on_a_terminal_the_step_stands_beside_a_spinner(
    typed: Backups, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is gone in the end; a name from the panel cannot pass for markup."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("daemon.cli.ui.steps.sys.stderr.isatty", lambda: True)
    ran = typed("", "lock", "latest")
    assert ran.code == 0
    assert "\x1b[" in ran.err


def test_a_name_moves_no_cursor_and_makes_no_line_of_its_own(backups: Backups, panel: Panel) -> None:
    """It is anybody's, and what was done is written to the terminal."""
    evil = panel.world.add_backup(panel.survival, "x\x1b[2J\u202e\x9b\ndeleted y")
    for command, word in (("lock", "locked"), ("unlock", "unlocked")):
        assert backups(command, evil.uuid).out == f"{word} x\ufffd[2J\ufffd\ufffd\ufffddeleted y\n"
    assert backups("delete", evil.uuid, "--yes").out == "deleted x\ufffd[2J\ufffd\ufffd\ufffddeleted y\n"
