"""Which servers each member acts for: what it takes, when it lets go, and what of servers whose node is not known."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest
from structlog.testing import capture_logs

from daemon.config.load import load
from daemon.config.opinion import opinion_of
from daemon.config.values import Config, ServerConfig
from daemon.core.agreement import DECISIONS, UNCOMPARED
from daemon.core.cut_off import Contact
from daemon.core.model import Server
from daemon.core.shares import FLEET, NODE, Member, node_key, node_part
from daemon.errors import JournalBusyError, StateError
from daemon.fleet import sharing
from daemon.fleet.clients import Clients
from daemon.fleet.placement import Placement
from daemon.fleet.population import Population
from daemon.fleet.share import PassingOn, Share
from daemon.fleet.sharing import Sharing
from daemon.fleet.standing import NOBODY_ACTS, SENT_OUT
from daemon.log import configure
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError, PanelError, PanelUnreachableError
from daemon.rotation.run import RotationContext
from tests.fleet.table import Shares, Table
from tests.virtual import BACKEND, VirtualClock

pytestmark = pytest.mark.anyio

Answer = TypeVar("Answer")

NODES = {"0000000a": "n1", "0000000b": "n1", "0000000c": "n2", "0000000d": "n3"}


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


class Panel:
    """A panel that lists its servers, or does not answer."""

    def __init__(self) -> None:
        self.nodes = dict(NODES)
        self.unlisted: dict[str, str] = {}
        self.down = False
        self.seconds = 0.0

    async def servers(self) -> tuple[Server, ...]:
        """The list."""
        await VirtualClock().sleep(self.seconds)
        if self.down:
            raise PanelUnreachableError("down")
        return tuple(seen(one, node) for one, node in self.nodes.items())

    async def server(self, server_id: str) -> Server:
        """One of them, or one that is not listed."""
        if server_id not in self.unlisted:
            raise NotFoundError("gone", status=404)
        return seen(server_id, self.unlisted[server_id])


class Way:
    """The client of one member: what the panel answers, unless the way there is `cut`."""

    def __init__(self, panel: Panel, clock: VirtualClock) -> None:
        self._panel = panel
        self._clock = clock
        self.cut = False
        self.asked: list[float] = []
        self.contact = Contact()

    async def servers(self) -> tuple[Server, ...]:
        """The list."""
        return await self._over(self._panel.servers)

    async def server(self, server_id: str) -> Server:
        """One of them."""
        return await self._over(lambda: self._panel.server(server_id))

    async def knock(self) -> None:
        """Any answer."""
        await self.servers()

    async def _over(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        self.asked.append(self._clock.monotonic())
        try:
            if self.cut:
                raise PanelUnreachableError("cut off")
            answer = await ask()
        except PanelError as error:
            lost, now = isinstance(error, PanelUnreachableError), self._clock.monotonic()
            self.contact = self.contact.with_loss(now) if lost else self.contact.with_answer(now)
            raise
        self.contact = self.contact.with_answer(self._clock.monotonic())
        return answer


def seen(identifier: str, node: str) -> Server:
    """A server as the panel shows it."""
    return Server(f"{identifier}-0000-0000-0000-000000000000", identifier, identifier, node, 10)


@dataclass
class Daemon:
    """One member: what it was told, and what it works on."""

    sharing: Sharing
    context: RotationContext
    told: list[Share]
    ended: list[set[str]]
    busy: set[str]
    population: Population
    way: Way
    clients: Clients
    waiting: set[str]

    async def ask(self) -> None:
        """Ask the panel for something, as a rotation does."""
        with suppress(PanelError), self.clients.lent(self.told[-1].config.panels["main"]) as client:
            await client.servers()

    def disputed(self, name: str, *stores: str) -> str:
        """Why it deletes nothing of a server."""
        return self.context.disputed(self.told[-1].config.servers[name], *stores)

    @property
    def servers(self) -> set[str]:
        """What it acts for."""
        return set(self.told[-1].config.servers)


class Fleet:
    """The members of one cluster on virtual time."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        text = '[panels.main]\nurl = "https://panel.example.com"\n'
        text += '[policies.p]\nschedule = "@daily"\nscope = "own"\nkeep = { last = 3 }\n'
        text += "".join(f'[servers.{one[-1]}]\nid = "{one}"\n' for one in NODES)
        (folder / "config.toml").write_text(text)
        environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": "ptlc_EXAMPLE", "STATE_DIRECTORY": str(folder)}
        self.config: Config = load(folder / "config.toml", environ)
        self.clock, self.table, self.panel = clock, Table(), Panel()
        self.daemons: list[Daemon] = []

    def join(self, name: str) -> Daemon:
        """Let one more begin."""
        told: list[Share] = []
        ended: list[set[str]] = []
        busy: set[str] = set()
        population, way = Population(), Way(self.panel, self.clock)
        clients = Clients(lambda _: cast("PanelClient", way))
        waiting: set[str] = set()
        context = cast(
            "RotationContext",
            SimpleNamespace(clock=self.clock, under_way={}, on_server=lambda _config, _server: None),
        )
        member = Sharing(
            self.table.of((name, len(self.table.members))),
            context,
            clients,
            population=population,
            obey=lambda _, share: told.append(share),
            ended=lambda names: ended.append(set(names)),
            at_work=lambda: busy | waiting,
            leave=waiting.difference_update,
        )
        member.follow(self.config)
        member.start()
        self.daemons.append(Daemon(member, context, told, ended, busy, population, way, clients, waiting))
        return self.daemons[-1]

    async def later(self, seconds: float) -> None:
        """Let them go on; no server is ever acted for by two."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            await self.clock.sleep(0.1)
            every = [name for one in self.daemons for name in one.servers]
            assert len(every) == len(set(every)), f"two act for one server: {every}"


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """A cluster without members."""
    made = Fleet(tmp_path, VirtualClock())
    yield made
    for one in made.daemons:
        one.sharing.stop()


async def test_a_server_is_acted_for_once_its_node_is_held(fleet: Fleet) -> None:
    """By nobody before; the first member soon acts for all, and looks after the fleet."""
    one = fleet.join("one")
    assert one.servers == set()
    await fleet.later(5)
    assert (one.servers, one.told[-1].fleet) == (set("abcd"), True)
    assert fleet.table.nodes == {("main", server): node for server, node in NODES.items()}


async def test_while_nothing_changes_the_servers_are_not_gone_through(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be ten thousand, and a look comes every second. What is new is seen at the next look."""
    gone_through: list[str] = []
    for kind, name in ((Placement, "_gone_through"), (PassingOn, "_found"), (sharing, "_computed")):
        done = getattr(kind, name)

        def counted(*args: object, done: Callable[..., object] = done, name: str = name) -> object:
            gone_through.append(name)
            return done(*args)

        monkeypatch.setattr(kind, name, counted)
    one = fleet.join("one")
    await fleet.later(5)
    gone_through.clear()
    await fleet.later(60)
    assert gone_through == []
    fleet.table.nodes["main", "0000000c"] = "n9"
    await fleet.later(3)
    assert node_part("main", "n9") in fleet.table.held
    assert one.servers == set("abcd")
    assert set(gone_through) == {"_gone_through", "_found", "_computed"}


