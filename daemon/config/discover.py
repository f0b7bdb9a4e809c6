"""Discovery's configuration: `[panels.NAME.discover]`, checked against the policies.

Servers that nobody has looked at may only follow a policy that deletes nothing but what it named itself.
"""

from collections.abc import Mapping
from typing import Any

from daemon.config.match import chosen
from daemon.config.models import DiscoverTable, PanelTable
from daemon.config.policy_tables import PolicyTable
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import DiscoverConfig, PolicyConfig
from daemon.core.discover import Pattern, Selection
from daemon.core.names import LONGEST_NAME, Template
from daemon.core.units import parse_duration

_IDENTIFIER = "0" * 8  # as long as each is


def discovers(panels: Mapping[str, Any]) -> bool:
    """Return whether any of these panels, as written, has discovery."""
    return any(isinstance(panel, dict) and panel.get("discover") is not None for panel in panels.values())


def check_discover(panels: Mapping[str, PanelTable], policies: Mapping[str, PolicyTable], tree: Tree) -> dict[str, str]:
    """Return, for each panel's valid table, the policy of its discovered servers; any other gets its problem."""
    followed = {}
    for name, panel in panels.items():
        if panel.discover is None:
            continue
        path = ("panels", name, "discover", "policy")
        policy = chosen("policy", path, panel.discover.policy, tree)
        if policy in policies:
            _check_policy(path, policy, policies[policy], tree)
            followed[name] = policy
    return followed


def _check_policy(path: KeyPath, name: str, policy: PolicyTable, tree: Tree) -> None:
    if policy.scope != "own":
        reason = f'policies.{name} has scope "{policy.scope}", and nobody has looked at what it would delete'
        tree.refuse(path, reason, 'name a policy of scope "own", or configure the servers one by one')
    if Template.parse(policy.name).longest_length(_IDENTIFIER) > LONGEST_NAME:
        tree.refuse(path, f"policies.{name} would name backups longer than panels take", "shorten its name")


def discover_config(table: DiscoverTable, policy: PolicyConfig) -> DiscoverConfig:
    """Given a valid table, return its values."""
    selection = Selection(tuple(map(Pattern.parse, table.match)), tuple(map(Pattern.parse, table.exclude)))
    return DiscoverConfig(selection, policy, parse_duration(table.every))
