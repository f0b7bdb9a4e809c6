"""The commands against a panel over real HTTP, with the configuration of two servers."""

import json
import os
import random
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.config.load import load
from daemon.core.model import Action, Backup, Reason, Verdict
from daemon.core.model import State as Judged
from daemon.core.units import rfc3339
from daemon.rotation.run import RotationContext
from daemon.rotation.slots import NodeSlots
from daemon.sandbox import faults
from daemon.sandbox.records import State, User, Work
from daemon.sandbox.scenes import KEY, own_name, three_pages
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.sandbox.world import World
from daemon.state import engine_for
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.locks import server_lock
from daemon.state.local.presence import daemon_present
from daemon.status.server_status import ServerStatus
from daemon.status.snapshot import Snapshot
from daemon.status.stored import to_stored
from daemon.status.tracker import StatusTracker
from tests.at_once import at_once, awaited
from tests.cli.conftest import Cli, Panel, interrupt
from tests.fakes import FakeClock

BEYOND = "backups delete survival --beyond-retention"
BRAKE = (
    "look at `ptero-backupd plan survival`; if that is what you want: `ptero-backupd rotate survival --max-deletions N`"
)
"""What can be done where a rotation would delete too many."""

TOOK = 5
"""Seconds that each backup of the panel's history took."""


def shape(value: object) -> object:
    """The keys of a document, and the types at their ends."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


# plan ------------------------------------------------------------------------------------------------------------


def test_plan_shows_each_server_with_verdicts_and_reasons(cli: Cli, panel: Panel) -> None:
    """A table a server, and what it comes to; nothing on stderr."""
    ran = cli("--config", panel.config, "plan")
    assert (ran.code, ran.err) == (0, "")
    survival, lobby = ran.out.split("\n\n")[:2]
    assert survival.splitlines()[0] == "survival (policy standard, keep last=3)"
    assert survival.splitlines()[-1] == "keeps 4, deletes 3, ignores 1 (times in UTC)"
    assert "failed" in survival
    assert "foreign" in survival
    assert "own, locked" in survival
    assert lobby.splitlines() == ["lobby (policy standard, keep last=3)", "no backups"]


def test_plan_changes_nothing(cli: Cli, panel: Panel) -> None:
    """Not a write, and no journal either."""
    before = len(panel.world.ledger)
    cli("--config", panel.config, "plan")
    assert len(panel.world.ledger) == before


def test_plan_as_json_has_the_keys_of_the_contract(cli: Cli, panel: Panel) -> None:
    """Exactly these."""
    ran = cli("--config", panel.config, "plan", "survival", "--json")
    assert shape(ran.json) == {
        "servers": [
            {
                "server": "str",
                "panel": "str",
                "id": "str",
                "complete": "bool",
                "refused": "NoneType",
                "error": "NoneType",
                "backups": [
                    {
                        "uuid": "str",
                        "name": "str",
                        "created_at": "str",
                        "completed_at": "str",
                        "bytes": "int",
                        "state": "str",
                        "locked": "bool",
                        "own": "bool",
                        "verdict": "str",
                        "reasons": [{"rule": "str", "slot": "NoneType", "text": "str"}],
                    }
                ],
            }
        ]
    }
    moments = [backup["created_at"] for backup in ran.json["servers"][0]["backups"]]
    assert moments == sorted(moments, reverse=True)


def test_a_plan_that_is_refused_exits_5_and_says_what_would_go(cli: Cli, panel: Panel) -> None:
    """Verdicts are shown all the same."""
    panel.configure(keep="{ last = 1 }", extra="max_deletions = 2")
    ran = cli("--config", panel.config, "plan")
    assert ran.code == 5
    assert "keeps 2, deletes 0 of 5 beyond retention, ignores 1" in ran.out
    *_, refused, hint = ran.out.split("\n\n")[0].splitlines()
    assert refused.startswith("refused: would delete 4 good backups, more than max_deletions = 2")
    lift = BRAKE.partition("; ")[2]  # the plan is looked at already
    assert hint == f"hint: {lift}, with N a little over 4, since the new backup counts too"


def test_a_server_that_cannot_be_looked_at_leaves_the_others_alone(cli: Cli, panel: Panel) -> None:
    """Exit 3, the error where errors belong, in JSON within the document."""
    panel.configure(servers={"survival": panel.survival.identifier, "gone": "00000000"})
    ran = cli("--config", panel.config, "plan")
    assert ran.code == 3
    assert ran.out.startswith("survival (policy")
    assert ran.err.startswith("error: gone: panel main, viewing server 00000000: ")
    ran = cli("--config", panel.config, "plan", "--json")
    gone = next(server for server in ran.json["servers"] if server["server"] == "gone")
    assert (gone["error"]["code"], gone["backups"], ran.err) == ("not-found", [], "")
    assert cli("--config", panel.config, "plan", "gone").code == 4


def test_a_suspended_server_is_no_failure_and_a_passing_state_is_one(cli: Cli, panel: Panel) -> None:
    """Exit 0 and 3, by the contract's rule for several results; said in plain words, with a hint that fits."""
    panel.lobby.status = "suspended"
    assert cli("--config", panel.config, "plan").code == 0
    ran = cli("--config", panel.config, "plan", "lobby")
    said = "note: lobby: the server is suspended\nhint: only an administrator can end that\n"
    assert (ran.code, ran.out, ran.err) == (0, "", said)
    error = cli("--config", panel.config, "plan", "lobby", "--json").json["servers"][0]["error"]
    hint = "only an administrator can end that"
    assert error == {"code": "server-state", "text": "the server is suspended", "hint": hint}
    panel.lobby.status = "installing"
    assert cli("--config", panel.config, "plan").code == 3
    ran = cli("--config", panel.config, "plan", "lobby")
    assert ran.err == "error: lobby: the server is installing\nhint: wait until the server is idle again\n"


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        ("installing", [3, 3, 3, 3, 3]),
        ("restoring_backup", [3, 3, 3, 3, 3]),
        ("suspended", [0, 0, 4, 4, 4]),
        ("install_failed", [4, 4, 4, 4, 4]),
    ],
)
def test_a_state_means_the_same_to_every_command(cli: Cli, panel: Panel, status: str, codes: list[int]) -> None:
    """A state that passes is 3. A suspended server is no failure where all are looked at, and one where it was named
    by hand; what lasts otherwise is a failure.
    """
    panel.configure(servers={"lobby": panel.lobby.identifier})
    panel.lobby.status = status
    commands = (
        ("plan", "lobby"),
        ("rotate", "lobby"),
        ("backups", "list", "lobby"),
        ("backups", "show", "lobby", "latest"),
        ("backups", "create", "lobby"),
    )
    assert [cli("--config", panel.config, *command).code for command in commands] == codes