async def test_a_rotation_that_ended_is_told_once_more_when_what_it_saw_is_written_too(fleet: Fleet) -> None:
    """A page that was asked for in between would show the backups of before until the next rotation."""
    one = fleet.join("one")
    await fleet.later(5)
    fleet.table.ended[member_of(fleet, one)] = ["a"]
    await fleet.later(5)
    assert one.ended == [{"a"}, {"a"}]


async def test_while_servers_are_looked_for_nobody_acts_for_them(fleet: Fleet) -> None:
    """Not even the member that holds their panel: most are on nodes of others."""
    fleet.panel.seconds = 10.0
    one = fleet.join("one")
    await fleet.later(8)
    assert "panel main" in fleet.table.held
    assert one.servers == set()
    await fleet.later(8)
    assert one.servers == set("abcd")


async def test_nodes_go_to_one_that_comes_and_none_that_is_at_work(fleet: Fleet) -> None:
    """One after the other, as soon as nothing is done there."""
    one = fleet.join("one")
    await fleet.later(5)
    one.busy.update("acd")
    two = fleet.join("two")
    three = fleet.join("three")
    await fleet.later(20)
    assert (one.servers, two.servers, three.servers) == (set("abcd"), set(), set())
    one.busy.clear()
    told = len(one.told)
    await fleet.later(20)
    assert sorted(map(len, (one.servers, two.servers, three.servers))) == [1, 1, 2]
    holders = {
        name: [("main", part.removeprefix("node main/"))]
        for part, (name, _) in fleet.table.held.items()
        if part.startswith(NODE)
    }
    assert [each.sharing.holders() for each in (one, two, three)] == [holders] * 3
    assert set(holders) == {"one", "two", "three"}
    nodes = [{NODES[server.id] for server in share.config.servers.values()} for share in one.told[told - 1 :]]
    assert [len(held) for held in nodes] == [3, 2, 1]


