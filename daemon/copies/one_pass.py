"""One pass to all: a backup is fetched once, looked at on the way, and goes to each store as it comes.

A node's link can be read once, and always from the beginning. Where the stream breaks, the beginning that comes again
is compared with what the stores have already, and passed over: no upload is begun anew. What must hold (invariant 13):
where the file is not what the panel says no data gets its name, and no manifest is written.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from daemon.clock import Clock
from daemon.copies.branch import Branch, Target
from daemon.copies.errors import CopyError
from daemon.copies.feed import Feed
from daemon.copies.spool_room import SpoolRoom
from daemon.core.copies_layout import CopyName
from daemon.core.units import format_size
from daemon.errors import BackupdError
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected, Tally
from daemon.transfer.progress import ProgressListener
from daemon.transfer.threads import Beside, in_thread
from daemon.transfer.verify import ArchiveReader, VerifyResult

T = TypeVar("T")


class NoStoreLeftError(CopyError):
    """Every store of a pass has dropped out, so that the download is of no use."""


class FanOut:
    """The sink of one pass: sums up, walks the archive, and gives each piece to every store that still takes it."""

    rewinds = False

    def __init__(self, branches: Sequence[Branch], algorithm: str) -> None:
        self.reader = ArchiveReader(algorithm)
        self._sha256 = hashlib.sha256()
        self._beside = Beside("sums")
        self._branches = branches
        self._again = 0  # how many bytes that the stores have are still to come once more
        self._seen = hashlib.sha256()
        self._stopped = False

    @property
    def tally(self) -> Tally:
        """The size and SHA-256 of what was handed on."""
        return self.reader.tally

    @property
    def sha256(self) -> str:
        """Of what was handed on, in hex."""
        return self._sha256.hexdigest()

    def add(self, piece: bytes) -> None:
        """Hand on the next bytes; NoStoreLeftError, and WrongFileError where the beginning is another one now."""
        self.refuse_none_left()
        if self._again:
            piece = self._compared(piece)
        if piece:
            self._beside.run(self._sum, self.reader.walk, piece)
            for branch in self._branches:
                branch.give(piece)

    def refuse_none_left(self) -> None:
        """Raise NoStoreLeftError if nobody takes the next bytes."""
        if self._stopped or not any(branch.alive for branch in self._branches):
            raise NoStoreLeftError("no store is left that takes the copy")

    def restart(self) -> None:
        """Compare what comes from now on with what was handed on, as far as that goes."""
        self._again, self._seen = self.tally.size, hashlib.sha256()

    def stop(self) -> None:
        """Let the next piece end the download."""
        self._stopped = True

    def close(self) -> None:
        """Take nothing more."""
        self.stop()
        self._beside.close()

    def _sum(self, piece: bytes) -> None:
        self.tally.add(piece)
        self._sha256.update(piece)

    def _compared(self, piece: bytes) -> bytes:
        """Return the part of the piece that is new."""
        again, new = piece[: self._again], piece[self._again :]
        self._seen.update(again)
        self._again -= len(again)
        if not self._again and self._seen.digest() != self._sha256.digest():
            raise WrongFileError("the host no longer sends the file that it began with")
        return new


@dataclass(frozen=True)
class Passed:
    """What a backup's file was found to be, its SHA-256, and when it had come to its end: stores may take it later."""

    finding: VerifyResult
    sha256: str
    read_at: datetime


Complete = Callable[[Branch, Passed], Awaitable[None]]
"""Write the manifest of data that stands."""


@dataclass(frozen=True)
class Pass:
    """What a pass brings: the names that the data has in each target, by store. What waits goes to `room`."""

    expected: Expected
    names: Mapping[str, CopyName]
    targets: Sequence[Target]
    room: SpoolRoom
    clock: Clock

    def branches(self) -> Iterator[Branch]:
        """Begin to store it everywhere, one after the other."""
        room = self.room.parted(len(self.targets))
        return (Branch(target, self.names[target.name], self.expected.size, room) for target in self.targets)


async def pass_to_all(feed: Feed, wanted: Pass, complete: Complete) -> dict[str, BackupdError]:
    """Fetch a backup once, and store its data in each target under the name that it has there, without a manifest.

    As soon as the data stands in a store, it is completed there. Return by store why there is no data. Raises what the
    feed does where the backup itself cannot be had, or is not what it should be; then nothing is stored anywhere. If it
    is cancelled, what was completed stays; what is left in a store that was just giving the data its name, or is in
    trouble, has no manifest, so it is no copy, and is cleared away later.
    """
    expected = wanted.expected
    branches: list[Branch] = []
    fan = FanOut(branches, expected.algorithm)
    try:
        branches.extend(wanted.branches())  # one by one: what was begun before a failure is ended
        fan.refuse_none_left()
        difference = await in_thread(partial(feed.run, fan, expected))
        read_at = wanted.clock.now()
        finding = await asyncio.to_thread(fan.reader.finding, expected, difference)
        _refuse_wrong(finding, expected, difference)
        passed = Passed(finding, fan.sha256, read_at)
        await asyncio.gather(*(_end(branch, feed.listener, passed, complete) for branch in branches))
    except NoStoreLeftError:
        await _abort(branches, CopyError("every store dropped out"))
    except BaseException as error:
        fan.stop()
        await _abort(branches, error if isinstance(error, BackupdError) else CopyError("the copy was broken off"))
        raise
    finally:
        fan.close()
    return {branch.target.name: branch.error for branch in branches if branch.error is not None}


async def _end(branch: Branch, listener: ProgressListener, passed: Passed, complete: Complete) -> None:
    """Let one store's data have its name, and be completed; a slow store is waited for by nobody else."""
    if branch.waiting:
        listener.said(f"{branch.target.name} has {format_size(branch.waiting)} yet to take")
    await branch.finish(lambda: listener.moved(passed.finding.size))
    if branch.alive:
        branch.ended = True
        await complete(branch, passed)


async def _abort(branches: Sequence[Branch], error: BackupdError) -> None:
    for branch in branches:  # who is cancelled right now would otherwise leave uploads that nobody ends
        branch.break_off(error)
    await asyncio.gather(*(branch.abort(error) for branch in branches))


def _refuse_wrong(finding: VerifyResult, expected: Expected, difference: str | None) -> None:
    """Raise WrongFileError where the file is not what the panel says, as far as that can be told."""
    if difference is not None:
        raise WrongFileError(difference)
    if expected.checksum is None and finding.contents is None:
        problems = "; ".join(problem.text for problem in finding.problems)
        raise WrongFileError(f"the panel gives no checksum to go by, and {problems}")
