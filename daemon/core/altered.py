"""What panels are known to make of a name: some keep a backup's name otherwise than it was asked for.

They lower-case it, write it in another normal form of Unicode, strip or replace what is no plain character, escape it
as HTML, or cut it where a character takes four bytes. What all of that leaves alone are the ASCII letters and digits,
apart from their case, and in their order: a name with its time to the second in it is known by them.

What must hold: a name is taken for one that was asked for only if its time is still in it, since what is taken for
ours may be deleted some day.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from daemon.core.model import Backup
from daemon.core.names import Template

_TIME = re.compile(r"\d{8}t\d{6}z")
_BEYOND_BMP = re.compile(r"[\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z0-9 ._-]*")
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")


def altered(asked: str, kept: str) -> bool:
    """Return whether a panel could have made `kept` of the name that it was asked for, without losing its time."""
    if kept == asked or not has_time(kept):
        return False
    whole, cut = _bare(asked), _bare(_BEYOND_BMP.split(asked)[0])
    return not _bare(kept).isdisjoint(whole | cut)


def has_time(name: str) -> bool:
    """Return whether a moment to the second is in the name, in whatever case: else nothing tells it from another's."""
    return _TIME.search(name.lower()) is not None


def find_named(backups: Iterable[Backup], asked: str) -> list[Backup]:
    """Return the backups of that name; where there is none, those that a panel could have named so instead."""
    rows, name = tuple(backups), asked.strip()  # the panel trims it
    exact = [backup for backup in rows if backup.name == name]
    return exact or [backup for backup in rows if altered(name, backup.name)]


def unsafe_characters(template: Template) -> str:
    """Return what of a template's fixed text some panel alters, each character once; empty where nothing."""
    fixed = (character for part in _PLACEHOLDER.split(template.text) for character in part)
    return "".join(dict.fromkeys(character for character in fixed if not _PLAIN.fullmatch(character)))


@lru_cache(maxsize=1024)
def _bare(name: str) -> frozenset[str]:
    """Return the ASCII letters and digits of a name in lower case: as it is, and with what is composed taken apart."""
    import html  # noqa: PLC0415 — its table of entities takes half a MiB, and most panels alter no name

    text = html.unescape(name)
    return frozenset(
        "".join(character for character in form.lower() if character.isascii() and character.isalnum())
        for form in (text, unicodedata.normalize("NFD", text))
    )