async def test_what_a_dead_member_held_goes_to_the_others(fleet: Fleet) -> None:
    """As soon as the database shows it."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    one.sharing.stop()
    fleet.daemons.remove(one)
    gone = next(member for member in fleet.table.members if member[0] == "one")
    fleet.table.members.discard(gone)
    fleet.table.held = {part: holder for part, holder in fleet.table.held.items() if holder != gone}
    await fleet.later(2)
    assert two.servers == set("abcd")


async def test_a_part_whose_member_does_not_take_it_is_taken_by_another(fleet: Fleet) -> None:
    """That one may not know of it, or hang; but not at once."""
    fleet.table.members.add(("hangs", 9))
    one = fleet.join("one")
    await fleet.later(10)
    assert one.servers != set("abcd")
    await fleet.later(30)
    assert one.servers == set("abcd")
    assert one.told[-1].fleet
    told, taken = len(one.told), fleet.table.taken
    await fleet.later(120)
    assert (len(one.told), fleet.table.taken) == (told, taken), "nothing is given back and taken again"
    await fleet.later(400)
    assert fleet.table.taken > taken, "it is given its turn again"


async def test_one_that_is_sent_out_lets_each_node_go_once_nothing_is_done_there(fleet: Fleet) -> None:
    """All that are idle at once; where something is under way it begins nothing more, and others wait for the node."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    leaving, other = (one, two) if "a" in one.servers else (two, one)
    leaving.busy.add("a")
    mine = {part for part, holder in fleet.table.held.items() if holder[0] == name(fleet, leaving)}
    fleet.table.out.add(member_of(fleet, leaving))
    await fleet.later(2)
    assert leaving.servers == {"a"}, "its other server there waits for the next member"
    assert mine & {part for part, holder in fleet.table.held.items() if holder[0] == name(fleet, leaving)} == {
        node_part("main", "n1")
    }
    assert other.servers == set("cd")
    assert leaving.sharing.notes() == [SENT_OUT]
    leaving.busy.clear()
    await fleet.later(3)
    assert (leaving.servers, other.servers) == (set(), set("abcd"))
    assert other.told[-1].fleet


async def test_one_that_is_out_takes_nothing_even_if_nobody_else_does_until_it_is_called_back(fleet: Fleet) -> None:
    """An operator said so; what it looked after stays free."""
    one = fleet.join("one")
    await fleet.later(5)
    fleet.table.out.add(member_of(fleet, one))
    taken = fleet.table.taken
    await fleet.later(60)
    assert (one.servers, fleet.table.held, fleet.table.taken) == (set(), {}, taken)
    assert one.sharing.notes() == [NOBODY_ACTS, SENT_OUT]
    fleet.table.out.clear()
    await fleet.later(5)
    assert (one.servers, one.told[-1].fleet, one.sharing.notes()) == (set("abcd"), True, [])


async def test_of_those_that_are_out_one_tells_that_nobody_acts(fleet: Fleet) -> None:
    """The one that joined first, as long as it lives; it acts for nothing all the same."""
    one, two, three = (fleet.join(name) for name in ("one", "two", "three"))
    await fleet.later(20)
    fleet.table.out |= {member_of(fleet, one), member_of(fleet, two)}
    await fleet.later(20)
    assert [each.told[-1].last for each in (one, two, three)] == [False] * 3
    fleet.table.out.add(member_of(fleet, three))
    await fleet.later(5)
    shares = [each.told[-1] for each in (one, two, three)]
    assert [(share.last, share.fleet, len(share.config.servers)) for share in shares] == [
        (True, False, 0),
        (False, False, 0),
        (False, False, 0),
    ]
    since = one.sharing.view().nobody_since
    await fleet.later(5)
    assert [each.sharing.view().nobody_since for each in (one, two, three)] == [since, None, None]
    one.sharing.stop()
    fleet.table.members.discard(member_of(fleet, one))
    await fleet.later(5)
    assert two.told[-1].last
    fleet.table.out.clear()
    await fleet.later(5)
    assert (two.told[-1].last, two.sharing.view().nobody_since) == (False, None)


