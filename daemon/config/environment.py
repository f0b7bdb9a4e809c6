"""The environment: PTERO_BACKUPD_SECTION__NAME__KEY for every key.

A key's parts are joined by two underscores. Names hold no underscore, so one in a variable's NAME is a hyphen in the
configuration: …SERVERS__MY_SERVER__ID is servers.my-server.id. The key is matched at the variable's end, so that even a
name with two hyphens in a row has exactly one reading. Tables and lists are given whole, as JSON.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from daemon.config.errors import ENVIRONMENT, ConfigIssue, closest
from daemon.config.kinds import AsJson
from daemon.config.models import SECRETS, SECTIONS, TABLES, Document
from daemon.config.quotes import QUOTED, UNQUOTE, in_quotes
from daemon.config.table import Table
from daemon.config.tree import PREFIX, KeyPath, Tree, variable

FILE_VARIABLE = "PTERO_BACKUPD_CONFIG"
# What Kubernetes and Docker set for a service or a container of this name, and the file's own variable.
_FOREIGN = re.compile(r"(.*_)?(SERVICE_|PORT).*|CONFIG", re.DOTALL)
_WHOLE = {"keep": "3", "discover": '"…"', "prove": '"…"'}  # the tables within tables, with a value to show
_PARTS = "parts are joined by two underscores, such as PTERO_BACKUPD_SERVERS__MY_SERVER__ID"


def read_environment(environ: Mapping[str, str], tree: Tree) -> dict[str, Any]:
    """Given the environment, return what it configures, nested as a file is."""
    values: dict[str, Any] = {}
    seen: dict[KeyPath, str] = {}
    for name, text in sorted(environ.items()):
        path = _path(name, tree) if _is_ours(name) else None
        if path is None:
            continue
        if path in seen:
            _refuse(tree, name, f"sets the same key as {seen[path]}", "remove one of them")
        elif not _is_text(text):
            _refuse(tree, name, "does not hold UTF-8 text")
        else:
            seen[path] = name
            _put(path, _decoded(path, _unquoted(path, text, name, tree)), values, tree)
    return values


def _is_ours(name: str) -> bool:
    rest = name.upper().removeprefix(PREFIX)
    # A link variable has no two underscores in a row: a server may be called portal, and its section misspelt.
    return rest != name.upper() and ("__" in rest or not _FOREIGN.fullmatch(rest))


def _is_text(text: str) -> bool:
    """Return whether the value is valid UTF-8: Python holds other bytes as lone surrogates, which cannot be printed."""
    return not re.search(r"[\ud800-\udfff]", text)


def _refuse(tree: Tree, name: str, reason: str, suggestion: str = "") -> None:
    # Never with the value: a misspelt …API_KEY holds a key all the same.
    name = name.encode("utf-8", "backslashreplace").decode()
    tree.problems.append(ConfigIssue(ENVIRONMENT, name, None, reason, suggestion))


def _path(name: str, tree: Tree) -> KeyPath | None:
    """Return the key that a variable sets; None, with a problem, if there is no such key."""
    rest = name[len(PREFIX) :].lower()
    section, _, tail = rest.partition("__")
    if rest in Document.model_fields and rest not in SECTIONS and rest not in TABLES:
        return (rest,)
    if section in TABLES and tail in TABLES[section].model_fields:
        return (section, tail)
    if section in SECTIONS and tail:
        for key in SECTIONS[section].model_fields:
            if tail.endswith(f"__{key}"):
                return (section, tail.removesuffix(f"__{key}").replace("_", "-"), key)
    _refuse(tree, name, "no such key", _meant(section, tail))
    return None


def _meant(section: str, tail: str) -> str:
    """Return the existing variable that is nearest to an unknown one."""
    nearest_section = closest(section, Document.model_fields)
    if nearest_section in TABLES:
        nearest_key = closest(tail, TABLES[nearest_section].model_fields)
        return f"did you mean {variable((nearest_section, nearest_key))}?" if nearest_key else _PARTS
    if nearest_section not in SECTIONS:
        return f"did you mean {variable((nearest_section,))}?" if nearest_section else _PARTS
    name, _, key = tail.rpartition("__")
    table, _, rule = name.rpartition("__")
    if rule in _WHOLE:
        return (
            f"a table is set whole, as JSON: {variable((nearest_section, table, rule))}='{{\"{key}\": {_WHOLE[rule]}}}'"
        )
    nearest_key = closest(key, SECTIONS[nearest_section].model_fields)
    if not name or not nearest_key:
        return _PARTS
    return f"did you mean {variable((nearest_section, name, nearest_key))}?"


def _put(path: KeyPath, value: object, values: dict[str, Any], tree: Tree) -> None:
    _say_over_file(path, tree)
    *tables, key = path
    for table in tables:
        values = values.setdefault(table, {})
    values[key] = value
    tree.origins[path] = ENVIRONMENT
    tree.origins.setdefault(path[:2], ENVIRONMENT)


def _unquoted(path: KeyPath, text: str, name: str, tree: Tree) -> str:
    """Return the text without quotes around it, which are a problem of their own; JSON text may have them."""
    inner = in_quotes(text)
    if inner is None or (_is_json(path) and isinstance(_json(inner), str | None)):
        return text
    _refuse(tree, name, QUOTED, UNQUOTE)
    return inner


def _say_over_file(path: KeyPath, tree: Tree) -> None:
    """Warn if a file sets the key too, or defines the policy, server or store that the variable changes.

    No file shows a forgotten variable, and its `keep` may delete more than the one that is read there. Secrets belong
    in the environment.
    """
    if path[-1] in SECRETS.get(path[0], ()):
        return
    file = tree.origins.get(path)
    table = tree.origins.get(path[:2]) if path[0] in {"policies", "servers", "stores"} else None
    if (file or table) not in {None, ENVIRONMENT}:
        where = f"over {file}" if file else f"and not by {table}"
        tree.warn(path, f"is set by the environment ({variable(path)}), {where}")


def _decoded(path: KeyPath, text: str) -> object:
    """Return text as it is, or JSON if the key is not text; the model refuses what is not JSON."""
    value = _json(text) if _is_json(path) else None
    return text if value is None else value


def _is_json(path: KeyPath) -> bool:
    model: type[Table] = {**SECTIONS, **TABLES}[path[0]] if len(path) > 1 else Document
    return any(part is AsJson for part in model.model_fields[path[-1]].metadata)


def _json(text: str) -> object:
    """Return what the text holds as JSON; None if it is not JSON."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # JSON can hold lone surrogates, which nothing could print
    except (ValueError, RecursionError):
        return None
    return value
