"""How far a backup, or a copy of one, is known to be restorable: what was read, how deep, and what was wrong with it.

What must hold (invariant 17): nothing is inferred. What was not read is not proven, and what was found wrong stays so
until it is read again at least as deep, or an operator accepts it.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import chain

from daemon.core.model import Backup

PANEL = ""
"""The place of a backup on its panel, where that of a copy is its store's name."""


class Level(StrEnum):
    """What was read and found right, each level more than the one before.

    READ is size and checksum, WALKED the archive to its end, SANE what a game needs of its files. RESTORED is more than
    reading: a spare server was started from it, and ran.
    """

    READ = "read"
    WALKED = "walked"
    SANE = "sane"
    RESTORED = "restored"

    @property
    def depth(self) -> int:
        """How deep it looks, for comparisons."""
        return list(Level).index(self)


def reached(*, walked: bool, games: tuple[str, ...] | None) -> Level:
    """Return the level that a check without problems reached; an unknown game cannot be sane.

    `games` are those that the archive's files were recognised as, None if nobody looked into them.
    """
    if not walked:
        return Level.READ
    return Level.SANE if games else Level.WALKED


@dataclass(frozen=True, slots=True)
class Proof:
    """One reading of a backup, or of its copy in `store`, to the end.

    `asked` is how deep it was to look, `reached` how deep it could: an unknown game is walked at most, and an encrypted
    copy read. `problems` are what was found wrong, and where in the archive; `reached` is None then. `made_at` is when
    the backup was made, `at` when it was read by our own clock. `files` and `bytes` are what the archive holds, None
    where it was not walked. `worlds` are the folders in which a world was found. An operator may have `accepted` what
    is wrong. `archive` says which file was read, as `archive_of` does; empty where that is not known.
    """

    backup: str
    name: str
    made_at: datetime
    at: datetime
    asked: Level
    reached: Level | None
    store: str = PANEL
    problems: tuple[str, ...] = ()
    files: int | None = None
    bytes: int | None = None
    worlds: tuple[str, ...] = ()
    accepted: bool = False
    archive: str = ""

    @property
    def wrong(self) -> str:
        """What is wrong with which backup or copy, in words."""
        return f"{self.name}{self.where} is not sound: {'; '.join(self.problems)}"

    @property
    def where(self) -> str:
        """In which store it was read, to be put after a noun; nothing for the panel."""
        return f" in {self.store}" if self.store else ""


def archive_of(backup: Backup, expect: Collection[str] = ()) -> str:
    """Return which file a backup has by what its panel says, size and checksum; empty where that tells too little.

    A reading of it says something of the files that its policy came to `expect` only if it looked for just these.
    """
    if backup.bytes <= 0 or not backup.checksum:
        return ""
    looked_for = f" {sha256(json.dumps(sorted(expect)).encode()).hexdigest()[:16]}" if expect else ""
    return f"{backup.bytes} {backup.checksum}{looked_for}"


LATELY = timedelta(hours=1)
"""For how long a reading spares another one before a server's files are deleted for the backup."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a reading is of: one backup, or its copy in `store`, of so many bytes, as deep as `level`."""

    backup: str
    name: str
    made_at: datetime
    level: Level
    store: str
    bytes: int


MOST_WORLDS = 100
"""The most worlds of an archive that are reported, the first by name."""

_REPLACED = "\N{REPLACEMENT CHARACTER}"
"""Stands in a world's name for what cannot be printed, so that such names may be out of order."""

SHRUNK = 0.5
"""An archive with less than this share of the files, or of their bytes, of the one before is not believed."""


def compared(now: Proof, before: Proof | None) -> tuple[str, ...]:
    """Return what is missing in an archive that was in the one before it: worlds, and half of the files or bytes.

    Neither is told where one of the two was not read so deep, as an encrypted copy is only where its key is at hand.
    """
    if before is None:
        return ()
    deep = now.asked is before.asked is Level.SANE and now.store == before.store and now.files is not None
    gone = [f"{world}: this world was in {before.name}" for world in _gone(now, before) if deep]
    for found, last, what in ((now.files, before.files, "files"), (now.bytes, before.bytes, "bytes unpacked")):
        if found is not None and last is not None and found < SHRUNK * last:
            gone.append(f"{found} {what}, and {last} in {before.name}")
    return tuple(gone)


def _gone(now: Proof, before: Proof) -> Iterator[str]:
    """Yield the worlds of the one before that are known not to be in this one: its list may be cut."""
    whole = len(now.worlds) < MOST_WORLDS
    for world in before.worlds:
        is_told = whole or (world < now.worlds[-1] and _REPLACED not in world + now.worlds[-1])
        if is_told and world not in now.worlds:
            yield world


