"""The state folder's disk hangs: no call for it ever returns, as on a mount whose server is away.

The daemon starts, makes every backup, deletes none, and ends when it is told to, each within what systemd allows.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import daemon.service.assembly
from daemon.config.values import Config, PanelConfig
from daemon.panel.client import PanelClient
from daemon.sandbox.records import Change
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.state import engine_for
from tests.hung import Disk
from tests.whole.day import at_once
from tests.whole.fleet import Daemons, at, made, rows, until

START_SECONDS, STOP_SECONDS = 60, 90
"""What our unit allows: TimeoutStartSec and TimeoutStopSec."""

UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"

pytestmark = pytest.mark.anyio


class Ready(Notifier):
    """When the daemon was ready, and the schedule that it reads next."""

    def __init__(self, daemons: Daemons) -> None:
        super().__init__({}, daemons.clock)
        self.at: list[float] = []
        self.schedule = "0 4 * * *"

    def ready(self, status: str = "") -> None:
        """Note the moment."""
        self.at.append(self._clock.monotonic())


@asynccontextmanager
async def service(daemons: Daemons, disk: Disk, patch: pytest.MonkeyPatch) -> AsyncIterator[Ready]:
    """A daemon on that disk, told to stop at the end of the block."""

    def open_client(panel: PanelConfig, _clock: object, **_hindrance: object) -> PanelClient:
        return daemons.open_client(panel)

    ready = Ready(daemons)

    def read() -> Config:
        return daemons.configure(keep={"last": 1}, schedule=ready.schedule)

    patch.setattr(daemon.service.assembly, "open_client", open_client)
    living = asyncio.create_task(Service(read, daemons.clock, ready, aside=at_once, runner=disk).run())
    began = daemons.clock.monotonic()
    while not ready.at and not living.done():
        await daemons.clock.sleep(1)
    assert not living.done(), living.exception()
    assert ready.at[0] - began < START_SECONDS
    yield ready
    told = daemons.clock.monotonic()
    signal.raise_signal(signal.SIGTERM)
    await living
    assert daemons.clock.monotonic() - told < STOP_SECONDS
    disk.answer()  # so that the journal is closed in the end


def deleted(daemons: Daemons) -> int:
    """How many backups the panel's ledger says were deleted."""
    return sum(entry.change is Change.DELETED for entry in daemons.world.ledger)


async def test_a_daemon_whose_disk_hangs_at_its_start_makes_every_backup_and_uses_the_state_once_it_answers(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It deletes nothing meanwhile; then it is known to run there, and what is beyond retention goes."""
    disk = Disk(hangs=True)
    async with service(daemons, disk, monkeypatch):
        await until(daemons.clock, at(2, 5))
        for name in ("survival", "creative"):
            assert [moment[:5] for moment in made(daemons, name)] == ["01 03", "01 04", "02 04"]
        assert deleted(daemons) == 0
        disk.answer()
        await until(daemons.clock, at(3, 5))
        assert await engine_for(daemons.folder / "state").presence.daemon() is not None
    assert rows(daemons) == [("schedule", "done")]
    assert deleted(daemons) == 6


@pytest.mark.parametrize("hour", [4, 5])
async def test_a_daemon_whose_disk_begins_to_hang_makes_every_backup_and_ends_in_time(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch, hour: int
) -> None:
    """Whether it hangs when it is told to stop, since a moment ago, or for hours."""
    disk = Disk()
    async with service(daemons, disk, monkeypatch):
        await until(daemons.clock, at(2, 3, 59, 50))
        assert rows(daemons)[-1] == ("schedule", "done")
        before = deleted(daemons)
        disk.hangs = True
        await until(daemons.clock, at(2, hour, 0, 5))
        if hour == 5:
            assert [moment[:5] for moment in made(daemons)] == ["01 04", "02 04"]
    assert deleted(daemons) == before


async def test_a_daemon_whose_disk_hangs_at_its_start_can_be_told_to_stop(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it still waits for the disk."""
    starting = Service(daemons.configure, daemons.clock, Ready(daemons), aside=at_once, runner=Disk(hangs=True))
    living = asyncio.create_task(starting.run())
    await daemons.clock.sleep(1)
    signal.raise_signal(signal.SIGTERM)
    await living
    assert daemons.clock.monotonic() < STOP_SECONDS


async def test_a_reload_is_obeyed_though_the_disk_hangs(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal cannot say what the servers that changed need; their next start comes all the same."""
    disk = Disk()
    async with service(daemons, disk, monkeypatch) as ready:
        await until(daemons.clock, at(2, 3))
        disk.hangs = True
        ready.schedule = "0 6 * * *"
        signal.raise_signal(signal.SIGHUP)
        await until(daemons.clock, at(2, 7))
        assert len(ready.at) == 2
        for name in ("survival", "creative"):
            assert [moment[:5] for moment in made(daemons, name)][-1] == "02 06"


async def test_what_is_only_known_is_not_known_while_the_disk_hangs(daemons: Daemons) -> None:
    """Presence and the question for a lock raise nothing."""
    engine = engine_for(daemons.folder / "state", Disk(hangs=True))
    async with engine.presence.known() as other:
        assert other is None
        assert await engine.presence.daemon() is None
        assert not await engine.locks.is_held(UUID)
