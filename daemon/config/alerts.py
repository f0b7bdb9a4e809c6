"""The receivers of alerts and their addresses, which are as secret as keys. No message shows one."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from pydantic import SecretStr

from daemon.config.errors import did_you_mean, shown
from daemon.config.models import AlertTable
from daemon.config.secret import Place, find_secret
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import PLACEHOLDERS, AlertConfig
from daemon.core.addresses import is_clear
from daemon.core.alerting import Event
from daemon.core.words import that_installs

_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")


def alert_configs(tables: Mapping[str, AlertTable], environ: Mapping[str, str], tree: Tree) -> dict[str, AlertConfig]:
    """Return the receivers of the valid tables; each other table gets its problem."""
    found = {name: _receiver(name, table, environ, tree) for name, table in tables.items()}
    return {name: receiver for name, receiver in found.items() if receiver is not None}


def check_names(path: KeyPath, tree: Tree) -> None:
    """Refuse policies and servers that name receivers which do not exist."""
    section, name = path
    known = tree.values["alerts"]
    for receiver in tree.values[section][name].get("alerts", ()):
        if receiver not in known and not tree.partly_unread:
            tree.refuse(
                (*path, "alerts"), "there is no such receiver", did_you_mean(receiver, known), value=shown(receiver)
            )


def _receiver(name: str, table: AlertTable, environ: Mapping[str, str], tree: Tree) -> AlertConfig | None:
    path = ("alerts", name)
    if table.type == "ping" and "events" in table.model_fields_set:
        tree.refuse((*path, "events"), "a ping reports every start, success and failure", "leave it out")
    if table.type == "apprise" and find_spec("apprise") is None:
        tree.refuse((*path, "type"), "Apprise is not installed", that_installs("apprise"))
    found = find_secret(Place((*path, "url"), "address", "no address"), table.url, table.url_file, environ, tree)
    if found is None:
        return None
    url, where = found
    reason = _mistake(url, table)
    if reason is not None:
        tree.refuse(where, *reason)
        return None
    return AlertConfig(name, table.type, SecretStr(url), frozenset(map(Event, table.events)))


def _mistake(url: str, table: AlertTable) -> tuple[str, str] | None:
    """Return what is wrong with an address and what would be right, without showing it."""
    if not re.fullmatch(r"[a-zA-Z][\w+.-]*://\S+", url) or not url.isprintable():
        return "the address cannot be read as one", "it begins with https://, or with a scheme that Apprise knows"
    if table.type == "apprise":
        return None
    return _web_mistake(url) or _clear_mistake(url, table) or _placeholder_mistake(url, table)


def _web_mistake(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 — reading it is the check
    except ValueError:
        return "the address cannot be read as one", ""
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        return "must be an https address", 'for any other kind of address there is type = "apprise"'
    return None


def _clear_mistake(url: str, table: AlertTable) -> tuple[str, str] | None:
    if is_clear(url) and not table.allow_http:
        return "http would send the address in the clear", "write https, or allow_http = true"
    return None


def _placeholder_mistake(url: str, table: AlertTable) -> tuple[str, str] | None:
    if table.type != "ping":
        return None
    fixed = _PLACEHOLDER.sub("", url)
    if "{" in fixed or "}" in fixed or "{" in urlsplit(url).netloc:
        known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
        return "holds a placeholder that there is not, or one in its host", f"known are {known}, after the host"
    return None
