"""Which servers this member of a cluster acts for: those on the nodes that it holds (invariant 20).

All members look at the same leases and come to the same result (`core/shares`). A node goes from one to another in two
steps, one node at a time and only while nothing of ours is done on it: the first drops its servers and lets it go, and
the second takes it, and finds in the journal what is due. A member that an operator has sent out takes none, begins
nothing more, and lets each node go as soon as nothing is done there. A server whose node is not known is acted for by
the member that holds its panel, which looks for it; a rotation that meets another node than that ends before it does
anything, since a server's lock is only given within the node that the panel shows.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from daemon.config.opinion import key_of, opinion_of
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.core.agreement import AGREED, Opinion, differing_on, disagreement, in_words, of_those_that_act, store_key
from daemon.core.model import Server
from daemon.core.shares import FLEET, NODE, Member, node_part, panel_part, shared_out
from daemon.errors import StateError
from daemon.fleet.clients import Clients
from daemon.fleet.isolation import surviving
from daemon.fleet.population import Population
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from daemon.rotation.run import RotationContext
from daemon.state import Shares, SharesSeen

log = get_logger()

LOOK_SECONDS = 1.0
PLACE_SECONDS = 600.0
"""So often the panels are asked on which nodes the servers are. A rotation looks by itself."""

AGAIN_SECONDS = 60.0
"""After a panel that did not answer."""

FREE_SECONDS = 15.0
"""After so long a part that nobody took is taken by any member: the one whose turn it was may not know of it."""

KEEP_SECONDS = 300.0
"""So long a part is kept that another member was to take and did not, before that one is given it again."""

SENT_OUT = "this daemon was sent out of the cluster, and takes nothing until `ptero-backupd cluster join`"


@dataclass(frozen=True, slots=True)
class Share:
    """What this daemon acts for: a configuration with its servers alone, and whether it looks after the whole fleet."""

    config: Config
    fleet: bool = True


class Everything:
    """The share of a daemon that is alone: all there is."""

    def __init__(self, obey: Callable[[Config, Share], None]) -> None:
        self._obey = obey

    def follow(self, config: Config) -> None:
        """Obey a configuration."""
        self._obey(config, Share(config))

    def start(self) -> None:
        """Do nothing: there is nobody to share with."""

    def stop(self) -> None:
        """Do nothing."""

    def notes(self) -> list[str]:
        """Return nothing: there are no others."""
        return []


class Sharing:
    """Keeps this member's share. `obey` is called with the whole configuration and the share whenever either changes;
    `ended` with the names of servers whose rotations ended anywhere. `at_work` returns the servers for which anything
    is under way, and `at_work_for_all` whether anything is that one member does for the whole fleet.
    """

    def __init__(
        self,
        shares: Shares,
        context: RotationContext,
        clients: Clients,
        *,
        population: Population,
        obey: Callable[[Config, Share], None],
        ended: Callable[[AbstractSet[str]], None],
        at_work: Callable[[], Collection[str]],
        at_work_for_all: Callable[[], bool] = lambda: False,
    ) -> None:
        self._shares = shares
        self._context = context
        self._clock = context.clock
        self._clients = clients
        self._population = population
        self._obey = obey
        self._ended = ended
        self._at_work = at_work
        self._at_work_for_all = at_work_for_all
        self._config: Config | None = None
        self._mine: frozenset[str] = frozenset()
        self._out = False
        """Whether an operator has sent this member out."""

        self._nodes: dict[tuple[str, str], str] = {}
        self._sought: set[tuple[str, str]] = set()
        self._sighted: dict[str, tuple[ServerConfig, str]] = {}
        self._place_at: dict[str, float] = {}
        self._placing: asyncio.Task[None] | None = None
        self._free_since: dict[str, float] = {}
        self._kept_until: dict[str, float] = {}
        """The parts that we took since nobody else did."""

        self._opinion = Opinion.of({})
        self._others: Mapping[Member, Opinion | None] = {}
        """What other members that act go by."""

        self.disagreement = AGREED
        self._passed_on: tuple[Config, frozenset[str], bool] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._trouble = ""
        check, context.on_server = context.on_server, self._on_server
        self._check = check
        context.disputed = self._disputed

    def follow(self, config: Config) -> None:
        """Obey a configuration; what is new in it is acted for once its part of the fleet is held."""
        self._config, self._opinion = config, opinion_of(config)
        self._compare()
        self._pass_on()

    def start(self) -> None:
        """Begin to take parts."""
        self._looking = asyncio.create_task(self._look_now_and_then(), name="sharing the fleet")

    def stop(self) -> None:
        """Take and give nothing more."""
        for task in (self._looking, self._placing):
            if task is not None:
                task.cancel()

    def notes(self) -> list[str]:
        """Return what the operator should know of this member's place in the cluster."""
        found = [SENT_OUT] if self._out else []
        if self.disagreement:
            found.append(f"{self._in_words()}: nothing is deleted there; `ptero-backupd cluster status` shows more")
        return found

    async def _look_now_and_then(self) -> None:
        while True:
            with surviving():
                await self._look_once()
            await self._clock.sleep(LOOK_SECONDS)

    async def _look_once(self) -> None:
        try:
            await self._tell_sighted()
            await self._shares.publish(self._opinion)
            await self._agree(await self._shares.look())
        except StateError as error:
            if error.text != self._trouble:
                self._trouble = error.text
                log.warning("shares_unknown", text=error.text, consequence="this member goes on with its own")
        else:
            self._trouble = ""

    async def _agree(self, seen: SharesSeen) -> None:
        """Take what is ours to take, and let go what another one is to hold."""
        self._population.saw(len(seen.members | seen.out), self._clock.monotonic())
        self._note_out(seen.me in seen.out)
        acting = of_those_that_act(seen.opinions, seen.members, seen.held)
        self._others = {one: said for one, said in acting.items() if one != seen.me}
        self._compare()
        self._nodes.update(seen.placed)
        if seen.ended:
            self._ended(seen.ended)
        parts = self._parts()
        nodes = {part for part in parts if part.startswith(NODE)}  # evenly among themselves: the others cost little
        wanted = {
            **shared_out(nodes, seen.members, seen.held),
            **shared_out(parts - nodes, seen.members, seen.held),
        }
        mine = {part for part, one in seen.held.items() if one == seen.me}
        for part in self._takable(parts, wanted, seen):
            if await self._shares.take(part):
                log.info("part_taken", part=part)
                mine.add(part)
                if wanted.get(part) != seen.me:
                    self._kept_until[part] = self._clock.monotonic() + KEEP_SECONDS
        given = self._to_give(mine, wanted, seen.me)
        self._mine = frozenset(mine.difference(given))
        self._pass_on()
        for part in given:
            await self._shares.give(part)
            log.info("part_given", part=part)
        self._place_now_and_then()

    def _compare(self) -> None:
        """Find out where others would decide differently, and say so when that changes."""
        before, self.disagreement = self.disagreement, disagreement([self._opinion, *self._others.values()])
        if self.disagreement and not before:
            log.warning("members_differ", text=self._in_words(), consequence="nothing is deleted there")
        elif before and not self.disagreement:
            log.info("members_agree", consequence="deletions go on")

    def _disputed(self, server: ServerConfig, *stores: str) -> str:
        return differing_on(self.disagreement, key_of(server), *map(store_key, stores))

    def _in_words(self) -> str:
        named = {key_of(one): one.name for one in (self._config.servers.values() if self._config else ())}
        return in_words(self.disagreement, named)

    def _note_out(self, out: bool) -> None:
        if out and not self._out:
            log.warning("sent_out", consequence="this member hands over, and takes nothing more")
        elif self._out and not out:
            log.info("called_back", consequence="this member takes its share again")
        self._out = out

    def _parts(self) -> set[str]:
        """Return all parts of the fleet, as far as this member knows it."""
        servers = self._config.servers.values() if self._config else ()
        panels = {panel_part(panel) for panel in (self._config.panels if self._config else ())}
        return {FLEET, *panels, *map(self._part, servers)}

    def _part(self, server: ServerConfig) -> str:
        node = self._nodes.get(_key(server))
        return panel_part(server.panel.name) if node is None else node_part(server.panel.name, node)

    def _takable(self, parts: Collection[str], wanted: Mapping[str, Member], seen: SharesSeen) -> Iterator[str]:
        now = self._clock.monotonic()
        free = sorted(set(parts) - seen.held.keys())
        self._free_since = {part: self._free_since.get(part, now) for part in free}
        for part in () if self._out else free:
            if wanted.get(part) == seen.me or now - self._free_since[part] >= FREE_SECONDS:
                yield part

    def _to_give(self, mine: Collection[str], wanted: Mapping[str, Member], me: Member) -> list[str]:
        """Return one part that another member is to hold, or that is no part any more, and on which nothing is done;
        all such parts at once if this member was sent out.
        """
        busy, now = self._busy(), self._clock.monotonic()
        if not self._out:
            busy |= {part for part, until in self._kept_until.items() if part in wanted and now < until}
        free = [part for part in sorted(mine) if wanted.get(part) != me and part not in busy]
        return free if self._out else free[:1]

    def _busy(self) -> set[str]:
        """Return the parts on which something of ours is done at this moment."""
        runs = list(self._context.under_way.values())
        seen = {node_part(run.config.panel.name, run.server.node) for run in runs if run.server is not None}
        servers = self._config.servers if self._config else {}
        seen |= {FLEET} if self._at_work_for_all() else set()
        return seen | {self._part(servers[name]) for name in self._at_work() if name in servers}

    def _pass_on(self) -> None:
        """Let the rest of the daemon know its share, if that or the configuration has changed."""
        config = self._config
        if config is None:
            return
        servers = {name: one for name, one in config.servers.items() if self._is_mine(one)}
        passed_on = config, frozenset(servers), FLEET in self._mine
        if self._passed_on is None or self._passed_on[0] is not config or self._passed_on[1:] != passed_on[1:]:
            self._passed_on = passed_on
            self._obey(config, Share(replace(config, servers=servers), FLEET in self._mine))

    def _is_mine(self, server: ServerConfig) -> bool:
        """Return whether this member acts for a server; for one whose node is unknown, only after it was looked for.

        One that has moved to another node stays until its rotation has ended. After this member was sent out, only
        those stay for which anything is under way.
        """
        was_mine = self._passed_on is not None and server.name in self._passed_on[1]
        if was_mine and server.name in self._context.under_way:
            return True
        if self._out:
            return was_mine and server.name in self._at_work()
        return self._part(server) in self._mine and (_key(server) in self._nodes or _key(server) in self._sought)

    # Which server is on which node -----------------------------------------------------------------------------------

    def _on_server(self, config: ServerConfig, server: Server) -> None:
        """Take note of the node of a server that is about to be rotated."""
        if self._nodes.get(_key(config)) != server.node:
            self._sighted[config.name] = config, server.node
        self._check(config, server)

    async def _tell_sighted(self) -> None:
        """Let all members know where servers were seen, each after the rotation that saw it has ended."""
        for name in self._sighted.keys() - self._context.under_way.keys():
            config, node = self._sighted[name]
            await self._shares.place(config.panel.name, {config.id: node})
            self._sighted.pop(name)

    def _place_now_and_then(self) -> None:
        """Look for the servers of the panels that are ours, one panel at a time."""
        if self._config is None or (self._placing is not None and not self._placing.done()):
            return
        now = self._clock.monotonic()
        for name, panel in self._config.panels.items():
            if panel_part(name) not in self._mine:
                continue
            servers = [one for one in self._config.servers.values() if one.panel.name == name]
            unknown = any(_key(one) not in self._nodes and _key(one) not in self._sought for one in servers)
            if servers and (unknown or now >= self._place_at.get(name, 0.0)):
                self._placing = asyncio.create_task(self._place(panel, servers), name="looking for nodes")
                return

    async def _place(self, panel: PanelConfig, servers: Collection[ServerConfig]) -> None:
        again = AGAIN_SECONDS
        with surviving(panel=panel.name), self._clients.lent(panel) as client:
            try:
                nodes = await self._found(client, servers)
                await self._shares.place(panel.name, nodes)
                again = PLACE_SECONDS
            except (PanelError, StateError) as error:
                log.warning("nodes_not_found", panel=panel.name, text=error.text)
        self._place_at[panel.name] = self._clock.monotonic() + again
        self._sought.update(map(_key, servers))

    async def _found(self, client: PanelClient, servers: Collection[ServerConfig]) -> dict[str, str]:
        """Return the node of each server, by its configured id. One that is not listed is viewed once."""
        listed = await client.servers()
        nodes = {found: one.node for one in listed for found in (one.identifier.lower(), one.uuid.lower())}
        found = {one.id: nodes[one.id.lower()] for one in servers if one.id.lower() in nodes}
        for one in servers:
            if one.id not in found and _key(one) not in self._nodes and _key(one) not in self._sought:
                try:
                    found[one.id] = (await client.server(one.id)).node
                except PanelError as error:
                    log.info("node_not_found", server=one.name, text=error.text)
        return found


def _key(server: ServerConfig) -> tuple[str, str]:
    return server.panel.name, server.id
