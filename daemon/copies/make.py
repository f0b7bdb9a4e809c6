"""One backup copied: the data to each store in one pass, and then, where it stands, its manifest.

What must hold (invariant 13): the manifest comes last, and where the store locks copies, the data is locked before
it. Where it cannot be written the data is taken away again if that can be done, since without it the rest is no copy
and would stand in the way of the next try; so the data is not locked from its first moment. Where it may have been
written, since only the answer was lost, the store is looked at first.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from daemon import __version__
from daemon.clock import Clock
from daemon.copies.branch import Branch, Target
from daemon.copies.feed import Feed
from daemon.copies.manifest import (
    BackupPart,
    ContentsPart,
    EncryptionPart,
    Manifest,
    ProofPart,
    ServerPart,
    StoredPart,
    write_manifest,
)
from daemon.copies.one_pass import Pass, Passed, pass_to_all
from daemon.copies.settle import stands
from daemon.copies.spool_room import NO_ROOM, SpoolRoom
from daemon.copies.workers import unheard
from daemon.core.clocks import jumped
from daemon.core.copies_layout import CopyName
from daemon.core.copies_lock import lock_until
from daemon.core.model import Backup
from daemon.errors import BackupdError
from daemon.stores.errors import ObjectExistsError, ObjectMissingError, StoreError
from daemon.transfer.expected import Expected


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose backup is copied, and by which installation. `title` is what the panel calls the server."""

    installation: str
    panel: str
    server_uuid: str
    server: str
    title: str


Stands = Callable[[str, Manifest], Awaitable[None]]
"""Hears that a store has its whole copy, whose manifest this is, while others may still take theirs."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The stores that a backup is copied to, the room for what slow ones have yet to take, and who hears of each copy
    as soon as it `stands`.
    """

    stores: Sequence[Target]
    room: SpoolRoom = NO_ROOM
    stands: Stands = unheard


@dataclass(frozen=True, slots=True)
class Made:
    """The result of copying one backup: by store, the manifest that stands there now, or why there is none."""

    manifests: Mapping[str, Manifest]
    errors: Mapping[str, BackupdError]


async def copy_backup(feed: Feed, backup: Backup, origin: Origin, targets: Targets, clock: Clock) -> Made:
    """Copy a backup to each target; a store in trouble is told in `errors`, and holds up no other.

    Raises what the feed does where the backup itself cannot be had, or is not what the panel says.
    """
    expected = Expected.of(backup)
    names = {
        one.name: CopyName.of(origin.panel, origin.server_uuid, backup, encrypted=bool(one.recipients))
        for one in targets.stores
    }

    async def finish(branch: Branch, passed: Passed) -> Manifest:
        manifest = _manifest(branch, backup=backup, expected=expected, origin=origin, passed=passed, clock=clock)
        return await _finish(branch, manifest, clock)

    return await _passed_on(feed, Pass(expected, names, targets.stores, targets.room, clock), finish, targets.stands)


async def carry_copy(feed: Feed, copy: Manifest, installation: str, targets: Targets, clock: Clock) -> Made:
    """Copy to each target what lies in another store, as it lies there: encrypted, for the targets' own recipients.

    What the archive holds is told as it was when that copy was made, since these are its very bytes. Raises as above.
    """
    expected = Expected(copy.stored.bytes, f"sha256:{copy.stored.sha256}")
    names = {one.name: copy.name for one in targets.stores}
    as_it_is = [replace(one, recipients=()) for one in targets.stores]

    async def finish(branch: Branch, _passed: Passed) -> Manifest:
        told = {"program": PROGRAM, "installation": installation, "written_at": clock.now()}
        return await _finish(branch, copy.model_copy(update=told), clock)

    return await _passed_on(feed, Pass(expected, names, as_it_is, targets.room, clock), finish, targets.stands)


PROGRAM = f"ptero-backupd {__version__}"


async def _passed_on(
    feed: Feed, wanted: Pass, finish: Callable[[Branch, Passed], Awaitable[Manifest]], told: Stands
) -> Made:
    """Bring the data to each target, and its manifest as soon as it stands there."""
    manifests: dict[str, Manifest] = {}
    failed: dict[str, BackupdError] = {}

    async def complete(branch: Branch, passed: Passed) -> None:
        name = branch.target.name
        try:
            manifests[name] = await finish(branch, passed)
        except BackupdError as error:
            failed[name] = error
        else:
            await told(name, manifests[name])

    errors = await pass_to_all(feed, wanted, complete)
    return Made(manifests, {**errors, **failed})


async def _take_back(branch: Branch) -> None:
    """Delete data that got no manifest. If one stands, or the store does not say, the data stays."""
    store = branch.target.store
    with suppress(StoreError):
        try:
            await store.head(branch.name.manifest)
        except ObjectMissingError:
            await store.delete(branch.name.data)


async def _finish(branch: Branch, manifest: Manifest, clock: Clock) -> Manifest:
    """Lock data that stands, and write its manifest; where that cannot be, take the data away again."""
    target = branch.target
    until = None
    if target.object_lock is not None and not jumped(clock.was_set_by()):  # it may have been set during the download
        until = lock_until(target.object_lock, manifest.written_at)
    text = b""
    try:
        text = write_manifest(manifest)
        if until is not None:
            await target.store.lock(branch.name.data, until)
        await target.store.put(branch.name.manifest, _once(text), size=len(text), lock_until=until)
    except BackupdError as error:
        if text and await stands(target.store, branch.name.manifest, text, len(text)):  # the answer was lost
            return manifest
        if not isinstance(error, ObjectExistsError):  # another has finished the same copy: it is no longer ours alone
            await _take_back(branch)
        raise
    return manifest


def _manifest(
    branch: Branch, *, backup: Backup, expected: Expected, origin: Origin, passed: Passed, clock: Clock
) -> Manifest:
    finding, now, name = passed.finding, clock.now(), branch.name
    contents, recipients = finding.contents, branch.target.recipients
    return Manifest(
        program=PROGRAM,
        installation=origin.installation,
        written_at=now,
        server=ServerPart(panel=name.panel, uuid=name.server, name=origin.server, title=origin.title[:500]),
        backup=BackupPart(
            uuid=name.backup,
            name=backup.name[:500],
            created_at=name.created_at,
            completed_at=backup.completed_at or name.created_at,
            bytes=expected.size,
            checksum=expected.checksum,
            sha256=passed.sha256,
        ),
        stored=StoredPart(key=name.data, bytes=branch.size, sha256=branch.sha256 or passed.sha256),
        encryption=EncryptionPart(format="age", recipients=recipients) if recipients else None,
        contents=ContentsPart(files=contents.files, bytes=contents.bytes, entries=contents.entries)
        if contents
        else None,
        proof=ProofPart(
            level="walked" if contents else "read",
            at=passed.read_at,
            unverified=expected.checksum is None,
            problems=tuple(problem.text[:500] for problem in finding.problems),
        ),
    )


async def _once(text: bytes) -> AsyncGenerator[bytes, None]:
    yield text
