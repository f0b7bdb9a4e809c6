"""A valid configuration: frozen values, compared by value.

A reload compares a `ServerConfig` with the previous one: if they are equal, the server is not disturbed. Nothing here
reads a file or the environment, and a key is only ever held as a `SecretStr`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from daemon.config.errors import ConfigIssue
from daemon.core.alerting import Event
from daemon.core.calendar import Schedule, Starts
from daemon.core.discover import Selection
from daemon.core.drills import DrillRules
from daemon.core.model import Scope
from daemon.core.names import Ownership, Template
from daemon.core.proof_due import ProofRules, Quiet
from daemon.core.retention import Retention
from daemon.core.store_rules import StoreRules
from daemon.stores.values import StoreSettings

PLACEHOLDERS = ("panel", "policy", "server")


@dataclass(frozen=True, slots=True)
class PanelConfig:
    """One panel, and its key. `url` has no trailing slash. `reserve` is the share of the API limit that is left to
    people, from 0 to under 1. `all_servers` asks for every server of the panel, as an administrator may. `clear_links`
    allows plain http for a download's link, if the panel itself uses it or an operator allows it. `key_from` says in
    words where the key comes from, and is not compared.
    """

    name: str
    url: str
    api_key: SecretStr
    backups_per_node: int
    reserve: float
    all_servers: bool = False
    clear_links: bool = False
    key_from: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """When to back up, under what name, and what to keep; for a server, with its own keys put in place.

    `alerts` are the names of the receivers, None for all. `copies` are the names of the stores that are copied to.
    Those of `copy_before_delete` must have a good backup before it is deleted. `uncopied_may_go` lets one go without
    where the panel's limit is reached, and `unverified_counts` lets a copy count that the panel gave no checksum for.
    `prove` says what is proven; None if nothing is.
    """

    name: str
    schedule_text: str
    schedule: Schedule
    zone: ZoneInfo
    splay: timedelta
    scope: Scope
    template: Template
    also_own: tuple[Template, ...]
    ignored: tuple[str, ...]
    retention: Retention
    timeout: timedelta
    max_deletions: int
    max_share: float
    node_hold: timedelta
    alerts: tuple[str, ...] | None = None
    copies: tuple[str, ...] = ()
    copy_before_delete: tuple[StoreRules, ...] = ()
    uncopied_may_go: bool = False
    unverified_counts: bool = False
    prove: ProofRules | None = None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. `id` is the 8-character identifier or the full uuid, in lower case. `file` is where the server was
    defined (or "environment"), and is not compared. `discovered` says that nobody configured it.
    """

    name: str
    id: str
    panel: PanelConfig
    policy: PolicyConfig
    file: str = field(default="", compare=False)
    discovered: bool = False

    @property
    def ownership(self) -> Ownership:
        """Which names this server's policy made, now and under its earlier templates."""
        return Ownership((self.policy.template, *self.policy.also_own), self.name)

    @property
    def identifier(self) -> str:
        """The first 8 characters of its uuid, known without a panel, whichever of both `id` is."""
        return self.id[:8]

    def stands_for(self, panel: str, uuid: str) -> bool:
        """Return whether its name stands for the server of that uuid on the panel of that name; it may have stood for
        another one before.
        """
        return panel == self.panel.name and uuid.startswith(self.identifier)

    def is_same_server(self, other: "ServerConfig | None") -> bool:
        """Return whether both are of one server; None is of none. Its id may have either form, and its panel another
        address or another name than before, but not both.
        """
        if other is None:
            return False
        same_panel = self.panel.url == other.panel.url or self.panel.name == other.panel.name
        return same_panel and (self.id.startswith(other.id) or other.id.startswith(self.id))

    @property
    def starts(self) -> Starts:
        """When its rotations start. The splay depends on the identifier."""
        return Starts(self.policy.schedule, self.policy.zone, self.policy.splay, self.identifier)


@dataclass(frozen=True, slots=True)
class DiscoverConfig:
    """Which servers of a panel are covered without being configured one by one, how, and how often to look."""

    selection: Selection
    policy: PolicyConfig
    every: timedelta


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where the daemon answers HTTP. `hosts` are the names that it answers to, besides localhost and plain addresses;
    `token` is None if none is needed; `external_url` is where people find the page, or empty.
    """

    host: str
    port: int
    hosts: frozenset[str]
    token: SecretStr | None
    external_url: str = ""


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """One receiver of alerts. A ping's `url` can hold PLACEHOLDERS in braces, and its `events` are not used."""

    name: str
    type: Literal["ping", "webhook", "apprise"]
    url: SecretStr
    events: frozenset[Event]


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """One store of copies: how it is reached, what it takes and keeps, and for whom its copies are encrypted.

    Pruning deletes at most `max_deletions` copies of a server at once; -1: any number. Each copy is locked for
    `object_lock`, and this is renewed while the rules keep it; None: nothing is locked.
    """

    settings: StoreSettings
    rules: StoreRules
    recipients: tuple[str, ...] = ()
    max_deletions: int = 10
    object_lock: timedelta | None = None

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.rules.name


