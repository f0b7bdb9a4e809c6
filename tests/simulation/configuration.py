"""The configuration file of a run: what stands in it, what stood in it when, and how it is read.

A policy that was in force also says the `url` of its panel, since that decides what may be deleted as well.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon.config.load import load
from daemon.config.values import Config
from tests.simulation.scenario import Scenario, toml
from tests.simulation.stores.scenario import StoreTable

KEYS = ("ptlc_EXAMPLE_of_the_simulation", "ptlc_EXAMPLE_after_a_change")
HOOK = "https://hooks.example.com/EXAMPLE-of-the-simulation"
URLS = ("https://panel.example.com", "https://panel.example.org")
"""Two addresses of one panel."""

Policy = Mapping[str, Any]


class Configuration:
    """What is configured. `policies` are by server, None for one that is not configured; `known` keeps what those had
    before. `clock` tells the moment of a change.
    """

    def __init__(self, scenario: Scenario, folder: Path, clock: Callable[[], float]) -> None:
        self._scenario = scenario
        self._file = folder / "config.toml"
        self._state = folder / "state"
        self._clock = clock
        self._ids: dict[str, str] = {}
        self._read: dict[tuple[str, str], Config] = {}
        self._changes: dict[str, list[tuple[float, Policy | None]]] = {}
        self.key, self.url = KEYS[0], URLS[0]
        self.known: dict[str, Policy] = {spec.name: spec.policy for spec in scenario.servers}
        self.policies: dict[str, Policy | None] = dict(self.known)
        self.stores: dict[str, StoreTable] = dict(scenario.stores.tables)
        self._store_changes = {name: [(0.0, table)] for name, table in self.stores.items()}

    def begin(self, uuids: Mapping[str, str]) -> None:
        """Write the first file, once the panel has given the servers their uuids."""
        self._ids = {name: uuid[:8] for name, uuid in uuids.items()}
        self._changes = {name: [(0.0, self.current_config(name))] for name in self.policies}
        self.write()

    def current_config(self, name: str) -> Policy | None:
        """A server's policy now."""
        policy = self.policies.get(name)
        return None if policy is None else {**policy, "url": self.url}

    def between(self, name: str, since: float, until: float) -> Sequence[Any]:
        """Every policy of a server that was in force between the two moments, None where it was not configured."""
        changes = self._changes[name]
        before = [policy for at, policy in changes if at <= since]
        return [*before[-1:], *(policy for at, policy in changes if since < at <= until)]

    def change(self, policies: Mapping[str, Policy | None], *, key: str | None = None, url: str | None = None) -> None:
        """Change what is configured, and write it."""
        self.key, self.url = key or self.key, url or self.url
        self.policies = {**self.policies, **policies}
        self.known |= {name: policy for name, policy in self.policies.items() if policy is not None}
        for name, changes in self._changes.items():
            if changes[-1][1] != self.current_config(name):
                changes.append((self._clock(), self.current_config(name)))
        self.write()

    def change_store(self, name: str, table: StoreTable) -> None:
        """Change what is configured of a store; whoever calls this then writes the file, by `change`."""
        self.stores[name] = table
        self._store_changes[name].append((self._clock(), table))

    def stores_between(self, name: str, since: float, until: float) -> Sequence[StoreTable]:
        """Every table of a store that was in force between the two moments."""
        changes = self._store_changes[name]
        before = [table for at, table in changes if at <= since]
        return [*before[-1:], *(table for at, table in changes if since < at <= until)]

    def write(self) -> None:
        """Write the file as it should be."""
        held = {name: policy for name, policy in self.policies.items() if policy is not None}
        self._file.write_text(
            toml(self._scenario, held, self._ids, url=self.url, state=str(self._state), stores=self.stores)
        )

    def spoil(self, text: str) -> None:
        """Write something else into the file."""
        self._file.write_text(text)

    def read(self) -> Config:
        """Read it as the daemon does; what was read before is known."""
        text = self._file.read_text()
        if (text, self.key) not in self._read:
            self._read[text, self.key] = self._load()
        return self._read[text, self.key]

    def _load(self) -> Config:
        secrets = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": self.key, "PTERO_BACKUPD_ALERTS__PEOPLE__URL": HOOK}
        for name in (name for name, table in self.stores.items() if "object_lock" in table):
            of_store = f"PTERO_BACKUPD_STORES__{name.upper()}__"
            secrets |= {f"{of_store}ACCESS_KEY_ID": "AKIAEXAMPLE", f"{of_store}SECRET_ACCESS_KEY": "EXAMPLE"}
        return load(self._file, secrets)
