"""The cluster's journal as a member has it, with the recorder beside it: what could not be written, what is asked for.

What one daemon's disk tells the recorder, the way to the database tells here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from daemon.errors import StateError
from daemon.state import Journal
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
    """Notes what is about to be known of a rotation."""

    async def end(self, rotation: int, **about: Any) -> None:
        """Note that a rotation reports, since it may be killed when that is written and nobody was told."""
        if about["result"] != "interrupted":
            PROCESS.get().reports()
        await super().end(rotation, **about)

    async def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Note what a deletion is asked for of, since it may be killed when that is written and nothing left."""
        PROCESS.get().simulation.recorder.about_to_ask(server_uuid, backup_uuid)
        await super().ask(server_uuid, backup_uuid, at)


class MemberEngine(ModelEngine):
    """The engine of a process that the recorder looks at."""

    def journal(self) -> Journal:
        """Return its journal."""
        return WatchedJournal(WatchedStore(self._database, self._members), self._members, self.tables)
