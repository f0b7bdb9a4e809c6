"""A backup that lacks what the one before it has, such as a world: it is told, and asked about before it is restored.

What must hold: where nobody can be asked, it is refused.
"""

import sys
from collections.abc import Sequence

from daemon.cli.ui.confirm import confirm_meanwhile
from daemon.cli.ui.output import one_line
from daemon.operations.archive import ReadResult
from daemon.operations.onto_options import Stages, lacking
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Result


class LackingAsked(Stages):
    """Asks once whether to restore a backup that lacks something; with `yes` nobody is asked, and it is refused."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes
        self._agreed: frozenset[str] = frozenset()

    async def reads(self, found: ReadResult) -> None:
        """Ask about what the backup lacks."""
        await self.ask(found.lacks)

    async def ask(self, lacks: Sequence[str]) -> None:
        """Ask, unless it lacks nothing more than was agreed to; raises Halt, or typer.Abort if the answer is no."""
        if self._agreed.issuperset(lacks):
            return
        if self._yes or not sys.stdin.isatty():
            raise Halt(Result.REFUSED, lacking(lacks))
        facts = [f"WARNING: it lacks what the one before it has: {one_line(one)}" for one in lacks]
        await confirm_meanwhile(facts, "restore it all the same?")
        self._agreed |= frozenset(lacks)
