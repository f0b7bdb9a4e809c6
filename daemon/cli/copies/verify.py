"""`copies verify`: copies read back from their stores, compared with their manifests, and recorded as proofs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from daemon.cli.context import begin
from daemon.cli.copies.places import identity_of, shelves_of, stores_meant
from daemon.cli.copies.whose import owners_in
from daemon.cli.inspection import games, level_of
from daemon.cli.options import Depth
from daemon.cli.reader import opened_reader
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, say_error, write_json
from daemon.cli.ui.progress import watching
from daemon.cli.ui.tables import cell, show, table
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.copies.jobs import Job, ToProve
from daemon.copies.manifest import Manifest
from daemon.copies.reading import as_verified, job_of_copy, read
from daemon.copies.results import ProofFound
from daemon.copies.workers import ProofWorker
from daemon.core.proof import Level
from daemon.core.units import format_size
from daemon.documents.copies import CopyVerified, verified
from daemon.errors import BackupdError, Exit, StateError
from daemon.operations.proofs import record_copy
from daemon.state import engine_for


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What was asked for on the command line."""

    store: str | None = None
    every: bool = False
    identity: Path | None = None
    level: Depth = Depth.WALKED
    as_json: bool = False


def verify_copies(settings: Settings, names: Sequence[str], options: VerifyOptions) -> int:
    """Read back the newest copy of each server in each store, or all."""
    return asyncio.run(_verify(settings, names, options))


async def _verify(settings: Settings, names: Sequence[str], options: VerifyOptions) -> int:
    config = begin(settings, need_panels=False)
    stores = [one.name for one in stores_meant(config, options.store)]
    owners = await owners_in(config, stores)
    servers = await owners.named(names)
    if not names:
        await owners.say_lacking()
    shelves, identity = shelves_of(config), identity_of(options.identity)
    results = []
    async with opened_reader() as worker:
        reading = _Reading(config, worker, identity, level_of(options.level))
        for server in servers:
            for store, shelf in await shelves.known(stores, server.panel.name, server.id):
                newest_first = [manifest for _, manifest in sorted(shelf.manifests.items(), reverse=True)]
                for manifest in newest_first if options.every else newest_first[:1]:
                    results.append(await reading.looked_at(server, store, manifest))  # noqa: PERF401 — awaited
    if options.as_json:
        write_json(verified(results))
    else:
        _show(results)
    return _exit_code(results)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How copies are read: by whom, with which private key, and how deep."""

    config: Config
    worker: ProofWorker
    identity: SecretStr | None
    level: Level

    async def looked_at(self, server: ServerConfig, store: str, manifest: Manifest) -> CopyVerified:
        """Read one copy back."""
        now, size, rules = SystemClock().now(), manifest.stored.bytes, server.policy.prove
        asked = ToProve(
            manifest.backup.uuid,
            self.level,
            now.toordinal(),
            store,
            bytes=size,
            manifest=manifest,
            expect=rules.expect if rules and self.level.depth >= Level.WALKED.depth else (),
            identities=self.identity,
            spool_in=(self.config.state_dir or Path()).absolute(),
        )
        job = job_of_copy(server, self.config.stores[store], manifest, now)
        try:
            with watching(manifest.backup.name, size) as listener:
                listener.said(f"reading {format_size(size)} from {store}")
                began = SystemClock().monotonic()
                found = await read(self.worker, job, asked, listener)
        except BackupdError as error:
            say_error(error, about=f"{server.name}, {store}, {manifest.backup.name}")
            return CopyVerified(server, store, manifest, None, error)
        await self._record(job, manifest, asked, found, began)
        return CopyVerified(server, store, manifest, as_verified(found))

    async def _record(self, job: Job, manifest: Manifest, asked: ToProve, found: ProofFound, began: float) -> None:
        """Record a reading as a proof of that copy."""
        backup = manifest.as_copy().backup
        try:
            journal = await engine_for(self.config.state).open()
            try:
                await record_copy(job, backup, asked, found, clock=SystemClock(), journal=journal, began=began)
            finally:
                await journal.close()
        except StateError as error:
            say(f"warning: {backup.name} in {asked.store} is not recorded as a proof: {error.text}")


def _show(results: Sequence[CopyVerified]) -> None:
    rows = []
    notes = []
    for one in results:
        contents = one.found.contents if one.found else None
        files = contents.files if contents else "-"
        rows.append((one.server.name, one.store, one.manifest.backup.name, files, one.result))
        complaints = (*one.found.problems, *one.found.warnings) if one.found else ()
        if one.found and one.found.games is not None:
            notes.append(cell(f"{one.manifest.backup.name} in {one.store}: {games(one.found.games)}"))
        notes += [cell(f"{one.manifest.backup.name} in {one.store}: {complaint.text}") for complaint in complaints]
    if rows:
        show(table(("server", "store", "backup", "files", "result"), rows, right=("files",)), *notes)
    else:
        show(cell("no copies were seen; `copies rescan` looks into the stores"))


def _exit_code(results: Sequence[CopyVerified]) -> Exit:
    """The contract's: 4 if all failed, 3 if any."""
    bad = [one for one in results if one.result in {"bad", "failed"}]
    if not bad:
        return Exit.DONE
    return Exit.FAILED if len(bad) == len(results) else Exit.SOME_FAILED
