"""Which rotations ended since one last asked, whichever member's they are.

Numbers are given in one order and committed in another: a row may appear below one that was seen before, since its
commit waited for the disk or for a standby. So a number that is left out is asked for again, until its row is there or
so much time has passed that it never will be: what is rolled back leaves its number unused.
"""

from daemon.state.postgres.connect import Connection

LOOKS = 600
"""How often a number that was left out is asked for again: ten minutes, which no commit takes."""

BEHIND = 1000
"""Only so many numbers before the newest are asked for again. A standby that is promoted may skip more."""

KNOWN = (
    "SELECT id, ended_at IS NULL AS open FROM rotation"
    " WHERE ended_at IS NULL OR id > (SELECT max(id) FROM rotation) - $1"
)
SINCE = (
    "SELECT id, server, ended_at IS NOT NULL AS ended FROM rotation WHERE id > $1 UNION ALL"
    " SELECT id, server, ended_at IS NOT NULL FROM rotation WHERE id = ANY($2) UNION ALL"
    " SELECT id, server, TRUE FROM rotation WHERE id = ANY($3) AND ended_at IS NOT NULL"
)


class Ended:
    """Knows which rotations are known, and how far."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._open: set[int] = set()
        self._left_out: dict[int, int] = {}
        """How often each of these numbers is asked for again."""

    def begin_anew(self) -> None:
        """Forget all: what has ended by the next look is nothing new."""
        self._newest, self._open, self._left_out = None, set(), {}

    async def since(self, connection: Connection) -> set[str]:
        """Return the servers whose rotations ended since the last look."""
        if self._newest is None:
            known = await connection.fetch(KNOWN, BEHIND)
            self._open = {row["id"] for row in known if row["open"]}
            self._newest = max((row["id"] for row in known), default=0)
            self._leave_out(self._newest - BEHIND, {row["id"] for row in known})
        rows = await connection.fetch(SINCE, self._newest, list(self._left_out), list(self._open))
        there = {row["id"] for row in rows}
        before, self._newest = self._newest, max([self._newest, *there])
        self._left_out = {one: left - 1 for one, left in self._left_out.items() if left > 1 and one not in there}
        self._leave_out(before, there)
        self._open |= there
        self._open -= {row["id"] for row in rows if row["ended"]}
        return {row["server"] for row in rows if row["ended"]}

    def _leave_out(self, before: int, there: set[int]) -> None:
        """Ask again for the numbers after `before` that are not there."""
        first = max(before, (self._newest or 0) - BEHIND, 0) + 1
        self._left_out |= {one: LOOKS for one in range(first, self._newest or 0) if one not in there}