@dataclass(frozen=True, slots=True)
class ProofConfig:
    """How many bytes are read a day for proofs, None for any number, and when none are."""

    per_day: int | None = None
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class DrillConfig:
    """Restores of backups of the servers `sources`, in turn, onto the spare server `server`; both are names.

    The daemon drills once in `every`; never by itself if that is None. With `start` the spare server is started, must
    run for `watch`, and must show `console` meanwhile, unless that is None.
    """

    name: str
    server: str
    sources: tuple[str, ...]
    start: bool
    watch: timedelta
    every: timedelta | None = None
    console: str | None = None

    @property
    def rules(self) -> DrillRules:
        """When it is due, and with whose backup."""
        return DrillRules(self.name, self.server, self.sources, self.every)


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The PostgreSQL database that the members of a cluster share, and who this member is. `url` holds a password.

    A member that has not renewed its lease for `lease` may be replaced by another.
    """

    url: SecretStr
    member: str
    lease: timedelta


StatePlace = Path | ClusterConfig | None
"""Where the state is kept: in a folder, in a cluster's database, or with the process alone."""


def place_name(place: StatePlace) -> str:
    """Return what to call it, without its address."""
    return "the cluster's database" if isinstance(place, ClusterConfig) else str(place or "this process")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `state_dir` is None for "none". `files` are those read, the main one first. `warnings`
    are sentences for the operator about what is allowed but unwise. `http` is None if the daemon answers no HTTP,
    `cluster` if this daemon is alone. `spool` is how many bytes
    may wait on a disk for slow stores; None for none.
    """

    state_dir: Path | None
    panels: Mapping[str, PanelConfig]
    policies: Mapping[str, PolicyConfig]
    servers: Mapping[str, ServerConfig]
    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    http: HttpConfig | None = None
    alerts: Mapping[str, AlertConfig] = field(default_factory=dict)
    discover: Mapping[str, DiscoverConfig] = field(default_factory=dict)
    stores: Mapping[str, StoreConfig] = field(default_factory=dict)
    spool: int | None = None
    proof: ProofConfig = field(default_factory=ProofConfig)
    drills: Mapping[str, DrillConfig] = field(default_factory=dict)
    cluster: ClusterConfig | None = None

    @property
    def state(self) -> StatePlace:
        """Where the state is kept."""
        return self.cluster or self.state_dir

    @property
    def drilled(self) -> frozenset[str]:
        """The servers whose backups any drill tries."""
        return frozenset(name for one in self.drills.values() for name in one.sources)


def keeping(config: Config, before: Config) -> Config:
    """Given a configuration and the previous one, return it with the previous server objects where they are equal.

    The fleet then sees by identity what changed. Comparing ten thousand servers takes a tenth of a second, which nobody
    has to wait for if this runs in a thread.
    """
    return replace(config, servers={name: _kept(before.servers.get(name), one) for name, one in config.servers.items()})


def _kept(before: ServerConfig | None, now: ServerConfig) -> ServerConfig:
    return before if before is not None and before == now and before.file == now.file else now


def duplicates(config: Config, uuids: Mapping[str, str]) -> tuple[ConfigIssue, ...]:
    """Given the panel's uuid of each server by its configured name, return a problem for each server that is configured
    a second time: two rotations of one server would undo each other. Names not in `uuids` are ignored.
    """
    by_uuid: defaultdict[str, list[ServerConfig]] = defaultdict(list)
    for name, server in config.servers.items():
        if uuid := uuids.get(name):
            by_uuid[uuid.lower()].append(server)
    return tuple(
        same_server(again.name, again.id, first.name, again.file)
        for first, *others in by_uuid.values()
        for again in others
    )


def same_server(name: str, identifier: str, first: str, file: str) -> ConfigIssue:
    """Return the problem of a server that is configured under two names."""
    return ConfigIssue(
        file,
        f"servers.{name}.id",
        f'"{identifier}"',
        f"the same server as servers.{first}",
        "a server is configured once: remove one of the two",
    )
