"""What was read of backups and copies, how many bytes that took today, and since when it is asked for."""

from collections.abc import Collection, Iterable
from datetime import date, datetime

from daemon.core.proof import Proof
from daemon.state.journal import PROVEN_KEPT_FOR
from daemon.state.local.store import Store
from daemon.state.rows import read_asked, read_proof, written, written_asked, written_proof
from daemon.state.values import ProofAsked, ProofRecord

_COLUMNS = (
    *("server_uuid", "store", "backup_uuid", "asked", "server", "name", "made_at", "at"),
    *("reached", "problems", "files", "bytes", "worlds", "archive"),
)
_RECORD = (
    f"INSERT INTO proof ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{one}' for one in _COLUMNS)})"  # noqa: S608
    " ON CONFLICT (server_uuid, store, backup_uuid, asked) DO UPDATE SET"
    " accepted_at = CASE WHEN proof.problems = excluded.problems THEN proof.accepted_at END,"
    f" {', '.join(f'{one} = excluded.{one}' for one in _COLUMNS[4:])}"
    " WHERE proof.problems = '[]' OR excluded.at >= proof.at"
)
_DATED_LATER = (
    "DELETE FROM proof WHERE server_uuid = :server_uuid AND store = :store AND backup_uuid = :backup_uuid"
    " AND at > :at AND problems = '[]'"
)


class ProofRecords(Store):
    """The proofs that backups can be restored."""

    def proofs(self, server_uuid: str | None = None) -> list[ProofRecord]:
        """Return the last reading of each backup and copy, for each level that was asked for."""
        where = "" if server_uuid is None else " WHERE server_uuid = :server"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM proof{where} ORDER BY server_uuid, made_at, store, backup_uuid, asked",  # noqa: S608
                {"server": server_uuid},
            )
            return [read_proof(row) for row in rows]

    def record_proof(self, record: ProofRecord) -> bool:
        """Record what a reading found, in place of the earlier one; return whether it is what stands now."""
        row = written_proof(record)
        with self._synced(), self._writing("proof") as connection:
            if record.proof.problems:
                connection.execute(_DATED_LATER, row)
            return bool(connection.execute(_RECORD, row).rowcount)

    def accept_proof(self, server_uuid: str, backup_uuid: str, at: datetime) -> bool:
        """Record that an operator accepts what proofs found wrong with a backup; return whether anything was."""
        with self._synced(), self._writing("accepted proof") as connection:
            accepted = connection.execute(
                "UPDATE proof SET accepted_at = ? WHERE server_uuid = ? AND backup_uuid = ?"
                " AND problems <> '[]' AND accepted_at IS NULL",
                (written(at), server_uuid, backup_uuid),
            )
            return bool(accepted.rowcount)

    def forget_proofs(self, server_uuid: str, proofs: Iterable[Proof]) -> None:
        """Forget these readings."""
        rows = [(server_uuid, one.store, one.backup, one.asked.value) for one in proofs]
        with self._writing("end of proofs") as connection:
            connection.executemany(
                "DELETE FROM proof WHERE server_uuid = ? AND store = ? AND backup_uuid = ? AND asked = ?", rows
            )

    def bytes_proven(self, day: date) -> int:
        """Return how many bytes were read on that day."""
        with self._reading() as connection:
            row = connection.execute("SELECT bytes FROM proof_day WHERE day = ?", (day.isoformat(),)).fetchone()
            return 0 if row is None else int(row["bytes"])

    def prove_bytes(self, day: date, size: int, *, after: int | None = None) -> bool:
        """Record that so many more bytes are read on that day, unless more than `after` are recorded already; return
        whether it was.
        """
        with self._writing("reading of a proof") as connection:
            connection.execute("DELETE FROM proof_day WHERE day < ?", ((day - PROVEN_KEPT_FOR).isoformat(),))
            recorded = connection.execute(
                "INSERT INTO proof_day (day, bytes) VALUES (:day, :size) ON CONFLICT (day)"
                " DO UPDATE SET bytes = bytes + excluded.bytes WHERE :after IS NULL OR bytes <= :after",
                {"day": day.isoformat(), "size": size, "after": after},
            )
            return bool(recorded.rowcount)

    def proofs_asked(self) -> list[ProofAsked]:
        """Return since when proofs are asked for of each server of which they are."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM proof_asked ORDER BY panel, identifier")
            return [read_asked(row) for row in rows]

    def ask_proofs(self, asked: Collection[ProofAsked], no_more: Collection[tuple[str, str]] = ()) -> None:
        """Record since when proofs are asked for of these servers, and forget it of others."""
        with self._writing("asking for proofs") as connection:
            connection.executemany("DELETE FROM proof_asked WHERE panel = ? AND identifier = ?", no_more)
            connection.executemany(
                "INSERT OR REPLACE INTO proof_asked (panel, identifier, level, since) VALUES (?, ?, ?, ?)",
                written_asked(asked),
            )
