"""The sources in their order: the environment takes precedence over the files.

A higher source replaces a key's whole value: a table such as `keep` is never merged with the one below. A missing file
is a problem, not an empty one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.config.discover import discovers
from daemon.config.environment import FILE_VARIABLE, read_environment
from daemon.config.errors import ConfigIssue
from daemon.config.files import read_files
from daemon.config.models import SECTIONS, TABLES
from daemon.config.quotes import QUOTED, UNQUOTE, in_quotes
from daemon.config.tree import Tree

DEFAULT_FILE = Path("/etc/ptero-backupd/config.toml")
_KEY_DEPTH = 3  # section, name, key


def _over(upper: dict[str, Any], lower: dict[str, Any], depth: int = _KEY_DEPTH) -> dict[str, Any]:
    """Return both trees in one: the upper one's keys replace the lower one's, tables down to `depth` are merged."""
    merged = {**lower, **upper}
    if depth > 1:
        for key in upper.keys() & lower.keys():
            if isinstance(lower[key], dict):
                merged[key] = _over(upper[key], lower[key], depth - 1)
    return merged


def read_sources(path: Path | None, environ: Mapping[str, str], *, need_servers: bool) -> Tree:
    """Given the file from the command line, if any, and the environment, return all that was written.

    The main file is `path`, else $PTERO_BACKUPD_CONFIG, else /etc/ptero-backupd/config.toml. Only the last may be
    missing, and only if the environment alone configures what is needed, as in a sidecar.
    """
    named = _named(path, environ)
    tree = Tree(main_file(path, environ))
    files = read_files(tree)
    environment = read_environment(environ, tree)
    enough = "servers" in environment or discovers(environment.get("panels", {})) or not need_servers
    sidecar = named is None and "panels" in environment and enough
    unread = tree.main not in tree.files and not any(problem.file == str(tree.main) for problem in tree.problems)
    if unread and not sidecar:
        tree.problems.append(_missing(tree.main))
    tree.values = {"state_dir": None} | {table: {} for table in (*SECTIONS, *TABLES)} | _over(environment, files)
    return tree


def main_file(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the main file, whether it exists or not."""
    return _named(path, environ) or DEFAULT_FILE


def _named(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    variable = environ.get(FILE_VARIABLE)
    return path or (Path(variable) if variable else None)


def _missing(file: Path) -> ConfigIssue:
    quoted = in_quotes(str(file)) is not None
    advice = f"{QUOTED}: {UNQUOTE}" if quoted else "`ptero-backupd init` writes a first one"
    return ConfigIssue(str(file), "", None, "there is no such file", advice)
