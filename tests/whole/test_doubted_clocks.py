"""A clock that nobody can trust deletes nothing: the rotation makes its backup, says so, and alerts once."""

from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest

from daemon.operations import rotations as by_hand
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.preview import preview
from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Server, State
from daemon.sandbox.scenes import own_name
from tests.whole.fleet import Daemons, at, until
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def deleted(rig: Rig) -> int:
    """How many backups are gone."""
    return sum(entry.change is Change.DELETED for entry in rig.world.ledger)


def assert_clock(outcome: Outcome, words: str) -> None:
    """It made a backup, and deleted nothing for that reason."""
    assert (outcome.result, outcome.problems[-1].code) == (Result.REFUSED, "clock")
    assert words in outcome.problems[-1].text
    assert outcome.problems[-1].hint
    assert (outcome.created is not None, outcome.deleted) == (True, ())


@pytest.mark.parametrize("keep", [{"within": "30d"}, {"last": 3}, {"last": 3, "daily": 7}], ids=str)
@pytest.mark.parametrize(
    ("skew", "words"),
    [(60 * DAY, "60 d ahead of ours"), (-60 * DAY, "60 d behind ours"), (2 * HOUR, "2 h ahead of ours")],
)
async def test_a_panel_whose_clock_differs_deletes_nothing(
    rig: Rig, skew: timedelta, words: str, keep: Mapping[str, object]
) -> None:
    """Sixty days ahead, everything is older than thirty; the failed one of an hour ago as well."""
    rig.fill(9)
    rig.configure(keep=keep)
    made = rig.world.now() - HOUR
    rig.world.add_backup(rig.server, own_name("survival", made, 99), created_at=made, state=State.FAILED, by="history")
    rig.world.settings.skew = skew
    assert_clock(await rig.rotate(), words)
    assert deleted(rig) == 0


async def test_a_clock_that_differs_by_less_is_todays(rig: Rig) -> None:
    """As nodes and panels do that follow no NTP."""
    rig.fill(9)
    rig.world.settings.skew = timedelta(minutes=10)
    assert (await rig.rotate()).result is Result.DONE
    assert deleted(rig) == 7


@pytest.mark.parametrize("by", [60 * DAY, -60 * DAY], ids=str)
async def test_both_clocks_set_together_delete_nothing(rig: Rig, by: timedelta) -> None:
    """A container beside its panel shares the clock of the machine: the two never differ."""
    rig.fill(5)
    assert (await rig.rotate()).result is Result.DONE
    rig.fill(5)
    rig.clock.start += by
    before = deleted(rig)
    assert_clock(await rig.rotate(), "this machine's clock was set 60 d")
    assert deleted(rig) == before


async def test_a_panels_clock_that_is_set_by_more_than_an_hour_deletes_nothing(rig: Rig) -> None:
    """Though before and after it differs by less."""
    rig.world.settings.skew = timedelta(minutes=-40)
    assert (await rig.rotate()).result is Result.DONE
    rig.fill(5)
    rig.world.settings.skew = timedelta(minutes=40)
    assert_clock(await rig.rotate(), "the panel's clock was set 1 h 20 min forward")


async def test_a_clock_that_is_put_right_again_deletes_again(rig: Rig) -> None:
    """What was set forward and back was not set."""
    rig.fill(5)
    rig.world.settings.skew = 60 * DAY
    assert_clock(await rig.rotate(), "60 d ahead")
    rig.world.settings.skew = timedelta(0)
    rig.client = rig.open_client(rig.config.panel)  # a daemon that was restarted
    assert (await rig.rotate()).result is Result.DONE


async def test_a_panel_that_tells_no_date_deletes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may strip it; our own clock is no stand-in for the panel's."""
    rig.fill(5)
    transport = rig.client._transport._session._transport
    assert transport is not None
    real = transport.handle_async_request

    async def dateless(request: httpx.Request) -> httpx.Response:
        answer = await real(request)
        answer.headers.pop("date", None)
        return answer

    monkeypatch.setattr(transport, "handle_async_request", dateless)
    assert_clock(await rig.rotate(), "do not tell what its clock shows")
    assert deleted(rig) == 0


@pytest.mark.parametrize("skew", [60 * DAY, -60 * DAY], ids=str)
@pytest.mark.parametrize("limit", [100, 5], ids=["prune", "room"])
async def test_a_panels_clock_that_is_set_while_the_api_limit_holds_a_deletion_back_stops_it(
    rig: Rig, skew: timedelta, limit: int
) -> None:
    """It was decided on when the clock was right, and what is looked at before it leaves is dated in the future."""
    rig.fill(5)
    rig.server.limit = limit
    rig.world.faults.order(faults.api_limit("60"), on=Call.DELETE)
    rig.world.later(40 if limit == 5 else 100, lambda: setattr(rig.world.settings, "skew", skew))
    outcome = await rig.rotate()
    assert outcome.result is not Result.DONE
    assert "clock" in outcome.problems[-1].text
    assert deleted(rig) == 0


async def test_a_panels_clock_that_is_set_between_two_deletions_stops_the_second(rig: Rig) -> None:
    """The answer to the first tells of it."""
    rig.fill(5)
    jump = faults.meanwhile(lambda _world, _server: setattr(rig.world.settings, "skew", 60 * DAY))
    rig.world.faults.order(jump, on=Call.DELETE)
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems[-1].code, deleted(rig)) == (Result.REFUSED, "clock", 1)


async def test_no_room_is_made_by_a_clock_that_is_doubted(rig: Rig) -> None:
    """Which one is the oldest beyond retention, nobody can tell."""
    rig.fill(5)
    rig.server.limit = 5
    rig.world.settings.skew = 60 * DAY
    outcome = await rig.rotate()
    assert (outcome.result, outcome.created) == (Result.REFUSED, None)
    assert "60 d ahead of ours" in outcome.problems[-1].text
    assert deleted(rig) == 0


async def test_plan_and_rehearsal_show_it(rig: Rig) -> None:
    """Before anybody runs it."""
    rig.fill(5)
    rig.world.settings.skew = 60 * DAY
    seen = await preview(rig.config, rig.client, rig.context.journal, rig.clock)
    assert (seen.plan.code, seen.plan.deletions) == ("clock", ())
    rehearsed = by_hand.dry_run_outcome(seen)
    assert (rehearsed.result, rehearsed.problems[-1].code) == (Result.REFUSED, "clock")


async def test_the_machine_that_the_daemon_runs_on_is_watched_as_well(daemons: Daemons, survival: Server) -> None:
    """Its clock is set by half a year; the next backups are made, and nothing goes any more."""
    async with daemons.running(daemons.configure({"survival": survival})):
        await until(daemons.clock, at(1, 5))
        daemons.clock.start += 180 * DAY
        await until(daemons.clock, at(1, 5) + 185 * DAY)
    assert len(survival.backups) >= 5
