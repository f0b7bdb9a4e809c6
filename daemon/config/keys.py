"""A panel's key: found in the first of three places, held as a secret, and looked at before a panel refuses it.

The places, in order: $PTERO_BACKUPD_PANELS__NAME__API_KEY, the systemd credential "panels.NAME.api_key", and
`api_key_file`. A key is never an argument of a command and never in the configuration file. No message shows one.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from daemon.config.models import PanelTable
from daemon.config.tree import KeyPath, Tree, dotted, variable

_LONGEST_FILE = 64 * 1024
_PREFIXES = ("ptlc_", "pacc_")
_APPLICATION_PREFIXES = ("ptla_", "papp_")
_ACCOUNT = "make a client API key in the panel under Account, API Credentials"


def find_key(name: str, panel: PanelTable, environ: Mapping[str, str], tree: Tree) -> SecretStr | None:
    """Given a panel's table, return its key; None, and a problem, where there is none that could work."""
    direct, in_file = ("panels", name, "api_key"), ("panels", name, "api_key_file")
    if tree.refused(direct):
        return None
    if panel.api_key is not None:
        return _checked(panel.api_key.get_secret_value(), direct, tree)
    credential = _credential(dotted(direct), environ)
    if credential is not None:
        return _from_file(credential, direct, tree)
    if panel.api_key_file is None:
        tree.refuse(in_file, "no key for this panel", f"name a file that holds it, or set {variable(direct)}")
        return None
    try:
        file = tree.resolved(in_file, panel.api_key_file)
    except ValueError as error:
        tree.refuse(in_file, str(error))
        return None
    _warn_of_readers(file, in_file, tree)
    return _from_file(file, in_file, tree)


def _credential(name: str, environ: Mapping[str, str]) -> Path | None:
    """The file in which systemd passes a credential of this name, where it does."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, name) if folder else None
    return file if file and os.path.lexists(file) else None


def _from_file(file: Path, path: KeyPath, tree: Tree) -> SecretStr | None:
    """The key in a file's first line."""
    try:
        with file.open("rb") as stream:
            text = stream.read(_LONGEST_FILE).decode()
    except OSError as error:
        tree.refuse(path, f"the key file {file} cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        tree.refuse(path, f"the key file {file} does not hold UTF-8 text")
    else:
        return _checked(text.strip().partition("\n")[0], path, tree)
    return None


def _warn_of_readers(file: Path, path: KeyPath, tree: Tree) -> None:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return  # reading it will say so
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        tree.warn(path, f"others can read or change {file} (mode {mode:04o}); chmod 600 it")


def _checked(key: str, path: KeyPath, tree: Tree) -> SecretStr | None:
    """The key, if a panel could accept it; the panel's own answers would not say what is wrong."""
    key = key.strip()
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