def test_a_nodes_maintenance_is_waited_for_and_not_the_server(cli: Cli, panel: Panel) -> None:
    """Whoever looks at the server sees that it is idle."""
    panel.lobby.node.maintenance = True
    ran = cli("--config", panel.config, "backups", "list", "lobby")
    assert ran.err == (
        "error: the server is on a node under maintenance\nhint: wait until the node's maintenance is over\n"
    )


def test_a_list_whose_total_is_wrong_says_so(cli: Cli, panel: Panel) -> None:
    """It is judged, since two passes agree."""
    panel.world.faults.order(faults.wrong_total(), on="list", times=None)
    ran = cli("--config", panel.config, "plan", "survival")
    assert ran.code == 0
    assert "backups, and shows 8 each time" in ran.out


@pytest.mark.parametrize("command", ["plan", "rotate", "schedule"])
def test_an_unknown_server_is_a_usage_error_that_guesses(cli: Cli, panel: Panel, command: str) -> None:
    """Nothing is done for the others."""
    ran = cli("--config", panel.config, command, "lobby", "survial")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: no server 'survial' in the configuration; did you mean 'survival'?\n"
    assert "there are: survival, lobby" in cli("--config", panel.config, command, "xyz").err


# rotate ----------------------------------------------------------------------------------------------------------


def test_rotate_makes_a_backup_and_deletes_what_is_beyond(cli: Cli, panel: Panel) -> None:
    """The report on stdout, what happens meanwhile on stderr."""
    ran = cli("--config", panel.config, "rotate", "survival")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("survival: done; created auto-survival-20260401T120000Z-")
    assert "deleted 4, kept 5" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["deleted"] * 4
    assert "rotation_ended" in ran.err
    assert sum(backup.locked for backup in panel.survival.backups.values()) == 1


def test_rotate_as_json_has_the_keys_of_the_contract(cli: Cli, panel: Panel) -> None:
    """Exactly these, for all servers where none is named, and each only once."""
    ran = cli("--config", panel.config, "--quiet", "rotate", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert [server["server"] for server in ran.json["servers"]] == ["survival", "lobby"]
    backup = {"uuid": "str", "name": "str", "created_at": "str", "completed_at": "str", "bytes": "int"}
    assert shape(ran.json) == {
        "dry_run": "bool",
        "servers": [
            {
                "server": "str",
                "result": "str",
                "created": backup,
                "deleted": [backup],
                "undeleted": [],
                "kept": "int",
                "retry_at": "NoneType",
                "problems": [],
            }
        ],
    }
    again = cli("--config", panel.config, "rotate", "lobby", "lobby", "--json")
    assert [server["server"] for server in again.json["servers"]] == ["lobby"]


def test_a_rehearsal_says_what_would_be_done_and_does_nothing(cli: Cli, panel: Panel) -> None:
    """The same numbers as the rotation that follows."""
    before = len(panel.world.ledger)
    ran = cli("--config", panel.config, "rotate", "survival", "--dry-run")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "survival: would create a backup; would delete 4, keep 5"
    assert "  would delete auto-survival-" in ran.out
    assert cli("--config", panel.config, "rotate", "survival", "--dry-run", "--json").json["dry_run"] is True
    assert len(panel.world.ledger) == before


def test_a_rehearsal_says_that_a_pending_one_would_be_adopted(cli: Cli, panel: Panel) -> None:
    """Since when, and what would be deleted once it is good."""
    made = panel.world.now() - timedelta(hours=1)
    name = own_name("survival", made, 77)
    pending = panel.world.add_backup(panel.survival, name, created_at=made, state=State.PENDING)
    ran = cli("--config", panel.config, "rotate", "survival", "--dry-run")
    assert ran.out.splitlines()[0] == (
        f"survival: would adopt {name}, pending since {made:%Y-%m-%d %H:%M} UTC; would delete 4, keep 5"
    )
    ran = cli("--config", panel.config, "rotate", "survival", "--dry-run", "--json")
    assert ran.json["servers"][0]["created"]["uuid"] == pending.uuid


@pytest.mark.parametrize("state", ["suspended", "installing", "restoring_backup", "transferring", "maintenance"])
def test_a_rehearsal_ends_as_the_rotation_does_where_the_server_cannot_be_backed_up(
    cli: Cli, panel: Panel, state: str
) -> None:
    """The same result, problem and exit code: 0 for a suspended one, else 3."""
    if state == "maintenance":
        panel.lobby.node.maintenance = True
    elif state == "transferring":
        panel.lobby.transferring = True
    else:
        panel.lobby.status = state
    assert_rehearsed(cli, panel, 0 if state == "suspended" else 3)


def test_a_rehearsal_says_that_another_is_at_it(cli: Cli, panel: Panel, environment: Path) -> None:
    """The rotation would be skipped."""
    with server_lock(environment / ".local/state/ptero-backupd", panel.lobby.uuid):
        assert_rehearsed(cli, panel, 3)


def assert_rehearsed(cli: Cli, panel: Panel, code: int) -> None:
    """The lobby's rehearsal and its rotation end alike, with that exit code."""
    rehearsed, real = (
        cli("--config", panel.config, "rotate", "lobby", "--json", *words) for words in (["--dry-run"], [])
    )
    assert (rehearsed.code, real.code) == (code, code)
    (would,), (did,) = rehearsed.json["servers"], real.json["servers"]
    assert would["result"] == did["result"] == "skipped"
    assert would["problems"][0]["code"] == did["problems"][0]["code"]
    assert did["problems"][0]["text"].startswith(would["problems"][0]["text"])


def test_too_many_deletions_are_refused_until_they_are_allowed_once(cli: Cli, panel: Panel) -> None:
    """Exit 5 and what would go; the option lifts the brake."""
    panel.configure(keep="{ last = 1 }", extra="max_deletions = 2")
    refused = cli("--config", panel.config, "rotate", "survival")
    assert refused.code == 5
    assert refused.out.startswith("survival: refused; created auto-survival-")
    assert "more than max_deletions = 2" in refused.out
    assert refused.out.splitlines()[-1] == f"  hint: {BRAKE}"
    status = cli("--config", panel.config, "status").out.splitlines()
    assert status[1].split()[:4] == ["survival", "2026-04-01", "12:00", "held"]
    assert status[-1] == f"  hint: {BRAKE}"
    would = cli("--config", panel.config, "rotate", "survival", "--dry-run")
    assert (
        would.out.splitlines()[0]
        == "survival: would create a backup; deletions would be refused; would delete 0, keep 10"
    )
    assert would.out.splitlines()[-1] == f"  hint: {BRAKE}"
    by_hand = cli("--config", panel.config, "backups", "delete", "survival", "--beyond-retention", "--yes")
    assert by_hand.err.splitlines()[-1] == f"hint: {BRAKE}".replace("rotate survival", BEYOND)
    allowed = cli("--config", panel.config, "rotate", "survival", "--max-deletions", "-1")
    assert allowed.code == 0
    assert "deleted 7, kept 3" in allowed.out


def test_status_knows_the_newest_good_one_that_a_rotation_by_hand_saw_and_could_not_add_to(
    cli: Cli, panel: Panel
) -> None:
    """Without a daemon nobody else tells it."""
    panel.world.faults.order(faults.node_error(500), on="create", times=None)
    assert cli("--config", panel.config, "rotate", "survival").code == 4
    assert "failed  1 d 8 h ago" in cli("--config", panel.config, "status").out


def test_a_rotation_that_fails_says_why_and_what_to_do(cli: Cli, panel: Panel) -> None:
    """Exit 4 where it was the only one, 3 beside one that went well."""
    panel.configure(servers={"survival": panel.survival.identifier, "gone": "00000000"})
    ran = cli("--config", panel.config, "rotate", "gone")
    assert ran.code == 4
    assert ran.out.splitlines()[0] == "gone: failed"
    assert "  hint: check the id" in ran.out
    assert cli("--config", panel.config, "rotate").code == 3


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=str)
def test_the_brake_is_lifted_only_for_servers_that_are_named(cli: Cli, panel: Panel, more: list[str]) -> None:
    """A number that was meant for one server would lift it everywhere."""
    ran = cli("--config", panel.config, "rotate", "--max-deletions", "200", *more)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: --max-deletions 200 would lift the brake on every server")


