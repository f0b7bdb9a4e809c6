"""Three daemons share a fleet over one real PostgreSQL: each node has one of them, and each backup is made once."""

from collections import Counter
from functools import partial
from urllib.parse import urlsplit

import pytest

from daemon.config.values import ClusterConfig
from daemon.core.cut_off import Patience
from daemon.fleet import sharing
from daemon.fleet.reaching import Reaching
from daemon.sandbox.records import Change, Server
from tests.postgres import Postgres
from tests.process.members import Member, cluster, until
from tests.process.support import Panel
from tests.state.wire import wire

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

NODES, EACH = 6, 2
LEASE = 5.0


@pytest.fixture
def servers(panel: Panel) -> list[Server]:
    """Two servers on each of six nodes."""
    nodes = [panel.node, *(panel.world.add_node(f"node{number}") for number in range(2, NODES + 1))]
    return [panel.add_server(f"s{number}", past=5, node=nodes[number % NODES]) for number in range(NODES * EACH)]


@pytest.fixture
def database(postgres_server: Postgres) -> ClusterConfig:
    """A database of their own."""
    return postgres_server.new(lease=LEASE)


def deleted(panel: Panel, servers: list[Server]) -> list[str]:
    """All backups that were deleted."""
    return [name for server in servers for name in panel.done(Change.DELETED, server)]


def all_made(panel: Panel, servers: list[Server]) -> bool:
    """Whether each server has its new backup, and is pruned."""
    return all(panel.done(Change.CREATED, one) and len(panel.done(Change.DELETED, one)) >= 3 for one in servers)


def covered(members: list[Member], servers: list[Server]) -> bool:
    """Whether some member acts for each server, and none for one of another's."""
    held = Counter(name for member in members for name in member.acts_for)
    assert max(held.values(), default=1) == 1, f"two members act for one server: {held}"
    return held.keys() == {server.name for server in servers}


