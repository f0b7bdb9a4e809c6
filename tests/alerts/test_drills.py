"""Alerts about drills: one that failed is told once, and so is the next one that goes well."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.values import DrillConfig
from daemon.core.drills import DrillRecord, DrillResult
from daemon.state.local.journal import SqliteJournal
from daemon.status.drills import DrillsTracker
from tests.alerts.build import alert
from tests.alerts.test_copies import BEGIN, HOOK, HOUR, UUID, Stage, unreadable
from tests.virtual import BACKEND, VirtualClock
from tests.web.gallery import configured

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A server that a drill tries, and all is well."""
    config = configured(tmp_path, ["survival", "lobby"], timezone="UTC")
    drills = {"weekly": DrillConfig("weekly", "lobby", ("survival",), start=False, watch=timedelta(minutes=5))}
    with closing(SqliteJournal.memory()) as journal:
        yield Stage(replace(config, drills=drills, alerts={"ops": alert(HOOK)}), journal, VirtualClock(BEGIN))


def drill(stage: Stage, text: str = "") -> None:
    """Let a drill end, in whatever process."""
    now = stage.clock.now()
    record = DrillRecord("weekly", "lobby", "l-1", "survival", UUID, "b-1", "auto-1", now, starts=False)
    number = stage.journal.begin_drill(record)
    stage.journal.end_drill(number, at=now, result=DrillResult.FAILED if text else DrillResult.DONE, text=text)


async def test_a_drill_that_failed_is_told_once_and_the_next_that_goes_well_too(stage: Stage) -> None:
    """However many fail in a row, and not again after a restart."""
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert stage.said == []
        drill(stage, "the node has not unpacked it")
        await stage.clock.sleep(HOUR)
        drill(stage, "the node has not unpacked it")
        await stage.clock.sleep(HOUR)
        assert stage.said == ["survival: the drill failed"]
        assert stage.messages[0]["text"] == "auto-1 on lobby: the node has not unpacked it"
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        drill(stage)
        await stage.clock.sleep(HOUR)
        assert stage.said[1:] == ["survival: the drill went well again"]
        assert stage.messages[1]["text"].startswith("unpacked by a drill ")


async def test_a_state_that_cannot_be_read_is_no_drill_that_goes_well(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after a reload meanwhile either, nor after a start."""
    drill(stage, "the node has not unpacked it")
    async with stage.running():
        await stage.clock.sleep(HOUR)
        monkeypatch.setattr(DrillsTracker, "_look", unreadable)
        stage.tracker.follow(stage.config)
        await stage.clock.sleep(HOUR)
    async with stage.running():
        await stage.clock.sleep(HOUR)
    assert stage.said == ["survival: the drill failed"]
