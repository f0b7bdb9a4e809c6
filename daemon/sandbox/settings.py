"""The panel of the sandbox itself: which software it is, what its administrator set, and what state it is in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo
from enum import StrEnum


class Kind(StrEnum):
    """Which software the panel is."""

    PTERODACTYL = "pterodactyl"
    PELICAN = "pelican"


class Digest(StrEnum):
    """The algorithm of the nodes' checksums."""

    SHA1 = "sha1"
    SHA256 = "sha256"


@dataclass(slots=True)
class Settings:
    """What an administrator can set on a panel, and the state that the panel as a whole is in.

    `kind` is what it is; `pelican` gives the settings of a new one of that kind, to which `name_limit` 255 and
    `deleted_count` False belong. `creation_limit` 0 switches the creation throttle off. `housekeeping` is after how
    many seconds the panel marks a stuck backup as failed, None where it never does. A token for a console holds for
    `socket_token_seconds`; `socket_limit` 0 gives as many as are asked for. `skew` is how far the panel's clock is
    ahead. `zulu` writes times with a `Z`. `locale` is the language of its refusals, `checksum` what its nodes sum
    backups with, and `maintenance_retry` the seconds of `down --retry`. `alter` is what it makes of a backup's name
    before it keeps it, None where it keeps it as it is; `echo` has the create answer with the name that was asked for.
    """

    kind: Kind = Kind.PTERODACTYL
    api_limit: int = 720
    creation_limit: int = 2
    creation_seconds: int = 600
    restore_limit: int = 0
    restore_seconds: int = 900
    pull_limit: int = 10
    pull_seconds: int = 300
    socket_limit: int = 0
    socket_seconds: int = 60
    socket_token_seconds: float = 600.0
    name_limit: int = 191
    deleted_count: bool = True
    housekeeping: float | None = None
    skew: timedelta = timedelta(0)
    zone: tzinfo = UTC
    zulu: bool = False
    locale: str = "en"
    checksum: Digest = Digest.SHA1
    alter: Callable[[str], str] | None = None
    echo: bool = False
    maintenance: bool = False
    maintenance_retry: int | None = None
    database_down: bool = False
    web_down: bool = False


def pelican() -> Settings:
    """Return the settings of a new Pelican."""
    return Settings(
        kind=Kind.PELICAN,
        api_limit=256,
        restore_limit=3,
        pull_limit=5,
        pull_seconds=600,
        socket_limit=5,
        name_limit=255,
        deleted_count=False,
    )