@pytest.mark.parametrize(("scope", "kept"), [("own", 3), ("all", 3)])
def test_120_backups_on_three_pages_end_as_the_design_says(
    cli: Cli, environment: Path, clock: FakeClock, scope: str, kept: int
) -> None:
    """By default nothing goes, and it is said what would; with the brake lifted all that is beyond, no locked one."""
    world, server = three_pages(clock)
    server.work = Work(seconds=5)
    before = list(server.backups.values())
    with in_background(world) as panel_server:
        panel = Panel(world, panel_server.url, server, server, environment / "config.toml")
        panel.configure(servers={"survival": server.identifier}, scope=scope)
        refused = cli("--config", panel.config, "rotate")
        assert refused.code == 5
        assert "more than max_deletions = 10" in refused.out
        assert all(backup.uuid in server.backups for backup in before)
        assert cli("--config", panel.config, "rotate", "survival", "--max-deletions", "-1").code == 0
    left = list(server.backups.values())
    assert {b.uuid for b in before if b.locked} <= {b.uuid for b in left}
    free = [b for b in left if b.successful and not b.locked]
    assert len([b for b in free if b.name.startswith("auto-")]) == kept
    assert len([b for b in free if b.name.startswith("before update")]) == (10 if scope == "own" else 0)


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_while_a_rotation_waits_says_what_the_panel_goes_on_with(cli: Cli, panel: Panel) -> None:
    """And how to follow it, also where only errors are to be logged; the others have nothing to say."""
    panel.survival.work = Work(seconds=600)
    interrupt(panel, "list", skip=1)
    ran = cli("--config", panel.config, "--quiet", "rotate", "survival")
    (made,) = [row for row in panel.survival.backups.values() if row.completed_at is None]
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == (
        f"survival: {made.name} goes on at the panel; if it still runs then, the server's next rotation takes it over; "
        f"`ptero-backupd backups show survival {made.uuid}` follows it\ninterrupted\n"
    )


@pytest.mark.usefixtures("no_ctrl_c")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("server", ""),
        (
            "create",
            "a backup may have begun; if it still runs then, the server's next rotation takes it over; `ptero-backupd ",
        ),
        ("delete", " is made; what else is beyond retention is left to the server's next rotation"),
    ],
)
def test_ctrl_c_says_how_far_a_rotation_was(cli: Cli, panel: Panel, call: str, said: str) -> None:
    """Nothing where nothing was asked for."""
    interrupt(panel, call)
    ran = cli("--config", panel.config, "--quiet", "rotate", "survival")
    assert ran.code == 130
    assert ran.err.endswith("interrupted\n")
    assert said in ran.err if said else ran.err == "interrupted\n"


# schedule --------------------------------------------------------------------------------------------------------


def test_schedule_shows_the_next_starts(cli: Cli, panel: Panel) -> None:
    """In the policy's zone for people, in UTC for scripts."""
    panel.configure(extra='timezone = "Europe/Berlin"')
    ran = cli("--config", panel.config, "schedule", "lobby", "--count", "2")
    assert ran.out.splitlines()[1:] == [
        "lobby   2026-04-02 Thu 04:00:00  Europe/Berlin  14 h",
        "lobby   2026-04-03 Fri 04:00:00  Europe/Berlin  1 d 14 h",
    ]
    ran = cli("--config", panel.config, "schedule", "--now", "2026-10-24T12:00:00+02:00", "--count", "1", "--json")
    start = "2026-10-25T03:00:00Z"
    assert ran.json == {"servers": [{"server": "survival", "starts": [start]}, {"server": "lobby", "starts": [start]}]}


