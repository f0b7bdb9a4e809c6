"""Servers that nobody configured: which are covered, from when on, and what becomes of them when they are gone."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.config.values import Config, DiscoverConfig
from daemon.core.discover import Pattern, Selection
from daemon.core.model import Server
from daemon.core.units import parse_duration
from daemon.fleet.discovery import Discovery, covered, remembered
from daemon.fleet.fleet import Fleet
from daemon.log import configure
from daemon.sandbox.faults import web_page
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, User
from daemon.sandbox.records import Server as SandboxServer
from daemon.sandbox.scenes import KEY, empty
from daemon.sandbox.settings import Settings
from daemon.state.local.journal import SqliteJournal
from tests.config.support import loaded
from tests.process.support import running, serving
from tests.virtual import BACKEND, VirtualClock
from tests.whole.fleet import Daemons, on_virtual_time, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


def selection(*match: str, exclude: tuple[str, ...] = ()) -> Selection:
    """What these patterns select."""
    return Selection(tuple(map(Pattern.parse, match)), tuple(map(Pattern.parse, exclude)))


def discovering(config: Config, *match: str, exclude: tuple[str, ...] = (), every: str = "15m") -> Config:
    """The configuration with what panel main discovers by policy standard."""
    discover = DiscoverConfig(selection(*match, exclude=exclude), config.policies["standard"], parse_duration(every))
    return replace(config, discover={"main": discover})


# Which are covered ------------------------------------------------------------------------------------------------

ONE = Server("1a7ce997-259b-452e-8b4e-cecc464142ca", "1a7ce997", "One", "node1", 5)
TWO = Server("2b7ce997-259b-452e-8b4e-cecc464142ca", "2b7ce997", "Two", "node2", 5)
NONE = Server("3c7ce997-259b-452e-8b4e-cecc464142ca", "3c7ce997", "Three", "node2", 0)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One server, survival, with the identifier of ONE; everything is discovered."""
    return discovering(loaded(tmp_path), "*")


def test_a_discovered_server_is_named_by_its_identifier_and_follows_the_policy(config: Config) -> None:
    """A name that never changes, whatever the panel calls the server."""
    (found,) = (server for server in covered(config, {"main": [TWO]}).config.servers.values() if server.discovered)
    assert (found.name, found.id, found.panel.name, found.policy.name) == ("2b7ce997", "2b7ce997", "main", "standard")
    assert found.ownership.owns("auto-2b7ce997-20260401T040000Z-00000001")


@pytest.mark.parametrize("configured_as", [ONE.identifier, ONE.uuid])
def test_a_server_that_is_configured_is_not_discovered_as_well(config: Config, configured_as: str) -> None:
    """The uuid decides, however it was written."""
    by_hand = replace(config.servers["survival"], id=configured_as)
    coverage = covered(replace(config, servers={"survival": by_hand}), {"main": [ONE, TWO]})
    assert set(coverage.config.servers) == {"survival", "2b7ce997"}


def test_a_panel_under_two_names_gives_each_server_once(config: Config) -> None:
    """And what is configured on one of them is configured."""
    panels = {**config.panels, "again": replace(config.panels["main"], name="again")}
    twice = replace(config, panels=panels, discover={**config.discover, "again": config.discover["main"]})
    coverage = covered(twice, {"main": [ONE, TWO], "again": [ONE, TWO]})
    assert set(coverage.config.servers) == {"survival", "2b7ce997"}
    assert coverage.skipped == {}


def test_one_identifier_on_two_panels_covers_the_first_and_says_so(config: Config) -> None:
    """Neither is renamed: a name decides what may be deleted."""
    other = replace(config.panels["main"], name="other", url="https://other.example.com")
    both = replace(
        config,
        panels={**config.panels, "other": other},
        discover={**config.discover, "other": config.discover["main"]},
    )
    alike = replace(TWO, uuid=TWO.uuid.replace("259b", "ffff"))
    coverage = covered(both, {"main": [TWO], "other": [alike, ONE]})
    assert coverage.config.servers["2b7ce997"].panel.name == "main"
    assert "another server has its identifier" in coverage.skipped["2b7ce997"]
    assert coverage.config.servers["1a7ce997"].panel.name == "other"  # survival is on panel main


def test_a_server_without_room_for_backups_is_skipped_with_the_reason(config: Config) -> None:
    """Its limit is 0: every rotation of it would be refused."""
    coverage = covered(config, {"main": [NONE, TWO]})
    assert set(coverage.config.servers) == {"survival", "2b7ce997"}
    assert coverage.skipped == {"3c7ce997": "the panel allows it no backups"}


