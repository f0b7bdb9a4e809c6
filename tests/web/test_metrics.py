"""The metrics: what is there, what it says, and what promtool thinks of it and of the alert rules."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.panel.rate_limiter import Budget
from daemon.rotation.outcome import Result
from daemon.state import CopyEvent, CopyRecord
from daemon.status.metrics import Metrics
from tests.web.gallery import HOLDERS, NOW, Gallery, drilling, proving

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs"
promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing (Debian package: prometheus)")

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(gallery: Gallery) -> Found:
    """Every sample, by name and labels."""
    text = (await Metrics(gallery.fleet_status).exposition()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Found, name: str, **labels: str) -> float | None:
    """One of ours."""
    return found.get((f"ptero_backupd_{name}", tuple(sorted(labels.items()))))


def timestamp(gallery: Gallery, name: str) -> float:
    """When the server's newest good backup was made."""
    good_at = gallery.tracker.histories[name].good_at
    assert good_at
    return good_at.timestamp()


async def test_each_server_tells_its_newest_good_backup_and_when_it_is_overdue(gallery: Gallery) -> None:
    """Nothing where there is none."""
    found = await scraped(gallery)
    assert value(found, "newest_good_backup_timestamp_seconds", server="lobby") == timestamp(gallery, "lobby")
    assert value(found, "newest_good_backup_timestamp_seconds", server="fresh") is None
    assert value(found, "backup_interval_seconds", server="fresh") == 86400
    overdue = value(found, "backup_overdue_timestamp_seconds", server="lobby")
    assert overdue
    assert overdue < NOW.timestamp()
    due = value(found, "backup_overdue_timestamp_seconds", server="survival")
    assert due
    assert due > NOW.timestamp()


async def test_backups_are_counted_by_state_lock_and_owner(gallery: Gallery) -> None:
    """A kind that there is none of is left out."""
    found = await scraped(gallery)
    snapshot = gallery.tracker.histories["survival"].snapshot
    assert snapshot
    assert value(found, "backups", server="survival", state="good", locked="false", own="true") == 14
    assert value(found, "backups", server="survival", state="good", locked="true", own="true") == 2
    assert value(found, "backups", server="minigames", state="failed", locked="false", own="true") == 1
    assert value(found, "backups", server="survival", state="failed", locked="false", own="true") is None
    assert value(found, "backup_limit", server="survival") == 30
    assert value(found, "backups_bytes", server="survival") == sum(one.backup.bytes for one in snapshot.verdicts)
    assert value(found, "newest_good_backup_bytes", server="survival") == 4 << 30
    assert value(found, "backup_suspicious", server="skyblock") == 1
    assert value(found, "backup_suspicious", server="survival") == 0
    assert value(found, "rotation_failures", server="lobby") == 5


async def test_backups_that_the_panel_does_not_delete_are_counted(gallery: Gallery) -> None:
    """As many as it did not delete when it was last asked."""
    gallery.stand("survival", undeleted=2)
    found = await scraped(gallery)
    assert value(found, "undeletable_backups", server="survival") == 2
    assert value(found, "undeletable_backups", server="lobby") == 0


async def test_what_is_counted_grows(gallery: Gallery) -> None:
    """Rotations, steps, deletions, seconds and lateness."""
    counts = gallery.tracker.counts
    counts.rotations["survival", Result.DONE] += 2
    counts.deletions["survival"] += 3
    counts.steps["create", "done"] += 2
    counts.durations.add(45)
    counts.durations.add(100_000)
    counts.lateness.add(0.1)
    found = await scraped(gallery)
    assert value(found, "rotations_total", server="survival", result="done") == 2
    assert value(found, "deleted_backups_total", server="survival") == 3
    assert value(found, "rotation_steps_total", step="create", result="done") == 2
    assert value(found, "rotation_duration_seconds_sum") == 100_045
    assert value(found, "rotation_duration_seconds_bucket", le="30.0") == 0
    assert value(found, "rotation_duration_seconds_bucket", le="60.0") == 1
    assert value(found, "rotation_duration_seconds_bucket", le="+Inf") == 2
    assert value(found, "scheduler_lateness_seconds_bucket", le="0.1") == 1
    assert value(found, "rotations_under_way") == 2
    assert value(found, "servers") == 10


