"""Whose copies are meant: a server of the configuration, one that is discovered, or one that only the stores know.

No panel is asked, which may be gone: the catalogue tells of which servers copies were seen, and their manifests what
these were called. What must hold: a word that could mean two servers means none.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydantic import SecretStr

from daemon.cli.arguments import unknown
from daemon.cli.copies.places import shelves_of
from daemon.cli.ui.output import one_line, say
from daemon.config.policy import no_policy
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.core.choose import SHORTEST_BEGINNING
from daemon.core.words import first_few
from daemon.errors import UsageError
from daemon.state import Holding

Key = tuple[str, str]
"""A panel's name as the store has it, and a server's uuid."""

_SHOWN = 5


async def owners_in(config: Config, stores: Sequence[str]) -> "Owners":
    """Return the servers of which something was seen in these stores, and those configured; raises StateError."""
    seen = await shelves_of(config).everywhere()
    return Owners(config, stores, [one for one in seen if one.store in stores])


class Owners:
    """The servers that copies may be of."""

    def __init__(self, config: Config, stores: Sequence[str], seen: Sequence[Holding]) -> None:
        self._config = config
        self._stores = stores
        self._seen = seen
        keys = dict.fromkeys((one.panel, one.server_uuid) for one in seen if one.copies)
        self._known = _configured(config, keys)
        self._discovered = _discovered(config, [key for key in keys if key not in self._known])
        self._known |= self._discovered
        self._strangers = [key for key in keys if key not in self._known]

    @property
    def all(self) -> list[ServerConfig]:
        """The servers that are configured, and the discovered ones of which something was seen."""
        return [*self._config.servers.values(), *self._discovered.values()]

    async def named(self, names: Sequence[str]) -> list[ServerConfig]:
        """Return the servers of these names, each once, or `all` if none is named; raises as `one` does."""
        return [await self.one(name) for name in dict.fromkeys(names)] if names else self.all

    async def one(self, name: str) -> ServerConfig:
        """Return the server that is meant, by its name in the configuration, or else by its uuid, the beginning of one,
        or a name that its manifests tell; UsageError if that is none or several; raises StateError.

        A server of the configuration of which nothing was seen is sought among those that it lacks: it may have been
        another panel's, or that panel may have had another name.
        """
        server = self._config.servers.get(name)
        if server and any(one is server for one in self._known.values()):
            return server
        found = await self._sought(name, server)
        if len(found) > 1:
            several = [f"{panel}/{uuid}" for panel, uuid in found]
            text = f'"{name}" could be {len(found)} servers of which copies were seen'
            raise UsageError(text, hint=f"write one of {first_few(several, _SHOWN)}")
        if found:
            return self._known.get(found[0]) or await self._stranger(found[0], server)
        await self.say_lacking()
        if server is None:
            raise self._unknown(name)
        return server

    async def say_lacking(self) -> None:
        """Say of which servers copies were seen that the configuration lacks; raises StateError."""
        for text in await self.lacking():
            say(f"note: {text}")

    async def lacking(self) -> list[str]:
        """Return the same as sentences, one for each store and panel."""
        count: defaultdict[tuple[str, str], int] = defaultdict(int)
        servers: defaultdict[tuple[str, str], list[Key]] = defaultdict(list)
        strangers = set(self._strangers)
        for one in self._seen:
            if one.copies and (one.panel, one.server_uuid) in strangers:
                count[one.store, one.panel] += one.copies
                servers[one.store, one.panel].append((one.panel, one.server_uuid))
        return [
            f"{count[store, panel]} copies in {store} are of {self._lacks(panel)}; servers: {await self._words(keys)}"
            for (store, panel), keys in servers.items()
        ]

    def _lacks(self, panel: str) -> str:
        if panel in self._config.panels:
            return f"servers of panel `{panel}` that this configuration lacks"
        return f"panel `{panel}`, which this configuration lacks"

    async def _words(self, keys: Sequence[Key]) -> str:
        names = [f"{await self._name(key)} ({key[1][:8]})" for key in keys[:_SHOWN]]
        return first_few([*names, *(uuid for _, uuid in keys[_SHOWN:])], _SHOWN)

    async def _sought(self, word: str, server: ServerConfig | None) -> list[Key]:
        """Return the servers that could be meant: by their uuid, else by what they were called; in place of a `server`
        of the configuration only such that it lacks.
        """
        keys = self._strangers if server else [*self._known, *self._strangers]
        panel, slash, uuid = (word if server is None else server.id).lower().rpartition("/")
        long_enough = len(uuid) >= SHORTEST_BEGINNING
        same = [key for key in keys if long_enough and key[1].startswith(uuid) and (not slash or key[0] == panel)]
        return same or [key for key in keys if word.casefold() in map(str.casefold, await self._names(key))]

    async def _names(self, key: Key) -> list[str]:
        """Return what a server was called in the configuration and on its panel, the latest first."""
        names: dict[str, None] = {}
        for _, shelf in await shelves_of(self._config).known(self._stores, *key):
            for _, manifest in sorted(shelf.manifests.items(), reverse=True):
                names |= dict.fromkeys((manifest.server.name, manifest.server.title))
        return list(names)

    async def _name(self, key: Key) -> str:
        """Return what people call it: one that was discovered by what its panel called it."""
        identifier = key[1][:8]
        return one_line(next((name for name in await self._names(key) if name != identifier), identifier))

    async def _stranger(self, key: Key, server: ServerConfig | None) -> ServerConfig:
        """Return a server that the configuration lacks, under the name of the `server` that was asked for, if any, and
        say so. The rules of no policy hold for it.
        """
        panel, uuid = key
        name, policy = (server.name, server.policy) if server else (await self._name(key), no_policy())
        say(f"note: the copies of {name} ({uuid}) are of {self._lacks(panel)}")
        known = self._config.panels.get(panel) or PanelConfig(panel, "", SecretStr(""), backups_per_node=1, reserve=0.0)
        return ServerConfig(name, uuid, known, replace(policy, copies=(), copy_before_delete=()))

    def _unknown(self, name: str) -> UsageError:
        error = unknown("server", name, tuple(one.name for one in self.all))
        return UsageError(f"{error.text}, and no copy of one was seen", hint=error.hint)


def _configured(config: Config, keys: Iterable[Key]) -> dict[Key, ServerConfig]:
    """Return those of the servers that are configured, by uuid or by identifier."""
    servers = {(one.panel.name, one.id): one for one in config.servers.values()}
    found = {(panel, uuid): servers.get((panel, uuid)) or servers.get((panel, uuid[:8])) for panel, uuid in keys}
    return {key: server for key, server in found.items() if server is not None}


def _discovered(config: Config, keys: Sequence[Key]) -> Mapping[Key, ServerConfig]:
    """Return those of the servers that discovery covered when they were copied."""
    if not config.discover:
        return {}
    from daemon.fleet.discovery import discovered_before  # noqa: PLC0415 — it loads what speaks to a panel

    found = {key: discovered_before(config, *key) for key in keys}
    return {key: server for key, server in found.items() if server is not None}
