"""The database of the cluster in `cluster_rounds`, and what happens to it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from daemon.errors import StateError
from daemon.state import Membership, engine_for
from tests.postgres import Postgres
from tests.process.cluster_audit import TABLES, Audit
from tests.process.support import CLOCK

MEMBERS = ("one", "two", "three")


class SharedDatabase:
    """The members' database, in a server that may be replaced by its standby."""

    def __init__(self, server: Postgres, cluster: ClusterConfig, moved: Callable[[int], None]) -> None:
        self.server = server
        self.cluster = cluster
        self._moved = moved
        """Called with the port of the server that has the database by then."""

        self.moves: list[tuple[datetime, float]] = []
        """By how many seconds its clock was wrong from when on."""

        self._standby: Postgres | None = None
        self._ends = ExitStack()

    def close(self) -> None:
        """End the servers that were promoted."""
        self._ends.close()

    def make_tables(self) -> None:
        """Make the members' tables, and what records who holds what, and let the `gate` be out."""
        asyncio.run(_tables(self.cluster))
        wrong = f"pg_read_file('{self.server.clock}')::float8" if self.server.environ else "0"
        self.sql(TABLES.format(wrong=wrong))
        self.sql("INSERT INTO sent_out VALUES ('gate', now(), 'nobody', FALSE)")

    def sql(self, statement: str) -> str:
        """Run a statement on the members' tables."""
        return self.server.sql(self.cluster, statement)

    def audit(self) -> Audit:
        """Return who has held what, and what was announced."""
        return Audit(self.sql)

    # What an operator does -------------------------------------------------------------------------------------------

    def send_out(self, name: str, *, at_once: bool) -> None:
        """Send a member out; nothing happens if the database cannot be asked."""

        async def send(membership: Membership) -> None:
            await (membership.evict(name) if at_once else membership.send_out(name))

        with suppress(StateError):
            self._as_operator(send)

    def call_back(self, name: str) -> None:
        """Let a member act again."""

        async def call(membership: Membership) -> None:
            await membership.call_back(name)

        self._as_operator(call)

    def _as_operator(self, work: Callable[[Membership], Coroutine[None, None, None]]) -> None:
        engine = engine_for(replace(self.cluster, url=SecretStr(elsewhere(self.cluster, self.server.port))))
        membership = engine.leadership.membership
        assert membership is not None
        asyncio.run(work(membership))

    # A new node ------------------------------------------------------------------------------------------------------

    def shut(self, part: str) -> None:
        """Let nobody take a part of the fleet until `open`: a member that is out still holds it."""
        joined = "INSERT INTO member (name, process, until, role) VALUES ('gate', 0, now() + interval '1 day', 'acts')"
        self.sql(f"WITH gate AS ({joined} RETURNING epoch) INSERT INTO lease SELECT '{part}', epoch FROM gate")  # noqa: S608 — our own

    def digests(self) -> set[str]:
        """Return what the three members go by; nothing if they are not all there."""
        rows = self.sql(
            "SELECT digest FROM member JOIN opinion USING (epoch)"
            " WHERE name <> 'gate' AND role = 'acts' AND until > clock_timestamp()"
        ).split()
        return set(rows) if len(rows) == len(MEMBERS) else set()

    def agree(self) -> None:
        """Let the gate go by what the members do, or they would delete nothing."""
        self.sql(
            "INSERT INTO opinion SELECT gate.epoch, decisions, digest, rules FROM opinion, member AS gate"
            " WHERE name = 'gate' AND opinion.epoch = (SELECT max(epoch) FROM opinion WHERE epoch <> gate.epoch)"
            " ON CONFLICT (epoch) DO UPDATE SET digest = excluded.digest, rules = excluded.rules"
        )

    def open(self) -> None:
        """Let the members take what was shut."""
        self.sql("DELETE FROM member WHERE name = 'gate'")

    # What happens to it ----------------------------------------------------------------------------------------------

    def restart(self, how: str) -> None:
        """Stop it in that way, and start it again."""
        self.server.stop(how)
        self.server.start()

    def fill_disk(self) -> Callable[[], None]:
        """Leave no room on its disk; return what lets there be room again, and starts a server that ended for that."""
        server = self.server

        def end() -> None:
            server.empty_disk()
            if server is self.server and not server.is_running:
                server.start()

        server.fill_disk()
        return end

    def move_clock(self, seconds: float) -> Callable[[], None]:
        """Let its clock go wrong; return what sets it right."""
        self._move_clock(seconds)
        return lambda: self._move_clock(0)

    def _move_clock(self, seconds: float) -> None:
        self.moves.append((CLOCK.now(), seconds))
        self.server.move_clock(seconds)

    def follow(self) -> None:
        """Let a standby follow it, which has all that is committed."""
        self._standby = self._ends.enter_context(self.server.standby())

    def promote(self) -> None:
        """Let its machine die, and the standby take its place, if one follows."""
        standby = self._standby
        if standby is None:
            return
        self.server.stop("immediate")
        standby.promote()
        self.server, self._standby = standby, None
        self._moved(standby.port)


def elsewhere(cluster: ClusterConfig, port: int) -> str:
    """Return the address of the database by another port."""
    url = cluster.url.get_secret_value()
    return url.replace(f":{urlsplit(url).port}/", f":{port}/")


async def _tables(cluster: ClusterConfig) -> None:
    """Make the members' tables."""
    engine = engine_for(cluster)
    await (await engine.open()).close()
    engine.close()
