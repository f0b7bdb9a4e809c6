"""Checks the promises against the panel's own ledger; the service's word counts for nothing here."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.demo.copies import ReadBack
from daemon.operations.drill import Drilled
from daemon.sandbox.records import Backup, Change, Entry, Server, State
from daemon.sandbox.world import World


@dataclass(frozen=True, slots=True)
class PromiseCheck:
    """One promise, and what broke it; empty if it was kept."""

    promise: str
    broken_by: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not self.broken_by

    @property
    def told(self) -> str:
        """The promise and the finding in words."""
        return self.promise if self.holds else f"{self.promise}, but for: {', '.join(self.broken_by)}"


class LedgerChecks:
    """Remembers how the world was, to say later what became of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._began = len(world.ledger)
        self._locked = [
            (server, backup) for server in world.servers.values() for backup in server.backups.values() if backup.locked
        ]
        self._open = [server for server in world.servers.values() if server.status is None]
        self._backups = {backup.uuid: backup for server in world.servers.values() for backup in server.backups.values()}

    def findings(self) -> list[PromiseCheck]:
        """Check the world as it is now."""
        self._world.settle()
        deletions = [entry for entry in self._world.ledger[self._began :] if entry.change is Change.DELETED]
        return [
            PromiseCheck(
                f"every one of the {len(self._locked)} backups that were locked is still there",
                tuple(backup.name for server, backup in self._locked if backup.uuid not in server.backups),
            ),
            PromiseCheck(
                "no backup was deleted while it was being made",
                tuple(entry.name for entry in deletions if entry.state is State.PENDING),
            ),
            PromiseCheck(
                "no backup that somebody made by hand was deleted",
                tuple(entry.name for entry in deletions if not self._is_own(entry)),
            ),
            PromiseCheck(
                f"each of the {len(self._open)} servers that can be backed up has a new good backup",
                tuple(server.name for server in self._open if not self._made(server)),
            ),
        ]

    def finding_of_copies(self, copies: Sequence[ReadBack]) -> PromiseCheck:
        """Compare what came back from the stores with what the panel gave out."""
        now = {backup.uuid: backup for server in self._world.servers.values() for backup in server.backups.values()}
        backups = {**self._backups, **now}
        right = {copy for copy in copies if copy.backup_uuid in backups}
        right = {copy for copy in right if copy.sha1 == backups[copy.backup_uuid].archive.digest("sha1")}
        wrong = tuple(copy.backup for copy in copies if copy not in right) if copies else ("no copy was made",)
        return PromiseCheck(f"each of the {len(copies)} copies comes back with the checksum that the panel gave", wrong)

    def finding_of_drill(self, spare: Server, source: str, done: Drilled | None) -> PromiseCheck:
        """Compare what a drill says with what happened on its spare server, and with what is left there."""
        happened = {(one.change, one.name) for one in self._world.ledger if one.server == spare.uuid}
        wrong = [] if done is not None else ["there was no backup to try"]
        wrong += [one.text for one in done.brought.outcome.problems] if done is not None else []
        wrong += [f"no {signal}" for signal in ("start", "stop") if (Change.POWER, signal) not in happened]
        wrong += ["nothing was unpacked"] if Change.UNPACKED not in {change for change, _ in happened} else []
        wrong += [f"{row.name} was left" for row in spare.files.rows("")]
        seconds = done.seconds or 0.0 if done is not None else 0.0
        promise = f"the newest backup of {source} was restored onto another server, and ran there after {seconds:.1f} s"
        return PromiseCheck(promise, tuple(wrong))

    def _is_own(self, entry: Entry) -> bool:
        server = self._world.servers[entry.server]
        return entry.name.startswith(f"auto-{server.name}-")

    def _made(self, server: Server) -> list[Backup]:
        made = {
            entry.backup
            for entry in self._world.ledger[self._began :]
            if entry.change is Change.CREATED and entry.server == server.uuid
        }
        return [backup for backup in server.backups.values() if backup.uuid in made and backup.successful]
