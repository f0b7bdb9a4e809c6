"""A file name from a backup's name, which anybody with access to the server may have chosen. Pure.

What must hold: it is one component, never hidden, never an option, never longer than a file system allows, and no two
backups of one list get the same one.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from daemon.core.model import Backup

ENDING = ".tar.gz"
LONGEST = 200  # bytes; file systems take 255, and the ending, a uuid's beginning and ".part" come on top
_SEPARATORS = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))


def file_names(backups: Sequence[Backup]) -> dict[str, str]:
    """Given all backups of a server, return a file name for each, by uuid; equal names get the uuid's beginning."""
    plain = {backup.uuid: _plain(backup) for backup in backups}
    times = Counter(name.casefold() for name in plain.values())
    return {
        uuid: (name if times[name.casefold()] == 1 else f"{name}-{uuid[:8]}") + ENDING for uuid, name in plain.items()
    }


def _plain(backup: Backup) -> str:
    """Return the backup's name as far as it can be part of a file name; its uuid if nothing is left."""
    name = unicodedata.normalize("NFC", backup.name).translate(_SEPARATORS)
    name = " ".join("".join(character if character.isprintable() else " " for character in name).split())
    name = name.removesuffix(ENDING).lstrip(".-~ ")
    name = name.encode("utf-8", "ignore")[:LONGEST].decode("utf-8", "ignore").rstrip(". ")
    return name or backup.uuid
