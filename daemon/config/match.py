"""Which panel a server is on and which policy it follows, and what can be wrong between the three.

A server names its panel and its policy, or there is only one. The server's own keys replace the policy's, each the
whole value.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.config.errors import did_you_mean, shown
from daemon.config.models import PanelTable
from daemon.config.policy import check_policy
from daemon.config.policy_tables import PolicyTable, ServerIdentity
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import same_server
from daemon.core.names import LONGEST_NAME, Template

_SECTIONS = {"panel": "panels", "policy": "policies"}


@dataclass(frozen=True, slots=True)
class Match:
    """A server with its panel's name, its policy's name, and the policy's table with the server's own keys; None for
    the table if it has no key of its own.
    """

    server: str
    id: str
    panel: str
    policy: str
    own: PolicyTable | None


def match_servers(
    servers: Mapping[str, ServerIdentity],
    panels: Mapping[str, PanelTable],
    policies: Mapping[str, PolicyTable],
    tree: Tree,
) -> list[Match]:
    """Return the matches of all valid tables; each other server gets its problem."""
    matches = []
    addresses = {}
    for name, written in tree.values["servers"].items():
        # What it refers to is looked up even where another of its keys is wrong.
        panel, policy = (chosen(key, ("servers", name, key), written.get(key), tree) for key in ("panel", "policy"))
        if (server := servers.get(name)) is None:
            continue
        if panel:
            addresses[name] = panels[panel].url.lower() if panel in panels else panel
        if policy in policies:
            own = _overridden(name, server, policies[policy], tree)
            matches.append(Match(name, server.id, panel, policy, own))
    _refuse_duplicates(servers, addresses, tree)
    return matches


def chosen(key: str, path: KeyPath, name: object, tree: Tree) -> str:
    """Return the panel or policy that the key at `path` names, or the only one; "", with a problem, if there is
    neither.
    """
    known = list(tree.values[_SECTIONS[key]])
    if name in known:
        return str(name)
    if name is None and len(known) == 1:
        return str(known[0])
    if tree.partly_unread:
        return ""
    if isinstance(name, str):
        tree.refuse(path, f"there is no such {key}", did_you_mean(name, known), value=shown(name))
    elif name is None and known:
        tree.refuse(path, f"is required, since there is more than one {key}", f"name one of {', '.join(known)}")
    return ""


def _overridden(name: str, server: ServerIdentity, policy: PolicyTable, tree: Tree) -> PolicyTable | None:
    """Return the policy's table as it applies to this server; None if it applies unchanged."""
    overrides = server.overrides()
    own = policy.model_copy(update=overrides) if overrides else None
    if own is not None:
        check_policy(("servers", name), own, tree)
    length = Template.parse((own or policy).name).longest_length(name)
    if length > LONGEST_NAME:
        reason = f"would name backups in {length} characters, and panels take {LONGEST_NAME}"
        tree.refuse(("servers", name, "name"), reason, "shorten the template or the server's name")
    return own


def _refuse_duplicates(servers: Mapping[str, ServerIdentity], addresses: Mapping[str, str], tree: Tree) -> None:
    """Refuse a server that is configured twice: it would be rotated twice. An identifier is the beginning of its
    server's uuid.
    """
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, address in addresses.items():
        identifier = servers[name].id
        others = alike[address, identifier[:8]]
        for other in others:
            if identifier.startswith(servers[other].id) or servers[other].id.startswith(identifier):
                tree.problems.append(same_server(name, identifier, other, tree.origin(("servers", name))))
                break
        others.append(name)
