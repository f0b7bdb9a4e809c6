"""A daemon whose lease was lost joins anew in the same process, by the configuration as it is by then."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import daemon.service.assembly
import daemon.service.life
from daemon.config.values import Config, PanelConfig
from daemon.drilling.left import remove_left
from daemon.errors import UsageError
from daemon.panel.client import PanelClient
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.state import Engine, Runner, engine_for
from daemon.state.alone import Alone
from daemon.state.runner import Inline
from tests.whole.day import at_once
from tests.whole.fleet import Daemons, at, made, until

pytestmark = pytest.mark.anyio


class Losing(Alone):
    """A lease that is lost whenever the test says so."""

    def __init__(self) -> None:
        self.now = asyncio.Event()

    async def lost(self) -> None:
        """Wait for the test to say so."""
        await self.now.wait()
        self.now.clear()


class Member:
    """A daemon, its lease, and what it reads next."""

    def __init__(self, daemons: Daemons) -> None:
        self.daemons, self.lease = daemons, Losing()
        self.schedule = "0 4 * * *"
        self.wrong = False

    def read(self) -> Config:
        """The configuration, which may be wrong by now."""
        if self.wrong:
            raise UsageError("it is wrong")
        return self.daemons.configure(schedule=self.schedule)

    def engine(self, state: Path, runner: Runner) -> Engine:
        """A folder, and that lease."""
        engine = engine_for(state, runner)
        engine.leadership = self.lease  # type: ignore[misc]  # any engine's can be set
        return engine


@pytest.fixture
async def member(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Member]:
    """One that has run for a minute; told to stop in the end."""

    def open_client(panel: PanelConfig, _clock: object, **_hindrance: object) -> PanelClient:
        return daemons.open_client(panel)

    one = Member(daemons)
    monkeypatch.setattr(daemon.service.assembly, "open_client", open_client)
    monkeypatch.setattr(daemon.service.life, "engine_for", one.engine)
    service = Service(one.read, daemons.clock, Notifier({}, daemons.clock), aside=at_once, runner=Inline())
    living = asyncio.create_task(service.run())
    await until(daemons.clock, at(1, 5))
    yield one
    signal.raise_signal(signal.SIGTERM)
    await living


async def test_it_goes_on_by_what_was_written_meanwhile(member: Member) -> None:
    """Nobody asked for a reload."""
    member.schedule = "0 6 * * *"
    member.lease.now.set()
    await until(member.daemons.clock, at(2, 7))
    assert made(member.daemons)[-2:] == ["01 06:00", "02 06:00"]


async def test_it_goes_on_by_what_it_followed_last_if_that_is_wrong(member: Member) -> None:
    """Not by the configuration of its start."""
    member.schedule = "0 6 * * *"
    signal.raise_signal(signal.SIGHUP)
    await until(member.daemons.clock, at(1, 5, 30))
    member.wrong = True
    member.lease.now.set()
    await until(member.daemons.clock, at(2, 7))
    assert made(member.daemons)[-2:] == ["01 06:00", "02 06:00"]


async def test_a_reload_that_it_left_unfinished_is_not_the_last(member: Member) -> None:
    """A second one, after it joined anew, is obeyed."""
    member.schedule = "0 6 * * *"
    signal.raise_signal(signal.SIGHUP)
    member.lease.now.set()
    await until(member.daemons.clock, at(1, 7))
    member.schedule = "0 8 * * *"
    signal.raise_signal(signal.SIGHUP)
    await until(member.daemons.clock, at(1, 9))
    assert made(member.daemons)[-2:] == ["01 06:00", "01 08:00"]


async def test_the_world_that_a_killed_drill_had_fetched_is_removed_whoever_drills_by_now(member: Member) -> None:
    """No drill is loaded here. It is done each time that it begins to act."""
    left = member.daemons.folder / "state/drill/archive.tar.gz"
    left.parent.mkdir()
    left.write_bytes(b"1")
    member.lease.now.set()
    await until(member.daemons.clock, at(1, 6))
    assert not left.parent.exists()


async def test_a_disk_that_hangs_as_it_is_removed_holds_up_no_start(daemons: Daemons) -> None:
    """Nor has who keeps no state anything to remove."""

    async def never(work: Callable[[], object], /) -> Any:
        await asyncio.Event().wait()

    member = Member(daemons)
    service = Service(member.read, daemons.clock, Notifier({}, daemons.clock), aside=never)
    service._reading.config = member.read()
    await service._clear_up()
    remove_left(None)