# servers ---------------------------------------------------------------------------------------------------------


def test_servers_shows_what_the_key_sees_and_what_of_it_is_configured(cli: Cli, panel: Panel) -> None:
    """By identifier or by uuid, whatever it is called."""
    panel.configure(servers={"smp": panel.survival.uuid})
    ran = cli("--config", panel.config, "servers")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[1].endswith("as smp, policy standard")
    assert ran.out.splitlines()[2].endswith("ok     no")
    document = cli("--config", panel.config, "servers", "--json").json
    assert shape(document) == {
        "servers": [
            {
                "panel": "str",
                "id": "str",
                "uuid": "str",
                "name": "str",
                "node": "str",
                "backup_limit": "int",
                "obstacle": "NoneType",
                "configured": {"server": "str", "policy": "str"},
                "discovered": "NoneType",
                "skipped": "NoneType",
            }
        ],
        "errors": [],
    }


def test_servers_needs_no_configured_server(cli: Cli, panel: Panel) -> None:
    """It is what one looks at before there is any."""
    panel.configure(servers={})
    assert cli("--config", panel.config, "servers").code == 0


def test_a_panel_that_cannot_be_asked_leaves_the_others_alone(cli: Cli, panel: Panel) -> None:
    """Exit 3; 4 where none could be asked."""
    panel.configure(servers={})
    with panel.config.open("a") as file:
        file.write(f'\n[panels.other]\nurl = "{panel.url}"\napi_key_file = "other.key"\n')
    panel.config.with_name("other.key").write_text("ptlc_EXAMPLE_unknown")
    ran = cli("--config", panel.config, "servers")
    assert ran.code == 3
    assert "survival" in ran.out
    assert ran.err.startswith("error: other: panel other, listing the servers: ")
    document = cli("--config", panel.config, "servers", "--json").json
    assert shape(document["errors"]) == [{"panel": "str", "code": "str", "text": "str", "hint": "str"}]
    panel.config.with_name("main.key").write_text("ptlc_EXAMPLE_unknown")
    assert cli("--config", panel.config, "servers").code == 4


# backups ---------------------------------------------------------------------------------------------------------


def names(ran: Any) -> list[str]:
    """The names in a list's document."""
    return [backup["name"] for backup in ran.json["backups"]]


def test_backups_are_listed_with_what_retention_would_say(cli: Cli, panel: Panel) -> None:
    """All of them, newest first."""
    ran = cli("--config", panel.config, "backups", "list", "survival")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1 + 8 + 1
    assert ran.out.splitlines()[-1] == "8 of 8 backups: keeps 4, deletes 3, ignores 1 (times in UTC)"


def test_a_list_of_backups_as_json(cli: Cli, panel: Panel) -> None:
    """What plan says of each, and all else that the panel told."""
    document = cli("--config", panel.config, "backups", "list", "survival", "--json").json
    assert list(document) == ["server", "panel", "id", "complete", "total", "backups"]
    newest = document["backups"][0]
    assert (newest["seconds"], newest["ignored"], newest["unreadable"]) == (TOOK, [], None)
    assert newest["checksum"].startswith("sha1:")


def test_a_list_can_be_narrowed_and_ordered(cli: Cli, panel: Panel) -> None:
    """Several words narrow it to what is all of them."""
    config = ("--config", panel.config, "backups", "list", "survival", "--json")
    assert names(cli(*config, "--only", "foreign")) == ["by hand"]
    assert len(names(cli(*config, "--only", "own", "--only", "good"))) == 6
    assert len(names(cli(*config, "--only", "failed"))) == 1
    assert len(names(cli(*config, "--only", "locked", "--only", "keep"))) == 1
    by_name = names(cli(*config, "--sort", "name"))
    assert by_name == sorted(by_name)
    sizes = [backup["bytes"] for backup in cli(*config, "--sort", "size").json["backups"]]
    assert sizes == sorted(sizes, reverse=True)
    taken = [backup["seconds"] for backup in cli(*config, "--sort", "took").json["backups"]]
    assert taken == sorted(taken, reverse=True)


def test_one_backup_is_shown_by_uuid_beginning_name_or_latest(cli: Cli, panel: Panel) -> None:
    """All that is known of it."""
    newest = names(cli("--config", panel.config, "backups", "list", "survival", "--json"))[0]
    ran = cli("--config", panel.config, "backups", "show", "survival", "latest")
    assert ran.code == 0
    assert ran.out.splitlines()[0].split() == ["name", newest]
    assert f"took       {TOOK} s" in ran.out
    shown = cli("--config", panel.config, "backups", "show", "survival", newest, "--json").json
    assert list(shown) == ["server", "panel", "id", "backup"]
    uuid = shown["backup"]["uuid"]
    beginning = cli("--config", panel.config, "backups", "show", "survival", uuid[:8], "--json").json
    assert beginning == shown


def test_a_pending_backup_and_a_strange_one_can_be_shown(cli: Cli, panel: Panel) -> None:
    """What is not known is a dash; what could not be read is said."""
    panel.world.add_backup(panel.lobby, "running", state=State.PENDING)
    ran = cli("--config", panel.config, "backups", "show", "lobby", "running")
    assert "took       -" in ran.out
    assert "completed  -" in ran.out
    panel.world.faults.order(faults.with_values({"created_at": "yesterday"}), on="list", times=None)
    ran = cli("--config", panel.config, "backups", "show", "lobby", "running")
    assert "unreadable  created_at is" in ran.out
    assert cli("--config", panel.config, "plan", "lobby").out.splitlines()[2].startswith("unreadable  running  strange")


def test_a_backup_that_is_none_is_a_usage_error_with_candidates(cli: Cli, panel: Panel) -> None:
    """Exit 2."""
    ran = cli("--config", panel.config, "backups", "show", "survival", "by han")
    assert ran.code == 2
    assert "(by hand)?" in ran.err


def test_a_server_that_cannot_be_looked_at_ends_a_backups_command(cli: Cli, panel: Panel) -> None:
    """The panel's own words, and exit 4."""
    panel.survival.status = "suspended"
    ran = cli("--config", panel.config, "backups", "list", "survival")
    assert (ran.code, ran.out) == (4, "")
    assert "suspended" in ran.err