async def test_each_panel_tells_requests_budget_and_waiting(gallery: Gallery) -> None:
    """Of the client that is in use."""
    panel = next(iter(gallery.config.panels.values()))
    open_client = gallery.fleet._clients._open_client
    client = open_client(panel)
    client._limiter.budget = Budget(240, 199)
    client._transport._session.answers.update({"2xx": 7, "none": 1})
    client._transport._turn.waited = 2.5
    found = await scraped(gallery)
    assert value(found, "panel_requests_total", panel="main", status="2xx") == 7
    assert value(found, "panel_requests_total", panel="main", status="none") == 1
    assert value(found, "panel_api_limit", panel="main") == 240
    assert value(found, "panel_api_remaining", panel="main") == 199
    assert value(found, "panel_throttled_seconds_total", panel="main") == 2.5


async def test_the_daemon_tells_of_itself(gallery: Gallery) -> None:
    """Its version, its configuration, whether it is ready, and its memory."""
    gallery.clock.elapsed += 60
    gallery.tracker.reload_failed()
    gallery.tracker.stopping = True
    found = await scraped(gallery)
    assert value(found, "config_last_reload_successful") == 0
    assert value(found, "config_last_reload_success_timestamp_seconds") == NOW.timestamp()
    assert value(found, "ready") == 0
    assert [number for (name, _), number in found.items() if name == "ptero_backupd_build_info"] == [1]
    assert found["process_resident_memory_bytes", ()] > 1 << 20


async def test_each_store_tells_whether_it_is_up_and_what_waits(stocked: Gallery) -> None:
    """And of each server the newest copy, what the copies take, and from when on one is missing for too long."""
    record = CopyRecord(CopyEvent.MADE, NOW, "survival", "u", "nas", "b", "b", 4096)
    stocked.tracker.copies.copied([record, replace(record, store="offsite", event=CopyEvent.FAILED)], 2.5)
    stocked.tracker.copies.copied([replace(record, event=CopyEvent.PRUNED)])
    stocked.tracker.copies.pruned("survival", "nas", "12 would go")
    stocked.tracker.copies.pruned("survival", "offsite", "")
    found = await scraped(stocked)
    assert value(found, "pruning_held", server="survival", store="nas") == 1
    assert value(found, "pruning_held", server="survival", store="offsite") == 0
    assert value(found, "pruning_held", server="hub-eu", store="nas") is None
    assert (value(found, "store_up", store="nas"), value(found, "store_up", store="offsite")) == (1, 0)
    assert value(found, "copies_waiting", store="nas") == 1
    assert value(found, "copies_waiting", store="offsite") == 9
    assert value(found, "copies", store="nas") == 8 * 12
    at = timestamp(stocked, "survival")
    assert value(found, "copy_newest_timestamp_seconds", server="survival", store="nas") == at
    assert value(found, "copy_newest_timestamp_seconds", server="hub-eu", store="nas") is None
    assert value(found, "copies_bytes", server="survival", store="nas") == 40 << 30
    assert value(found, "copy_late_timestamp_seconds", server="survival", store="nas") is None
    late = value(found, "copy_late_timestamp_seconds", server="survival", store="offsite")
    assert late
    assert late < NOW.timestamp()
    assert value(found, "copied_backups_total", store="nas") == 1
    assert value(found, "copied_bytes_total", store="nas") == 4096
    assert value(found, "copy_seconds_total", store="nas") == 2.5
    assert value(found, "copy_failures_total", store="offsite") == 1
    assert value(found, "pruned_copies_total", store="nas") == 1


async def test_without_a_store_nothing_is_told_of_copies(gallery: Gallery) -> None:
    """Nor is anything kept of them."""
    assert not [name for name, _ in await scraped(gallery) if "cop" in name or "store" in name]
    assert gallery.tracker.copies._seen._read_at is None


async def test_each_server_tells_how_it_is_proven(gallery: Gallery) -> None:
    """Where anything is to be proven at all; what was never read has no moment."""
    assert not any("proven" in name or "proof" in name for name, _ in await scraped(gallery))
    proving(gallery)
    found = await scraped(gallery)
    day_ago = (NOW - timedelta(days=1)).timestamp()
    assert value(found, "last_proven_timestamp_seconds", server="survival", level="sane") == day_ago
    assert value(found, "last_proven_timestamp_seconds", server="lobby", level="sane") is None
    assert value(found, "deletion_frozen", server="lobby") == 1
    assert value(found, "deletion_frozen", server="survival") == 0
    assert value(found, "unproven_backups", server="survival") == 15
    assert value(found, "proof_late_timestamp_seconds", server="survival") is None
    assert value(found, "proof_late_timestamp_seconds", server="creative") is not None
    assert value(found, "proof_failures_total", server="lobby") == 1
    assert value(found, "proof_seconds_total", server="survival") == 60


