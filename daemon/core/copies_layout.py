"""Where a copy lies in a store: the keys of its data and of its manifest, made and read back.

    PANEL/SERVER-UUID/20260401T040000Z_BACKUP-UUID.tar.gz[.age]          the data
    PANEL/SERVER-UUID/20260401T040000Z_BACKUP-UUID.tar.gz[.age].json     its manifest, written last

What must hold: a key that is not ours to the letter is never recognised, since what is recognised may be deleted; and
the names of one server sort by the age of its backups.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from daemon.core.model import Backup
from daemon.core.units import compact

_PANEL = r"[a-z0-9][a-z0-9-]*"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TIME = r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z"
_FOLDER = re.compile(rf"({_PANEL})/({_UUID})/")
_KEY = re.compile(rf"({_PANEL})/({_UUID})/{_TIME}_({_UUID})\.tar\.gz(\.age)?(\.json)?")

MANIFEST = ".json"
"""What a manifest's key has behind that of its data."""


@dataclass(frozen=True, slots=True)
class CopyName:
    """The name of one copy; `created_at` is the backup's own, in UTC and to the second. Made by `of` or `read_key`."""

    panel: str
    server: str
    created_at: datetime
    backup: str
    encrypted: bool = False

    @classmethod
    def of(cls, panel: str, server: str, backup: Backup, *, encrypted: bool = False) -> Self:
        """Name the copy of a backup of the server with that uuid; ValueError for what could not be read back."""
        if backup.created_at is None:
            raise ValueError(f"backup {backup.uuid} has no date, so that its copy cannot be named")
        moment = backup.created_at.astimezone(UTC).replace(microsecond=0)
        name = cls(panel, server.lower(), moment, backup.uuid.lower(), encrypted)
        if _KEY.fullmatch(name.data) is None:
            raise ValueError(f'"{name.data}" cannot be the key of a copy: a panel\'s name or a uuid is none')
        return name

    @property
    def data(self) -> str:
        """The key of the data."""
        ending = ".age" if self.encrypted else ""
        return f"{folder_of(self.panel, self.server)}{compact(self.created_at)}_{self.backup}.tar.gz{ending}"

    @property
    def manifest(self) -> str:
        """The key of the manifest."""
        return self.data + MANIFEST


def folder_of(panel: str, server: str) -> str:
    """Return what the keys of all copies of the server with that uuid begin with."""
    return f"{panel}/{server}/"


def read_folder(text: str) -> tuple[str, str] | None:
    """Return the panel and the server's uuid of a folder that `folder_of` made; None for any other."""
    found = _FOLDER.fullmatch(text)
    return None if found is None else (found[1], found[2])


def read_key(key: str) -> tuple[CopyName, bool] | None:
    """Return the copy that a key belongs to, and whether it is its manifest's; None for a key that is not ours."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    panel, server, *time, backup, age, manifest = found.groups()
    try:
        moment = datetime(*map(int, time), tzinfo=UTC)  # type: ignore[arg-type, misc]  # six numbers
    except ValueError:
        return None
    return CopyName(panel, server, moment, backup, age is not None), manifest is not None