# history and status ----------------------------------------------------------------------------------------------


def test_what_was_never_written_is_not_made_by_looking(cli: Cli, panel: Panel, environment: Path) -> None:
    """Before the first rotation there is no journal, and looking makes none."""
    ran = cli("--config", panel.config, "history", "--json")
    assert (ran.code, ran.json) == (0, {"rotations": [], "copies": [], "drills": []})
    assert ran.err.startswith("note: there is no journal in ")
    status = cli("--config", panel.config, "status")
    assert status.out.splitlines()[1].split()[:2] == ["survival", "-"]
    assert not list(environment.rglob("*.sqlite3"))


def test_without_state_nothing_is_remembered(cli: Cli, panel: Panel) -> None:
    """And it is said."""
    text = panel.config.read_text()
    panel.config.write_text(f'state_dir = "none"\n{text}')
    assert cli("--config", panel.config, "history").err == 'note: state_dir is "none", so nothing is remembered\n'


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_state_folder_that_cannot_be_looked_at_is_an_error_and_no_bug(cli: Cli, panel: Panel, command: str) -> None:
    """A name that is too long stands for whatever the system refuses to look at, also where the tests run as root."""
    folder = f"/{'a' * 300}"
    panel.config.write_text(f'state_dir = "{folder}"\n{panel.config.read_text()}')
    ran = cli("--config", panel.config, command)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == (
        f"error: the journal {folder}/history.sqlite3 cannot be opened: File name too long\n"
        "hint: look at state_dir: it must be a folder that this user can write to, with free space\n"
    )


def test_history_shows_rotations_with_their_steps(cli: Cli, panel: Panel) -> None:
    """The newest first; of one server where one is named."""
    cli("--config", panel.config, "rotate", "survival")
    cli("--config", panel.config, "rotate", "lobby")
    ran = cli("--config", panel.config, "history")
    assert (ran.code, ran.err) == (0, "")
    lobby, survival = ran.out.splitlines()[1:]
    assert lobby.split()[3:5] == ["lobby", "manual"]
    assert "deleted 4; kept 5" in survival
    document = cli("--config", panel.config, "history", "survival", "--json").json
    (rotation,) = document["rotations"]
    assert list(rotation) == [
        *("rotation", "server", "uuid", "panel", "policy", "trigger", "start_at", "began_at", "ended_at", "result"),
        *("retry_at", "good", "created", "deleted", "kept", "problems", "steps"),
    ]
    assert {"create", "created", "delete"} <= {step["name"] for step in rotation["steps"]}
    assert len(cli("--config", panel.config, "history", "--limit", "1", "--json").json["rotations"]) == 1


def test_history_of_a_server_without_a_rotation_says_so(cli: Cli, panel: Panel) -> None:
    """And is no header above nothing."""
    cli("--config", panel.config, "rotate", "survival")
    assert cli("--config", panel.config, "history", "lobby").out == "no rotations yet\n"


def test_history_of_a_server_that_is_unknown_is_a_usage_error(cli: Cli, panel: Panel) -> None:
    """Unless the journal knows it from before."""
    cli("--config", panel.config, "rotate", "lobby")
    assert cli("--config", panel.config, "history", "looby").code == 2
    panel.configure(servers={"survival": panel.survival.identifier})
    ran = cli("--config", panel.config, "history", "lobby")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 2


def test_status_shows_the_last_rotation_and_the_next_start(cli: Cli, panel: Panel) -> None:
    """Without asking a panel."""
    cli("--config", panel.config, "rotate", "survival")
    ran = cli("--config", panel.config, "status")
    assert ran.code == 0
    row = ran.out.splitlines()[1]
    assert row.startswith("survival  2026-04-01 12:00  done    0 s ago")
    assert row.endswith("2026-04-02 04:00")
    document = cli("--config", panel.config, "status", "--json").json
    survival, lobby = document["servers"]
    assert list(document) == ["now", "daemon", "servers", "members"]
    assert document["daemon"] is None
    assert list(survival) == [
        *("server", "panel", "policy", "last", "newest_good", "under_way", "next_start"),
        *("overdue", "overdue_at", "held", "troubles", "copies", "proof", "drill", "member"),
    ]
    assert (document["members"], survival["member"]) == ([], None)  # it is no cluster
    assert survival["newest_good"]["backup"]["name"] == survival["last"]["created"]["name"]
    assert (lobby["last"], lobby["newest_good"], lobby["under_way"]) == (None, None, None)
    panel.lobby.status = "suspended"
    cli("--config", panel.config, "rotate", "lobby")
    assert "lobby: the server is suspended" in cli("--config", panel.config, "status").out.splitlines()


def test_status_says_by_which_clock_the_times_are(cli: Cli, panel: Panel) -> None:
    """Each server's by its policy's; one line for each zone, as few as there are."""
    assert "times: UTC" in cli("--config", panel.config, "status").out.splitlines()
    panel.config.write_text(f'{panel.config.read_text()}\ntimezone = "Europe/Berlin"')  # lobby is the last one
    ran = cli("--config", panel.config, "status").out.splitlines()
    assert ran[3:5] == ["times of survival: UTC", "times of lobby: Europe/Berlin"]
    assert ran[2].endswith("04:00")


def test_status_says_whether_a_daemon_runs(cli: Cli, panel: Panel, environment: Path) -> None:
    """On this state folder; without one nobody knows."""
    state = environment / ".local/state/ptero-backupd"
    assert cli("--config", panel.config, "status").out.splitlines()[-1] == f"no daemon is known to run on {state}"
    with daemon_present(state):
        assert cli("--config", panel.config, "status").out.splitlines()[-1] == f"daemon: running, process {os.getpid()}"
        assert cli("--config", panel.config, "status", "--json").json["daemon"] == {"process": os.getpid()}
        panel.config.write_text(f'state_dir = "none"\n{panel.config.read_text()}')
        assert "daemon" not in cli("--config", panel.config, "status").out
        assert cli("--config", panel.config, "status", "--json").json["daemon"] is None


