"""What is recorded of single backups: accepted, renamed by the panel, half deleted; and the last complete listing."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.state.postgres.store import Store
from daemon.state.rows import read_backups, written, written_backups
from daemon.state.values import Marks

_MARKS = (
    "SELECT ARRAY(SELECT backup_uuid FROM accepted WHERE server_uuid = $1) AS accepted,"
    " ARRAY(SELECT backup_uuid FROM asked WHERE server_uuid = $1) AS asked,"
    " ARRAY(SELECT ARRAY[backup_uuid, asked, name] FROM altered WHERE server_uuid = $1) AS altered"
)


class Backups(Store):
    """Facts about backups that no panel tells."""

    async def marks(self, server_uuid: str) -> Marks:
        """Return all that is remembered of single backups of the server."""
        row = await self._row(_MARKS, server_uuid)
        altered = {uuid: Altered(asked, name) for uuid, asked, name in row["altered"]}
        return Marks(frozenset(row["accepted"]), frozenset(row["asked"]), altered)

    async def accepted(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server that an operator accepted as not suspicious."""
        return (await self.marks(server_uuid)).accepted

    async def accept(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that an operator accepted the backup; a second time changes nothing."""
        statement = "INSERT INTO accepted (server_uuid, backup_uuid, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        await self._write("accepted backup", statement, server_uuid, backup_uuid, written(at))

    async def altered(self, server_uuid: str) -> Mapping[str, Altered]:
        """Return the backups of ours, by uuid, that the panel keeps under another name than was asked for."""
        return (await self.marks(server_uuid)).altered

    async def was_altered(self, server_uuid: str, backup_uuid: str, altered: Altered, at: datetime) -> None:
        """Record that the panel keeps a backup of ours under another name."""
        await self._write(
            "altered name",
            "INSERT INTO altered (server_uuid, backup_uuid, name, asked, at) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (server_uuid, backup_uuid)"
            " DO UPDATE SET name = excluded.name, asked = excluded.asked, at = excluded.at",
            server_uuid,
            backup_uuid,
            altered.kept,
            altered.asked,
            written(at),
        )

    async def asked(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server whose deletion was asked for and is not known to be completed."""
        return (await self.marks(server_uuid)).asked

    async def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that the backup's deletion is about to be asked for."""
        await self._write(
            "deletion asked for",
            "INSERT INTO asked (server_uuid, backup_uuid, at) VALUES ($1, $2, $3)"
            " ON CONFLICT (server_uuid, backup_uuid) DO UPDATE SET at = excluded.at",
            server_uuid,
            backup_uuid,
            written(at),
        )

    async def asked_no_more(self, server_uuid: str, backup_uuid: str) -> bool:
        """Forget it, since the backup is gone or was seen to be whole; return whether it was recorded."""
        statement = "DELETE FROM asked USING live WHERE server_uuid = $3 AND backup_uuid = $4"
        return bool(await self._write("end of a deletion", statement, server_uuid, backup_uuid, as_member=True))

    async def deleted_by_hand(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Record that an operator deleted the backup, so that it is known to have existed."""
        await self._write(
            "deletion by hand",
            "INSERT INTO deleted_by_hand (server_uuid, backup_uuid, at) VALUES ($1, $2, $3)"
            " ON CONFLICT (server_uuid, backup_uuid) DO UPDATE SET at = excluded.at",
            server_uuid,
            backup_uuid,
            written(at),
        )

    async def knows(self, server_uuid: str, backup_uuid: str) -> bool:
        """Return whether anything is recorded of a backup of that server: that it was made, seen or deleted."""
        row = await self._row(
            "SELECT EXISTS (SELECT FROM deleted_by_hand WHERE server_uuid = $1 AND backup_uuid = $2)"
            " OR EXISTS (SELECT FROM accepted WHERE server_uuid = $1 AND backup_uuid = $2)"
            " OR EXISTS (SELECT FROM rotation WHERE server_uuid = $1"
            "            AND (backup_uuid = $2 OR strpos(summary, $2) > 0))"
            " OR EXISTS (SELECT FROM step JOIN rotation ON rotation.id = step.rotation"
            "            WHERE server_uuid = $1 AND strpos(detail, $2) > 0)"
            " OR EXISTS (SELECT FROM snapshot WHERE server_uuid = $1 AND strpos(detail, $2) > 0) AS known",
            server_uuid,
            backup_uuid,
        )
        return bool(row["known"])

    async def listed(self, server_uuid: str, backups: Iterable[Backup], at: datetime) -> None:
        """Record the successful backups of a complete listing, in place of the earlier ones."""
        await self._write(
            "listing",
            "INSERT INTO listing (server_uuid, at, backups) VALUES ($1, $2, $3)"
            " ON CONFLICT (server_uuid) DO UPDATE SET at = excluded.at, backups = excluded.backups",
            server_uuid,
            written(at),
            written_backups(backups),
        )

    async def last_listing(self, server_uuid: str) -> tuple[Backup, ...]:
        """Return the successful backups of the server's last complete listing, unlocked; none if none is known."""
        row = await self._row("SELECT backups FROM listing WHERE server_uuid = $1", server_uuid)
        with self._readable():
            return () if row is None else read_backups(row["backups"])
