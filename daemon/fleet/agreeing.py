"""Where other members of a cluster would decide differently from this one, by their opinions (invariant 20)."""

from collections.abc import Mapping
from datetime import datetime

from daemon.clock import Clock
from daemon.config.opinion import key_of, keys_of, opinion_of
from daemon.config.values import Config, ServerConfig
from daemon.core.agreement import (
    AGREED,
    UNCOMPARED,
    Disagreement,
    Opinion,
    differing_on,
    disagreement,
    in_words,
    of_those_that_act,
    store_key,
)
from daemon.core.shares import Member
from daemon.log import get_logger
from daemon.state import SharesSeen

log = get_logger()


HEARD_SECONDS = 30.0
"""After how long without a look at the others their opinions count as unknown."""

CONSEQUENCE = "nothing is deleted there, and so no backup is made where the panel's limit is full"


class Agreeing:
    """This member's `opinion`, and where others that act differ from it; `since` is None while they agree."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._config: Config | None = None
        self._others: Mapping[Member, Opinion | None] = {}
        self._where: Disagreement = AGREED
        self._heard_at = float("-inf")
        self.opinion = Opinion.of({})
        self.since: datetime | None = None

    def follow(self, config: Config) -> None:
        """Go by a configuration from now on."""
        self._config, self.opinion = config, opinion_of(config)
        self._compare()

    def heard(self, seen: SharesSeen) -> None:
        """Take note of the others' opinions as they are now."""
        self._heard_at = self._clock.monotonic()
        acting = of_those_that_act(seen.opinions, seen.members, seen.held)
        others = {one: said for one, said in acting.items() if one != seen.me}
        if others != self._others:
            self._others = others
            self._compare()

    def disputed(self, server: ServerConfig, /, *stores: str) -> str:
        """Return why nothing may be deleted on a server, or of it in these stores; empty if it may."""
        if self._clock.monotonic() - self._heard_at > HEARD_SECONDS:
            return UNCOMPARED
        return differing_on(self._where, *keys_of(server), *map(store_key, stores))

    def in_words(self) -> str:
        """Return where members differ, by the names of servers; empty if they agree."""
        if not self._where:
            return ""
        named = {key_of(one): one.name for one in (self._config.servers.values() if self._config else ())}
        return in_words(self._where, named)

    def _compare(self) -> None:
        """Find out where others would decide differently, and say so when that begins or ends."""
        self._where = disagreement([self.opinion, *self._others.values()])
        if self._where and self.since is None:
            self.since = self._clock.now()
            log.warning("members_differ", text=self.in_words(), consequence=CONSEQUENCE)
        elif not self._where and self.since is not None:
            self.since = None
            log.info("members_agree", consequence="deletions go on")