def see(state: Path, panel: Panel, made: datetime) -> Backup:
    """Let the journal hold a look at survival's backups, among them a good one that no rotation made here."""
    backup = Backup(
        uuid="9f2f9b87-0000-4000-8000-000000000001",
        name="auto-x",
        successful=True,
        locked=False,
        bytes=7,
        created_at=made,
        completed_at=made,
    )
    verdict = Verdict(backup, Judged.GOOD, own=True, action=Action.KEEP, reasons=(Reason("last", None, "newest"),))
    with SqliteJournal.open(state) as journal:
        taken = Snapshot.of(made, panel.survival.uuid, "node", 9, (verdict,))
        journal.snapshot(to_stored(taken, "main"), 7)
    return backup


def test_status_knows_the_newest_good_backup_that_a_rotation_only_saw(
    cli: Cli, panel: Panel, environment: Path, clock: FakeClock
) -> None:
    """As the page does by the same journal: a backup that was made before the daemon came, or by another."""
    backup = see(environment / ".local/state/ptero-backupd", panel, clock.now() - timedelta(hours=5))
    assert "5 h ago" in cli("--config", panel.config, "status").out.splitlines()[1]
    survival = cli("--config", panel.config, "status", "--json").json["servers"][0]
    assert survival["newest_good"] == {
        "at": "2026-04-01T07:00:00Z",
        "backup": {"uuid": backup.uuid, "name": "auto-x", "bytes": 7},
    }


def on_the_page(file: Path, state: Path, clock: FakeClock) -> ServerStatus:
    """How survival stands on the page of a daemon that starts now."""
    config = load(file, os.environ)
    with SqliteJournal.open(state) as journal:
        slots, names = NodeSlots(clock), random.Random(1)
        context = RotationContext(clock, engine_for(state), awaited(journal), slots, config.servers.get, names)
        tracker = StatusTracker(context)
        tracker.follow(config)
        status = at_once(tracker.status("survival"))
    assert status
    return status


def test_status_says_overdue_where_the_page_does(cli: Cli, panel: Panel, environment: Path, clock: FakeClock) -> None:
    """From the moment on that the page does, by the same journal and configuration; the age is the page's as well."""
    state = environment / ".local/state/ptero-backupd"
    cli("--config", panel.config, "rotate", "survival")
    see(state, panel, clock.now())
    overdue_at = clock.now() + timedelta(days=1, hours=6, minutes=30)
    clock.elapsed += (overdue_at - clock.now() - timedelta(seconds=1)).total_seconds()
    assert ", overdue" not in cli("--config", panel.config, "status").out
    clock.elapsed += 1
    assert "1 d 6 h ago, overdue" in cli("--config", panel.config, "status").out.splitlines()[1]
    survival, lobby = cli("--config", panel.config, "status", "--json").json["servers"]
    page = on_the_page(panel.config, state, clock)
    assert [trouble.kind for trouble in page.troubles] == ["overdue"]
    assert (survival["overdue"], survival["overdue_at"]) == (True, rfc3339(overdue_at))
    assert survival["troubles"] == [{"kind": "overdue", "text": page.troubles[0].text, "hint": ""}]
    assert survival["newest_good"]["at"] == rfc3339(page.good_at or overdue_at)
    assert (lobby["overdue"], lobby["held"], lobby["troubles"]) == (False, None, [])


def test_status_says_that_a_proof_is_late_where_the_page_does(
    cli: Cli, panel: Panel, environment: Path, clock: FakeClock
) -> None:
    """Of a server that was never read: not before a daemon asks for it, and so long after the first one that did."""
    state = environment / ".local/state/ptero-backupd"
    panel.configure(extra='prove = { newest_within = "2d" }')
    see(state, panel, clock.now() - timedelta(days=9))

    def status() -> tuple[object, list[object]]:
        survival = cli("--config", panel.config, "status", "--json").json["servers"][0]
        return survival["proof"]["late_at"], [one["text"] for one in survival["troubles"] if one["kind"] == "unproven"]

    assert status() == (None, [])
    due = clock.now() + timedelta(days=2)
    for hours, late in ((0, False), (47, False), (1, True)):
        clock.elapsed += hours * 3600
        page = on_the_page(panel.config, state, clock)
        assert page.proof
        assert page.proof.late_at == due
        told = [trouble.text for trouble in page.troubles if trouble.kind == "unproven"]
        assert (bool(told), status()) == (late, (rfc3339(due), told))


@pytest.mark.parametrize(
    ("ended", "shown"),
    [
        (("failed", True, "undeletable"), "undeletable"),
        (("failed", False, "undeletable"), "failed"),
        (("refused", True, "max-deletions"), "held"),
        (("refused", False, "max-deletions"), "refused"),
        (("interrupted", False, "undeletable"), "interrupted"),
    ],
)
def test_status_tells_in_the_pages_words_that_only_deletions_are_wanting(
    cli: Cli, panel: Panel, environment: Path, ended: tuple[str, bool, str], shown: str
) -> None:
    """The backup is there and good: nothing failed, and nothing was refused that anybody needs."""
    result, good, code = ended
    at = datetime(2026, 4, 1, 4, tzinfo=UTC)
    state = environment / ".local/state/ptero-backupd"
    state.mkdir(parents=True)
    with SqliteJournal.open(state) as journal:
        number = journal.begin(
            server_uuid=panel.survival.uuid,
            server="survival",
            panel="main",
            policy="standard",
            trigger="manual",
            start_at=None,
            at=at,
        )
        problem = {"code": code, "text": "it stays", "hint": ""}
        journal.end(number, at=at, result=result, summary={"good": good, "problems": [problem]})
    assert cli("--config", panel.config, "status").out.splitlines()[1].split()[3] == shown


