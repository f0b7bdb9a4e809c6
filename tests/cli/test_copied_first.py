"""Copies before deletion: nothing good leaves the panel before the store was seen to have it (invariant 14)."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.sandbox.records import State
from tests.cli.conftest import Cli, Panel
from tests.fakes import FakeClock

FIRST = """max_share = 1
copies = ["nas"]
copy_before_delete = ["nas"]
{more}
[stores.nas]
url = "file://{folder}/nas"
{rules}
"""


@pytest.fixture
def configure(panel: Panel, tmp_path: Path) -> Callable[..., Path]:
    """Writes the configuration of one store in a folder, which must have what is deleted from the panel."""
    (tmp_path / "nas").mkdir()

    def write(more: str = "", rules: str = "") -> Path:
        extra = FIRST.format(folder=tmp_path, more=more, rules=rules)
        return panel.configure(extra=extra, servers={"survival": panel.survival.identifier})

    return write


@pytest.fixture
def config(configure: Callable[..., Path]) -> Path:
    """That of a store that takes all."""
    return configure()


@pytest.fixture
def run(cli: Cli, config: Path) -> Cli:
    """Runs the command line by it."""
    return lambda *words, **how: cli("--config", config, *words, **how)


def good(panel: Panel) -> list[str]:
    """The good backups of the policy that are not locked, oldest first."""
    rows = panel.survival.backups.values()
    return [row.name for row in rows if row.state is State.GOOD and not row.locked and row.name.startswith("auto-")]


def planned(run: Cli) -> dict[str, list[str]]:
    """What the plan deletes, and what waits for its copy, oldest first."""
    found: dict[str, list[str]] = {"delete": [], "wait": []}
    (server,) = run("plan", "survival", "--json").json["servers"]
    for row in reversed(server["backups"]):
        if row["verdict"] == "delete" and row["state"] == "good":
            found["delete"].append(row["name"])
        elif any(reason["rule"] == "uncopied" for reason in row["reasons"]):
            found["wait"].append(row["name"])
    assert ("uncopied" in server) == bool(found["wait"])
    return found


def test_nothing_good_is_deleted_before_copies_run_was_there_and_then_what_the_plan_says(
    run: Cli, panel: Panel
) -> None:
    """By every way that deletes beyond retention; a failed one waits for nothing."""
    there = good(panel)
    assert planned(run) == {"delete": [], "wait": there[:2]}
    assert run("rotate", "survival", "--dry-run", "--json").json["servers"][0]["deleted"] != there[:3]
    assert run("backups", "delete", "survival", "--beyond-retention", "--yes").code == 0
    ran = run("rotate", "survival", "--json")
    assert (ran.code, good(panel)[:5]) == (0, there)
    assert not [row for row in panel.survival.backups.values() if row.state is State.FAILED]  # the failed one is gone
    assert run("copies", "run", "survival").code == 0
    assert planned(run) == {"delete": there[:3], "wait": []}
    assert run("backups", "delete", "survival", "--beyond-retention", "--yes").code == 0
    assert good(panel)[:2] == there[3:]


def test_a_rotation_deletes_what_is_copied_and_nothing_else(run: Cli, panel: Panel) -> None:
    """What was made since waits for the next copies."""
    there = good(panel)
    assert run("copies", "run", "survival").code == 0
    assert run("rotate", "survival").code == 0
    assert good(panel)[:2] == there[3:]


@pytest.mark.parametrize(("hours", "goes"), [(23, True), (25, False)])
def test_what_was_not_seen_within_the_last_day_does_not_count(
    run: Cli, panel: Panel, clock: FakeClock, hours: int, goes: bool
) -> None:
    """A store that cannot be reached makes backups stay, and says so."""
    there = good(panel)
    assert run("copies", "run", "survival").code == 0
    clock.elapsed += timedelta(hours=hours).total_seconds()
    assert ("nas was not seen within the last day" in run("plan", "survival").out) is not goes
    assert run("rotate", "survival").code == 0
    assert (good(panel)[0] == there[3]) is goes


def test_a_catalogue_that_cannot_be_read_holds_everything_back(run: Cli, panel: Panel, tmp_path: Path) -> None:
    """It is a cache, and so the next copies renew it."""
    there = good(panel)
    assert run("copies", "run", "survival").code == 0
    file = tmp_path / ".local/state/ptero-backupd/copies.sqlite3"
    file.unlink()
    file.mkdir()
    ran = run("rotate", "survival")
    assert (ran.code, good(panel)[:5]) == (0, there)
    assert "copies_unknown" in ran.err
    file.rmdir()
    assert run("copies", "run", "survival").code == 0
    assert planned(run)["delete"] == there[:3]


def test_at_the_limit_the_new_backup_is_refused_and_the_store_is_named(run: Cli, panel: Panel) -> None:
    """With how many wait."""
    there = good(panel)
    panel.survival.limit = 7
    for words in (["--dry-run"], []):
        ran = run("rotate", "survival", "--json", *words)
        (problem,) = ran.json["servers"][0]["problems"]
        assert ran.code == 5
        assert "no slot can be freed: 3 backups wait for a copy in nas" in problem["text"]
    assert good(panel) == there
    assert run("copies", "run", "survival").code == 0
    assert run("rotate", "survival").code == 0
    assert there[0] not in good(panel)


def test_with_make_room_the_oldest_goes_uncopied_and_no_other(
    configure: Callable[..., Path], run: Cli, panel: Panel
) -> None:
    """The operator would rather have the new backup."""
    configure(more='copy_before_delete_when_full = "make-room"')
    there = good(panel)
    panel.survival.limit = 7
    assert run("rotate", "survival").code == 0
    assert good(panel)[:4] == there[1:]


def test_what_the_store_s_own_rules_refuse_waits_for_a_newer_copy_alone(
    configure: Callable[..., Path], run: Cli, panel: Panel
) -> None:
    """A store that keeps two never takes the older ones."""
    configure(rules="keep = { last = 2 }")
    there = good(panel)
    assert "nas was not seen within the last day" in run("plan", "survival").out
    assert run("copies", "run", "survival").code == 0
    assert run("backups", "delete", "survival", "--beyond-retention", "--yes").code == 0
    assert good(panel) == there[2:]


def test_a_copy_without_a_checksum_counts_only_where_the_operator_said_so(
    configure: Callable[..., Path], run: Cli, panel: Panel
) -> None:
    """The panel gave none, so nothing says what the bytes should be (invariant 13)."""
    there = good(panel)
    for row in panel.survival.backups.values():
        row.claimed_checksum = "crc:0"
    assert run("copies", "run", "survival").code == 0
    assert "its copy in nas is unverified" in run("plan", "survival").out
    assert run("rotate", "survival").code == 0
    assert good(panel)[:5] == there
    configure(more="copy_before_delete_unverified = true")
    assert run("copies", "run", "survival").code == 0
    assert run("rotate", "survival").code == 0
    assert there[0] not in good(panel)


def test_check_and_plan_say_how_long_there_is_room(run: Cli, panel: Panel) -> None:
    """In days before the panel's limit fills."""
    panel.survival.limit = 10
    assert run("copies", "run", "survival").code == 0
    assert "uncopied" not in run("check").out
    for file in panel.config.parent.glob("nas/**/*.json"):
        file.unlink()
    assert run("copies", "rescan").code == 0
    assert "beyond the 3 newest backups; not in nas yet" in " ".join(run("plan", "survival").out.split())
    words = "2 backups wait for a copy in nas; the panel's limit is reached in 3 d 16 h"
    assert words in " ".join(run("plan", "survival").out.split())
    findings = {one["code"]: one for one in run("check", "--json").json["findings"]}
    assert (findings["uncopied"]["level"], findings["uncopied"]["text"]) == ("warning", words)
    (server,) = run("plan", "survival", "--json").json["servers"]
    assert server["uncopied"] == {"backups": 2, "stores": ["nas"], "full_at": "2026-04-05T04:00:00Z"}
