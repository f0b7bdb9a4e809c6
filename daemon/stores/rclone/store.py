"""The engine for rclone: the contract, one run of the program a call.

An object is written beside its name and moved to it, since an rclone whose feeder was killed takes the end of its input
for the end of the object. It looks and then moves, in two steps: of two writers at the same moment, both may succeed.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from daemon.core.units import read_rfc3339
from daemon.stores.base import Capability, Details, Entry, Traits, Unfinished, of_size
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCutError,
    StoreError,
    StoreUnusableError,
)
from daemon.stores.keys import check_folder, check_key, is_key
from daemon.stores.parts import begun_name, new_id, part_name, read_part
from daemon.stores.rclone.process import STALL_SECONDS, Rclone, Running, within
from daemon.stores.sizes import MOST_PARTS
from daemon.stores.streams import RateLimit, blocks, exactly

BLOCK = 2**18
USUAL_PART = 5  # MiB
MOVE_SECONDS = 1200.0  # a service that cannot rename copies all of it
LIST_SECONDS = 600.0  # until it prints more: a large folder of a slow service is printed when all of it is known
NO_LOCKS = "rclone knows no locks"
_LACKS = {
    Capability.ATOMIC_CREATE: "rclone looks whether a name is free and then takes it, in two steps",
    Capability.LOCK: NO_LOCKS,
}
_SERVERS_TIME = "--use-server-modtime"  # else it asks S3 and its like for every object by itself


class RcloneStore:
    """A store below a path of a remote. `root` is "REMOTE:" or "REMOTE:PATH/"."""

    def __init__(self, name: str, rclone: Rclone, root: str, limit: RateLimit) -> None:
        self._name = name
        self._rclone = rclone
        self._root = root
        self._limit = limit

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """It has no locks, and two steps where one is needed."""
        return _LACKS

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,
        lock_until: datetime | None = None,
    ) -> Entry:
        """Feed it to `rclone rcat` beside its name, then move it there."""
        check_key(key)
        if lock_until is not None:
            raise StoreUnusableError(f"{key} cannot be locked: {NO_LOCKS}")
        what = f"{self._name}: {key} cannot be written"
        await self._refuse_taken(key)
        part = part_name(key, new_id())
        try:
            sent = await self._write(what, part, exactly(self._limit.over(content), size), _hints(size, at_most))
            await self._publish(what, part, key)
        except BaseException:
            with suppress(StoreError):  # the first error is the one to tell
                await self._remove(f"the unfinished {key} cannot be removed", part)
            raise
        return of_size((await self.head(key)).entry, sent, self._name)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read what `rclone cat` prints."""
        what = f"{self._name}: {key} cannot be read"
        last = (await self.head(key)).entry.size if end is None else end
        check_key(key)
        if last <= start:
            return
        words = ("cat", f"--offset={start}", f"--count={last - start}", self._root + key)
        async with self._rclone.started(what, *words) as running:
            left = last - start
            async for piece in self._limit.over(_printed(what, running)):
                left -= len(piece)
                yield piece
            await self._rclone.ended(what, running)
        if left:
            raise StoreCutError(f"{what}: it ends {left} bytes before it should")

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Take all that `rclone lsjson` prints, and nothing if its end is missing."""
        found = [_entry(name, each) for name, each in await self._listed(check_folder(folder)) if is_key(name)]
        return sorted(found, key=lambda entry: entry.key)

    async def head(self, key: str) -> Details:
        """Look at the object."""
        return Details(_entry(key, await self._stat(check_key(key))))

    async def delete(self, key: str) -> None:
        """Delete the object; a folder of that name stays."""
        await self._remove(f"{self._name}: {key} cannot be deleted", check_key(key))

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """List the folder for names that mark what is unfinished."""
        found = [(read_part(name), _entry(name, each)) for name, each in await self._listed(check_folder(folder))]
        return [Unfinished(*part, entry.size, entry.modified) for part, entry in found if part]

    async def clear(self, begun: Unfinished) -> bool:
        """Remove what was begun, unless it changed since; whether somebody still writes to it, rclone does not say."""
        name = begun_name(begun)
        with suppress(ObjectMissingError):
            entry = _entry(name, await self._stat(name))
            if (entry.size, entry.modified) == (begun.size, begun.changed):
                await self._remove(f"{self._name}: the unfinished {begun.key} cannot be removed", name)
                return True
        return False

    async def lock(self, key: str, until: datetime) -> None:
        """Refuse: rclone has no locks."""
        raise StoreUnusableError(f"{check_key(key)} cannot be locked until {until}: {NO_LOCKS}")

    async def traits(self) -> Traits:
        """Return what is known: nothing, since it depends on the service."""
        return Traits(lockable=False)

    async def aclose(self) -> None:
        """Do nothing: no connection stays open between two calls."""

    async def _write(self, what: str, part: str, content: AsyncIterable[bytes], hints: Sequence[str]) -> int:
        """Feed the content to it, and return how many bytes that was; it is killed where the content breaks."""
        sent = 0
        async with self._rclone.started(what, "rcat", *hints, self._root + part, feed=True) as running:
            stdin = running.process.stdin
            assert stdin is not None  # noqa: S101 — it is a pipe
            try:
                async for block in blocks(content, BLOCK):
                    stdin.write(block)
                    await within(STALL_SECONDS, what, stdin.drain())
                    sent += len(block)
                stdin.close()
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has ended, and says why
            await self._rclone.ended(what, running)
        return sent

    async def _publish(self, what: str, part: str, key: str) -> None:
        """Move what was written to its name. Where that is taken, rclone leaves both, and says nothing."""
        await self._refuse_taken(key)
        words = ("moveto", "--ignore-existing", self._root + part, self._root + key)
        await self._rclone.run(what, *words, silent=MOVE_SECONDS)
        with suppress(ObjectMissingError):
            await self._stat(part)
            raise ObjectExistsError(f"{self._name}: {key} is there already")

    async def _refuse_taken(self, key: str) -> None:
        with suppress(ObjectMissingError):
            await self._stat(key)
            raise ObjectExistsError(f"{self._name}: {key} is there already")

    async def _remove(self, what: str, name: str) -> None:
        with suppress(ObjectMissingError):
            await self._rclone.run(what, "deletefile", self._root + name)

    async def _stat(self, name: str) -> dict[str, Any]:
        what = f"{self._name}: {name} cannot be looked at"
        output = await self._rclone.run(what, "lsjson", "--stat", "--no-mimetype", _SERVERS_TIME, self._root + name)
        found = _json(output)
        if not isinstance(found, dict) or found.get("IsDir"):
            raise ObjectMissingError(f"{what}: it is not there")
        return found

    async def _listed(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        """Return all that is in a folder and below it, by its path in the store; a folder that is not there has
        nothing.
        """
        words = ("lsjson", "--recursive", "--files-only", "--no-mimetype", _SERVERS_TIME, self._root + folder)
        try:
            output = await self._rclone.run(f"{self._name} cannot be listed", *words, silent=LIST_SECONDS)
        except ObjectMissingError:
            return []
        found = _json(output)
        if not isinstance(found, list):
            raise StoreCutError(f"{self._name}: rclone's listing cannot be read")
        return [(f"{folder}{each['Path']}", each) for each in found]


def _hints(size: int | None, at_most: int | None) -> tuple[str, ...]:
    """Return what lets rclone choose parts that are large enough; by itself it stops at 10,000 of 5 MiB.

    `--size` must be exact. Of a bound it only knows the one for S3; other services have bounds of their own.
    """
    if size is not None:
        return (f"--size={size}",)
    mebibytes = -(-(at_most or 0) // (MOST_PARTS * 2**20))
    return (f"--s3-chunk-size={mebibytes}M",) if mebibytes > USUAL_PART else ()


async def _printed(what: str, running: Running) -> AsyncGenerator[bytes, None]:
    stdout = running.process.stdout
    assert stdout is not None  # noqa: S101 — it is a pipe
    while piece := await within(STALL_SECONDS, what, stdout.read(BLOCK)):
        yield piece


def _json(output: bytes) -> object:
    try:
        return json.loads(output)
    except ValueError:
        raise StoreCutError("rclone's answer was cut") from None


def _entry(name: str, found: Mapping[str, Any]) -> Entry:
    try:
        size, modified = int(found["Size"]), read_rfc3339(found["ModTime"])
    except (KeyError, TypeError, ValueError):
        raise StoreCutError(f"rclone's answer on {name} lacks its size or its time") from None
    return Entry(name, size, modified)
