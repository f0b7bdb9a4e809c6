"""How an archive is brought onto a server, and what a caller does between the steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.core.files import ArchiveIndex
from daemon.errors import ProblemCode
from daemon.operations.archive import ReadResult
from daemon.operations.target import TargetFiles
from daemon.operations.ways import Way
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result


class Stages:
    """What a caller does between the steps of a restore, while the server's lock is held. What it raises ends it.

    `needs` are the permissions on the server that it takes for that.
    """

    needs: frozenset[str] = frozenset()

    async def reads(self, found: ReadResult) -> None:
        """The archive was read to its end, and is right in itself. Nothing was touched so far.

        Raises Halt for a backup that lacks what the one before it has, such as a world: nobody was asked.
        """
        if found.lacks:
            raise Halt(Result.REFUSED, lacking(found.lacks))

    async def puts(self, index: ArchiveIndex | None) -> None:
        """The archive lies on the server, and is unpacked next. All else was deleted, if that was asked for."""

    async def ends(self, target: TargetFiles) -> None:
        """All files are there, and are as in the archive."""


@dataclass(frozen=True, slots=True)
class OntoOptions:
    """How to bring it. `truncate` deletes the server's files first; `into` is the folder to unpack in ("/": its own).

    `stop` stops the server's process; `safety` makes a backup of what is there before anything is deleted; `read` reads
    the archive first. `spare_only` refuses a server whose description does not carry the mark of drills.
    `stages` hears how far it is.
    """

    ways: Sequence[Way]
    truncate: bool = False
    into: str = "/"
    stop: bool = False
    safety: bool = True
    read: bool = True
    spare_only: bool = False
    stages: Stages = field(default_factory=Stages)


def lacking(lacks: Sequence[str]) -> Problem:
    """Return why a backup that lacks what the one before it has is not restored unasked."""
    text = f"nothing was restored, since the backup lacks what the one before it has: {'; '.join(lacks)}"
    hint = "if that was taken away on purpose: `ptero-backupd prove accept`; or restore an older backup"
    return Problem(ProblemCode.NOT_SANE, text, hint)
