"""Which backup a person means: its uuid, a beginning of it, its name, or `latest`.

What must hold: what could mean two backups means none, since the choice may be followed by a restore or a deletion.
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from daemon.core.model import Backup
from daemon.core.words import first_few
from daemon.errors import UsageError

LATEST = "latest"
"""The word for the newest good backup."""

SHORTEST_BEGINNING = 4
"""The fewest characters of a uuid that name a backup."""

_SHOWN = 5


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
