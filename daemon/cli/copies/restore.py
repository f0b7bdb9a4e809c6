"""`copies restore`: a copy out of its store onto a server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.copies.places import chosen_copy, identity_of, known_copies, stores_meant
from daemon.cli.copies.whose import owners_in
from daemon.cli.onto import OntoArguments, bring, consequences, words
from daemon.cli.reader import reader
from daemon.cli.runner import CommandRunner
from daemon.cli.settings import Settings
from daemon.cli.ui.confirm import confirm, must_be_able_to_ask
from daemon.cli.ui.output import one_line
from daemon.cli.ui.progress import watching
from daemon.cli.ui.which import about
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.copies.manifest import Manifest
from daemon.copies.reading import job_of_copy
from daemon.core.proof import Proof, Proofs
from daemon.core.units import format_size
from daemon.documents.operations import brought
from daemon.operations.archives import CopyArchive, must_have_key
from daemon.operations.fit import known_as_bad
from daemon.operations.onto import Brought
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult
from daemon.state import engine_for


@dataclass(frozen=True, slots=True)
class CopySource:
    """Which copy: of which server, its backup, from which store, and the file with the private key."""

    server: str
    copy: str
    store: str | None = None
    identity: Path | None = None


async def _chosen(config: Config, source: CopySource) -> tuple[ServerConfig, str, Manifest, Proof | None]:
    """Return whose copy is meant, its store, which it is, and the proof that found it damaged."""
    stores = [one.name for one in stores_meant(config, source.store)]
    server = await (await owners_in(config, stores)).one(source.server)
    known = await known_copies(config, server, source.store)
    journal = await engine_for(config.state).open()
    try:
        proofs = Proofs(one.proof for one in await journal.proofs(known[0][1].server.uuid))
    finally:
        await journal.close()
    store, manifest = chosen_copy(known, source.copy, proofs)
    return server, store, manifest, proofs.failed(manifest.backup.uuid, store)


def restore_copy(settings: Settings, source: CopySource, onto: str, arguments: OntoArguments) -> int:
    """Bring a copy onto the server `onto`, after confirmation."""
    arguments.check()
    identity = identity_of(source.identity)
    runner = CommandRunner.at(settings, onto, as_json=arguments.as_json)
    config = runner.config
    must_be_able_to_ask(yes=arguments.yes)
    server, store, manifest, failed = asyncio.run(_chosen(config, source))
    place = config.stores[store]
    spool_in = config.state_dir or Path()
    worker = reader()
    job = job_of_copy(server, place, manifest, SystemClock().now())
    must_have_key(manifest, identity)
    name = one_line(manifest.backup.name)
    ends: list[Brought] = []

    async def work(operation: Operation) -> Sequence[OperationResult]:
        if failed is not None and not arguments.unproven:
            return [known_as_bad(manifest.as_copy().backup, failed)]
        made, size = manifest.backup.completed_at, format_size(manifest.stored.bytes)
        what = f"the copy: {name} of {source.server}, of {made:%Y-%m-%d %H:%M}, {size}, in {store}"
        what += f"; WARNING: {one_line(failed.wrong)}" if failed is not None else ""
        facts = [what, *await consequences(operation, manifest.stored.bytes, arguments)]
        confirm(facts, f"restore {name} of {source.server} onto {onto}?", yes=arguments.yes)
        context = operation.run.context
        archive = CopyArchive(job, manifest, identity, watching, worker, context=context, spool_in=spool_in)
        try:
            ends.append(await bring(operation, archive, arguments, config.state_dir))
        finally:
            await worker.close()
        return [ends[0].outcome]

    return runner.carry_out(
        work,
        lambda outcomes: brought(
            about(runner.server),
            source.server,
            ends[0] if ends else Brought(outcomes[0]),
            truncate=arguments.truncate,
            into=arguments.folder,
        ),
        lambda outcome: words(outcome, ends[0], onto),
    )
