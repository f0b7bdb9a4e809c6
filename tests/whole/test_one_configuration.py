"""A daemon that runs keeps one configuration: that in force. Those before it leave nothing behind."""

import asyncio
import gc
import signal
import weakref
from dataclasses import fields
from typing import Any

import pytest

import daemon.service.assembly
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.panel.client import PanelClient
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.state.runner import Inline
from tests.whole.day import at_once
from tests.whole.fleet import Daemons, at, made, until

pytestmark = pytest.mark.anyio


class WatchedServer(ServerConfig):
    """A server's configuration of which one can tell whether it is gone."""


class Watched(Config):
    """A configuration of which one can tell that."""


def watched(config: Config) -> Watched:
    """The same, to be watched."""
    servers = {name: WatchedServer(**_values(one)) for name, one in config.servers.items()}
    return Watched(**{**_values(config), "servers": servers})


def _values(one: Config | ServerConfig) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one) if field.init}


class Operator:
    """Writes configurations, and knows which of them are gone."""

    def __init__(self, daemons: Daemons) -> None:
        self._daemons = daemons
        self.hour = 4
        self.read_so_far: list[tuple[weakref.ref[Any], ...]] = []

    def read(self) -> Config:
        """The configuration as it is now."""
        config = watched(self._daemons.configure(schedule=f"0 {self.hour} * * *"))
        self.read_so_far.append((weakref.ref(config), *map(weakref.ref, config.servers.values())))
        return config

    def left(self) -> list[int]:
        """How much is left of each configuration that was read: of itself, and of its servers."""
        gc.collect()
        return [sum(one() is not None for one in each) for each in self.read_so_far]


async def test_what_a_reload_replaces_is_remembered_by_nobody(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the frames that run as long as the daemon does, nor what was made of it."""

    def open_client(panel: PanelConfig, _clock: object, **_hindrance: object) -> PanelClient:
        return daemons.open_client(panel)

    monkeypatch.setattr(daemon.service.assembly, "open_client", open_client)
    operator = Operator(daemons)
    service = Service(operator.read, daemons.clock, Notifier({}, daemons.clock), aside=at_once, runner=Inline())
    living = asyncio.create_task(service.run())
    await until(daemons.clock, at(1, 4, 30))
    for hour in (5, 6):
        operator.hour = hour
        signal.raise_signal(signal.SIGHUP)
        await until(daemons.clock, at(1, hour, 30))
    assert made(daemons) == ["01 04:00", "01 05:00", "01 06:00"]
    left = operator.left()
    signal.raise_signal(signal.SIGTERM)
    await living
    assert left[:2] == [0, 0]
    assert left[2] >= len(daemons.world.servers), "what is in force is watched as well"