async def test_one_that_is_out_counts_in_what_the_panel_allows(fleet: Fleet) -> None:
    """It may still have rotations under way, and it looks for servers."""
    one = fleet.join("one")
    two = fleet.join("two")
    await fleet.later(5)
    fleet.table.out.add(member_of(fleet, one))
    await fleet.later(200)
    assert [each.population.fraction(fleet.clock.monotonic()) for each in (one, two)] == [0.5, 0.5]


async def test_a_member_that_cannot_ask_keeps_what_it_holds(fleet: Fleet) -> None:
    """And takes part again afterwards."""
    one = fleet.join("one")
    await fleet.later(5)
    fleet.table.trouble = StateError("gone")
    two = fleet.join("two")
    await fleet.later(30)
    assert (one.servers, two.servers) == (set("abcd"), set())
    fleet.table.trouble = None
    await fleet.later(20)
    assert one.servers
    assert two.servers
    assert one.servers | two.servers == set("abcd")


async def test_one_part_that_the_database_refuses_holds_no_other_up(fleet: Fleet) -> None:
    """Whatever a panel calls its nodes; it is told once."""
    fleet.table.refused = {node_part("main", "n1")}
    configure("info", stream=StringIO())
    with capture_logs() as lines:
        one = fleet.join("one")
        await fleet.later(30)
    assert one.servers == set("cd")
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["shares_unknown"]


async def test_one_that_cannot_reach_the_database_tries_one_part_and_one_place_at_a_look(fleet: Fleet) -> None:
    """Each may take ten seconds to fail, and there may be hundreds."""
    one = fleet.join("one")
    await fleet.later(5)
    nodes = {node_part("main", node) for node in NODES.values()}
    fleet.table.refusal, fleet.table.refused = JournalBusyError("no answer in time"), nodes | set(NODES)
    for node in nodes:
        del fleet.table.held[node]
    await fleet.later(2)
    taken = fleet.table.taken
    await fleet.later(10)
    assert fleet.table.taken - taken == 10
    for server in fleet.config.servers.values():
        one.context.on_server(server, seen(server.id, "n9"))
    placed = fleet.table.placed
    await fleet.later(10)
    assert fleet.table.placed - placed == 10


async def test_a_member_that_cannot_tell_where_a_server_is_hears_the_others_and_tells_the_rest(fleet: Fleet) -> None:
    """Otherwise it would go on to delete by what they said before."""
    one = fleet.join("one")
    await fleet.later(5)
    a, c = fleet.config.servers["a"], fleet.config.servers["c"]
    fleet.table.refused = {a.id}
    one.context.on_server(a, seen(a.id, "n8"))
    one.context.on_server(c, seen(c.id, "n9"))
    two = fleet.join("two")
    two.sharing.follow(changed(fleet.config, "b"))
    await fleet.later(5)
    assert "different configurations of b" in one.sharing.notes()[0]
    assert fleet.table.nodes["main", c.id] == "n9"


async def test_a_node_whose_name_no_database_takes_is_shared_like_any_other(fleet: Fleet) -> None:
    """By its digest, in the list of the panel and in a rotation alike."""
    fleet.panel.nodes["0000000c"] = fleet.panel.nodes["0000000d"] = strange = "n\0" * 2000
    one = fleet.join("one")
    await fleet.later(5)
    c = fleet.config.servers["c"]
    one.context.on_server(c, seen(c.id, strange))
    await fleet.later(5)
    assert one.servers == set("abcd")
    assert fleet.table.nodes["main", c.id] == node_key(strange)
    assert node_part("main", strange) in fleet.table.held