def test_what_is_not_selected_or_not_seen_is_not_covered(config: Config) -> None:
    """And what was written by hand always is."""
    some = discovering(config, "t*", exclude=("node:node2",))
    assert set(covered(some, {"main": [ONE, TWO]}).config.servers) == {"survival"}
    assert covered(config, {}).config.servers == config.servers


def test_what_was_discovered_is_remembered_by_the_journal(config: Config) -> None:
    """A command that asks no panel knows a discovered server by its rotations."""
    journal = SqliteJournal.memory()
    for server, uuid, panel in (
        ("survival", ONE.uuid, "main"),
        ("1a7ce997", ONE.uuid, "main"),
        ("2b7ce997", TWO.uuid, "main"),
        ("old-name", NONE.uuid, "main"),
        ("3c7ce997", NONE.uuid, "gone"),
    ):
        at = datetime(2026, 4, 1, tzinfo=UTC)
        journal.begin(
            server_uuid=uuid, server=server, panel=panel, policy="p", trigger="schedule", start_at=None, at=at
        )
    assert set(remembered(config, journal.recent()).servers) == {"survival", "2b7ce997"}
    journal.close()


# From when on -----------------------------------------------------------------------------------------------------


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment in April 2026, UTC; the tests begin on the 1st at 03:59, and servers start at four."""
    return datetime(2026, 4, day, hour, minute, tzinfo=UTC)


class Stage:
    """A panel whose servers come and go, and a daemon that discovers them."""

    def __init__(self, daemons: Daemons) -> None:
        self.daemons = daemons
        self.clock = daemons.clock
        self.world = daemons.world
        self.owner = next(iter(self.world.servers.values())).owner
        self.discovery: Discovery | None = None

    @property
    def survival(self) -> SandboxServer:
        """The server that was there from the beginning, configured by hand."""
        return next(iter(self.world.servers.values()))

    def add(self, name: str, **options: Any) -> SandboxServer:
        """Somebody makes a new server."""
        return self.world.add_server(name, owner=self.owner, node=self.survival.node, limit=20, **options)

    def configure(self, *match: str, **options: Any) -> Config:
        """Survival by hand, the rest as these patterns say."""
        return discovering(self.daemons.configure({"survival": self.survival}), *(match or "*"), **options)

    @asynccontextmanager
    async def running(self, config: Config) -> AsyncIterator[Fleet]:
        """A daemon that discovers, as the service has it."""
        async with self.daemons.running(config) as fleet:
            self.discovery = Discovery(self.clock, fleet.clients, fleet.reload)
            self.discovery.follow(config)
            yield fleet
            self.discovery.stop()

    def made(self, server: SandboxServer) -> list[str]:
        """When the backups of a server were made."""
        return [f"{backup.created_at:%d %H:%M}" for backup in server.backups.values()]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """A panel with one server."""
    clock = VirtualClock()
    on_virtual_time(monkeypatch, clock)
    world, owner, node = empty(clock, settings=Settings(creation_limit=0))
    world.add_server("survival", owner=owner, node=node, limit=20)
    configure("info")
    return Stage(Daemons(world, clock, tmp_path))


def events(lines: list[Any], *names: str) -> list[tuple[str, str]]:
    """What was said of servers coming and going, in order."""
    return [(line["event"], line.get("server", "")) for line in lines if line["event"] in names]


async def test_a_new_server_is_protected_from_the_moment_that_it_is_seen(stage: Stage) -> None:
    """Its first backup is made at once, and then it follows the schedule, named by its identifier."""
    async with stage.running(stage.configure()) as fleet:
        await until(stage.clock, at(1, 9))
        lobby = stage.add("lobby")
        await until(stage.clock, at(1, 9, 16))
        assert set(fleet.config.servers) == {"survival", lobby.identifier}
        await until(stage.clock, at(2, 5))
    assert stage.made(lobby) == ["01 09:14", "02 04:00"]
    assert all(backup.name.startswith(f"auto-{lobby.identifier}-") for backup in lobby.backups.values())


async def test_what_is_there_at_the_start_is_protected_at_once(stage: Stage) -> None:
    """The first look is made as soon as the daemon runs."""
    lobby = stage.add("lobby")
    async with stage.running(stage.configure()):
        await until(stage.clock, at(1, 4, 30))
    assert stage.made(lobby) == ["01 03:59", "01 04:00"]


async def test_a_look_costs_one_request_and_shares_the_rotations_client(stage: Stage) -> None:
    """One list of servers each time, and none more than every quarter of an hour."""
    async with stage.running(stage.configure()) as fleet:
        await until(stage.clock, at(1, 9))
        before, lists = fleet.clients.opened()["main"].requests, stage.daemons.app.requests(Call.SERVERS)
        await until(stage.clock, at(1, 10))
        assert fleet.clients.opened()["main"].requests - before == 4
        assert stage.daemons.app.requests(Call.SERVERS) - lists == 4


async def test_a_reload_does_not_look_twice_and_a_stop_looks_no_more(stage: Stage) -> None:
    """However often it was reloaded; and every client that was borrowed is given back."""
    config = stage.configure()
    async with stage.running(config) as fleet:
        assert stage.discovery is not None
        for _ in range(5):
            stage.discovery.follow(config)
            await stage.clock.sleep(30)
        lists = stage.daemons.app.requests(Call.SERVERS)
        await stage.clock.sleep(3600)
        assert stage.daemons.app.requests(Call.SERVERS) - lists == 4
        stage.discovery.stop()
        await stage.clock.sleep(3600)
        assert stage.daemons.app.requests(Call.SERVERS) - lists == 4
        assert set(fleet.clients._users.values()) == {0}


def with_all_servers(config: Config) -> Config:
    """Panel main is asked for every server that it has."""
    panel = replace(config.panels["main"], all_servers=True)
    servers = {name: replace(server, panel=panel) for name, server in config.servers.items()}
    return replace(config, panels={"main": panel}, servers=servers)


async def test_an_administrators_key_covers_the_servers_of_others_too(stage: Stage) -> None:
    """A host backs up what his customers made: from the first look on, and by a reload."""
    lobby = stage.add("lobby")
    lobby.owner = User("a customer")
    config = stage.configure()
    async with stage.running(config) as fleet:
        await until(stage.clock, at(1, 5))
        assert set(fleet.config.servers) == {"survival"}
        assert stage.discovery is not None
        stage.discovery.follow(with_all_servers(config))
        await until(stage.clock, at(2, 5))
        assert set(fleet.config.servers) == {"survival", lobby.identifier}
    assert len(stage.made(lobby)) == 2


async def test_a_key_that_is_no_administrators_any_more_loses_no_server(stage: Stage) -> None:
    """The panel lists none to it then; that is said, and what is known stays covered."""
    lobby = stage.add("lobby")
    with capture_logs() as lines:
        async with stage.running(with_all_servers(stage.configure())) as fleet:
            await until(stage.clock, at(1, 5))
            stage.world.add_key(KEY, User("nobody in particular"))
            await until(stage.clock, at(1, 7))
            assert lobby.identifier in fleet.config.servers
    assert events(lines, "server_vanished") == []
    assert "discovery_failed" in {line["event"] for line in lines}


async def test_a_server_that_vanishes_is_told_once_and_never_deleted_from(stage: Stage) -> None:
    """After two looks without it; nothing is asked of it any more."""
    lobby = stage.add("lobby")
    with capture_logs() as lines:
        async with stage.running(stage.configure()) as fleet:
            await until(stage.clock, at(1, 5))
            stage.world.remove_server(lobby)
            await until(stage.clock, at(1, 5, 10))
            assert lobby.identifier in fleet.config.servers
            await until(stage.clock, at(1, 6))
            assert lobby.identifier not in fleet.config.servers
            await until(stage.clock, at(3, 5))
    assert events(lines, "server_discovered", "server_vanished") == [
        ("server_discovered", lobby.identifier),
        ("server_vanished", lobby.identifier),
    ]
    assert not [entry for entry in stage.world.ledger if entry.change is Change.DELETED and entry.server == lobby.uuid]


async def test_a_server_that_is_missing_from_one_look_alone_stays_covered(stage: Stage) -> None:
    """A list that shifted while it was read must cost nobody a rotation."""
    lobby = stage.add("lobby")
    with capture_logs() as lines:
        async with stage.running(stage.configure()) as fleet:
            await until(stage.clock, at(1, 5))
            stage.world.remove_server(lobby)
            await until(stage.clock, at(1, 5, 20))
            stage.world.servers[lobby.uuid] = lobby
            await until(stage.clock, at(1, 7))
            assert lobby.identifier in fleet.config.servers
    assert events(lines, "server_vanished") == []


async def test_a_panel_that_does_not_answer_changes_nothing_and_is_asked_again_soon(stage: Stage) -> None:
    """What is known stays covered."""
    lobby = stage.add("lobby")
    async with stage.running(stage.configure()) as fleet:
        await until(stage.clock, at(1, 5))
        stage.world.faults.order(web_page(502), on=Call.SERVERS, times=8)
        late = stage.add("late")
        await until(stage.clock, at(1, 5, 20))
        assert set(fleet.config.servers) == {"survival", lobby.identifier, late.identifier}


async def test_a_reload_keeps_what_was_discovered_and_obeys_what_changed(stage: Stage) -> None:
    """Known servers are not lost for a moment; those excluded are gone at once, one configured by hand wins."""
    lobby, smp = stage.add("lobby"), stage.add("smp")
    config = stage.configure()
    async with stage.running(config) as fleet:
        await until(stage.clock, at(1, 5))
        assert stage.discovery is not None
        stage.discovery.follow(config)
        assert set(fleet.config.servers) == {"survival", lobby.identifier, smp.identifier}
        by_hand = stage.daemons.configure({"survival": stage.survival, "my-lobby": lobby})
        stage.discovery.follow(discovering(by_hand, "*", exclude=("smp",)))
        assert set(fleet.config.servers) == {"survival", "my-lobby"}
        await until(stage.clock, at(2, 5))
        assert (len(stage.made(lobby)), len(stage.made(smp))) == (3, 2)
        stage.discovery.follow(replace(config, discover={}))
        assert set(fleet.config.servers) == {"survival"}
        await until(stage.clock, at(3, 5))
    assert (len(stage.made(lobby)), len(stage.made(smp))) == (3, 2)


async def test_a_panel_that_moved_is_looked_at_before_anything_is_covered(stage: Stage) -> None:
    """What another address showed says nothing of this one."""
    stage.add("lobby")
    config = stage.configure()
    async with stage.running(config) as fleet:
        await until(stage.clock, at(1, 5))
        panel = replace(config.panels["main"], url="https://moved.example.com")
        server = replace(config.servers["survival"], panel=panel)
        assert stage.discovery is not None
        stage.discovery.follow(replace(config, panels={"main": panel}, servers={"survival": server}))
        assert set(fleet.config.servers) == {"survival"}


async def test_what_is_skipped_is_said_once(stage: Stage) -> None:
    """And again if it comes to be so a second time."""
    lobby = stage.add("lobby")
    lobby.limit = 0
    with capture_logs() as lines:
        async with stage.running(stage.configure()) as fleet:
            await until(stage.clock, at(1, 6))
            lobby.limit = 5
            await until(stage.clock, at(1, 7))
            assert lobby.identifier in fleet.config.servers
            lobby.limit = None
            await until(stage.clock, at(1, 8))
    assert events(lines, "server_skipped") == [("server_skipped", lobby.identifier)] * 2


async def test_a_bug_ends_no_looking(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and the next look is made."""
    with capture_logs() as lines:
        async with stage.running(stage.configure()) as fleet:
            with monkeypatch.context() as patch:
                patch.setattr("daemon.fleet.discovery.covered", lambda *_: 1 / 0)
                await stage.clock.sleep(1)
            lobby = stage.add("lobby")
            await stage.clock.sleep(61)
            assert lobby.identifier in fleet.config.servers
    assert events(lines, "discovery_bug") == [("discovery_bug", "")]


# The real daemon --------------------------------------------------------------------------------------------------


def test_the_real_daemon_covers_what_it_discovers_and_obeys_a_reload(tmp_path: Path) -> None:
    """From a configuration without any server, over real HTTP."""
    with serving(tmp_path) as panel:
        lobby = panel.add_server("lobby", past=0)
        written = panel.configure(more='[panels.main.discover]\nmatch = "lobby*"\n')
        with running(panel) as daemon:
            daemon.wait_for("server_discovered", server=lobby.identifier, policy="standard")
            daemon.wait_for("rotation_ended", server=lobby.identifier, result="done")
            smp = panel.add_server("smp", past=0)
            written.write_text(written.read_text().replace("lobby*", "*"))
            daemon.send(signal.SIGHUP)
            daemon.wait_for("rotation_ended", server=smp.identifier, result="done")
            daemon.send(signal.SIGTERM)
            assert daemon.ended() == 0
        assert [len(panel.backups(server)) for server in (lobby, smp)] == [1, 1]
