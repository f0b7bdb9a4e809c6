"""What is configured for each server and store, for the members of a cluster to compare (`core/agreement`).

Discovered servers are compared by the table that finds them: each member learns of them when it looks at the panel, and
after its start knows of none. No key and no address of a store is in it, not even hashed.
"""

from collections.abc import Iterable

from daemon.config.values import Config, DiscoverConfig, PanelConfig, PolicyConfig, ServerConfig, StoreConfig
from daemon.core.agreement import Opinion, discover_key, server_key, store_key
from daemon.core.digest import hashed


def opinion_of(config: Config) -> Opinion:
    """Return the opinion of a member with that configuration."""
    servers = _of_servers(one for one in config.servers.values() if not one.discovered)
    found = {discover_key(name): _of_discovery(config.panels[name], one) for name, one in config.discover.items()}
    stores = {store_key(one.name): _of_store(one) for one in config.stores.values()}
    return Opinion.of({**servers, **found, **stores})


def key_of(server: ServerConfig) -> str:
    """Return the key by which all members know a server."""
    return server_key(server.panel.url, server.id)


def keys_of(server: ServerConfig) -> tuple[str, ...]:
    """Return all keys on which members must agree to delete anything of a server.

    One that is discovered here may be configured at another member.
    """
    found = (discover_key(server.panel.name),) if server.discovered else ()
    return key_of(server), *found


def _of_servers(servers: Iterable[ServerConfig]) -> dict[str, str]:
    known: dict[int, str] = {}  # thousands of servers share a few policies

    def rules(policy: PolicyConfig) -> str:
        if id(policy) not in known:
            known[id(policy)] = hashed(repr(policy))
        return known[id(policy)]

    return {key_of(one): hashed(f"{one.panel.name}\n{one.name}\n{rules(one.policy)}") for one in servers}


def _of_discovery(panel: PanelConfig, discover: DiscoverConfig) -> str:
    return hashed(repr((panel.url, discover.selection, discover.policy)))


def _of_store(store: StoreConfig) -> str:
    return hashed(repr((store.rules, store.max_deletions, store.object_lock)))