class Proofs:
    """All that was read of one server's backups and copies, by backup and place."""

    def __init__(self, proofs: Iterable[Proof] = ()) -> None:
        grouped: dict[tuple[str, str], list[Proof]] = {}
        self._read = tuple(proofs)
        for proof in self._read:
            grouped.setdefault((proof.backup, proof.store), []).append(proof)
        self._standing = {place: _standing(read) for place, read in grouped.items()}

    def __iter__(self) -> Iterator[Proof]:
        """Yield those that still say something."""
        return chain.from_iterable(self._standing.values())

    def failed(self, backup: str, store: str = PANEL) -> Proof | None:
        """Return the proof that shows something wrong with a backup in one place, which nobody accepted."""
        read = self._standing.get((backup, store), ())
        return next((one for one in read if one.problems and not one.accepted), None)

    def proven(self, backup: str, level: Level, store: str = PANEL) -> Proof | None:
        """Return the proof that a backup is right, as deep as `level` asks; None where there is none, or one failed."""
        if self.failed(backup, store) is not None:
            return None
        read = self._standing.get((backup, store), ())
        return next((one for one in read if not one.problems and one.asked.depth >= level.depth), None)

    def last(self, backup: str, level: Level, store: str = PANEL) -> Proof | None:
        """Return the last reading as deep as `level` asks, however it ended."""
        read = self._standing.get((backup, store), ())
        return next((one for one in read if one.asked.depth >= level.depth), None)

    def proven_lately(self, backup: Backup, level: Level, now: datetime, expect: Collection[str] = ()) -> Proof | None:
        """Return the reading of the last hour that showed a backup of the panel right, walked and as deep as `level`.

        None where any reading of it shows something wrong, even if that was accepted, where the panel told another size
        or checksum then, or tells none, or where other files were looked for than `expect` names now. What passed
        through the walker on its way to a store names no file: that it was recorded may come hours after it was read.
        """
        mine = [one for one in self._read if (one.backup, one.store) == (backup.uuid, PANEL)]
        archive = archive_of(backup, expect)
        if not archive or any(one.problems for one in mine):
            return None
        fresh = (
            one
            for one in mine
            if one.archive == archive
            and timedelta(0) <= now - one.at <= LATELY
            and one.asked.depth >= level.depth
            and one.reached is not None
            and one.reached.depth >= Level.WALKED.depth
        )
        return max(fresh, key=lambda one: one.at, default=None)

    def newest_read(self, level: Level) -> Proof | None:
        """Return the reading of the newest of the panel's backups that was read as deep as `level`, however it ended.

        It may be of a backup that is gone.
        """
        read = (one for one in self if one.store == PANEL and one.asked.depth >= level.depth)
        return max(read, key=lambda one: (one.made_at, one.at), default=None)

    def before(self, proof: Proof) -> Proof | None:
        """Return the reading of the backup before it that is right or was accepted, in the same place and as deep.

        A drill may have shown more since; it tells of no files.
        """
        earlier = (one for one in self._read if (one.store, one.asked) == (proof.store, proof.asked))
        fine = (one for one in earlier if one.made_at < proof.made_at and (one.accepted or not one.problems))
        return max(fine, key=lambda one: one.made_at, default=None)

    def judged(self, read: Proof) -> Proof:
        """Return a reading as it is recorded: one that is right in itself is compared with the one before it."""
        problems = read.problems or compared(read, self.before(read))
        return replace(read, problems=problems, reached=None) if problems else read

    def freezes(self) -> Proof | None:
        """Return the failed proof for which nothing of the server may be deleted now; None if there is none.

        It holds until a newer backup is proven in the same place, at least as deep, or until an operator accepts it.
        That the bad backup is gone ends nothing: the files that it was made of may be as bad. Of several, the newest
        backup's. One that was found wrong at two depths needs a newer one that is proven as deep as the deeper.
        """
        bad = [one for one in self if one.problems and not one.accepted and not self._made_good(one)]
        return max(bad, key=lambda one: (one.made_at, one.at), default=None)

    def forgettable(self, present: Mapping[str, Collection[str]]) -> tuple[Proof, ...]:
        """Given the backups that are there, by place, return the readings of others that decide nothing any more.

        The newest right one of each place and level stays, since it may have ended a freeze; and what freezes.
        """
        right = sorted((one for one in self if not one.problems), key=lambda one: one.made_at)
        newest = {(one.store, one.asked): one for one in right}.values()
        gone = (one for one in self if one.store in present and one.backup not in present[one.store])
        return tuple(one for one in gone if one not in newest and (not one.problems or self._made_good(one)))

    def _made_good(self, bad: Proof) -> bool:
        newer = {one.backup for one in self if one.store == bad.store and one.made_at > bad.made_at}
        return any(self.proven(backup, bad.asked, bad.store) for backup in newer)


def _standing(read: Iterable[Proof]) -> tuple[Proof, ...]:
    """Return the readings of one backup that still say something, the last first: each looked deeper than all later."""
    kept: list[Proof] = []
    for proof in sorted(read, key=lambda one: (one.at, one.asked.depth), reverse=True):
        if all(proof.asked.depth > one.asked.depth for one in kept):
            kept.append(proof)
    return tuple(kept)
