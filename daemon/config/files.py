"""The TOML files: the main one and conf.d/*.toml beside it.

An entry belongs to one file: if two define it, neither silently wins. Only the shape is checked here.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from daemon.config.disk import REPLACED, is_replaced, read_text
from daemon.config.errors import ConfigIssue, did_you_mean, shown
from daemon.config.models import SECRETS, SECTIONS, TABLES, Document
from daemon.config.tree import KeyPath, Tree, variable

_STATE_LINE = re.compile(r"""^state_dir\s*=\s*(["'])(.*?)\1""", re.MULTILINE)
_LARGEST = 16 * 2**20  # ten thousand servers, each with keys of its own, are 4 MiB


def read_files(tree: Tree) -> dict[str, Any]:
    """Read the main file, if it exists, and those beside it; return what they hold together."""
    values: dict[str, Any] = {}
    for file in (tree.main, *_beside(tree)):
        if (document := _document(file, tree)) is not None:
            tree.files.append(file)
            if is_replaced(file):
                tree.warnings.append(f"{file} {REPLACED}")
            _add(document, str(file), values, tree)
    return values


def _beside(tree: Tree) -> list[Path]:
    """Return the files of conf.d in the order of their names, without hidden ones, which editors leave behind."""
    folder = tree.main.parent / "conf.d"
    try:
        # glob() would say nothing of a folder that cannot be read, and all its servers would silently be gone.
        files = sorted(folder / file.name for file in tree.look_at(folder).iterdir())
    except (OSError, ValueError) as error:
        if not isinstance(error, FileNotFoundError) or folder.is_symlink():
            tree.problems.append(ConfigIssue(str(folder), "", None, f"cannot be read: {_why(error)}"))
        return []
    return [file for file in files if file.suffix == ".toml" and not file.name.startswith(".")]


def _document(file: Path, tree: Tree) -> dict[str, Any] | None:
    """Return one file's content; None if there is none to check. The caller decides whether that is a mistake."""
    try:
        return tomllib.loads(read_text(tree.look_at(file), _LARGEST))
    except FileNotFoundError:
        if file == tree.main:
            return None
        reason = "there is no such file"  # a link in conf.d that leads nowhere
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        reason = f"not valid TOML: no UTF-8 text at line {line}"
    except tomllib.TOMLDecodeError as error:
        reason = f"not valid TOML: {str(error)[:1].lower()}{str(error)[1:]}"
    except RecursionError:
        reason = "not valid TOML: nested too deeply"
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {_why(error)}"
    tree.problems.append(ConfigIssue(str(file), "", None, reason))
    return None


def state_line(file: Path) -> str | None:
    """Return what a file that is not valid TOML says of `state_dir`, if that line can be found."""
    try:
        found = _STATE_LINE.search(read_text(file, _LARGEST))
    except (OSError, ValueError):
        return None
    return found[2] if found else None


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _add(document: dict[str, Any], file: str, values: dict[str, Any], tree: Tree) -> None:
    """Add one file's entries to those of the files before it."""
    for key, value in document.items():
        if key not in Document.model_fields:
            tree.refuse((key,), "unknown key", did_you_mean(key, Document.model_fields), file=file)
        elif key in TABLES:
            _add_table(key, value, file, values, tree)
        elif key not in SECTIONS:
            if _first_definition((key,), file, tree):
                values[key] = value
        elif isinstance(value, dict):
            _add_entries(key, value, file, values.setdefault(key, {}), tree)
        else:
            tree.refuse((key,), "must hold tables", f"such as [{key}.NAME]", value=shown(value), file=file)


def _add_table(key: str, value: object, file: str, values: dict[str, Any], tree: Tree) -> None:
    """Add a table of which there is only one."""
    if not isinstance(value, dict):
        tree.refuse((key,), "must be a table", f"such as [{key}]", file=file)
    elif _first_definition((key,), file, tree):
        tree.origins |= {(key, inner): file for inner in value}
        values[key] = _without_secret((key,), value, tree)


def _add_entries(section: str, entries: dict[str, Any], file: str, values: dict[str, Any], tree: Tree) -> None:
    for name, table in entries.items():
        path = (section, name)
        if not isinstance(table, dict):
            # No value: a line such as `panels.api_key = "…"` ends up here.
            tree.refuse(path, "must be a table", f"such as [{section}.NAME]", file=file)
        elif _first_definition(path, file, tree):
            tree.origins |= {(*path, key): file for key in table}
            values[name] = _without_secret(path, table, tree)


def _without_secret(path: KeyPath, table: dict[str, Any], tree: Tree) -> dict[str, Any]:
    """Return a table without its secrets, which must not be in it: such files are shown, copied and committed."""
    secrets = SECRETS.get(path[0], ())
    for secret in secrets:
        if secret in table:
            suggestion = f"put it alone into a file of mode 0600 for {secret}_file, or set {variable((*path, secret))}"
            noun = secret.removeprefix("api_").replace("_", " ")
            tree.refuse((*path, secret), f"{_article(noun)} does not belong in the configuration file", suggestion)
    return {key: value for key, value in table.items() if key not in secrets}


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _first_definition(path: KeyPath, file: str, tree: Tree) -> bool:
    first = tree.origins.setdefault(path, file)
    if first != file:
        tree.refuse(path, f"already defined in {first}", "an entry belongs to one file: remove one of them", file=file)
    return first == file
