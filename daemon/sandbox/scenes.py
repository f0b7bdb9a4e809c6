"""Worlds that are ready to be used: for the demo, for trying a policy, and for tests."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from daemon.clock import Clock
from daemon.sandbox.records import Node, Power, Server, State, User, Work
from daemon.sandbox.settings import Kind, Settings, pelican
from daemon.sandbox.world import World

KEY = "ptlc_EXAMPLE_sandbox"
"""The key of every scene; it sees every server there."""
KEYS: Mapping[Kind, str] = {Kind.PTERODACTYL: KEY, Kind.PELICAN: "pacc_EXAMPLE_sandbox"}
"""As it is where the scene's panel was of that kind from the beginning."""

SPARE = "spare"

FOREIGN = (
    (96, "before 1.21", False),
    (61, "by hand", False),
    (33, "map reset, keep!", True),
    (2, "before the plugin update", False),
)
"""Days ago, name and lock of what people made by hand in the demo."""


def empty(clock: Clock, *, settings: Settings | None = None, seed: int = 0) -> tuple[World, User, Node]:
    """Return a panel with one administrator, who has `KEY`, and one node without servers."""
    world = World(clock, settings=settings, seed=seed)
    owner = User("admin", admin=True)
    world.add_key(KEYS[world.settings.kind], owner)
    return world, owner, world.add_node("node1")


def one_server(clock: Clock, *, limit: int | None = 10, settings: Settings | None = None) -> tuple[World, Server]:
    """One server, `survival`, without backups."""
    world, owner, node = empty(clock, settings=settings)
    return world, world.add_server("survival", owner=owner, node=node, limit=limit)


def fleet(clock: Clock, count: int, *, nodes: int = 1, seed: int = 0) -> World:
    """`count` servers, dealt out to `nodes` nodes, without backups."""
    world, owner, first = empty(clock, seed=seed)
    homes = [first, *(world.add_node(f"node{number}") for number in range(2, nodes + 1))]
    for number in range(count):
        world.add_server(f"server-{number + 1:03}", owner=owner, node=homes[number % nodes])
    return world


def three_pages(clock: Clock) -> tuple[World, Server]:
    """One server with 120 backups on three pages of 50, one a day, in the order they were made.

    Own ones are named as `auto-survival-{time}-{id}`. 7 are locked, among them a failed and a pending one; 5 are
    failed; 1 is pending; 10 are foreign; all else is good.
    """
    world, server = one_server(clock, limit=200)
    first = clock.now().replace(hour=4, minute=0, second=0, microsecond=0) - timedelta(days=119)
    locked, failed, foreign, pending = {3, 20, 47, 61, 90, 104, 118}, {10, 30, 61, 80, 100}, set(range(5, 120, 12)), 118
    for day in range(120):
        made = first + timedelta(days=day)
        state = State.PENDING if day == pending else State.FAILED if day in failed else State.GOOD
        name = f"before update {day}" if day in foreign else own_name("survival", made, day)
        world.add_backup(server, name, created_at=made, state=state, locked=day in locked, by="history")
    return world, server


def demo(clock: Clock, kind: Kind = Kind.PTERODACTYL) -> World:
    """Four servers on two nodes with months of history; backups take two seconds.

    `survival` holds more than two pages, with locked, failed, foreign and pending ones among them. Another user owns
    `lobby`, and `museum` is suspended.
    """
    settings = pelican() if kind is Kind.PELICAN else Settings()
    world, owner, first = empty(clock, settings=replace(settings, creation_limit=0))
    second = world.add_node("node2")
    work = Work(seconds=2.0, size=180_000)
    survival = world.add_server("survival", owner=owner, node=first, limit=200, work=work)
    creative = world.add_server("creative", owner=owner, node=first, limit=30, work=work)
    lobby = world.add_server("lobby", owner=owner, node=second, limit=5, work=work)
    museum = world.add_server("museum", owner=owner, node=second, limit=5, work=work)
    now = clock.now().replace(microsecond=0)
    history(world, survival, _back(now, days=130), locked={7, 45, 88, 124}, failed={12, 45, 71, 99, 128})
    for days, name, locked in FOREIGN:
        made = now - timedelta(days=days, hours=3)
        world.add_backup(survival, name, created_at=made, took=usual(survival), locked=locked, by="history")
    stuck = now - timedelta(days=3, hours=5)
    world.add_backup(survival, own_name("survival", stuck, 900), created_at=stuck, state=State.PENDING, by="history")
    history(world, creative, _back(now, days=25), locked={0}, failed={9})
    history(world, lobby, _back(now, days=5))
    history(world, museum, _back(now, days=4))
    museum.status = "suspended"
    return world


def add_spare(world: World, source: str, folder: Path) -> Server:
    """Add a server to the world that is made for drills: stopped, empty, marked, and on the node of `source`.

    Its files are real ones, in `folder`.
    """
    beside = next(server for server in world.servers.values() if server.name == source)
    spare = world.add_server(SPARE, owner=beside.owner, node=beside.node, limit=5)
    spare.description, spare.power, spare.folder = "for drills: #drill", Power.OFFLINE, folder / SPARE
    spare.says = ('Done (1.234s)! For help, type "help"',)
    spare.folder.mkdir()
    return spare


def history(
    world: World,
    server: Server,
    moments: Iterable[datetime],
    *,
    locked: Iterable[int] = (),
    failed: Iterable[int] = (),
) -> None:
    """Own backups that were made at these moments and took as long as the server's backups do.

    `locked` and `failed` are their numbers, from 0.
    """
    locked, failed = set(locked), set(failed)
    for number, made in enumerate(moments):
        state = State.FAILED if number in failed else State.GOOD
        size = round(server.work.size * (1 + number / 1000))
        world.add_backup(
            server,
            own_name(server.name, made, number),
            created_at=made,
            took=usual(server),
            state=state,
            locked=number in locked,
            size=size,
            by="history",
        )


def usual(server: Server) -> timedelta:
    """Return how long the server's backups take."""
    return timedelta(seconds=server.work.seconds)


def own_name(server: str, made: datetime, number: int) -> str:
    """Return a name as the daemon's usual template makes it."""
    return f"auto-{server}-{made:%Y%m%dT%H%M%SZ}-{number:08x}"


def _back(now: datetime, *, days: int) -> list[datetime]:
    """Four o'clock of each of the last `days` days, oldest first."""
    today = now.replace(hour=4, minute=0, second=0)
    return [today - timedelta(days=day) for day in range(days, 0, -1)]
