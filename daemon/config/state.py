"""Where the journal and the locks are kept: the configured folder, the one that systemd made, or the user's state
folder.
"""

from collections.abc import Mapping
from pathlib import Path

from daemon.config.errors import shown
from daemon.config.tree import Tree

_PATH = ("state_dir",)


def state_folder(environ: Mapping[str, str], tree: Tree) -> Path | None:
    """Return the state folder, whether it exists or not; None for "none" or, with a problem, if none is known."""
    configured = tree.values["state_dir"]
    if configured is None:
        return _given(environ, tree)
    if configured == "none":
        return None
    if not isinstance(configured, str) or not configured:
        tree.refuse(_PATH, "must be the path of a folder", 'or "none"', value=shown(configured))
        return None
    try:
        return tree.resolved(_PATH, configured)
    except ValueError as error:
        tree.refuse(_PATH, str(error), value=shown(configured))
        return None


def _given(environ: Mapping[str, str], tree: Tree) -> Path | None:
    """Return the first of systemd's folders, else the user's own by the XDG base directories."""
    if folder := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(folder)
    state_home, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if Path(state_home).is_absolute():
        return Path(state_home, "ptero-backupd")
    if Path(home).is_absolute():
        return Path(home, ".local/state/ptero-backupd")
    tree.refuse(_PATH, "no state folder is known, since there is no $HOME", 'set it, "none" for no state')
    return None