async def test_one_that_has_not_heard_of_the_others_for_long_deletes_nothing(fleet: Fleet) -> None:
    """They may go by another configuration by now."""
    one = fleet.join("one")
    await fleet.later(5)
    fleet.table.trouble = StateError("gone")
    await fleet.later(25)
    assert one.disputed("a") == ""
    await fleet.later(10)
    assert one.disputed("a") == UNCOMPARED
    fleet.table.trouble = None
    await fleet.later(2)
    assert one.disputed("a") == ""


async def test_while_the_panel_does_not_answer_its_holder_acts_for_servers_of_unknown_nodes(fleet: Fleet) -> None:
    """So that somebody tells of them; one that the panel does not list is viewed by itself."""
    fleet.panel.down = True
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(5)
    holder = fleet.table.held["panel main"][0]
    assert {"one": one, "two": two}[holder].servers == set("abcd")
    fleet.panel.down = False
    fleet.panel.unlisted["0000000d"] = fleet.panel.nodes.pop("0000000d")
    await fleet.later(100)
    assert fleet.table.nodes.keys() == {("main", one) for one in NODES if one != "0000000d"}
    assert one.servers
    assert two.servers


async def test_one_that_is_not_listed_is_viewed(fleet: Fleet) -> None:
    """An administrator's key sees more servers than its list shows."""
    fleet.panel.unlisted["0000000d"] = fleet.panel.nodes.pop("0000000d")
    fleet.join("one")
    await fleet.later(5)
    assert fleet.table.nodes["main", "0000000d"] == "n3"


async def test_a_server_that_moved_goes_along_when_its_rotation_has_ended(fleet: Fleet) -> None:
    """What a rotation sees of its node, all members learn; nothing of the node is given meanwhile."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    holder, other = (one, two) if "c" in one.servers else (two, one)
    moved = fleet.config.servers["c"]
    target = next(node for node in ("n1", "n3") if fleet.table.held[node_part("main", node)][0] == name(fleet, other))
    run = SimpleNamespace(config=moved, server=seen(moved.id, target))
    cast("dict[str, object]", holder.context.under_way)["c"] = run
    holder.context.on_server(moved, run.server)
    await fleet.later(5)
    assert "c" in holder.servers
    holder.context.under_way.clear()
    await fleet.later(5)
    assert fleet.table.nodes["main", moved.id] == target
    assert "c" in other.servers


async def test_where_a_server_was_seen_while_the_others_were_told_of_another_node_is_told_next(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was transferred twice."""
    one, moved, real = fleet.join("one"), fleet.config.servers["c"], Shares.place
    await fleet.later(5)

    async def place(shares: Shares, panel: str, nodes: Mapping[str, str]) -> None:
        await real(shares, panel, nodes)
        monkeypatch.setattr(Shares, "place", real)
        one.context.on_server(moved, seen(moved.id, "n3"))

    monkeypatch.setattr(Shares, "place", place)
    one.context.on_server(moved, seen(moved.id, "n1"))
    await fleet.later(5)
    assert fleet.table.nodes["main", moved.id] == "n3"


async def test_one_that_was_transferred_and_back_is_told_where_it_is(fleet: Fleet) -> None:
    """Before the others were told of the first."""
    one, moved = fleet.join("one"), fleet.config.servers["c"]
    await fleet.later(5)
    for node in ("n1", "n2"):
        one.context.on_server(moved, seen(moved.id, node))
    await fleet.later(5)
    assert fleet.table.nodes["main", moved.id] == "n2"


async def test_a_node_stays_while_the_lock_of_a_server_that_left_it_is_held(fleet: Fleet) -> None:
    """The lock would end with it, and its rotation be begun a second time (seed 1500399 of clusters)."""
    one = fleet.join("one")
    await fleet.later(5)
    moved, left = fleet.config.servers["c"], node_part("main", "n2")
    run = SimpleNamespace(config=moved, server=seen(moved.id, "n1"))
    cast("dict[str, object]", one.context.under_way)["c"] = run
    cast("Shares", one.sharing._shares).locked.add(left)
    fleet.table.nodes["main", moved.id] = "n1"  # whoever holds the panel has seen it there
    await fleet.later(60)
    assert left in fleet.table.held
    cast("Shares", one.sharing._shares).locked.clear()
    one.context.under_way.clear()
    await fleet.later(5)
    assert left not in fleet.table.held


