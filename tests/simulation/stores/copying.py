"""The copies of a daemon in the simulation: now and then each server is looked at, copied and pruned, in its process."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from daemon.config.values import Config, ServerConfig
from daemon.copies.jobs import Job, LookResult
from daemon.errors import BackupdError
from daemon.panel.client import PanelClient
from daemon.rotation.preview import preview
from daemon.state import ShelfRecord
from tests.simulation.stores.worker import Worker

if TYPE_CHECKING:
    from tests.simulation.process import Daemon


class _Unheard:
    """Nobody hears of the transfers."""

    def moved(self, size: int) -> None:
        """Do nothing."""

    def said(self, text: str) -> None:
        """Do nothing."""


class Copying:
    """What copies in one daemon."""

    def __init__(self, process: "Daemon") -> None:
        self._process = process
        self._worker = Worker(process)

    async def run(self, config: Callable[[], Config]) -> None:
        """Go round for ever."""
        while True:
            await self._process.clock.sleep(self._process.simulation.scenario.stores.interval)
            for server in config().servers.values():
                if server.policy.copies:
                    with suppress(BackupdError):
                        await self._visit(config(), server)

    async def _visit(self, config: Config, server: ServerConfig) -> None:
        """Copy what the stores of one server want, and prune them."""
        context, client = self._process.context, self._process.open_client(server.panel)
        try:
            seen = await preview(server, client, context.journal, self._process.clock)
            stores = {name: config.stores[name] for name in server.policy.copies}
            verdicts = tuple(seen.plan.verdicts)
            installation = await context.engine.catalogue.installation()
            job = Job(seen.config, seen.server, seen.listing, verdicts, stores, (), installation)
            looked = await self._worker.look(await self._recalled(job))
            await self._remember(looked.remembered)
            await self._copy(job, looked, client)
            for name in stores:
                pruned = await self._worker.prune(await self._recalled(job), name, seen.accepted)
                await self._remember(pruned.remembered)
        finally:
            await client.aclose()

    async def _copy(self, job: Job, looked: LookResult, client: PanelClient) -> None:
        troubled = set(looked.troubles)
        for one in looked.wanted:
            names = [name for name in one.stores if name not in troubled]
            if not names:
                continue

            async def link(uuid: str = one.backup) -> SecretStr:
                return await client.download_link(job.config.id, uuid)

            part = replace(job, stores={name: job.stores[name] for name in names})
            result = await self._worker.copy(await self._recalled(part), one.backup, link, _Unheard())
            troubled |= set(result.troubles)
            await self._remember(result.remembered)

    async def _recalled(self, job: Job) -> Job:
        """The job with what the catalogue knows."""
        known = await self._process.context.engine.catalogue.shelves(job.config.panel.name, job.server.uuid)
        return replace(job, remembered=tuple(one for one in known if one.holding.store in job.stores))

    async def _remember(self, records: Sequence[ShelfRecord]) -> None:
        for record in records:
            await self._process.context.engine.catalogue.remember(record)
