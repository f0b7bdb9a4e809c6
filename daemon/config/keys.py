"""A panel's key, checked before a panel refuses it. `secret` finds it; no message shows it."""

from collections.abc import Mapping

from pydantic import SecretStr

from daemon.config.models import PanelTable
from daemon.config.secret import Place, credential_file, find_secret
from daemon.config.tree import KeyPath, Tree, dotted, variable

_PREFIXES = ("ptlc_", "pacc_")
_APPLICATION_PREFIXES = ("ptla_", "papp_")
_ACCOUNT = "make a client API key in the panel under Account, API Credentials"


def find_key(name: str, panel: PanelTable, environ: Mapping[str, str], tree: Tree) -> SecretStr | None:
    """Given a panel's table, return its key; None, with a problem, if there is none that could work."""
    place = Place(("panels", name, "api_key"), "key", "no key for this panel")
    found = find_secret(place, panel.api_key, panel.api_key_file, environ, tree)
    return _checked(*found, tree) if found else None


def key_place(name: str, panel: PanelTable, environ: Mapping[str, str], tree: Tree) -> str:
    """Return in words where `find_key` found a panel's key."""
    path = ("panels", name, "api_key")
    if panel.api_key is not None:
        return f"${variable(path)}"
    if (credential := credential_file(path, environ)) is not None:
        return f"the credential {credential}"
    file = ("panels", name, "api_key_file")
    return f"{dotted(file)}, {tree.resolved(file, panel.api_key_file or '')}"


def _checked(key: str, path: KeyPath, tree: Tree) -> SecretStr | None:
    """Return the key if a panel could accept it; the panel's own answers would not say what is wrong."""
    if not key:
        tree.refuse(path, "the key is empty", _ACCOUNT)
    elif key.startswith(_APPLICATION_PREFIXES):
        tree.refuse(path, "this is an application key, which the panel's client API refuses", _ACCOUNT)
    elif any(character <= " " or character > "~" for character in key):
        tree.refuse(path, "the key holds a space or another character that no key has", "write the key alone")
    else:
        if not key.startswith(_PREFIXES):
            tree.warn(path, f"the key begins with neither {' nor '.join(_PREFIXES)}; is it whole?")
        return SecretStr(key)
    return None
