"""Commands from another terminal: each a process of its own beside the daemon."""

from contextlib import suppress

from daemon.config.values import Config
from daemon.copies.source import node_source
from daemon.core.model import Backup
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.operations.operation import Operation
from daemon.operations.restore import RestoreOptions, restore
from daemon.panel.errors import PanelError
from daemon.proof.sane import SanityCheck
from daemon.rotation.order import Order
from daemon.rotation.rotate import rotate
from daemon.rotation.run import Run
from daemon.transfer.expected import Expected
from daemon.transfer.progress import Unheard
from daemon.transfer.verify import VerifyResult, verify
from tests.simulation.process import PROCESS, Process
from tests.simulation.proofs.restores import Asked
from tests.simulation.stores.lockstep import in_thread


class Hand(Process):
    """A command from another terminal."""

    async def set_lock(self, config: Config, server: str, backup: str, wanted: bool) -> None:
        """`backups lock` or `backups unlock`: what it reports as done is so."""
        PROCESS.set(self)
        began = self.clock.monotonic()
        client = self.open_client(config.servers[server].panel)
        try:
            await client.set_lock(config.servers[server].id, backup, wanted)
        except PanelError as error:
            self.simulation.recorder.tell(f"{self.name}: lock = {wanted} failed: {error.text}")
        else:
            uuid = self.simulation.uuid_of(server)
            self.simulation.rules.locked_by_hand(self.name, uuid, backup, wanted, began)
        finally:
            await client.aclose()

    async def rotate(self, config: Config, server: str, most: int | None) -> None:
        """One rotation, then it ends; `most` is its `--max-deletions`."""
        PROCESS.set(self)
        context = await self.open_context(config)
        client = self.open_client(config.servers[server].panel, hindrance=context.engine.leadership.hindrance)
        order = Order(config.servers[server], "manual", max_deletions=most)
        self.rotation_begins(order)
        try:
            self.rotation_ended(server, await rotate(order, client, context))
        finally:
            await client.aclose()
            await context.close()
            self.simulation.forget(self.name)

    async def accept_proof(self, config: Config, server: str) -> None:
        """`prove accept SERVER latest`."""
        PROCESS.set(self)
        context, uuid = await self.open_context(config), self.simulation.uuid_of(server)
        try:
            with suppress(StateError):
                bad = [one.proof for one in await context.journal.proofs(uuid) if one.proof.problems]
                if bad:
                    latest = max(bad, key=lambda one: one.made_at)
                    await context.journal.accept_proof(uuid, latest.backup, self.clock.now())
        finally:
            await context.close()

    async def restore(self, config: Config, server: str, asked: Asked) -> None:
        """`backups restore SERVER BACKUP`, maybe with `--truncate`, `--unproven` and `--no-safety-backup`."""
        PROCESS.set(self)
        restores = self.simulation.proofs.restores
        restores.asks(self.name, asked)
        context = await self.open_context(config)
        client = self.open_client(config.servers[server].panel)
        operation = Operation(Run(Order(config.servers[server], "manual"), client, context, get_logger()), self._say)

        async def read(backup: Backup) -> VerifyResult:
            source = node_source(
                client, config.servers[server].id, backup, clock=self.clock, listener=Unheard(), clear=True
            )
            return await in_thread(lambda: verify(source, Expected.of(backup), SanityCheck))

        reads = read if asked.truncates and asked.reads else None
        options = RestoreOptions(truncate=asked.truncates, safety=asked.safe, read=reads, unproven=not asked.reads)
        try:
            backup = await client.backup(config.servers[server].id, asked.backup)
            done = await restore(operation, backup, options)
            self._say(f"{done.outcome.result.value}: {[problem.text for problem in done.outcome.problems]}")
            restores.ended(self.name, done)
        except PanelError as error:
            self._say(error.text)
        finally:
            await client.aclose()
            await context.close()

    def _say(self, text: str) -> None:
        self.simulation.recorder.tell(f"{self.name}: {text}")
