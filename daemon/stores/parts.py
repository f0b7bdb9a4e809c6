"""The name of an object while it is written, in stores that have files: beside its own name, and nobody else's.

Each write has a name of its own, so that what a killed one left never stands in the way of the next one.
"""

import re
import secrets

from daemon.stores.base import Unfinished
from daemon.stores.keys import PART, check_key, is_key

_ID_BYTES = 6
_NAME = re.compile(rf"(?P<key>.+)\.(?P<id>[0-9a-f]{{{2 * _ID_BYTES}}}){re.escape(PART)}", re.DOTALL)


def new_id() -> str:
    """Return what tells one write of a key from every other one."""
    return secrets.token_hex(_ID_BYTES)


def part_name(key: str, part_id: str) -> str:
    """Given a key, or its last segment, return what it is called while it is written."""
    return f"{key}.{part_id}{PART}"


def begun_name(begun: Unfinished) -> str:
    """Given what an engine found, return the name that it has; raises ValueError if that was never one of ours."""
    name = part_name(check_key(begun.key), begun.id)
    if read_part(name) != (begun.key, begun.id):
        raise ValueError(f"{begun.id!a} is no id of an unfinished object")
    return name


def read_part(name: str) -> tuple[str, str] | None:
    """Given a name, return the key that is written under it, and the id; None if it is no name of ours."""
    match = _NAME.fullmatch(name)
    return (match["key"], match["id"]) if match and is_key(match["key"]) else None
