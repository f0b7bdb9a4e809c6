"""The files of the server that an archive is brought onto: looked at, deleted, unpacked, compared with the archive.

What must hold: no write is believed before a look at the files shows it, and none is repeated. Whatever leaves a write
open (a lost answer, a node that outlives the panel's patience) is settled by looking for as long as things change.
A file is ours only by the name that the backup's own uuid gives it.
"""

import posixpath
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from daemon.core.backoff import Backoff
from daemon.core.files import ArchiveIndex, FileEntry, Power
from daemon.core.units import format_duration
from daemon.core.words import first_few
from daemon.operations.operation import Operation
from daemon.operations.restore_errors import (
    NotEmptiedError,
    NotSpareError,
    NotStartedError,
    NotStoppedError,
    RestoreError,
)
from daemon.panel.errors import NodeError, NotFoundError, OutcomeUnknownError, PanelError

Seen = TypeVar("Seen")

LEFT_OPEN = (NodeError, OutcomeUnknownError)
"""Errors after which a write may have been done, or may still be under way on the node."""

LOOKS = Backoff(1.0, 15.0, factor=1.5)
"""Seconds between looks: small worlds are there in seconds, large ones take minutes."""

STILL_SECONDS = 120.0
"""Seconds without any visible change after which the node is taken to have given up."""

LONGEST_SECONDS = 6 * 3600.0
START_SECONDS = 600.0
"""Seconds that a large world may take to load."""

STOP_SECONDS = 180.0
"""Seconds that a server may take to stop: it saves its world first."""

LEAVE_SECONDS = 3.0
"""The same for a spare server whose drill was interrupted: whoever did that is waiting."""

SENT_BY = ("pull", "upload", "sftp")
"""The ways by which this program itself puts an archive into a server's folder."""

SHOWN = 3
"""How many names of files are shown."""


DRILL_MARK = "#drill"
"""The description of a spare server carries this word."""

_MARKED = re.compile(rf"(?<![\w#-]){DRILL_MARK}(?![\w-])")


@dataclass(frozen=True, slots=True)
class Compared:
    """How many files of the archive are on the server as they should be, and how many were not looked at."""

    right: int
    unseen: int