@pytest.mark.parametrize("broken", ["[panels", "[policies.standard]\nschedule = 5"])
def test_status_tells_what_a_daemon_does_whose_file_was_broken_meanwhile(
    cli: Cli, panel: Panel, tmp_path: Path, clock: FakeClock, broken: str
) -> None:
    """It goes on with the configuration before, so its journal is asked; without a daemon the file is what matters."""
    state = tmp_path / "state"
    panel.config.write_text(f'state_dir = "{state}"\n{panel.config.read_text()}')
    cli("--config", panel.config, "rotate", "survival")
    right = panel.config.read_text()
    panel.config.write_text(f'state_dir = "{state}"\n{broken}\n')
    refused = cli("--config", panel.config, "status")
    assert (refused.code, refused.out) == (2, "")
    with daemon_present(state):
        ran = cli("--config", panel.config, "status")
        assert ran.code == 0
        assert "the configuration is refused" in ran.err
        assert ran.out.splitlines()[1].split()[0] == "survival"
        assert ran.out.splitlines()[1].endswith(" -")
        document = cli("--config", panel.config, "status", "--json").json
        assert document["daemon"] == {"process": os.getpid()}
        (survival,) = document["servers"]
        assert (survival["panel"], survival["policy"], survival["next_start"]) == ("main", "standard", None)
        panel.config.write_text(right)
        assert cli("--config", panel.config, "status").err == ""


def begin(journal: SqliteJournal, panel: Panel, clock: FakeClock) -> int:
    """A rotation of survival that begins now; its number."""
    return journal.begin(
        server_uuid=panel.survival.uuid,
        server="survival",
        panel="main",
        policy="standard",
        trigger="schedule",
        start_at=clock.now(),
        at=clock.now(),
    )


def test_status_tells_what_is_under_way_from_what_was_broken_off(
    cli: Cli, panel: Panel, environment: Path, clock: FakeClock
) -> None:
    """A rotation that has not ended is alive as long as somebody holds the server's lock."""
    state, uuid = environment / ".local/state/ptero-backupd", panel.survival.uuid
    with SqliteJournal.open(state) as journal:
        begun = begin(journal, panel, clock)
        assert "broken off at beginning" in cli("--config", panel.config, "status").out
        journal.step(begun, "create", clock.now(), name="auto-1")
    with server_lock(state, uuid):
        assert "create, since 2026-04-01 12:00" in cli("--config", panel.config, "status").out
        assert cli("--config", panel.config, "history").out.splitlines()[1].endswith("not ended  create")
        document = cli("--config", panel.config, "status", "--json").json
    assert document["servers"][0]["under_way"] == {
        "rotation": 1,
        "trigger": "schedule",
        "began_at": "2026-04-01T12:00:00Z",
        "step": "create",
        "alive": True,
    }
    assert "not ended" in cli("--config", panel.config, "history").out


def test_of_two_rotations_that_never_ended_only_the_newer_can_be_under_way(
    cli: Cli, panel: Panel, environment: Path, clock: FakeClock
) -> None:
    """The lock is of the server, and one rotation at a time holds it."""
    state, uuid = environment / ".local/state/ptero-backupd", panel.survival.uuid
    with SqliteJournal.open(state) as journal:
        for step in ("create", "gathered"):
            begun = begin(journal, panel, clock)
            journal.step(begun, step, clock.now())
    with server_lock(state, uuid):
        newer, older = cli("--config", panel.config, "history").out.splitlines()[1:]
    assert newer.endswith("not ended  gathered")
    assert older.endswith("not ended  broken off at create")


def test_history_and_status_can_be_read_though_the_locks_cannot(
    cli: Cli, panel: Panel, environment: Path, clock: FakeClock
) -> None:
    """What is not known to be alive is told as broken off."""
    state = environment / ".local/state/ptero-backupd"
    with SqliteJournal.open(state) as journal:
        begin(journal, panel, clock)
    (state / "locks").touch()
    for command in ("history", "status"):
        ran = cli("--config", panel.config, command)
        assert (ran.code, ran.err) == (0, "")
        assert "broken off at beginning" in ran.out


def test_history_says_where_a_rotation_was_broken_off(
    cli: Cli, panel: Panel, environment: Path, clock: FakeClock
) -> None:
    """Killed, and then taken over by the next one."""
    with SqliteJournal.open(environment / ".local/state/ptero-backupd") as journal:
        begun = begin(journal, panel, clock)
        journal.step(begun, "create", clock.now(), backup="auto-survival-20260401T120000Z-00000000")
        (row,) = cli("--config", panel.config, "history").out.splitlines()[1:]
        assert row.endswith("not ended  broken off at create")
        journal.end(begun, at=clock.now(), result="interrupted", summary={"taken_over_by": 7})
    (row,) = cli("--config", panel.config, "history").out.splitlines()[1:]
    assert row.endswith("interrupted  broken off at create; rotation 7 took over")


# check -----------------------------------------------------------------------------------------------------------


def test_check_finds_nothing_wrong(cli: Cli, panel: Panel) -> None:
    """Exit 0, and what was looked at."""
    ran = cli("--config", panel.config, "check")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "errors: 0, warnings: 0"
    document = cli("--config", panel.config, "check", "--json").json
    finding = {"level": "str", "code": "str", "panel": "NoneType", "server": "NoneType", "text": "str", "hint": "str"}
    assert shape(document) == {"problems": [], "findings": [finding]}


def test_check_offline_asks_no_panel(cli: Cli, panel: Panel) -> None:
    """And so it says nothing of one."""
    panel.world.keys.clear()
    ran = cli("--config", panel.config, "check", "--offline")
    assert ran.code == 0
    assert "panel main" not in ran.out


@pytest.mark.parametrize("words", [(), ("--offline",)])
def test_check_finds_a_state_folder_that_cannot_be_used(cli: Cli, panel: Panel, words: tuple[str, ...]) -> None:
    """In the words of the run, which would delete nothing; exit 3."""
    panel.config.write_text(f'state_dir = "/proc/nope"\n{panel.config.read_text()}')
    ran = cli("--config", panel.config, "check", *words)
    assert ran.code == 3
    assert "the journal /proc/nope/history.sqlite3 cannot be opened: No such file or directory" in ran.out
    assert "backups are made, none is deleted; look at state_dir: it must be a folder" in ran.out
    assert ran.out.splitlines()[-1] == "errors: 1, warnings: 0"


def test_check_warns_of_a_key_that_others_can_read(cli: Cli, panel: Panel) -> None:
    """A warning costs no exit code."""
    panel.config.with_name("main.key").chmod(0o644)
    ran = cli("--config", panel.config, "check", "--offline")
    assert ran.code == 0
    assert "others can read" in ran.out
    assert ran.out.splitlines()[-1] == "errors: 0, warnings: 1"