async def test_one_that_the_panel_shows_elsewhere_stays_until_its_rotation_has_ended(fleet: Fleet) -> None:
    """Its lock is held until then; whoever holds the other node meets it."""
    one = fleet.join("one")
    await fleet.later(5)
    moved = fleet.config.servers["c"]
    cast("dict[str, object]", one.context.under_way)["c"] = SimpleNamespace(config=moved, server=None)
    fleet.table.members.add(("hangs", 9))
    fleet.table.held[node_part("main", "n9")] = ("hangs", 9)
    fleet.table.nodes["main", moved.id] = "n9"
    await fleet.later(5)
    assert "c" in one.servers
    one.context.under_way.clear()
    await fleet.later(2)
    assert "c" not in one.servers


def name(fleet: Fleet, daemon: Daemon) -> str:
    """What it is called."""
    return ("one", "two", "three")[fleet.daemons.index(daemon)]


def member_of(fleet: Fleet, daemon: Daemon) -> Member:
    """What the database calls it."""
    return next(one for one in fleet.table.members if one[0] == name(fleet, daemon))


def changed(config: Config, *names: str) -> Config:
    """The same configuration with another policy for some servers."""
    policy = replace(config.policies["p"], max_deletions=99)
    return replace(
        config,
        servers={
            one.name: replace(one, policy=policy) if one.name in names else one for one in config.servers.values()
        },
    )


async def test_where_two_are_configured_differently_neither_deletes_until_they_agree(fleet: Fleet) -> None:
    """From the moment at which one is told, and the other within a look; elsewhere deletions go on."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    config = changed(fleet.config, "a", "c")
    configure("info", stream=StringIO())
    with capture_logs() as lines:
        one.sharing.follow(config)
        assert {name for name in one.servers if one.disputed(name)} == one.servers & {"a", "c"}
        await fleet.later(2)
        for each in (one, two):
            assert {name for name in each.servers if each.disputed(name)} == each.servers & {"a", "c"}
            assert "different configurations of a, c: nothing is deleted there" in each.sharing.notes()[0]
        two.sharing.follow(config)
        await fleet.later(2)
    assert [each.disputed(name) for each in (one, two) for name in each.servers] == [""] * 4
    assert one.sharing.notes() == two.sharing.notes() == []
    assert [line["event"] for line in lines if line["event"].startswith("members_")] == [
        "members_differ",
        "members_differ",
        "members_agree",
        "members_agree",
    ]


async def test_where_another_version_holds_something_nothing_is_deleted_at_all(fleet: Fleet) -> None:
    """One that says nothing is older still; one that has handed over matters no more."""
    one = fleet.join("one")
    await fleet.later(5)
    other = ("other", 9)
    fleet.table.members.add(other)
    await fleet.later(1)
    assert one.disputed("a") == "", "it has taken nothing yet"
    fleet.table.held["node main/n9"] = other
    await fleet.later(2)
    assert "decide differently" in one.disputed("a")
    fleet.table.opinions[other] = replace(opinion_of(fleet.config), decisions=DECISIONS + 1, digest="another")
    await fleet.later(2)
    assert "decide differently" in one.disputed("a")
    fleet.table.out.add(other)
    del fleet.table.held["node main/n9"]
    await fleet.later(2)
    assert one.disputed("a") == ""


async def test_a_reload_is_obeyed_by_all(fleet: Fleet) -> None:
    """What is gone is acted for by none, and its node is let go."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    servers: Mapping[str, ServerConfig] = {key: one for key, one in fleet.config.servers.items() if key != "d"}
    for each in (one, two):
        each.sharing.follow(replace(fleet.config, servers=servers))
    await fleet.later(20)
    assert one.servers | two.servers == set("abc")
    assert node_part("main", "n3") not in fleet.table.held


def of_main(fleet: Fleet) -> dict[str, str]:
    """Who holds what of the panel."""
    return {part: one for part, (one, _) in fleet.table.held.items() if part != FLEET}


async def cut(daemon: Daemon) -> None:
    """Cut a member off from the panel, and let it notice that at its next rotation."""
    daemon.way.cut = True
    await daemon.ask()


