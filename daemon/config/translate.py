"""pydantic's errors in an operator's words: what each kind means for somebody who writes TOML."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from daemon.config.errors import ENVIRONMENT, closest, did_you_mean, shown
from daemon.config.models import SECRETS, SECTIONS, TABLES, DiscoverTable
from daemon.config.policy_tables import KeepTable, ProveTable
from daemon.config.quotes import QUOTED, in_quotes
from daemon.config.tree import KeyPath, Tree
from daemon.core.addresses import masked

_WORDS = {
    "missing": "is required",
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}
_EXAMPLES = {
    "schedule": 'such as "0 4 * * *" or "every 6h"',
    "scope": 'scope = "own" deletes only what this policy named; "all" any unlocked backup',
    "keep": 'such as { last = 3, daily = 7, weekly = 4 }, or "all"',
    "url": 'such as "https://panel.example.com"',
    "id": "`ptero-backupd servers` shows it",
}

_ADDRESSES = {"url", "endpoint", "external_url"}


def refuse_all(error: ValidationError, path: KeyPath, tree: Tree) -> None:
    """Note every error in one table as a problem."""
    for detail in error.errors(include_url=False):
        key = _key(path, detail["loc"])
        match detail["type"]:
            case "extra_forbidden":
                # Without its value: a misspelt api_key holds a key all the same.
                tree.refuse(key, "unknown key", _meant(key))
            case "missing" if tree.origin(path) == ENVIRONMENT and path[0] in SECTIONS:
                _refuse_lack(key, path, detail, tree)
            case _:
                reason, suggestion = _words(detail)
                if isinstance(detail["input"], str) and in_quotes(detail["input"]) is not None:
                    suggestion = f"{QUOTED}: leave those inside out"
                tree.refuse(key, reason, suggestion, value=_value(detail, key))


def _refuse_lack(key: KeyPath, path: KeyPath, detail: ErrorDetails, tree: Tree) -> None:
    """Refuse a table that variables alone made and that lacks a key: most likely they meant one of a file."""
    section, name = path
    reason, suggestion = _words(detail)
    near = closest(name, [other for other in tree.values[section] if tree.origin((section, other)) != ENVIRONMENT])
    if not tree.partly_unread:
        tree.refuse(key, reason, f"did the variable mean {section}.{near}?" if near else suggestion)


def _meant(key: KeyPath) -> str:
    """Return the key that was meant by an unknown one: in its own table, or else in another kind of table."""
    section, word = key[0], key[-1]
    for table, model in (("keep", KeepTable), ("discover", DiscoverTable), ("prove", ProveTable)):
        if table in key[2:-1]:
            return did_you_mean(word, model.model_fields)
    known = _keys_of(section)
    if section in SECTIONS and not closest(word, known):
        for other in SECTIONS:
            if elsewhere := closest(word, _keys_of(other)):
                return f"did you mean {elsewhere}, a key of {other}?"
    return did_you_mean(word, known)


def _keys_of(section: str) -> list[str]:
    return [key for key in {**SECTIONS, **TABLES}[section].model_fields if key not in SECRETS.get(section, ())]


def _key(path: KeyPath, location: tuple[int | str, ...]) -> KeyPath:
    """Return the key that an error is about, without the tag that pydantic puts between `keep` and its rules."""
    if location[0] == "keep":
        location = ("keep", *location[2:])
    *tables, last = location
    if isinstance(last, int):  # an entry of a list is spoken of as its list
        *tables, last = tables
    return (*path, *map(str, tables), str(last))


def _value(detail: ErrorDetails, key: KeyPath) -> str | None:
    """Return what was written, but nothing, a table, or an address that may hold a password or be a secret as None."""
    value = detail["input"]
    private = {"panels": "@", "stores": "@", "alerts": "://"}.get(key[0])
    if detail["type"] == "missing" or isinstance(value, dict) or (private and private in str(value)):
        return None
    return shown(masked(value) if key[-1] in _ADDRESSES and isinstance(value, str) else value)


def _words(detail: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong and what would be right. The core's own errors say both in one."""
    kind, context, example = detail["type"], detail.get("ctx", {}), _EXAMPLES.get(str(detail["loc"][0]), "")
    if kind == "mistake":
        return context["reason"], context["suggestion"]
    if kind == "value_error":
        return str(context["error"]), ""
    if kind == "literal_error":
        choices = context["expected"].replace("'", '"')
        return f"must be {choices}" + (" or a table of rules" if detail["loc"][0] == "keep" else ""), example
    return (_WORDS[kind].format(**context) if kind in _WORDS else detail["msg"]), example
