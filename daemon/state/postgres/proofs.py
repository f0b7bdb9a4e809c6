"""What was read of backups and copies, how many bytes that took today, and since when it is asked for."""

from collections.abc import Collection, Iterable
from datetime import date, datetime

from daemon.core.proof import Proof
from daemon.state.journal import PROVEN_KEPT_FOR
from daemon.state.postgres.store import Store
from daemon.state.rows import read_asked, read_proof, written, written_asked, written_proof
from daemon.state.values import ProofAsked, ProofRecord

_ORDER = "ORDER BY server_uuid, made_at, store, backup_uuid, asked"
_KEY = ("server_uuid", "store", "backup_uuid", "asked")
_ASK = (
    "INSERT INTO proof_asked (panel, identifier, level, since) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (panel, identifier) DO UPDATE SET level = excluded.level, since = excluded.since"
)

_DATED_LATER = (
    "DELETE FROM proof USING live WHERE server_uuid = $3 AND store = $4 AND backup_uuid = $5"
    " AND at > $6 AND problems = '[]'"
)


class ProofRecords(Store):
    """The proofs that backups can be restored."""

    async def proofs(self, server_uuid: str | None = None) -> list[ProofRecord]:
        """Return the last reading of each backup and copy, for each level that was asked for."""
        where, values = ("", ()) if server_uuid is None else ("WHERE server_uuid = $1 ", (server_uuid,))
        rows = await self._rows(f"SELECT * FROM proof {where}{_ORDER}", *values)  # noqa: S608 — constants alone
        with self._readable():
            return [read_proof(row) for row in rows]

    async def record_proof(self, record: ProofRecord) -> bool:
        """Record what a reading found, in place of the earlier one; return whether it is what stands now."""
        row = written_proof(record)
        if record.proof.problems:  # first: should we end in between, then the backup is unproven
            place = (row[column] for column in ("server_uuid", "store", "backup_uuid", "at"))
            await self._write("proof", _DATED_LATER, *place, as_member=True)
        places = ", ".join(f"${number}" for number in range(3, len(row) + 3))
        others = ", ".join(f"{column} = excluded.{column}" for column in row if column not in _KEY)
        recorded = await self._write(
            "proof",
            f"INSERT INTO proof ({', '.join(row)}) SELECT {places} FROM live"  # noqa: S608 — columns
            f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET"
            " accepted_at = CASE WHEN proof.problems = excluded.problems THEN proof.accepted_at END,"
            f" {others} WHERE proof.problems = '[]' OR excluded.at >= proof.at",
            *row.values(),
            as_member=True,
        )
        return bool(recorded)

    async def accept_proof(self, server_uuid: str, backup_uuid: str, at: datetime) -> bool:
        """Record that an operator accepts what proofs found wrong with a backup; return whether anything was."""
        accepted = await self._write(
            "accepted proof",
            "UPDATE proof SET accepted_at = $3 WHERE server_uuid = $1 AND backup_uuid = $2"
            " AND problems <> '[]' AND accepted_at IS NULL",
            server_uuid,
            backup_uuid,
            written(at),
        )
        return bool(accepted)

    async def forget_proofs(self, server_uuid: str, proofs: Iterable[Proof]) -> None:
        """Forget these readings."""
        rows = [(server_uuid, one.store, one.backup, one.asked.value) for one in proofs]
        where = " AND ".join(f"{column} = ${number}" for number, column in enumerate(_KEY, start=1))
        await self._write_all("end of proofs", [(f"DELETE FROM proof WHERE {where}", rows)], as_member=True)  # noqa: S608

    async def bytes_proven(self, day: date) -> int:
        """Return how many bytes were read on that day."""
        row = await self._row("SELECT bytes FROM proof_day WHERE day = $1", day.isoformat())
        return 0 if row is None else int(row["bytes"])

    async def prove_bytes(self, day: date, size: int, *, after: int | None = None) -> bool:
        """Record that so many more bytes are read on that day, unless more than `after` are recorded already; return
        whether it was.
        """
        recorded = await self._write(
            "reading of a proof",
            "INSERT INTO proof_day (day, bytes) VALUES ($1, $2) ON CONFLICT (day) DO UPDATE SET"
            " bytes = proof_day.bytes + excluded.bytes WHERE $3::bigint IS NULL OR proof_day.bytes <= $3",
            day.isoformat(),
            size,
            after,
        )
        oldest = (day - PROVEN_KEPT_FOR).isoformat()
        await self._write("reading of a proof", "DELETE FROM proof_day WHERE day < $1", oldest)
        return bool(recorded)

    async def proofs_asked(self) -> list[ProofAsked]:
        """Return since when proofs are asked for of each server of which they are."""
        rows = await self._rows("SELECT * FROM proof_asked ORDER BY panel, identifier")
        with self._readable():
            return [read_asked(row) for row in rows]

    async def ask_proofs(self, asked: Collection[ProofAsked], no_more: Collection[tuple[str, str]] = ()) -> None:
        """Record since when proofs are asked for of these servers, and forget it of others."""
        forget = "DELETE FROM proof_asked WHERE panel = $1 AND identifier = $2"
        await self._write_all("asking for proofs", [(forget, list(no_more)), (_ASK, written_asked(asked))])