class TargetFiles:
    """A folder of the operation's server: "/" or one below it. `backup` is the uuid of what is brought there.

    With `spare`, the uuid of a drill's spare server, the server is looked at right before each change, which raises
    NotSpareError if it is another one by then, or does not carry the mark any more.
    """

    def __init__(
        self, operation: Operation, folder: str = "/", *, backup: str | None = None, spare: str | None = None
    ) -> None:
        self._operation = operation
        self._files = operation.client.files
        self._id = operation.config.id
        self._spare = spare
        self._ours = frozenset() if backup is None else frozenset(archive_name(backup, way) for way in SENT_BY)
        self.folder = folder

    async def rows(self, below: str = "") -> tuple[FileEntry, ...]:
        """List the folder, or one below it; nothing is in a folder that is not there."""
        return await self._list(posixpath.join(self.folder, below))

    async def _list(self, path: str) -> tuple[FileEntry, ...]:
        try:
            return await self._files.list(self._id, path)
        except NotFoundError:
            return ()
        except NodeError:  # what panels answer for a folder that is not there; else this raises as well
            parent, name = posixpath.split(path.rstrip("/"))
            if not name or any(entry.name == name for entry in await self._list(parent)):
                raise
            return ()

    async def others(self) -> list[str]:
        """Return the names of what is in the folder, without what a command left of this very backup's archive."""
        return [entry.name for entry in await self.foreign()]

    async def foreign(self) -> list[FileEntry]:
        """List the folder, as `others` does."""
        return [entry for entry in await self.rows() if not self._is_ours(entry)]

    async def leftovers(self) -> list[str]:
        """Return the names of archives of this backup that this command, or an earlier one, left in the folder."""
        return [entry.name for entry in await self.rows() if self._is_ours(entry)]

    def _is_ours(self, entry: FileEntry) -> bool:
        return entry.is_file and entry.name in self._ours

    async def size_of(self, name: str) -> int | None:
        """Return the size of a file in the folder; None where it is not there."""
        return next((entry.size for entry in await self.rows() if entry.name == name), None)

    async def empty(self) -> None:
        """Delete everything in the folder but our archive; raises NotEmptiedError, PanelError."""
        await self.delete(await self.others())

    async def delete(self, names: Sequence[str]) -> None:
        """Delete these from the folder; raises NotEmptiedError, PanelError."""
        if not names:
            return
        await self.must_be_spare()
        await self._settled(lambda: self._files.delete(self._id, self.folder, names))

        async def left() -> list[str]:
            return [entry.name for entry in await self.rows() if entry.name in set(names)]

        remaining = await self._watch(left, until=lambda now: not now)
        if remaining:
            raise NotEmptiedError(f"the node has not deleted {first_few(remaining, SHOWN)}")

    async def unpack(self, name: str, index: ArchiveIndex | None, *, part: bool = False) -> bool:
        """Unpack an archive of the folder; raises RestoreError, PanelError.

        Where the answer leaves it open, the `index` tells whether all of it has come. Of one that is only a `part` of
        the indexed one, no more is known then than that the node does nothing any more: False is returned, and only a
        comparison of the whole shows whether all of it came.
        """
        await self.must_be_spare()
        failure = await self._settled(lambda: self._files.decompress(self._id, self.folder, name))
        if failure is None:
            return True
        if index is None:
            text = f"{failure.text}; the archive was not read, so nothing tells whether all of it was unpacked"
            raise RestoreError(text) from failure
        self._operation.tell("the panel does not say whether it was unpacked; looking at the files")
        wrong = await self._watch(lambda: self._differences(index), until=lambda now: not now)
        if wrong and not (part and len(wrong) < index.looked_at(index.to_look_at())):
            raise RestoreError(f"{failure.text}; {first_few(wrong, SHOWN)}") from failure
        return not wrong

    async def compare(self, index: ArchiveIndex) -> Compared:
        """Compare the folder with the archive that was unpacked there; raises RestoreError, PanelError."""
        wrong = await self._differences(index)
        if wrong:
            raise RestoreError(f"the server does not have the files of the archive: {first_few(wrong, SHOWN)}")
        right = index.looked_at(index.to_look_at())
        return Compared(right, index.count - right)

    async def runs(self) -> bool:
        """Return whether the server's process runs, or may run."""
        return await self._files.power(self._id) is not Power.OFFLINE

    async def stop(self) -> None:
        """Stop the server's process; raises NotStoppedError, PanelError.

        A spare server that does not stop is killed: there is nothing on it to be saved.
        """
        self._operation.tell(f"stopping {self._operation.config.name}")
        state = await self._signalled("stop", Power.OFFLINE, STOP_SECONDS)
        if state is not Power.OFFLINE and self._spare is not None:
            self._operation.tell(f"killing {self._operation.config.name}, which is still {state}")
            state = await self._signalled("kill", Power.OFFLINE, STOP_SECONDS)
        if state is not Power.OFFLINE:
            raise NotStoppedError(f"{self._operation.config.name} is still {state} after {STOP_SECONDS:.0f} s")

    async def stop_at_once(self) -> None:
        """Stop a spare server whose drill was interrupted, within some seconds; raises NotStoppedError, PanelError."""
        state = await self._signalled("stop", Power.OFFLINE, LEAVE_SECONDS)
        if state is not Power.OFFLINE:
            state = await self._signalled("kill", Power.OFFLINE, LEAVE_SECONDS)
        if state is not Power.OFFLINE:
            raise NotStoppedError(f"{self._operation.config.name} is still {state}")

    async def start(self) -> None:
        """Start the server's process; raises NotStartedError, PanelError."""
        name = self._operation.config.name
        self._operation.tell(f"starting {name}")
        state = await self._signalled("start", Power.RUNNING, START_SECONDS)
        if state is not Power.RUNNING:
            raise NotStartedError(f"{name} is {state} {START_SECONDS:.0f} s after it was to start")

    async def _signalled(self, signal: str, wanted: Power, seconds: float) -> Power:
        """Signal the process, and return its state once that is `wanted`, or has not changed for the given time."""
        await self.must_be_spare()
        await self._settled(lambda: self._files.signal(self._id, signal))
        return await self._watch(lambda: self._files.power(self._id), until=lambda now: now is wanted, still=seconds)

    async def runs_for(self, span: timedelta) -> None:
        """Check that the server's process keeps running for that long; raises NotStartedError, PanelError.

        Nodes start a server anew that crashed. Between two looks only how long it has run shows that.
        """
        clock, name = self._operation.clock, self._operation.config.name
        self._operation.tell(f"watching {name} for {format_duration(span)}")
        began = clock.monotonic()
        state, before = await self._files.running(self._id)
        while state is Power.RUNNING and (ran := clock.monotonic() - began) < span.total_seconds():
            await clock.sleep(min(LOOKS.most, span.total_seconds() - ran))
            state, uptime = await self._files.running(self._id)
            if state is Power.RUNNING and before is not None and uptime is not None and uptime < before:
                text = f"{name} ended by itself, and was restarted {uptime:.0f} s ago"
                raise NotStartedError(f"{text}, {clock.monotonic() - began:.0f} s after it began to run")
            before = uptime
        if state is not Power.RUNNING:
            raise NotStartedError(f"{name} is {state} {clock.monotonic() - began:.0f} s after it began to run")

    async def grown(self, name: str, size: int, moved: Callable[[int], None]) -> int:
        """Wait while a file grows to `size` bytes; return how large it is in the end."""

        async def there() -> int:
            now = await self.size_of(name) or 0
            moved(now)
            return now

        return await self._watch(there, until=lambda now: now >= size)

    async def _differences(self, index: ArchiveIndex) -> list[str]:
        return index.differences({folder: await self.rows(folder) for folder in index.to_look_at()})

    async def must_be_spare(self) -> None:
        """Look at the server right before it is changed: somebody may have taken it into use meanwhile.

        Raises NotSpareError, PanelError.
        """
        if self._spare is None:
            return
        name, server = self._operation.config.name, await self._operation.client.server(self._id)
        if server.uuid != self._spare:
            raise NotSpareError(f"{name} is another server now, and was not touched")
        if not marked(server.description):
            raise NotSpareError(f"{name} does not carry {DRILL_MARK} any more, and was not touched further")

    async def _settled(self, call: Callable[[], Awaitable[None]]) -> PanelError | None:
        """Make a write once; return why it is open whether it was done, None where the panel says that it was."""
        try:
            await call()
        except LEFT_OPEN as error:
            return error
        return None

    async def _watch(
        self, look: Callable[[], Awaitable[Seen]], *, until: Callable[[Seen], bool], still: float = STILL_SECONDS
    ) -> Seen:
        """Look until the condition holds, or nothing has changed for `still` seconds; return what was seen last."""
        clock = self._operation.clock
        began = changed = clock.monotonic()
        seen, looks = await look(), 0
        while not until(seen) and clock.monotonic() - began < LONGEST_SECONDS:
            looks += 1
            await clock.sleep(LOOKS.pause(looks))
            now = await look()
            if now != seen:
                seen, changed = now, clock.monotonic()
            elif clock.monotonic() - changed >= still:
                break
        return seen


def archive_name(backup: str, way: str) -> str:
    """Return what the archive of that backup is called while it lies on a server, having come by that way.

    No backup has such a file in it: its uuid is known only once it is being made.
    """
    return f"ptero-backupd-{backup}-{way}.tar.gz"


def marked(description: str) -> bool:
    """Return whether a server's description carries the mark of drills, as a word of its own."""
    return _MARKED.search(description) is not None


def few(names: Sequence[str]) -> str:
    """Return the first names, in words."""
    return f"{', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
