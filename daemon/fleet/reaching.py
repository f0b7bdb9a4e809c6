"""Which panels this member of a cluster cannot reach, which ones others cannot, and what follows from that.

A member says so of a panel that answers none of its requests. While any member says so, all that have heard nothing of
the panel for a minute ask it. So a panel that is down is soon known for that, and one that is back as well.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress

from daemon.clock import Clock
from daemon.config.values import Config, PanelConfig
from daemon.core.cut_off import NEVER, Contact, Cut, Patience, alone, in_words, only_for
from daemon.core.shares import Member
from daemon.fleet.clients import Clients
from daemon.fleet.isolation import surviving
from daemon.log import get_logger
from daemon.panel.errors import PanelError
from daemon.state import SharesSeen

log = get_logger()

PATIENCE = Patience()
CONSEQUENCE = "the members that reach it act for its nodes, once nothing is under way there"


class Reaching:
    """What this member knows of how panels are reached."""

    def __init__(self, clients: Clients, clock: Clock, patience: Patience | None = None) -> None:
        self._clients = clients
        self._clock = clock
        self._patience = patience or PATIENCE
        self._seen: SharesSeen | None = None
        self._alone_since: dict[Cut, float] = {}
        self._asked_at: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._said: frozenset[str] = frozenset()
        self.lasting: frozenset[Cut] = frozenset()
        """Who has been cut off from a panel for so long that others would know if it were down."""

    def stop(self) -> None:
        """Ask nothing more."""
        for asking in self._asking.values():
            asking.cancel()

    def heard(self, seen: SharesSeen) -> None:
        """Take note of what the members say now."""
        self._seen, now = seen, self._clock.monotonic()
        self._alone_since = {cut: self._alone_since.get(cut, now) for cut in alone(seen.cut_off, seen.members)}
        self.lasting = frozenset(cut for cut, since in self._alone_since.items() if now - since >= self._patience.alone)

    def cut_off(self, panels: Collection[str]) -> frozenset[str]:
        """Return which of these panels this member cannot reach, and say so when that begins or ends."""
        opened = self._clients.opened()
        found = frozenset(
            name
            for name in opened.keys() & set(panels)
            if opened[name].contact.is_cut_off(self._patience, doubted=self._is_doubted(name))
        )
        for panel in sorted(found - self._said):
            log.warning("cut_off", panel=panel, consequence=CONSEQUENCE)
        for panel in sorted(self._said - found):  # it answers, or is another one since a reload
            log.info("cut_off_no_more", panel=panel)
        self._said = found
        return found

    def ask(self, config: Config) -> None:
        """Ask each panel for which it is time."""
        opened, now = self._clients.opened(), self._clock.monotonic()
        for name, panel in config.panels.items():
            contact = opened[name].contact if name in opened else Contact()
            if name in self._asking or now - self._asked_at.get(name, NEVER) < self._patience.between:
                continue
            if contact.is_to_be_asked(now, self._patience, doubted=self._is_doubted(name)):
                self._asked_at[name] = now
                self._asking[name] = asyncio.create_task(self._ask(panel), name="asking whether a panel answers")

    def only_for(self, parts: Collection[str], seen: SharesSeen) -> Mapping[str, Collection[Member]]:
        """Return who may hold those parts that not every member may."""
        return only_for(parts, seen.members, seen.held, seen.cut_off, self.lasting)

    def notes(self) -> list[str]:
        """Return which members cannot reach which panels, in sentences."""
        return [] if self._seen is None else in_words(self._seen.cut_off, self._seen.members)

    def _is_doubted(self, panel: str) -> bool:
        """Return whether another member that acts says that it cannot reach a panel."""
        if (seen := self._seen) is None:
            return False
        return any(panel in seen.cut_off.get(one, ()) for one in seen.members if one != seen.me)

    async def _ask(self, panel: PanelConfig) -> None:
        try:
            with surviving(panel=panel.name), suppress(PanelError), self._clients.lent(panel) as client:
                await client.knock()
        finally:
            del self._asking[panel.name]
