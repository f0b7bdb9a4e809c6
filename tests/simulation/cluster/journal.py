"""The cluster's journal as a member has it, with the recorder beside it: what could not be written, what is asked for.

What one daemon's disk tells the recorder, the way to the database tells here.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from daemon.core.proof import Proof
from daemon.errors import StateError
from daemon.state import Journal, ProofRecord
from tests.simulation.cluster.engine import ModelEngine, ModelJournal, ModelStore
from tests.simulation.process import PROCESS

KIND = "a call to the database fails"


class WatchedStore(ModelStore):
    """Notes each call that fails, as the rotation that made it must."""

    @contextmanager
    def _noticed(self, what: str = "") -> Iterator[None]:
        try:
            with super()._noticed(what):
                yield
        except StateError:
            PROCESS.get().journal_fails(KIND)
            raise


class WatchedJournal(ModelJournal):
    """Notes what is about to be known of a rotation, and what is recorded of proofs."""

    async def begin(self, **about: Any) -> int:
        """Note that a rotation has its row."""
        number = await super().begin(**about)
        PROCESS.get().opens_row()
        return number

    async def end(self, rotation: int, **about: Any) -> None:
        """Note that a rotation reports, since it may be killed when that is written and nobody was told."""
        if about["result"] != "interrupted":
            PROCESS.get().reports()
        await super().end(rotation, **about)

    async def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Note what a deletion is asked for of, since it may be killed when that is written and nothing left."""
        PROCESS.get().simulation.recorder.about_to_ask(server_uuid, backup_uuid)
        await super().ask(server_uuid, backup_uuid, at)

    async def record_proof(self, record: ProofRecord) -> bool:
        """Let the judge know once it is there."""
        process = PROCESS.get()

        def recorded() -> bool:
            stands = self.sqlite.record_proof(record)
            process.simulation.proofs.rules.recorded(process.name, record)
            self._tables.on_proof(process.name, record.server_uuid)
            return stands

        return bool(await self._as_member(recorded))

    async def accept_proof(self, server_uuid: str, backup_uuid: str, at: datetime) -> bool:
        """Let the judge know once it is there."""
        rules = PROCESS.get().simulation.proofs.rules

        def accepted() -> bool:
            stands = self.sqlite.accept_proof(server_uuid, backup_uuid, at)
            rules.accepted(server_uuid, backup_uuid)
            return stands

        return await self._runner.run(accepted)

    async def forget_proofs(self, server_uuid: str, proofs: Iterable[Proof]) -> None:
        """Let the judge know once they are gone."""
        process, forgotten = PROCESS.get(), list(proofs)

        def forget() -> None:
            self.sqlite.forget_proofs(server_uuid, forgotten)
            process.simulation.proofs.rules.forgotten(process.name, server_uuid, forgotten)

        await self._as_member(forget)

    async def prove_bytes(self, day: date, size: int, *, after: int | None = None) -> bool:
        """Let the judge know once it is there."""
        process = PROCESS.get()

        def spend() -> bool:
            recorded = self.sqlite.prove_bytes(day, size, after=after)
            if recorded:
                process.simulation.proofs.rules.spends(process.name, day, size)
            return recorded

        return await self._runner.run(spend)


class MemberEngine(ModelEngine):
    """The engine of a process that the recorder looks at."""

    def journal(self) -> Journal:
        """Return its journal."""
        return WatchedJournal(WatchedStore(self._database, self._members), self._members, self.tables)
