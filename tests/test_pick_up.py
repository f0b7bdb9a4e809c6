"""What a starting daemon finds to do, decided from the journal's rows and the calendar."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.core.calendar import Starts, parse_schedule
from daemon.history import Journal, Rotation
from daemon.pick_up import PickUp, pick_up

STARTS = Starts(parse_schedule("0 4 * * *"), ZoneInfo("UTC"), timedelta(0), "1a7ce997")
START = datetime(2026, 4, 1, 4, tzinfo=UTC)
NOW = START + timedelta(minutes=5)


def begun(start_at: datetime | None = START) -> list[Rotation]:
    """The journal's rows where one rotation has begun and not ended."""
    with Journal.memory() as journal:
        about = {"server_uuid": "1a7ce997", "server": "survival", "panel": "main", "policy": "standard"}
        journal.begin(**about, trigger="schedule", start_at=start_at, at=START)  # type: ignore[arg-type]
        return journal.recent()


@pytest.mark.parametrize(("left_alone", "found"), [(True, PickUp("resume", START, NOW)), (False, None)])
def test_only_a_rotation_that_no_process_is_at_is_gone_on_with(left_alone: bool, found: PickUp | None) -> None:
    """A `rotate` in a terminal, or another daemon, has not ended either, and is not dead."""
    assert pick_up(begun(), STARTS, NOW, left_alone=lambda _: left_alone) == found
