"""The sandbox's world: what a panel and its nodes hold, and what happens to it. No HTTP here.

It behaves as a real panel does, faults included, and refuses nothing: that is for daemon/sandbox/checks.py. Everything
that happens is written to `ledger`, which only grows: tests compare it with what must never happen. Time comes from the
injected clock alone, and what happens by itself waits in the agenda until somebody looks.
"""

import random
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from daemon.clock import Clock
from daemon.sandbox import limits
from daemon.sandbox.agenda import Agenda
from daemon.sandbox.files import Packed
from daemon.sandbox.orders import Faults
from daemon.sandbox.records import Backup, BackupEnding, Change, Entry, Key, Node, Server, State, User, Work
from daemon.sandbox.settings import Kind, Settings


class World:
    """A panel with its users, keys, nodes, servers and backups. The same seed gives the same uuids.

    Code that reads the records directly, and not by the methods, must call `settle` first: what is due happens only
    then.
    """

    def __init__(self, clock: Clock, *, settings: Settings | None = None, seed: int = 0) -> None:
        self.clock = clock
        self.settings = settings or Settings()
        self.random = random.Random(seed)  # noqa: S311 — reproducible, and nothing here is a secret
        self.faults = Faults()
        self.agenda = Agenda(clock)
        self.keys: dict[str, Key] = {}
        self.nodes: dict[str, Node] = {}
        self.servers: dict[str, Server] = {}
        self.ledger: list[Entry] = []
        self.windows: dict[str, limits.Window] = {}
        self.restore_windows: dict[str, limits.Window] = {}
        self.pull_windows: dict[str, limits.Window] = {}
        self.socket_windows: dict[str, limits.Window] = {}
        self.used_tokens: set[str] = set()
        self.panel_url: str | None = None
        """Where the panel is; its nodes take only this as the origin of a websocket."""

        self._nodes_url: str | None = None

    # Making the world ------------------------------------------------------------------------------------------------

    def new_uuid(self) -> str:
        """Return a uuid of version 4, from the world's own randomness."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def add_key(self, token: str, user: User, *, allowed_ips: Iterable[str] = ()) -> Key:
        """Let `token` speak for `user`, from the given addresses only if there are any."""
        self.keys[token] = Key(token, user, tuple(allowed_ips))
        return self.keys[token]

    def add_node(self, name: str) -> Node:
        """Add a node that is up; downloads come from a placeholder until `serve_nodes_at` is called."""
        self.nodes[name] = Node(name, url=self._nodes_url or f"http://{name}.sandbox.invalid")
        return self.nodes[name]

    def serve_nodes_at(self, url: str) -> None:
        """Serve the downloads of every node there, later nodes included."""
        self._nodes_url = url
        for node in self.nodes.values():
            node.url = url

    def add_server(
        self,
        name: str,
        *,
        owner: User,
        node: Node,
        limit: int | None = 10,
        server_uuid: str | None = None,
        work: Work | None = None,
    ) -> Server:
        """Add a server without backups."""
        number = len(self.servers) + 1
        server = Server(server_uuid or self.new_uuid(), number, name, owner, node, limit, work=work or Work())
        self.servers[server.uuid] = server
        return server

    def remove_server(self, server: Server) -> None:
        """Remove the server, with all its backups."""
        del self.servers[server.uuid]

    def add_backup(
        self,
        server: Server,
        name: str,
        *,
        state: State = State.GOOD,
        locked: bool = False,
        created_at: datetime | None = None,
        took: timedelta = timedelta(minutes=1),
        size: int | None = None,
        ignored: Iterable[str] = (),
        backup_uuid: str | None = None,
        scheduled: bool = False,
        by: str = "somebody else",
    ) -> Backup:
        """Add an existing backup, without any check: history, or the work of another client.

        A pending one never ends by itself (except by the panel's housekeeping); see `finish` and `fail`. It counts for
        the creation throttle if it is young enough.
        """
        made = created_at or self.now()
        backup = Backup(backup_uuid or self.new_uuid(), name, made.replace(microsecond=0), locked, tuple(ignored))
        backup.size = server.work.size if size is None else size
        backup.scheduled = scheduled
        backup.successful = state is State.GOOD
        backup.packed = _packed(server) if backup.successful else None
        backup.completed_at = None if state is State.PENDING else backup.created_at + took
        self._insert(server, backup, by)
        return backup

    # Time ------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the panel's own clock."""
        return self.clock.now() + self.settings.skew - timedelta(seconds=self.agenda.behind())

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let something happen by itself, `seconds` from now."""
        self.agenda.later(seconds, action)

    def settle(self) -> None:
        """Let everything happen that is due by now; every look at the world begins with it."""
        self.agenda.settle()

    # Looking ---------------------------------------------------------------------------------------------------------

    def find_server(self, text: str) -> Server | None:
        """Return the server of that short id or whole uuid, in any case; on a Pelican in lower case alone."""
        self.settle()
        if self.settings.kind is Kind.PTERODACTYL:
            text = text.lower()
        if len(text) > len("1a7ce997"):
            return self.servers.get(text)
        return next((server for server in self.servers.values() if server.identifier == text), None)

    def seen_by(self, user: User, *, all_servers: bool = False) -> list[Server]:
        """Return the servers that `user` owns or was invited to; with `all_servers` all that the user may reach."""
        self.settle()
        return [
            server
            for server in self.servers.values()
            if user == server.owner
            or user.name in server.subusers
            or (all_servers and server.permissions(user) is not None)
        ]

    # What happens to it -----------------------------------------------------------------------------------------------

    def create(self, server: Server, name: str | None, *, ignored: Iterable[str], locked: bool, by: str) -> Backup:
        """Begin a new backup. A real panel checks first, and waits for its node: see daemon/sandbox/checks.py."""
        self.settle()
        made = self.now().replace(microsecond=0)
        text = name or f"Backup at {made.astimezone(self.settings.zone):%Y-%m-%d %H:%M:%S}"
        text = text if self.settings.alter is None else self.settings.alter(text)
        work = server.coming.popleft() if server.coming else server.work
        backup = Backup(self.new_uuid(), text, made, locked, tuple(ignored), size=work.size, flavour=work.flavour)
        self._insert(server, backup, by)
        if work.outcome is not BackupEnding.STUCK:
            self.later(work.seconds, lambda: self.report(server, backup, success=work.outcome is BackupEnding.GOOD))
        if work.late is not None:
            self.later(work.late, lambda: self.report(server, backup, success=True))
        return backup

    def toggle_lock(self, server: Server, backup: Backup, *, by: str) -> None:
        """Lock an unlocked backup and unlock a locked one, whatever its state."""
        self.settle()
        self._note(Change.UNLOCKED if backup.locked else Change.LOCKED, server, backup, by)
        backup.locked = not backup.locked

    def remove(self, server: Server, backup: Backup, *, by: str) -> None:
        """Remove the backup. The throttle goes on counting it, except on a Pelican."""
        self.settle()
        if server.backups.pop(backup.uuid, None) is None:
            return
        self._note(Change.DELETED, server, backup, by)
        if not self.settings.deleted_count and backup in server.recent:
            server.recent.remove(backup)

    def lose_file(self, server: Server, backup: Backup, *, by: str) -> None:
        """Delete the file on the node, and leave the panel's row as it is."""
        self.settle()
        backup.file_gone = True
        self._note(Change.FILE_DELETED, server, backup, by)

    def rename(self, server: Server, backup: Backup, name: str, *, by: str) -> None:
        """Rename the backup; only a Pelican can."""
        self.settle()
        backup.name = name
        self._note(Change.RENAMED, server, backup, by)

    def restore(self, server: Server, backup: Backup, *, by: str, truncate: bool = False) -> None:
        """Restore the server, for `restore_seconds` from now; only the activity log says whether that succeeded."""
        self.settle()
        server.status = "restoring_backup"
        self._note(Change.RESTORING, server, backup, by, truncate=truncate)
        self.later(server.restore_seconds, lambda: self._restored(server, backup, truncate))

    # What happens by itself ------------------------------------------------------------------------------------------

    def report(self, server: Server, backup: Backup, *, success: bool) -> None:
        """Let the node report how a backup ended. A failed one loses its lock, a good one stays good for ever."""
        if backup.successful or not self._holds(server, backup):
            return
        self._note(Change.COMPLETED if success else Change.FAILED, server, backup, "node")
        backup.successful = success
        backup.packed = _packed(server) if success else None
        backup.completed_at = self.now().replace(microsecond=0)
        if not success:
            backup.locked = False

    def clean_up(self, server: Server, backup: Backup) -> None:
        """Let the panel's housekeeping mark a stuck backup as failed; it leaves its lock."""
        if backup.state is not State.PENDING or not self._holds(server, backup):
            return
        self._note(Change.FAILED, server, backup, "panel")
        backup.completed_at = self.now().replace(microsecond=0)

    def _holds(self, server: Server, backup: Backup) -> bool:
        return server.uuid in self.servers and backup.uuid in server.backups

    def _restored(self, server: Server, backup: Backup, truncate: bool) -> None:
        """End a restore. The server was emptied before its node looked for the backup's file."""
        server.status = None
        failed = server.restores_fail or backup.file_gone or not backup.successful
        if server.folder is not None:
            if truncate:
                server.files.empty()
            if not failed:
                server.files.unpack("", b"".join(backup.archive.pieces()))
        self._note(Change.RESTORE_FAILED if failed else Change.RESTORED, server, backup, "node")

    def _insert(self, server: Server, backup: Backup, by: str) -> None:
        server.backups[backup.uuid] = backup
        server.recent.append(backup)
        limits.forget_old_creations(server, self.settings, self.now())
        self._note(Change.CREATED, server, backup, by)
        if self.settings.housekeeping is not None and backup.state is State.PENDING:
            age = (self.now() - backup.created_at).total_seconds()
            self.later(self.settings.housekeeping - age, lambda: self.clean_up(server, backup))

    def note(self, change: Change, server: Server, what: str, by: str) -> None:
        """Write down what happened to a server's files or process; `what` stands in the place of a backup's name."""
        self.ledger.append(Entry(self.now(), change, server.uuid, "", what, False, State.GOOD, by))

    def _note(self, change: Change, server: Server, backup: Backup, by: str, *, truncate: bool | None = None) -> None:
        entry = Entry(
            self.now(), change, server.uuid, backup.uuid, backup.name, backup.locked, backup.state, by, truncate
        )
        self.ledger.append(entry)


def _packed(server: Server) -> Packed | None:
    """Return a backup of the server's very files; None where nobody looks at these."""
    return None if server.folder is None else Packed(server.files.pack())