async def test_one_that_is_cut_off_from_a_panel_hands_it_over_and_takes_its_share_once_it_answers(fleet: Fleet) -> None:
    """Not before it has lasted, and the other has had the time to see whether the panel is down."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    before = two.servers
    assert before
    await cut(two)
    await fleet.later(200)
    assert two.servers == before
    await fleet.later(100)
    assert (one.servers, two.servers) == (set("abcd"), set())
    assert set(of_main(fleet).values()) == {"one"}
    note = "member two does not reach panel main, so others are to act for its nodes"
    assert [note in daemon.sharing.notes() for daemon in (one, two)] == [True, True]
    await fleet.later(600)
    assert two.servers == set(), "nothing is given back meanwhile"
    asked = two.way.asked[-8:]
    assert all(60 <= after - at <= 62 for at, after in pairwise(asked))
    two.way.cut = False
    await fleet.later(80)
    assert (len(two.servers) > 0, one.sharing.notes()) == (True, [])
    asks = len(one.way.asked) + len(two.way.asked)
    await fleet.later(180)
    assert len(one.way.asked) + len(two.way.asked) == asks, "nobody asks for the sake of an answer any more"


async def test_one_that_is_cut_off_begins_nothing_more_and_lets_a_node_go_once_nothing_is_done_there(
    fleet: Fleet,
) -> None:
    """What only waits is left to the next one; what copies goes on."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    cut_off, other = (one, two) if "a" in one.servers else (two, one)
    cut_off.busy.add("a")
    cut_off.waiting.add("b")
    await cut(cut_off)
    await fleet.later(300)
    assert (cut_off.servers, cut_off.waiting) == ({"a"}, set())
    assert other.servers.isdisjoint("ab")
    cut_off.busy.clear()
    await fleet.later(5)
    assert other.servers == set("abcd")


async def test_a_panel_that_is_down_changes_no_hands_neither_when_it_goes_nor_when_it_comes(fleet: Fleet) -> None:
    """Though only one member asks anything of it: the others ask as soon as that one says that it reaches nothing."""
    daemons = [fleet.join(name) for name in ("one", "two", "three")]
    await fleet.later(20)
    held, told = dict(fleet.table.held), [len(one.told) for one in daemons]
    fleet.panel.down = True
    await daemons[0].ask()
    await fleet.later(1500)
    assert daemons[0].sharing.notes() == ["no member of the cluster reaches panel main"]
    fleet.panel.down = False
    await fleet.later(100)
    assert daemons[0].sharing.notes() == []
    assert (fleet.table.held, [len(one.told) for one in daemons]) == (held, told)


async def test_where_the_last_one_that_reached_a_panel_is_cut_off_too_it_keeps_what_it_holds(fleet: Fleet) -> None:
    """Nothing goes back to the one that was cut off first, neither then nor once the panel answers again."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    await cut(two)
    await fleet.later(300)
    held = of_main(fleet)
    await cut(one)
    await fleet.later(1000)
    assert of_main(fleet) == held
    one.way.cut = False
    await fleet.later(300)
    assert of_main(fleet) == held


async def test_one_that_is_cut_off_takes_nothing_of_that_panel_that_another_could(fleet: Fleet) -> None:
    """Though that one does not take it, and nobody else holds it; what is of no panel it takes."""
    one, two = fleet.join("one"), fleet.join("two")
    await fleet.later(20)
    await cut(two)
    await fleet.later(300)
    hangs = member_of(fleet, one)
    one.sharing.stop()
    fleet.daemons.remove(one)
    fleet.table.held.clear()
    await fleet.later(600)
    assert (of_main(fleet), set(fleet.table.held)) == ({}, {FLEET})
    fleet.table.members.discard(hangs)
    await fleet.later(5)
    assert set(of_main(fleet).values()) == {"two"}, "nobody else is there"


async def test_one_that_took_a_part_since_nobody_did_keeps_it_no_longer_than_it_reaches_the_panel(
    fleet: Fleet,
) -> None:
    """The five minutes for which it would keep it are not over."""
    fleet.table.members.add(("hangs", 9))
    one = fleet.join("one")
    await fleet.later(45)
    assert one.servers == set("abcd")
    one.way.cut, one.way.contact = True, Contact().with_loss(0.0).with_loss(1000.0)
    await fleet.later(100)
    assert of_main(fleet) == {}
