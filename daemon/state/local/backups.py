"""What is recorded of single backups: accepted, renamed by the panel, half deleted; and the last complete listing."""

from collections.abc import Iterable
from datetime import datetime

from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.state.local.store import Store
from daemon.state.rows import read_backups, written, written_backups
from daemon.state.values import Marks


class Backups(Store):
    """Facts about backups that no panel tells."""

    def marks(self, server_uuid: str) -> Marks:
        """Return all that is remembered of single backups of the server."""
        return Marks(self.accepted(server_uuid), self.asked(server_uuid), self.altered(server_uuid))

    def accepted(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server that an operator accepted as not suspicious."""
        with self._reading() as connection:
            rows = connection.execute("SELECT backup_uuid FROM accepted WHERE server_uuid = ?", (server_uuid,))
            return frozenset(str(row[0]) for row in rows)

    def accept(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that an operator accepted the backup; a second time changes nothing."""
        with self._synced(), self._writing("accepted backup") as connection:
            connection.execute(
                "INSERT INTO accepted (server_uuid, backup_uuid, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (server_uuid, backup_uuid, written(at)),
            )

    def altered(self, server_uuid: str) -> dict[str, Altered]:
        """Return the backups of ours, by uuid, that the panel keeps under another name than was asked for."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT backup_uuid, asked, name FROM altered WHERE server_uuid = ?", (server_uuid,)
            )
            return {str(uuid): Altered(str(asked), str(name)) for uuid, asked, name in rows}

    def was_altered(self, server_uuid: str, backup_uuid: str, altered: Altered, at: datetime) -> None:
        """Record that the panel keeps a backup of ours under another name; its uuid identifies it from then on."""
        with self._synced(), self._writing("altered name") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO altered (server_uuid, backup_uuid, name, asked, at) VALUES (?, ?, ?, ?, ?)",
                (server_uuid, backup_uuid, altered.kept, altered.asked, written(at)),
            )

    def asked(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server whose deletion was asked for and is not known to be completed."""
        with self._reading() as connection:
            rows = connection.execute("SELECT backup_uuid FROM asked WHERE server_uuid = ?", (server_uuid,))
            return frozenset(str(row[0]) for row in rows)

    def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that the backup's deletion is about to be asked for: on the disk with the next announcement."""
        with self._writing("deletion asked for") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO asked (server_uuid, backup_uuid, at) VALUES (?, ?, ?)",
                (server_uuid, backup_uuid, written(at)),
            )

    def asked_no_more(self, server_uuid: str, backup_uuid: str) -> bool:
        """Forget it, since the backup is gone or was seen to be whole; return whether it was recorded."""
        with self._writing("end of a deletion") as connection:
            forgotten = connection.execute(
                "DELETE FROM asked WHERE server_uuid = ? AND backup_uuid = ?", (server_uuid, backup_uuid)
            )
            return bool(forgotten.rowcount)

    def deleted_by_hand(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that an operator deleted the backup, so that it is known to have existed."""
        with self._writing("deletion by hand") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO deleted_by_hand (server_uuid, backup_uuid, at) VALUES (?, ?, ?)",
                (server_uuid, backup_uuid, written(at)),
            )

    def knows(self, server_uuid: str, backup_uuid: str) -> bool:
        """Return whether anything is recorded of a backup of that server: that it was made, seen or deleted."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM deleted_by_hand WHERE server_uuid = :server AND backup_uuid = :backup)"
                " OR EXISTS (SELECT 1 FROM accepted WHERE server_uuid = :server AND backup_uuid = :backup)"
                " OR EXISTS (SELECT 1 FROM rotation WHERE server_uuid = :server"
                "            AND (backup_uuid = :backup OR instr(summary, :backup)))"
                " OR EXISTS (SELECT 1 FROM step JOIN rotation ON rotation.id = step.rotation"
                "            WHERE server_uuid = :server AND instr(detail, :backup))"
                " OR EXISTS (SELECT 1 FROM snapshot WHERE server_uuid = :server AND instr(detail, :backup))",
                {"server": server_uuid, "backup": backup_uuid},
            )
            return bool(found.fetchone()[0])

    def listed(self, server_uuid: str, backups: Iterable[Backup], at: datetime) -> None:
        """Record the successful backups of a complete listing, in place of the earlier ones."""
        row = (server_uuid, written(at), written_backups(backups))
        with self._writing("listing") as connection:
            connection.execute("INSERT OR REPLACE INTO listing (server_uuid, at, backups) VALUES (?, ?, ?)", row)

    def last_listing(self, server_uuid: str) -> tuple[Backup, ...]:
        """Return the successful backups of the server's last complete listing, unlocked; none if none is known."""
        with self._reading() as connection:
            row = connection.execute("SELECT backups FROM listing WHERE server_uuid = ?", (server_uuid,)).fetchone()
            return () if row is None else read_backups(row["backups"])
