"""How much may wait on a disk for slow stores, and where: plain values, which the daemon sends to whoever copies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.config.values import Config


@dataclass(frozen=True, slots=True)
class SpoolRoom:
    """Where a pass may put what waits: into the first of these folders that can be used, so many bytes at most.

    So many bytes of their disks are `reserved`: a copy that is being made has to find room there too.
    """

    folders: tuple[Path, ...] = ()
    bytes: int = 0
    reserved: int = 0

    @property
    def folder(self) -> Path | None:
        """The first folder; None where nothing may be put on a disk."""
        return self.folders[0] if self.folders and self.bytes else None

    def parted(self, stores: int) -> "SpoolRoom":
        """Return one store's share of the room."""
        return replace(self, bytes=self.bytes // max(1, stores))

    def beside(self, folders: Sequence[Path], size: int) -> "SpoolRoom":
        """Return it for a pass that writes a file of that size to each of these folders, which come first."""
        return replace(self, folders=(*folders, *self.folders), reserved=size if folders else 0)


NO_ROOM = SpoolRoom()


def spool_room(config: Config) -> SpoolRoom:
    """Return what a configuration gives: its state folder, behind the folders of stores."""
    return SpoolRoom((config.state_dir,) if config.state_dir else (), config.spool or 0)
