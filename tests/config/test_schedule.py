"""A schedule that remembers its last answers gives no others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.schedule import Remembering, schedule_of
from daemon.config.values import ServerConfig, keeping
from daemon.core.calendar import Schedule, parse_schedule
from tests.config.support import RIGHT, loaded

MORE = '[servers.creative]\nid = "2b7ce997"\n[servers.hardcore]\nid = "3c7ce997"\nkeep = { last = 9 }\n'
NOW = datetime(2026, 3, 28, 3, tzinfo=UTC)
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")]


class Counted:
    """A schedule that counts how often it is asked."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.text = schedule.text
        self.asked = 0

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        self.asked += 1
        return self.schedule.after(moment, zone)


@given(
    text=st.sampled_from(["0 4 * * *", "30 2 * * *", "*/7 1-4 * * 0", "every 7h"]),
    asked=st.lists(
        st.tuples(st.timedeltas(timedelta(days=-9), timedelta(days=9)), st.sampled_from(ZONES)), max_size=12
    ),
)
def test_it_answers_as_the_schedule_itself(text: str, asked: list[tuple[timedelta, ZoneInfo]]) -> None:
    """Whatever was asked before, in whatever order, over the nights of clock changes too."""
    remembering, plain = Remembering(parse_schedule(text)), parse_schedule(text)
    for away, zone in asked:
        for moment in (NOW + away, plain.after(NOW + away, zone)):
            assert remembering.after(moment, zone) == plain.after(moment, zone)


def test_it_asks_once_between_two_starts() -> None:
    """The earliest moment that was asked from is where the gap begins."""
    counted = Counted(parse_schedule("0 4 * * *"))
    remembering = Remembering(counted)
    for minutes in (50, 30, 40, 30, 59):
        assert remembering.after(NOW + timedelta(minutes=minutes), ZONES[0]) == NOW + timedelta(hours=1)
    assert counted.asked == 2
    assert remembering.after(NOW + timedelta(hours=1), ZONES[0]) == NOW + timedelta(hours=25)


def test_it_does_not_grow() -> None:
    """A daemon that runs for years asks of ever new days."""
    remembering = Remembering(parse_schedule("0 4 * * *"))
    for day in range(1000):
        remembering.after(NOW + timedelta(days=day), ZONES[0])
    assert len(remembering._gaps[ZONES[0]]) <= 16


@pytest.fixture
def servers(tmp_path: Path) -> dict[str, ServerConfig]:
    """Three servers of one policy, one of which keeps more."""
    return dict(loaded(tmp_path, RIGHT + MORE).servers)


def test_servers_without_keys_of_their_own_share_their_policy(servers: dict[str, ServerConfig]) -> None:
    """It is read once, and held once: ten thousand servers are some megabytes."""
    assert servers["survival"].policy is servers["creative"].policy
    assert servers["hardcore"].policy != servers["creative"].policy


def test_what_a_reload_does_not_change_stays_the_very_same(tmp_path: Path) -> None:
    """Whoever obeys it need not look inside; what is equal and written elsewhere is told of with its new place."""
    before = loaded(tmp_path, RIGHT + MORE)
    text = RIGHT.replace("1a7ce997", "4d7ce997") + MORE
    now = keeping(loaded(tmp_path, text), before)
    assert now.servers["creative"] is before.servers["creative"]
    assert now.servers["hardcore"] is before.servers["hardcore"]
    assert now.servers["survival"].id == "4d7ce997"
    moved = replace(before, servers={"creative": replace(before.servers["creative"], file="elsewhere")})
    assert keeping(moved, before).servers["creative"].file == "elsewhere"


def test_servers_of_equal_schedules_share_what_is_remembered(servers: dict[str, ServerConfig]) -> None:
    """Also those with keys of their own."""
    assert servers["survival"].policy.schedule is servers["hardcore"].policy.schedule
    assert schedule_of("0 4 * * *") == Remembering(parse_schedule("0 4 * * *"))
    assert schedule_of("0 4 * * *") != schedule_of("0 5 * * *")
