"""When the daemon drills: one drill at a time, whichever is due longest, and first what one that was killed has left.

What must hold: drills hold up no rotation (invariants 12 and 16); what is due follows from what is recorded, so that a
kill loses nothing; what a drill put onto its spare server does not stay there since somebody was killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.config.values import Config, DrillConfig, ServerConfig
from daemon.copies.workers import FetchWorker
from daemon.copying.logged import Logged
from daemon.copying.steps import GLANCE_SECONDS, Steps
from daemon.core.drills import DrillRecord, DrillResult, Turn, choose_backup, next_at, next_turn
from daemon.core.model import Backup
from daemon.core.proof_due import PAUSES
from daemon.drilling.archive import BackupElsewhere
from daemon.drilling.folder import drill_folder
from daemon.errors import BackupdError, ServerBusyError, StateError
from daemon.fleet.busy_nodes import node_is_busy
from daemon.fleet.clients import Clients
from daemon.log import get_logger
from daemon.operations.drill import (
    Drilled,
    DrillOptions,
    drill,
    end_interrupted,
    record_interrupted,
)
from daemon.operations.operation import Operation
from daemon.operations.restore_errors import NotEmptiedError
from daemon.operations.sent import usual_ways
from daemon.panel.client import PanelClient
from daemon.panel.errors import NotFoundError
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.preview import Preview, preview
from daemon.rotation.run import RotationContext, Run
from daemon.transfer.progress import ProgressListener

log = get_logger()

LOOK_SECONDS = 600.0
"""How often to look whether a drill is due, or one by hand was killed: the wall clock may be set."""

WITHOUT_SECONDS = 21_600.0
"""Before a server that had no backup to try is looked at again."""

BUSY_SECONDS = 60.0
"""Before a server, or a node, that was busy is looked at again."""


class Drilling:
    """The drills of a configuration.

    `clients` are the fleet's, so that both share the API limit. `worker` reads the archives.
    """

    def __init__(self, context: RotationContext, clients: Clients, worker: FetchWorker) -> None:
        self._context = context
        self._clock = context.clock
        self._clients = clients
        self._worker = worker
        self._config: Config | None = None
        self._without: dict[str, float] = {}
        self._unseen: dict[str, int] = {}
        self._put_off: dict[str | int, float] = {}
        self._tries: dict[str | int, int] = {}
        self._stuck: set[int] = set()
        self.at_work: str | None = None
        """The spare server that a drill is on."""

        self._steps = Steps(self._step, context.clock, "drilling")

    def follow(self, config: Config) -> None:
        """Obey a configuration: what could not be done under the last one is tried again."""
        self._config = config
        self._try_all_again()
        self._steps.wake()
        self._steps.begin()

    def _try_all_again(self) -> None:
        self._without, self._unseen, self._put_off, self._tries = {}, {}, {}, {}

    def rotated(self, name: str, outcome: Outcome) -> None:
        """A server's rotation ended: it may have a backup to try now."""
        if outcome.created is not None and outcome.created.successful:
            self._without.pop(name, None)

    async def stop(self) -> None:
        """Leave the drill that is under way."""
        await self._steps.stop()
        await self._worker.close()

    async def _step(self) -> None:
        """Clear up after a drill that was killed, or do the one that is due, or wait."""
        records = await self._records()
        config = self._config  # a reload may have come while the journal was asked
        now = self._clock.monotonic()
        left = next((one for one in records if one.ended_at is None and self._may(one.number, now)), None)
        if config is not None and left is not None:
            await self._clear_up(config, left)
        elif config is not None and (turn := self._turn(config, records)) is not None:
            await self._take(config, turn)
        else:
            await self._worker.close()
            await self._steps.rest(self._pause(config, records))
        if self._config is not config:  # what has failed meanwhile, failed under the last one
            self._try_all_again()

    def _pause(self, config: Config | None, records: list[DrillRecord]) -> float:
        """Return for how many seconds nothing is due."""
        now = self._clock.now()
        due_at = next_at((one.rules for one in config.drills.values()), records, now) if config else None
        seconds = LOOK_SECONDS if due_at is None else (due_at - now).total_seconds()
        return min(max(seconds, GLANCE_SECONDS), LOOK_SECONDS)

    async def _records(self) -> list[DrillRecord]:
        """Return what is recorded, the newest first; what cannot be read lets nothing begin."""
        while True:
            try:
                return await self._context.journal.drills()
            except StateError as error:
                log.warning("drills_wait", text=error.text)
                await self._steps.rest(GLANCE_SECONDS)

    def _turn(self, config: Config, records: list[DrillRecord]) -> Turn | None:
        now, quiet = self._clock.now(), config.proof.quiet
        still = {
            name for name in config.drilled if quiet is not None and quiet.holds(now, config.servers[name].policy.zone)
        }
        passed = self._clock.monotonic()
        return next_turn(
            (one.rules for one in config.drills.values()),
            records,
            now,
            put_off=[name for name in config.drills if not self._may(name, passed)],
            busy={*self._context.under_way, *still},
            without=[name for name, until in self._without.items() if passed < until],
            stuck=self._stuck,
        )

    # A drill ---------------------------------------------------------------------------------------------------------

    async def _take(self, config: Config, turn: Turn) -> None:
        chosen, source = config.drills[turn.drill], config.servers[turn.server]
        try:
            with self._clients.lent(source.panel) as client:
                seen = await self._seen(turn, source, client)
                if seen is None:
                    return
                backup = choose_backup(seen.plan.verdicts, seen.proven.proofs)
                if await node_is_busy(self._context, source.panel.name, seen.server.node):
                    self._wait(turn.drill, BUSY_SECONDS)
                elif backup is None:
                    log.warning("drill_without_backup", drill=turn.drill, server=turn.server)
                    self._without[turn.server] = self._clock.monotonic() + WITHOUT_SECONDS
                else:
                    await self._drill(config, chosen, seen, backup, client)
        except BackupdError as error:
            about = {"drill": turn.drill, "server": turn.server}
            log.warning("drill_not_done", **about, code=error.code, text=error.text, hint=error.hint)
            self._wait(turn.drill)

    async def _seen(self, turn: Turn, source: ServerConfig, client: PanelClient) -> Preview | None:
        """Look at the server whose turn it is; None where it cannot be seen now, and the others have their turns."""
        try:
            seen = await preview(source, client, self._context.journal, self._clock)
        except BackupdError as error:
            about = {"drill": turn.drill, "server": turn.server}
            log.warning("drill_without_source", **about, code=error.code, text=error.text, hint=error.hint)
            self._unseen[turn.server] = self._unseen.get(turn.server, 0) + 1
            pause = PAUSES.pause(self._unseen[turn.server]).total_seconds()
            self._without[turn.server] = self._clock.monotonic() + pause
            return None
        self._unseen.pop(turn.server, None)
        return seen

    async def _drill(
        self, config: Config, chosen: DrillConfig, seen: Preview, backup: Backup, client: PanelClient
    ) -> None:
        server, context = seen.config, self._context
        told = _Told(chosen.name, server.name)
        log.info("drill_begun", drill=chosen.name, server=server.name, backup=backup.name, onto=chosen.server)
        archive = BackupElsewhere(context, client, self._worker, seen, backup, told)
        async with drill_folder(config.state_dir) as folder:
            if self._config is not config:  # a reload may have come since its turn was found: the next step looks again
                return
            with self._spare(config.servers[chosen.server], told) as spare:
                ways = usual_ways(spare, told.watching, folder)
                names = chosen.name, server.name, seen.server.uuid
                options = DrillOptions(*names, ways, chosen.start, chosen.watch, chosen.console)
                done = await drill(spare, archive, options)
        self._ended(chosen, server.name, done)

    def _ended(self, chosen: DrillConfig, server: str, done: Drilled) -> None:
        about = {"drill": chosen.name, "server": server}
        for problem in done.brought.outcome.problems:
            log.warning("drill_problem", **about, code=problem.code, text=problem.text, hint=problem.hint)
        record = done.record
        if record is None or record.result is DrillResult.SKIPPED:
            busy = record is None and done.brought.outcome.passing
            self._wait(chosen.name, BUSY_SECONDS if busy else None)
            return
        self._put_off.pop(chosen.name, None)
        self._tries.pop(chosen.name, None)
        self._context.on_drill(record)
        if record.result is not DrillResult.DONE:
            log.error("drill_failed", **about, backup=record.name, text=record.text)
            return
        log.info("drill_done", **about, backup=record.name, seconds=round(record.seconds or 0.0, 3))

    # After a kill ----------------------------------------------------------------------------------------------------

    async def _clear_up(self, config: Config, record: DrillRecord) -> None:
        """Clear the spare server of a drill that was killed; one that still runs elsewhere is waited for."""
        about = {"drill": record.drill, "onto": record.spare}
        try:
            ended = await self._cleared(config, record)
        except ServerBusyError:
            self._stuck.discard(record.number)
            self._wait(record.number, BUSY_SECONDS)
        except BackupdError as error:
            log.warning("drill_not_cleared", **about, code=error.code, text=error.text, hint=error.hint)
            self._stuck.add(record.number)
            self._wait(record.number)
        else:
            if ended is not None:
                log.warning("drill_interrupted", **about, text=ended.text)
                self._context.on_drill(ended)

    async def _cleared(self, config: Config, record: DrillRecord) -> DrillRecord | None:
        """Return the record as it ended; None where it had ended, or a reload came, meanwhile. A server that is gone is
        given up.
        """
        server = config.servers.get(record.spare)
        if server is None and not config.drills:
            text = f"{record.spare} is not configured any more, so what a killed drill put there stays"
            raise NotEmptiedError(text, hint=f"configure {record.spare} again, and it is cleared")
        if server is None:
            return await self._give_up(record, f"{record.spare} is not configured any more, and was not touched")
        async with drill_folder(config.state_dir):
            pass  # what the killed one had fetched is gone
        if self._config is not config:
            return None
        with self._spare(server, _Told(record.drill, record.server)) as spare:
            try:
                return await end_interrupted(spare, record)
            except NotFoundError:
                if await self._is_shown(spare):
                    raise
        return await self._give_up(record, f"the panel does not show {record.spare} any more")

    async def _is_shown(self, spare: Operation) -> bool:
        try:
            await spare.client.server(spare.config.id)
        except NotFoundError:
            return False
        return True

    async def _give_up(self, record: DrillRecord, why: str) -> DrillRecord:
        return await record_interrupted(self._context.journal, record, self._clock.now(), f"it was killed; {why}")

    # What both need --------------------------------------------------------------------------------------------------

    def _may(self, what: str | int, now: float) -> bool:
        """Return whether a drill, by its name, or what one left, by its number, may be tried now."""
        return now >= self._put_off.get(what, now)

    def _wait(self, what: str | int, seconds: float | None = None) -> None:
        """Put it off for so long, or ever longer."""
        if seconds is None:
            self._tries[what] = self._tries.get(what, 0) + 1
            seconds = PAUSES.pause(self._tries[what]).total_seconds()
        self._put_off[what] = self._clock.monotonic() + seconds

    @contextmanager
    def _spare(self, server: ServerConfig, told: "_Told") -> Iterator[Operation]:
        """Return an operation on a spare server."""
        self.at_work = server.name
        try:
            with self._clients.lent(server.panel) as client:
                yield Operation(Run(Order(server, "schedule"), client, self._context, log), told.said)
        finally:
            self.at_work = None


class _Told(Logged):
    """A drill's progress, for the log."""

    def __init__(self, name: str, server: str) -> None:
        super().__init__(moved="drill_moved", said="drill_step", drill=name, server=server)

    @contextmanager
    def watching(self, _name: str, _size: int) -> Iterator[ProgressListener]:
        """Hear of one transfer."""
        yield self
