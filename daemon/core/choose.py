"""Which backup a person means: its uuid, a beginning of it, its name, or `latest`; or, to read it alone, its date.

What must hold: what could mean two backups means none, since the choice may be followed by a restore or a deletion. A
date means the newest of several, and is not for these.
"""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from daemon.core.model import Backup
from daemon.core.units import to_zone
from daemon.core.words import first_few
from daemon.errors import UsageError

LATEST = "latest"
"""The word for the newest good backup."""

SHORTEST_BEGINNING = 4
"""The fewest characters of a uuid that name a backup."""

_SHOWN = 5
_DATE = re.compile("[0-9]{4}-[0-9]{2}(-[0-9]{2}([ T][0-9]{2}(:[0-9]{2})?)?)?")


def choose(backups: Sequence[Backup], good: Collection[str], wanted: str) -> Backup:
    """Given all backups of a server, newest first, and the uuids of the good ones, return the one that is wanted.

    `wanted` is a full uuid, a unique beginning of one (4 characters or more), an exact name, or `latest`, the newest
    good one. UsageError where that is none or several; its hint names the candidates.
    """
    found = _matches(backups, good, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f'"{wanted}" could be {len(found)} backups', hint=f"write the uuid: {_listed(found)}")
    if wanted == LATEST:
        raise UsageError("there is no good backup")
    raise UsageError(f'no backup "{wanted}"', hint=_advice(backups, wanted))


def is_date(text: str) -> bool:
    """Return whether it is a date, or the beginning of a moment, that is at least a month; no uuid begins so."""
    return _DATE.fullmatch(text) is not None


def choose_by_date(backups: Sequence[Backup], good: Collection[str], wanted: str, zone: ZoneInfo) -> Backup:
    """Given all backups of a server, newest first, and the uuids of the good ones, return the newest one made on that
    date in the zone, or in that month, hour or minute: a good one, if there is any.

    UsageError where none was made then; its hint names when some were.
    """
    beginning = wanted.replace("T", " ")
    made = [(_minute(one, zone), one) for one in backups]
    then = [one for minute, one in made if minute.startswith(beginning)]
    if not then:
        near = list(dict.fromkeys(minute[:10] for minute, _ in made if minute))
        raise UsageError(f"no backup was made on {wanted} ({zone.key})", hint=f"there are: {first_few(near, _SHOWN)}")
    return next((one for one in then if one.uuid in good), then[0])


def _minute(backup: Backup, zone: ZoneInfo) -> str:
    """Return when a backup was made, to the minute; empty if that is not known."""
    return "" if backup.created_at is None else f"{to_zone(backup.created_at, zone):%Y-%m-%d %H:%M}"


def _matches(backups: Sequence[Backup], good: Collection[str], wanted: str) -> list[Backup]:
    """Return every backup that could be meant; a full uuid can mean only one."""
    beginning = wanted.lower()
    if whole := [backup for backup in backups if backup.uuid.lower() == beginning]:
        return whole
    latest = next((backup for backup in backups if backup.uuid in good), None) if wanted == LATEST else None
    long_enough = len(wanted) >= SHORTEST_BEGINNING
    return [
        backup
        for backup in backups
        if backup is latest or backup.name == wanted or (long_enough and backup.uuid.lower().startswith(beginning))
    ]


def _advice(backups: Sequence[Backup], wanted: str) -> str:
    """Return what could have been meant instead."""
    if not backups:
        return "the server has no backups"
    if len(wanted) < SHORTEST_BEGINNING and any(backup.uuid.lower().startswith(wanted.lower()) for backup in backups):
        return f"write at least {SHORTEST_BEGINNING} characters of the uuid"
    near = get_close_matches(wanted, [backup.name for backup in backups], n=_SHOWN)
    meant = [backup for backup in backups if backup.name in near]
    return f"did you mean {_listed(meant)}?" if meant else f"the newest are {_listed(backups)}"


def _listed(backups: Sequence[Backup]) -> str:
    """Return the first few by uuid and name."""
    return first_few([f"{backup.uuid} ({backup.name})" for backup in backups], _SHOWN)