def even(members: list[Member]) -> bool:
    """Whether no member has two nodes more than another."""
    numbers = [len(member.acts_for) // EACH for member in members]
    return max(numbers) - min(numbers) <= 1


async def test_each_server_is_backed_up_once_and_a_killed_member_is_replaced(
    panel: Panel, servers: list[Server], database: ClusterConfig, postgres_server: Postgres
) -> None:
    """Nodes go to a member that comes; those of one that is killed within the lease and five seconds to the others, and
    those of one that leaves at once.
    """
    before = {server.name: [backup.name for backup in panel.backups(server)] for server in servers}
    async with cluster(panel.configure(*servers), database, postgres_server.port) as made:
        members = [await made.join(name) for name in ("one", "two", "three")]
        await until(lambda: covered(members, servers) and even(members), "the fleet is shared evenly")
        await until(lambda: all_made(panel, servers), "each server is backed up", 90)
        await until(lambda: not any(member.parts.fleet.running() for member in members), "the rotations end")
        killed, *others = members
        await killed.kill()
        assert not covered(others, servers)
        seconds = await until(lambda: covered(others, servers), "the nodes of the killed member are taken over")
        assert seconds <= LEASE + 5
        await others[0].leave()
        await until(lambda: covered(others[1:], servers), "the nodes of the member that left are taken over", 5)
    for server in servers:
        assert len(panel.done(Change.CREATED, server)) == 1
        assert panel.done(Change.DELETED, server) == before[server.name][:3]
    assert len(deleted(panel, servers)) == len(set(deleted(panel, servers)))


async def test_one_that_is_sent_out_hands_over_and_one_that_is_evicted_in_the_midst_of_it_is_replaced(
    panel: Panel, database: ClusterConfig, postgres_server: Postgres
) -> None:
    """What was sent out finishes what it does first; what an evicted one has under way is gone on with by the other."""
    slow = panel.add_server("slow", past=5, seconds=4.0)
    quick = panel.add_server("quick", past=5, node=panel.world.add_node("node2"))
    both, before = [slow, quick], [backup.name for backup in panel.backups(slow)]
    async with cluster(panel.configure(*both), database, postgres_server.port) as made:
        one = await made.join("one")
        await until(lambda: any(one.completed_at is None for one in panel.backups(slow)), "the backup is being made")
        two = await made.join("two")
        await two.membership.send_out("one")
        await until(lambda: two.acts_for == {"quick"} and one.acts_for == {"slow"}, "the idle node is handed over")
        await two.membership.evict("one")
        await until(lambda: two.acts_for == {"slow", "quick"}, "all is taken over", 5)
        await until(lambda: all_made(panel, both), "each server is backed up", 60)
    assert len(panel.done(Change.CREATED, slow)) == 1
    assert panel.done(Change.DELETED, slow) == before[:3]


async def test_one_that_is_cut_off_from_the_panel_in_the_midst_of_a_backup_is_replaced_until_it_reaches_it_again(
    panel: Panel, database: ClusterConfig, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off from the panel alone, and lets the others know by way of the database; one backup is made."""
    monkeypatch.setattr(sharing, "Reaching", partial(Reaching, patience=Patience(0.5, 0.3, 0.5)))
    slow = panel.add_server("slow", past=5, seconds=10.0)
    quick = panel.add_server("quick", past=5, node=panel.world.add_node("node2"))
    file = panel.configure(slow, quick)
    port = urlsplit(panel.url).port or 0
    async with wire(port) as way, cluster(file, database, postgres_server.port) as made:
        file.write_text(file.read_text().replace(str(port), str(way.port)))
        one = await made.join("one", made.read())
        await until(lambda: any(one.completed_at is None for one in panel.backups(slow)), "the backup is being made")
        two = await made.join("two")
        way.cut()
        await until(lambda: two.acts_for == {"slow", "quick"}, "all is taken over")
        assert any(one.completed_at is None for one in panel.backups(slow))
        await until(lambda: bool(panel.backups(slow)[-1].completed_at), "the backup is made")
        way.open = True
        await until(lambda: len(one.acts_for) == 1, "it takes its share again")
    assert len(panel.done(Change.CREATED, slow)) == 1


async def test_where_two_are_configured_differently_backups_are_made_and_none_is_deleted(
    panel: Panel, database: ClusterConfig, postgres_server: Postgres
) -> None:
    """Elsewhere both delete; once they agree, so does the next rotation there."""
    nodes = [panel.node, panel.world.add_node("node2")]
    one_each = [panel.add_server(f"s{number}", past=5 if number else 4, node=nodes[number % 2]) for number in range(4)]
    file = panel.configure(*one_each)
    text = file.read_text()
    file.write_text(text.replace("[servers.s0]\n", "[servers.s0]\nkeep = { last = 2 }\n"))
    before = [backup.name for backup in panel.backups(one_each[0])]
    async with cluster(file, database, postgres_server.port) as made:
        narrow = made.config
        file.write_text(text)
        wide = made.read()
        members = [await made.join("one", narrow), await made.join("two", wide)]
        await until(lambda: all(panel.done(Change.CREATED, one) for one in one_each), "each is backed up", 60)
        await until(lambda: all_made(panel, one_each[1:]), "where both agree the old ones are deleted", 60)
        await until(lambda: not any(member.parts.fleet.running() for member in members), "the rotations end")
        assert panel.done(Change.DELETED, one_each[0]) == []
        assert all("different configurations of s0" in one.parts.sharing.notes()[0] for one in members)
        members[0].parts.discovery.follow(wide)
        await until(lambda: not any(one.parts.sharing.notes() for one in members), "they agree")
        (holder,) = (one for one in members if "s0" in one.acts_for)
        holder.parts.fleet.once_more(holder.parts.fleet.config.servers["s0"])
        await until(lambda: len(panel.done(Change.DELETED, one_each[0])) == 3, "it is pruned", 30)
    assert panel.done(Change.DELETED, one_each[0]) == before[:3]