def test_check_tells_every_mistake_of_a_configuration_at_once(cli: Cli, panel: Panel) -> None:
    """Exit 2; as JSON they are in the document too."""
    panel.configure(keep='{ last = 0 }\nschedul = "x"')
    ran = cli("--config", panel.config, "check", "--json")
    assert ran.code == 2
    assert [problem["key"] for problem in ran.json["problems"]] == [
        "policies.standard.keep.last",
        "policies.standard.schedul",
    ]
    assert "the configuration is refused: 2 problems" in ran.err
    assert cli("--config", panel.config, "check").out == ""


def test_check_fails_where_a_panel_refuses(cli: Cli, panel: Panel) -> None:
    """Exit 4, with the hint."""
    panel.world.keys.clear()
    ran = cli("--config", panel.config, "check")
    assert ran.code == 4
    assert "create a client key" in ran.out


# the rest --------------------------------------------------------------------------------------------------------


def test_the_schema_is_a_json_schema(cli: Cli) -> None:
    """As it is: editors read it."""
    ran = cli("config", "schema")
    assert ran.code == 0
    assert json.loads(ran.out)["$schema"].startswith("https://json-schema.org/")


def test_a_missing_configuration_is_an_error_everywhere(cli: Cli, tmp_path: Path) -> None:
    """With what helps."""
    for command in ("plan", "rotate", "status", "history", "schedule", "check", "servers", "run"):
        ran = cli("--config", tmp_path / "none.toml", command)
        assert (ran.code, ran.out) == (2, "")
        assert "there is no such file" in ran.err


def test_run_hands_over_to_the_service(cli: Cli, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a way to read the configuration anew."""
    seen: list[Any] = []

    class Quiet:
        def __init__(self, read: Any, *_: object) -> None:
            seen.append(read)

        async def run(self) -> None:
            seen.append(sorted(seen[0]().servers))

    monkeypatch.setattr("daemon.cli.commands.run.Service", Quiet)
    assert cli("--config", panel.config, "run").code == 0
    assert seen[1] == ["lobby", "survival"]


def test_demo_hands_over(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is the command's."""
    monkeypatch.setitem(__import__("sys").modules, "daemon.demo", type("Demo", (), {"run": staticmethod(int)}))
    assert cli("demo").code == 0
    assert cli("demo", "--keep-running").code == 1


@pytest.mark.parametrize(
    ("options", "key"),
    [((), "ptlc_EXAMPLE_sandbox"), (("--kind", "pelican"), "pacc_EXAMPLE_sandbox")],
)
def test_the_sandbox_says_how_to_use_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], key: str
) -> None:
    """The address, an example key, and an `init` that works, all on stderr; one of its servers is for drills."""

    def serve(host: str, port: int, *, world: World, ready: Any) -> None:
        server = SandboxServer.__new__(SandboxServer)
        server.world = world
        assert list(world.keys) == [key]
        spare = next(one for one in world.servers.values() if one.name == "spare")
        assert (spare.description, spare.files.rows("")) == ("for drills: #drill", [])
        monkeypatch.setattr(SandboxServer, "url", property(lambda _: f"http://{host}:{port}"))
        ready(server)

    monkeypatch.setattr("daemon.cli.commands.sandbox.serve", serve)
    ran = cli("sandbox", "--listen", "[::1]:9000", *options)
    assert (ran.code, ran.out) == (0, "")
    assert "a panel in memory answers at http://::1:9000" in ran.err
    assert f"echo {key} | ptero-backupd init --url http://::1:9000 --api-key-file -" in ran.err


def test_a_panel_of_no_known_kind_is_a_usage_error(cli: Cli) -> None:
    """With those that there are."""
    ran = cli("sandbox", "--kind", "wisp")
    assert (ran.code, "pterodactyl and pelican" in ran.err) == (2, True)


@pytest.mark.parametrize("address", ["9000", "host:", "host:99999", ":1", "host:http"])
def test_an_address_that_is_none_is_a_usage_error(cli: Cli, address: str) -> None:
    """With one that would be."""
    ran = cli("sandbox", "--listen", address)
    assert ran.code == 2
    assert "127.0.0.1:8808" in ran.err


def test_an_address_that_is_taken_is_an_error(cli: Cli, panel: Panel) -> None:
    """The panel of this test has it."""
    ran = cli("sandbox", "--listen", panel.url.removeprefix("http://"))
    assert ran.code == 2
    assert "cannot be listened on: Address already in use" in ran.err


def test_what_init_writes_works(cli: Cli, panel: Panel, environment: Path) -> None:
    """check, plan and rotate, with the configuration as it was written."""
    target = environment / "made" / "config.toml"
    ran = cli("init", "--url", panel.url, "--api-key-file", "-", "-o", target, stdin="ptlc_EXAMPLE_sandbox\n")
    assert (ran.code, ran.out) == (0, "")
    assert f"--config {target} check" in ran.err
    assert list(tomllib.loads(target.read_text())["servers"]) == ["survival", "lobby"]
    assert [cli("--config", target, command).code for command in ("check", "plan", "rotate", "status")] == [0] * 4


def test_servers_shows_an_administrator_those_of_others_where_it_is_asked_for(cli: Cli, panel: Panel) -> None:
    """Without it an empty table says what could be done; for another's key it is refused with a hint."""
    customer = User("a customer")
    panel.survival.owner = panel.lobby.owner = customer
    ran = cli("--config", panel.config, "servers")
    assert (ran.code, len(ran.out.splitlines())) == (0, 1)
    assert 'main: the key sees no server; an administrator\'s sees those of others with servers = "all"' in ran.err
    panel.config.write_text(panel.config.read_text().replace("[panels.main]", '[panels.main]\nservers = "all"'))
    assert [one["name"] for one in cli("--config", panel.config, "servers", "--json").json["servers"]] == [
        "survival",
        "lobby",
    ]
    panel.world.add_key(KEY, customer)
    refused = cli("--config", panel.config, "servers")
    assert refused.code == 4
    assert 'hint: servers = "all" needs the key of an administrator' in refused.err
    assert cli("--config", panel.config, "check").code == 4
