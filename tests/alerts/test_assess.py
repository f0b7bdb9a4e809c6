"""Which outcome is trouble, and of what kind."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.alerts.assess import report_of
from daemon.alerts.message import in_short, of_outcome
from daemon.core.alerting import Alert, AlertState, Event, RotationReport, reported
from daemon.errors import ProblemCode
from daemon.rotation.outcome import Problem, Result
from daemon.status.history import Good, ServerHistory
from tests.alerts.build import BACKUP, NOON, order, outcome, server

HISTORY = ServerHistory.begun(NOON)
LATER = NOON + timedelta(minutes=10)
DONE, SKIPPED, FAILED, REFUSED = Result
ROWS = [
    (outcome(DONE, good=True), 0, RotationReport(good=True)),
    (outcome(DONE, "stuck", good=True), 0, RotationReport(good=True)),
    (outcome(DONE, "permission-lacking", good=True), 0, RotationReport(good=True, trouble=Event.FAILED)),
    (outcome(SKIPPED, "server-state"), 0, RotationReport(excused=True)),
    (outcome(SKIPPED, "server-state", passing=True, retry_at=LATER), 3, RotationReport()),
    (outcome(FAILED, "panel-unreachable"), 0, RotationReport(trouble=Event.FAILED)),
    (outcome(FAILED, "panel-unreachable", retry_at=LATER), 0, RotationReport()),
    (outcome(FAILED, "panel-unreachable", retry_at=LATER), 1, RotationReport(trouble=Event.FAILED)),
    (outcome(FAILED, "backup-failed"), 1, RotationReport(trouble=Event.FAILED)),
    (outcome(FAILED, "backup-suspicious"), 0, RotationReport(trouble=Event.SUSPICIOUS)),
    (outcome(FAILED, "backup-suspicious", "journal"), 0, RotationReport(trouble=Event.SUSPICIOUS)),
    (outcome(REFUSED, "limit"), 0, RotationReport(trouble=Event.LIMIT)),
    (outcome(REFUSED, "max-deletions", good=True), 0, RotationReport(good=True, trouble=Event.FAILED)),
]


@pytest.mark.parametrize(("ended", "attempt", "report"), ROWS)
def test_an_outcome_is_judged(tmp_path: Path, ended: Any, attempt: int, report: RotationReport) -> None:
    """A failure that is tried again in a moment is no trouble yet, its second attempt is; a good backup is named."""
    named = replace(report, backup=BACKUP.uuid if report.good else None)
    assert report_of(order(server(tmp_path), attempt), ended) == named


def test_the_last_good_backup_before_a_new_one_is_what_the_rotation_saw(tmp_path: Path) -> None:
    """Of a failure it is the newest that is known."""
    day, config = NOON - timedelta(days=1), server(tmp_path)
    history = replace(HISTORY, good=Good(NOON))
    done = replace(outcome(DONE, good=True), good_seen_at=day)
    assert of_outcome(Alert(Event.DONE), config, done, history, NOON).good_at == day
    assert of_outcome(Alert(Event.DONE), config, outcome(DONE, good=True), history, NOON).good_at is None
    assert of_outcome(Alert(Event.FAILED), config, outcome(FAILED, "node"), history, NOON).good_at == NOON


@pytest.mark.parametrize(("code", "title"), [("max-deletions", "something needs you"), ("node", "the backup failed")])
def test_a_good_backup_whose_deletions_are_held_did_not_fail(tmp_path: Path, code: str, title: str) -> None:
    """It is told, under a title that lets nobody believe that there is no backup."""
    told = of_outcome(Alert(Event.FAILED), server(tmp_path), outcome(REFUSED, code, good=True), HISTORY, NOON)
    assert title in told.title


@pytest.mark.parametrize("event", [Event.DONE, Event.FAILED, Event.NEW_NORMAL])
def test_names_from_the_panel_cannot_turn_a_message_around(tmp_path: Path, event: Event) -> None:
    """Nor move the cursor of whoever reads mail in a terminal."""
    evil = "evil\u202e\u2067\x9b31m\x1b[2J\x85\u2028end"
    made = outcome(FAILED, "node", good=True)
    problem = Problem(ProblemCode.NODE, f"{evil} failed", hint=f"look at {evil}")
    ended = replace(made, created=replace(BACKUP, name=evil), problems=(problem,))
    told = of_outcome(Alert(event), server(tmp_path), ended, HISTORY, NOON)
    assert "evil" in told.text
    assert f"{told.text}{told.hint}{in_short(ended)}".replace("\n", "").isprintable()


def test_a_rotation_without_a_backup_has_got_no_good_one(tmp_path: Path) -> None:
    """Nothing was created, so that nothing can be good."""
    nothing = outcome(FAILED, "panel-unreachable", good=True)
    assert report_of(order(server(tmp_path)), replace(nothing, created=None)) == RotationReport(trouble=Event.FAILED)


def test_a_deletion_that_failed_is_told_once_and_not_each_day_anew(tmp_path: Path) -> None:
    """The first try of a day need not be told yet, and is no recovery either; its title says that there is a backup."""
    made = outcome(FAILED, "undeletable", good=True)
    again = replace(made, undeleted=tuple(verdict.backup for verdict in made.verdicts))
    later = replace(again, retry_at=NOON + timedelta(minutes=10))
    config = server(tmp_path)
    watch, first = reported(AlertState(), report_of(order(config), later))
    watch, second = reported(watch, report_of(order(config, attempt=1), later))
    watch, third = reported(watch, report_of(order(config), later))
    watch, fourth = reported(watch, report_of(order(config, attempt=1), later))
    told = [[news.event for news in piece if news.event is not Event.DONE] for piece in (first, second, third, fourth)]
    assert told == [[], [Event.FAILED], [], []]
    assert "something needs you" in of_outcome(Alert(Event.FAILED), config, again, HISTORY, NOON).title


def test_what_another_member_is_to_make_has_not_failed(tmp_path: Path) -> None:
    """Another one makes it within seconds, whatever failed before; but it has failed if the next start comes first."""
    refused = replace(outcome(FAILED, "journal"), handed_over=True)
    again = order(server(tmp_path), attempt=1)
    assert report_of(again, replace(refused, retry_at=NOON)) == RotationReport()
    assert report_of(again, refused) == RotationReport(trouble=Event.FAILED)
