"""What a configuration says of each server and store, for the members of a cluster to compare (`core/agreement`).

No key and no address of a store is in it, not even hashed.
"""

from collections.abc import Iterable

from daemon.config.values import Config, PolicyConfig, ServerConfig, StoreConfig
from daemon.core.agreement import Opinion, hashed, server_key, store_key


def opinion_of(config: Config) -> Opinion:
    """Return what a whole configuration says."""
    stores = {store_key(one.name): _of_store(one) for one in config.stores.values()}
    return Opinion.of({**_of_servers(config.servers.values()), **stores})


def opinion_on(servers: Iterable[ServerConfig]) -> Opinion:
    """Return what is configured for these servers alone."""
    return Opinion.of(_of_servers(servers))


def key_of(server: ServerConfig) -> str:
    """Return what all members call a server."""
    return server_key(server.panel.url, server.id)


def _of_servers(servers: Iterable[ServerConfig]) -> dict[str, str]:
    known: dict[int, str] = {}  # thousands of servers share a few policies

    def rules(policy: PolicyConfig) -> str:
        if id(policy) not in known:
            known[id(policy)] = hashed(repr(policy))
        return known[id(policy)]

    return {key_of(one): hashed(f"{one.panel.name}\n{one.name}\n{rules(one.policy)}") for one in servers}


def _of_store(store: StoreConfig) -> str:
    return hashed(repr((store.rules, store.max_deletions, store.object_lock)))
