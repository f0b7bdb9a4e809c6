"""What this daemon acts for, as the rest of it is told."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NamedTuple

from daemon.config.values import Config
from daemon.core.shares import FLEET
from daemon.fleet.placement import Places


@dataclass(frozen=True, slots=True)
class Share:
    """What this daemon acts for: a configuration with its servers alone, and whether it looks after the whole fleet.

    `last` says that it acts for nothing, since it was sent out, and that nobody else is left who could tell that.
    """

    config: Config
    fleet: bool = True
    last: bool = False


class _PassedOn(NamedTuple):
    """The servers that the rest of the daemon acts for, and by what that was found: where all servers are, the parts
    that are ours, whether this member was sent out, and whether it is the last one then. Some only stay until what is
    under way for them has ended.
    """

    places: Places
    mine: frozenset[str]
    out: bool
    last: bool
    names: frozenset[str]
    staying: frozenset[str]


class PassingOn:
    """Calls `obey` with the whole configuration and the share whenever either changes."""

    def __init__(self, obey: Callable[[Config, Share], None]) -> None:
        self._obey = obey
        self._passed_on: _PassedOn | None = None

    def pass_on(
        self, places: Places, mine: frozenset[str], under_way: AbstractSet[str], *, out: bool, last: bool = False
    ) -> None:
        """Let the rest of the daemon know its share: where all servers are, the parts that are `mine`, for which of
        them anything is under way, and whether this member was sent `out`, and is the `last` one.

        The servers are gone through only if the share may have changed.
        """
        config, before = places.config, self._passed_on
        if before is None or before[:4] != (places, mine, out, last) or not before.staying <= under_way:
            self._passed_on = self._found(places, mine, under_way, out, last)
            names, fleet = self._passed_on.names, FLEET in mine
            if (
                before is None
                or before.places.config is not config
                or (before.names, FLEET in before.mine, before.last) != (names, fleet, last)
            ):
                servers = {name: one for name, one in config.servers.items() if name in names}
                self._obey(config, Share(replace(config, servers=servers), fleet, last))

    def _found(
        self, places: Places, mine: frozenset[str], under_way: AbstractSet[str], out: bool, last: bool
    ) -> _PassedOn:
        """Return which servers this member acts for; of those whose node is unknown, only what was looked for.

        One that has moved to another node stays until its rotation has ended. After this member was sent out, only
        those stay for which anything is under way.
        """
        ours = set() if out else {name for name in places.sought if places.part[name] in mine}
        was_ours = self._passed_on.names if self._passed_on else frozenset()
        staying = (was_ours & under_way & places.part.keys()) - ours
        return _PassedOn(places, mine, out, last, frozenset(ours | staying), frozenset(staying))
