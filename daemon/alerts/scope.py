"""Which servers and stores this daemon alerts on, and whether on the cluster: all of it, or its share; and what of that
goes over to another member when the shares change.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from daemon.alerts.copies import key_of
from daemon.alerts.message import CLUSTER
from daemon.config.values import Config, ServerConfig
from daemon.fleet.share import Share


@dataclass(frozen=True, slots=True)
class Scope:
    """What this daemon alerts on: its `servers`, and with `fleet` what is `common` to all members: the stores and the
    cluster, by the keys of their messages.

    `elsewhere` are the servers that other members alert on.
    """

    fleet: bool = True
    servers: Mapping[str, ServerConfig] = field(default_factory=dict)
    elsewhere: AbstractSet[str] = frozenset()
    common: AbstractSet[str] = frozenset()

    @classmethod
    def of(cls, config: Config, share: Share) -> "Scope":
        """Return the scope of a daemon with that share. Without a receiver it alerts on no server."""
        mine = share.config.servers
        return cls(
            share.fleet or share.last,
            mine if config.alerts else {},
            config.servers.keys() - mine.keys(),
            frozenset((*map(key_of, config.stores), *([CLUSTER] if config.cluster else []))),
        )

    def has(self, name: str) -> bool:
        """Return whether this member alerts on a server, or a store. What waits of servers that are not configured, or
        not discovered yet, is sent by the member that looks after the fleet.
        """
        return name in self.servers or (self.fleet and name not in self.elsewhere)


@dataclass(frozen=True, slots=True)
class HandOver:
    """What changes from one scope to the next.

    `gone` is no longer configured, `given` is left to another member, `taken` comes from one.
    """

    gone: AbstractSet[str]
    given: AbstractSet[str]
    taken: AbstractSet[str]

    @classmethod
    def between(cls, before: Scope, after: Scope, known: Collection[str]) -> "HandOver":
        """Return what changes; `known` is of what anything is remembered or waits."""
        left, came = before.servers.keys() - after.servers.keys(), after.servers.keys() - before.servers.keys()
        gives_fleet, takes_fleet = before.fleet and not after.fleet, after.fleet and not before.fleet
        given = {name for name in known if not after.has(name)} if gives_fleet else left & after.elsewhere
        taken = (came & before.elsewhere) | (after.common if takes_fleet else frozenset())
        return cls(left - after.elsewhere, given, taken)
