"""The way in: from files and environment to one `Config`, or a `ConfigError` with every mistake in them.

Each table is checked against its model by itself. What concerns several tables is checked only for those that are
valid, so that no mistake hides another and none is reported twice.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import SecretStr, ValidationError

from daemon.config.alerts import alert_configs
from daemon.config.cluster import cluster_config
from daemon.config.discover import check_discover, discover_config, discovers
from daemon.config.drills import drill_configs
from daemon.config.errors import ConfigError, ConfigIssue, shown
from daemon.config.files import state_line
from daemon.config.http import http_config
from daemon.config.keys import find_key, key_place
from daemon.config.kinds import NAME
from daemon.config.match import Match, match_servers
from daemon.config.models import AlertTable, DrillTable, PanelTable, StoreTable
from daemon.config.policy import check_policy, policy_config
from daemon.config.policy_tables import PolicyTable, ServerTable
from daemon.config.proof import proof_config
from daemon.config.sources import main_file, read_sources
from daemon.config.state import state_folder
from daemon.config.stores import spool_size, store_configs
from daemon.config.table import Table
from daemon.config.translate import refuse_all
from daemon.config.tree import Tree
from daemon.config.values import Config, PanelConfig, PolicyConfig, ServerConfig, StatePlace, StoreConfig
from daemon.core.addresses import is_clear

READINGS = 3

_Table = TypeVar("_Table", bound=Table)


def load(
    path: Path | None, environ: Mapping[str, str], *, need_servers: bool = True, need_panels: bool = True
) -> Config:
    """Given the file from the command line, if any, and the environment, return the configuration.

    Raises ConfigError with all problems at once. `need_servers=False` is for commands that run before there is a server
    to configure; `need_panels=False` for those that look at nothing but the state and the stores, as after a loss: no
    secret of panels, alerts and HTTP is read, and no panel need be configured. If a file changes while it is read (a
    ConfigMap is swapped, a tool is writing), all are read again.
    """
    for _ in range(READINGS):
        tree = read_sources(path, environ, need_servers=need_servers and need_panels, need_panels=need_panels)
        try:
            config = _config(tree, environ, need_servers=need_servers, need_panels=need_panels)
        except ConfigError:
            if not tree.has_changed():
                raise
        else:
            if not tree.has_changed():
                return config
    reason, suggestion = "a file of the configuration changes while it is read", "reload once that has ended"
    raise ConfigError([ConfigIssue(str(main_file(path, environ)), "", None, reason, suggestion)])


def _config(tree: Tree, environ: Mapping[str, str], *, need_servers: bool, need_panels: bool) -> Config:
    """Given all that was written, return the configuration; raises ConfigError."""
    state_dir = state_folder(environ, tree)
    panel_tables = _valid("panels", PanelTable, tree)
    policy_tables = _valid("policies", PolicyTable, tree)
    panels = _panels(panel_tables, environ, tree, need_keys=need_panels)
    for name, table in policy_tables.items():
        check_policy(("policies", name), table, tree)
    server_tables = _valid("servers", ServerTable, tree)
    alerts = alert_configs(_valid("alerts", AlertTable, tree), environ, tree) if need_panels else {}
    stores = store_configs(_valid("stores", StoreTable, tree), environ, tree)
    spool = spool_size(tree)
    matches = match_servers(server_tables, panel_tables, policy_tables, tree)
    followed = check_discover(panel_tables, policy_tables, tree)
    http = http_config(environ, tree) if need_panels else None
    proof = proof_config(tree)
    drills = drill_configs(_valid("drills", DrillTable, tree), tree)
    cluster = cluster_config(environ, tree)
    if need_panels:
        _refuse_too_little(tree, need_servers=need_servers)
    if tree.problems:
        raise ConfigError(tree.problems)
    policies = {name: policy_config(name, table, stores) for name, table in policy_tables.items()}
    discover = {
        name: discover_config(panel.discover, policies[followed[name]])
        for name, panel in panel_tables.items()
        if panel.discover
    }
    return Config(
        state_dir=state_dir,
        spool=spool,
        panels=MappingProxyType(panels),
        policies=MappingProxyType(policies),
        servers=MappingProxyType({match.server: _server(match, panels, policies, stores, tree) for match in matches}),
        files=tuple(tree.files),
        warnings=tuple(tree.warnings),
        http=http,
        alerts=MappingProxyType(alerts),
        discover=MappingProxyType(discover),
        stores=MappingProxyType(stores),
        proof=proof,
        drills=MappingProxyType(drills),
        cluster=cluster,
    )


def remembered_state(path: Path | None, environ: Mapping[str, str]) -> StatePlace:
    """Given a refused configuration, return where it keeps the state, if that can be found out: a daemon that keeps the
    previous configuration has its journal there.
    """
    tree = read_sources(path, environ, need_servers=False)
    if tree.main not in tree.files and (named := state_line(tree.main)) is not None:
        tree.values["state_dir"] = named
    return cluster_config(environ, tree) or state_folder(environ, tree)


def _valid(section: str, model: type[_Table], tree: Tree) -> dict[str, _Table]:
    """Return the valid tables of a section."""
    valid = {}
    for name, table in tree.values[section].items():
        if not NAME.fullmatch(name):
            tree.refuse((section, name), "a name is made of a-z, 0-9 and -, and begins with no -")
        try:
            valid[name] = model.model_validate(table)
        except ValidationError as error:
            refuse_all(error, (section, name), tree)
    return valid


def _panels(
    tables: Mapping[str, PanelTable], environ: Mapping[str, str], tree: Tree, *, need_keys: bool
) -> dict[str, PanelConfig]:
    """Return the panels that can be used, with an empty key each where none is needed."""
    panels = {}
    for name, table in tables.items():
        if is_clear(table.url) and not table.allow_http:
            reason = "http would send the key in the clear"
            tree.refuse(("panels", name, "url"), reason, "write https, or allow_http = true", value=shown(table.url))
        api_key = find_key(name, table, environ, tree) if need_keys else SecretStr("")
        if api_key is not None:
            panels[name] = PanelConfig(
                name,
                table.url,
                api_key,
                table.backups_per_node,
                table.api_reserve,
                all_servers=table.servers == "all",
                clear_links=table.allow_http or table.url.startswith("http:"),
                key_from=key_place(name, table, environ, tree) if need_keys else "",
            )
    return panels


def _server(
    match: Match,
    panels: Mapping[str, PanelConfig],
    policies: Mapping[str, PolicyConfig],
    stores: Mapping[str, StoreConfig],
    tree: Tree,
) -> ServerConfig:
    policy = policies[match.policy] if match.own is None else policy_config(match.policy, match.own, stores)
    return ServerConfig(match.server, match.id, panels[match.panel], policy, tree.origin(("servers", match.server)))


def _refuse_too_little(tree: Tree, *, need_servers: bool) -> None:
    """Refuse a configuration without panels or servers: nothing would be backed up, and nobody would notice."""
    if any("." not in problem.key for problem in tree.problems):
        return  # a whole file, section or variable is wrong, and with it most likely what is missing
    spoken_of = {problem.key.partition(".")[0] for problem in tree.problems}
    found = discovers(tree.values["panels"])
    needed = ("panels", "policies", *(() if found else ("servers",))) if need_servers else ("panels",)
    for section in needed:
        if not tree.values[section] and section not in spoken_of:
            tree.refuse(
                (section,), f"there are no {section}", f"write [{section}.NAME], or let `ptero-backupd init` do it"
            )