async def test_each_server_tells_how_its_drills_went(gallery: Gallery) -> None:
    """Where any drill tries it; what never went well has no moment, and one that failed hides none that went well."""
    assert not any("drill" in name or "restore" in name for name, _ in await scraped(gallery))
    drilling(gallery)
    found = await scraped(gallery)
    assert value(found, "restore_seconds", server="survival") == 250.4
    assert value(found, "restore_seconds", server="lobby") == 40
    assert value(found, "restore_seconds", server="creative") is None
    assert value(found, "last_drill_timestamp_seconds", server="survival") == (NOW - timedelta(days=3)).timestamp()
    assert value(found, "last_drill_timestamp_seconds", server="creative") is None
    failed = {name: value(found, "drill_failed", server=name) for name in ("survival", "lobby", "creative", "modded")}
    assert failed == {"survival": 0, "lobby": 1, "creative": 0, "modded": None}
    assert value(found, "drills_total", server="lobby") == 2
    assert value(found, "drill_failures_total", server="lobby") == 1


async def test_a_member_of_a_cluster_tells_who_holds_which_node(gallery: Gallery) -> None:
    """Of one that holds none too; without a cluster there is no word of it."""
    assert not any("member" in name or "holder" in name for name, _ in await scraped(gallery))
    gallery.fleet_status.holders = lambda: HOLDERS
    found = await scraped(gallery)
    assert [value(found, "member_nodes", member=name) for name in HOLDERS] == [2, 0]
    assert value(found, "node_holder", panel="main", node="hel-01", member="backup-1") == 1
    assert value(found, "node_holder", panel="main", node="hel-01", member="backup-2") is None


async def test_the_page_tells_every_metric(stocked: Gallery) -> None:
    """And no other, each with its labels and what it is."""
    gallery = drilling(proving(stocked))
    gallery.fleet_status.holders = lambda: HOLDERS
    gallery.fleet._clients._open_client(next(iter(gallery.config.panels.values())))
    text = (await Metrics(gallery.fleet_status).exposition()).decode()
    there = dict(re.findall(r"^# TYPE (ptero_\w+) (\w+)$", text, re.MULTILINE))
    page = (DOCS / "metrics.md").read_text()
    told = dict(re.findall(r"^\| `(ptero_\w+)`[^|]*\| (\w+) \|", page, re.MULTILINE))
    assert told == there


def rules() -> Iterator[str]:
    """Every name of ours that the rules and the dashboard ask for."""
    for name in ("alerts.rules.yml", "grafana-dashboard.json"):
        yield from re.findall(r"\bptero_backupd_\w+", (DOCS / name).read_text())


async def test_rules_and_dashboard_ask_for_what_there_is(stocked: Gallery) -> None:
    """A misspelt name would never alert, and nobody would notice."""
    gallery = drilling(proving(stocked))
    text = (await Metrics(gallery.fleet_status).exposition()).decode()
    families = set(re.findall(r"^# TYPE (ptero_\w+) ", text, re.MULTILINE))
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in rules()}
    assert asked
    assert asked <= families


@promtool
async def test_promtool_finds_no_fault_in_the_exposition(stocked: Gallery) -> None:
    """Names, units, help, types."""
    gallery = stocked
    gallery.fleet_status.holders = lambda: HOLDERS
    gallery.fleet._clients._open_client(next(iter(gallery.config.panels.values())))
    gallery.tracker.counts.rotations["survival", Result.DONE] += 1
    exposition = Metrics(gallery.fleet_status).exposition()
    checked = await anyio.run_process(["promtool", "check", "metrics"], input=await exposition, check=False)
    assert (checked.returncode, checked.stdout.decode(), checked.stderr.decode()) == (0, "", "")


@promtool
@pytest.mark.parametrize("words", [("check", "rules", "--lint-fatal", "alerts.rules.yml"),
                                   ("test", "rules", "../tests/web/alerts.test.yml")])  # fmt: skip
def test_promtool_accepts_the_alert_rules(words: tuple[str, ...]) -> None:
    """They parse, and each fires when it must and is silent when all is well."""
    ran = subprocess.run(["promtool", *words], cwd=DOCS, capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert ran.returncode == 0, ran.stdout + ran.stderr
