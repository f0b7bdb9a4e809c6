"""Which servers this member of a cluster acts for: those on the nodes that it holds (invariant 20).

All members look at the same leases and come to the same result (`core/shares`). A node goes from one to another in two
steps, one node at a time and only while nothing of ours is done on it: the first drops its servers and lets it go, and
the second takes it, and finds in the journal what is due. A member that an operator has sent out takes none, begins
nothing more, and lets each node go as soon as nothing is done there; so does one that is cut off from a panel that
others reach, with the nodes of that panel. A server whose node is not known is acted for by the member that holds its
panel, which looks for it; a rotation that meets another node than that ends before it does anything, since a server's
lock is only given within the node that the panel shows.

A look comes every second, and there may be ten thousand servers: they are gone through only after something changed.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass

from daemon.config.values import Config, ServerConfig
from daemon.core.model import Server
from daemon.core.shares import FLEET, NODE, Member, node_part, shared_out
from daemon.errors import JournalBusyError, StateError
from daemon.fleet.agreeing import Agreeing
from daemon.fleet.clients import Clients
from daemon.fleet.isolation import surviving
from daemon.fleet.placement import Placement
from daemon.fleet.population import Population
from daemon.fleet.reaching import Reaching
from daemon.fleet.share import PassingOn, Share
from daemon.fleet.standing import ClusterView, Holders, Standing
from daemon.log import get_logger
from daemon.rotation.run import RotationContext
from daemon.state import Shares, SharesSeen

log = get_logger()

LOOK_SECONDS = 1.0
FREE_SECONDS = 15.0
"""After how long a part that nobody took is taken by any member: the one whose turn it was may not know of it."""

KEEP_SECONDS = 300.0
"""How long a part is kept that another member was to take and did not, before that one is given it again."""


class Everything:
    """The share of a daemon that is alone: all there is."""

    under_way = None
    """There are no others who could have anything under way."""

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

    def holders(self) -> Holders:
        """Return nobody: this is no cluster."""
        return {}

    def view(self) -> ClusterView:
        """Return that there is nothing to know: this is no cluster."""
        return ClusterView()


class Sharing:
    """Keeps this member's share. `obey` is called with the whole configuration and the share whenever either changes;
    `ended` with the names of servers whose rotations ended anywhere, at two looks: what a rotation saw is written a
    moment after its end, and somebody may have asked for it in between. `at_work` returns the servers for which
    anything is under way, and `at_work_for_all` whether anything is that one member does for the whole fleet. `leave`
    is called with servers that others are to act for: what only waits there is left.
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
        leave: Callable[[Collection[str]], None] = lambda _: None,
    ) -> None:
        self._shares = shares
        self.under_way = shares.under_way
        self._context = context
        self._clock = context.clock
        self._clients = clients
        self._population = population
        self._passing_on = PassingOn(obey)
        self._ended = ended
        self._at_work = at_work
        self._at_work_for_all = at_work_for_all
        self._leave = leave
        self._config: Config | None = None
        self._mine: frozenset[str] = frozenset()
        self._placement = Placement(shares, clients, context.clock)
        self._free_since: dict[str, float] = {}
        self._kept_until: dict[str, float] = {}
        """The parts that we took since nobody else did."""

        self._agreeing = Agreeing(context.clock)
        self._reaching = Reaching(clients, context.clock)
        self._standing = Standing(self._agreeing, self._reaching, context.clock)
        self.notes, self.view, self.holders = self._standing.notes, self._standing.view, self._standing.holders
        self._shared: tuple[object, _Shared] | None = None
        """Which member is to hold each part, and by what that was computed."""

        self._ended_before: AbstractSet[str] = frozenset()
        """The servers whose rotations had ended at the look before."""

        self._leaving: frozenset[str] = frozenset()
        """The parts in which we begin nothing more, since we do not reach their panel."""

        self._looking: asyncio.Task[None] | None = None
        self._trouble: StateError | None = None
        """Why the last look was not whole."""

        self._check, context.on_server = context.on_server, self._on_server
        context.disputed = self._agreeing.disputed
        context.fraction = lambda: population.fraction(context.clock.monotonic())

    def follow(self, config: Config) -> None:
        """Obey a configuration; what is new in it is acted for once its part of the fleet is held."""
        self._config = config
        self._agreeing.follow(config)
        self._pass_on()

    def start(self) -> None:
        """Begin to take parts."""
        self._looking = asyncio.create_task(self._look_now_and_then(), name="sharing the fleet")

    def stop(self) -> None:
        """Take and give nothing more."""
        self._placement.stop()
        self._reaching.stop()
        if self._looking is not None:
            self._looking.cancel()

    async def _look_now_and_then(self) -> None:
        while True:
            with surviving():
                await self._look_once()
            await self._clock.sleep(LOOK_SECONDS)

    async def _look_once(self) -> None:
        """Hear the others first: what cannot be told them must not keep us from that."""
        before, self._trouble = self._trouble, None
        with self._noting():
            await self._shares.publish(self._agreeing.opinion)
            await self._shares.tell_cut_off(self._reaching.cut_off(self._config.panels if self._config else ()))
            await self._agree(await self._shares.look())
        with self._noting():
            await self._placement.tell(self._context.under_way.keys())
        self._pass_on()
        self._say_trouble(before)

    def _say_trouble(self, before: StateError | None) -> None:
        """Say what was wrong with a look, unless that was so the time before."""
        if self._trouble is not None and (before is None or self._trouble.text != before.text):
            log.warning("shares_unknown", text=self._trouble.text, consequence="this member goes on with its own")

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what the database refuses, and go on after the block."""
        try:
            yield
        except StateError as error:
            self._trouble = error

    async def _agree(self, seen: SharesSeen) -> None:
        """Take what is ours to take, and let go what another one is to hold."""
        self._population.saw(seen.members | seen.out, self._clock.monotonic())
        self._reaching.heard(seen)
        self._standing.heard(seen)
        self._agreeing.heard(seen)
        self._placement.learn(seen.placed)
        if told := seen.ended | self._ended_before:
            self._ended(told)
        self._ended_before = seen.ended
        parts = self._placement.of(self._config).parts if self._config else frozenset({FLEET})
        shared = self._shared_out(parts, seen)
        mine = {part for part, one in seen.held.items() if one == seen.me}
        for part in self._takable(parts, shared, seen):
            with self._noting():  # one that cannot be taken holds no other up
                if await self._shares.take(part):
                    log.info("part_taken", part=part)
                    mine.add(part)
                    if shared.wanted.get(part) != seen.me:
                        self._kept_until[part] = self._clock.monotonic() + KEEP_SECONDS
            if isinstance(self._trouble, JournalBusyError):  # the others would wait for it as long
                break
        self._leaving = frozenset(part for part in mine if not shared.may_hold(part, seen.me))
        given = self._to_give(mine, shared, seen.me)
        self._mine = frozenset(mine.difference(given) - self._leaving)
        self._pass_on()
        self._leave_what_waits()
        for part in given:
            if part not in self._shares.in_use():  # a rotation may have begun while the parts before it were given
                await self._shares.give(part)
                log.info("part_given", part=part)
        if self._config is not None:
            self._placement.look(self._config, self._mine)
            self._reaching.ask(self._config)

    def _shared_out(self, parts: frozenset[str], seen: SharesSeen) -> "_Shared":
        """Return which member is to hold each part; it is computed after something has changed."""
        basis = parts, seen.members, seen.held, seen.cut_off, self._reaching.lasting
        if self._shared is None or self._shared[0] != basis:
            self._shared = basis, _computed(parts, seen, self._reaching.only_for(parts, seen))
        return self._shared[1]

    def _takable(self, parts: Collection[str], shared: "_Shared", seen: SharesSeen) -> Iterator[str]:
        now = self._clock.monotonic()
        free = sorted(set(parts) - seen.held.keys())
        self._free_since = {part: self._free_since.get(part, now) for part in free}
        for part in () if self._standing.out else free:
            late = now - self._free_since[part] >= FREE_SECONDS and shared.may_hold(part, seen.me)
            if late or shared.wanted.get(part) == seen.me:
                yield part

    def _to_give(self, mine: Collection[str], shared: "_Shared", me: Member) -> list[str]:
        """Return one part that another member is to hold, or that is no part any more, and on which nothing is done;
        all such parts at once if this member was sent out.
        """
        busy, now = self._busy(), self._clock.monotonic()
        if not self._standing.out:
            kept = {part for part, until in self._kept_until.items() if part in shared.wanted and now < until}
            busy |= kept - self._leaving
        free = [part for part in sorted(mine) if shared.wanted.get(part) != me and part not in busy]
        return free if self._standing.out else free[:1]

    def _busy(self) -> set[str]:
        """Return the parts on which work of ours is under way. A server's lock ends with the part in which it was
        taken, even if the server is on another node by now.
        """
        runs = list(self._context.under_way.values())
        seen = {node_part(run.config.panel.name, run.server.node) for run in runs if run.server is not None}
        part = self._placement.of(self._config).part if self._config else {}
        seen |= {FLEET} if self._at_work_for_all() else set()
        return seen.union(self._shares.in_use(), (part[name] for name in self._at_work() if name in part))

    def _leave_what_waits(self) -> None:
        """Wait for nothing in the parts that we leave: a backup may take hours, and others can wait for it as well."""
        if self._leaving and self._config is not None:
            part = self._placement.of(self._config).part
            self._leave([name for name in self._at_work() if part.get(name) in self._leaving])

    def _on_server(self, config: ServerConfig, server: Server) -> None:
        """Take note of the node of a server that is about to be rotated."""
        self._placement.sighted(config, server.node)
        self._check(config, server)

    def _pass_on(self) -> None:
        """Let the rest of the daemon know its share, if that or the configuration has changed."""
        if self._config is not None:
            ends = self._standing.out or self._leaving
            under_way = {*self._context.under_way, *(self._at_work() if ends else ())}
            places = self._placement.of(self._config)
            self._passing_on.pass_on(places, self._mine, under_way, out=self._standing.out, last=self._standing.last)


@dataclass(frozen=True, slots=True)
class _Shared:
    """Which member is to hold each part, and who may hold those that not every member may."""

    wanted: Mapping[str, Member]
    only_for: Mapping[str, Collection[Member]]

    def may_hold(self, part: str, one: Member) -> bool:
        return part not in self.only_for or one in self.only_for[part]


def _computed(parts: frozenset[str], seen: SharesSeen, only_for: Mapping[str, Collection[Member]]) -> _Shared:
    """Return which member is to hold each part: nodes are even among themselves, since the others cost little."""
    nodes = {part for part in parts if part.startswith(NODE)}
    wanted = [shared_out(kind, seen.members, seen.held, only_for) for kind in (nodes, parts - nodes)]
    return _Shared({**wanted[0], **wanted[1]}, only_for)
