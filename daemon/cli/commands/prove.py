"""`prove`: proofs now, what is due, and the operator's word on one that failed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from daemon.cli.context import begin, server_named, servers_named
from daemon.cli.discovered import Covering, cover
from daemon.cli.reader import opened_reader
from daemon.cli.settings import Settings
from daemon.cli.ui.due_view import due_rows
from daemon.cli.ui.output import say, say_error, say_trouble, write_json
from daemon.cli.ui.progress import watching
from daemon.cli.ui.tables import cell, show, table
from daemon.cli.ui.which import about
from daemon.cli.unseen import is_suspended, passes, say_unseen
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig
from daemon.copies.errors import CopyError, WorkerDiedError
from daemon.copies.reading import died
from daemon.copies.workers import ProofWorker
from daemon.core.proof import Proof
from daemon.core.proof_due import Due, ProofRules
from daemon.core.units import format_size
from daemon.documents.proofs import ServerDue, ServerProofs, proof_accepted, proofs_due, proved
from daemon.errors import BackupdError, Exit, UsageError
from daemon.operations.proofs import record
from daemon.panel.client import PanelClient
from daemon.proving.look import ServerSeen, look, newest
from daemon.rotation.setup import open_client
from daemon.state import Engine, Journal, ProofRecord, engine_for

ACCEPT = "accept"

_NO_RULES = "name a server, or write [policies.NAME.prove]: see docs/proof.md"


def prove(settings: Settings, words: Sequence[str], *, plan: bool, due: bool, as_json: bool) -> int:
    """Prove the newest good backup of the named servers, or of all; or show what is due, or accept a failed proof.

    Raises UsageError for words that say none of this.
    """
    if words and words[0] == ACCEPT:
        if plan or due or len(words) != 3:  # noqa: PLR2004 — accept SERVER BACKUP
            raise UsageError("accept takes a server and a backup", hint="ptero-backupd prove accept SERVER BACKUP")
        return asyncio.run(_accept(settings, words[1], words[2], as_json=as_json))
    if plan and due:
        raise UsageError("--plan and --due contradict each other", hint="--plan shows what --due would read")
    if plan:
        return asyncio.run(_plan(settings, words, as_json=as_json))
    return asyncio.run(_prove(settings, words, due=due, as_json=as_json))


@dataclass(frozen=True)
class _Desk:
    """The servers that are meant, and what they are proven with."""

    config: Config
    covering: Covering
    servers: Sequence[ServerConfig]
    engine: Engine
    journal: Journal
    reader: ProofWorker
    clock: SystemClock

    @asynccontextmanager
    async def seen(self, server: ServerConfig) -> AsyncIterator[tuple[ServerSeen, PanelClient]]:
        """Look at one server, and keep the connection to its panel open."""
        client = open_client(server.panel, self.clock, say)
        try:
            yield await look(server, client, self.journal, self.engine, self.clock), client
        finally:
            await client.aclose()


@asynccontextmanager
async def _desk(settings: Settings, names: Sequence[str]) -> AsyncIterator[_Desk]:
    config = begin(settings)
    _must_remember(config)
    covering = await cover(config, names)
    named = servers_named(covering.config, names)
    servers = [_ruled(one) for one in named if one.policy.prove or names]
    if not servers:
        say_trouble("no server's policy has `prove`", _NO_RULES, "note")
    engine = engine_for(config.state)
    journal = await engine.open()
    try:
        async with opened_reader() as reader:
            yield _Desk(config, covering, servers, engine, journal, reader, SystemClock())
    finally:
        await journal.close()
        engine.close()


def _must_remember(config: Config) -> None:
    if config.state is None:
        raise UsageError(
            'state_dir is "none", so no proof can be remembered',
            hint="configure a state_dir that the daemon and this command share",
        )


def _ruled(server: ServerConfig) -> ServerConfig:
    """Return a server with the rules that it is proven by: if its policy has none the default ones, keeping nothing."""
    if server.policy.prove is not None:
        return server
    return replace(server, policy=replace(server.policy, prove=ProofRules(keep=0)))


# Now -----------------------------------------------------------------------------------------------------------------


async def _prove(settings: Settings, names: Sequence[str], *, due: bool, as_json: bool) -> int:
    async with _desk(settings, names) as desk:
        results = [await _of_server(desk, server, due=due) for server in desk.servers]
    if as_json:
        write_json(proved(results))
    else:
        _show(results)
    return desk.covering.exit_code(_exit_code(results))


async def _of_server(desk: _Desk, server: ServerConfig, *, due: bool) -> ServerProofs:
    """Read what is meant of one server, one after the other: a node serves one download at a time."""
    read = []
    try:
        async with desk.seen(server) as (seen, client):
            first = newest(seen.preview)
            meant = seen.due if due else [] if first is None else [first]
            for what in meant:
                proof, error = await _read(desk, server, seen, client, what)
                read.append((what, proof, error))
    except BackupdError as error:
        say_unseen(server.name, error)
        return ServerProofs(about(server), read, error)
    return ServerProofs(about(server), read)


async def _read(
    desk: _Desk, server: ServerConfig, seen: ServerSeen, client: PanelClient, what: Due
) -> tuple[Proof | None, BackupdError | None]:
    """Read one backup or copy, and record what was found; or say why it cannot be read."""
    installation = await desk.engine.catalogue.installation()
    job, asked = seen.reading(what, desk.config.stores, installation, desk.clock.now())
    began = desk.clock.monotonic()
    try:
        with watching(f"{server.name}: {what.name}", what.bytes) as listener:
            listener.said(f"reading {format_size(what.bytes)}" + (f" from {what.store}" if what.store else ""))
            found = await desk.reader.prove(job, asked, partial(client.download_link, server.id, what.backup), listener)
    except WorkerDiedError as error:  # the others are read all the same
        ended = WorkerDiedError(died(error), hint="the daemon takes it for a failed proof after five times")
        say_error(ended, about=f"{server.name}, {what.name}")
        return None, ended
    if (failure := found.failure) is not None:
        refused = failure.as_error(CopyError)
        say_error(refused, about=f"{server.name}, {what.name}")
        return None, refused
    done = await record(what.subject, found, seen.preview, desk.clock, desk.journal, began=began)
    return done.record.proof, None


def _show(results: Sequence[ServerProofs]) -> None:
    rows, notes = [], []
    for one in results:
        for what, proof, _ in one.read:
            reached = proof.reached.value if proof and proof.reached else "-"
            result = "failed" if proof is None else "bad" if proof.problems else "proven"
            rows.append((one.about.server, what.store or "panel", what.name, reached, result))
            notes += [cell(f"{one.about.server}, {what.name}: {text}") for text in (proof.problems if proof else ())]
    if rows:
        show(table(("server", "where", "backup", "level", "result"), rows), *notes)
    elif all(one.error is None for one in results):
        show(cell("nothing to prove"))


def _exit_code(results: Sequence[ServerProofs]) -> Exit:
    """The contract's: 4 if all failed, 3 if any, or for a state that passes."""
    ended = [proof is not None and not proof.problems for one in results for _, proof, _ in one.read]
    failed = [one.error for one in results if one.error is not None and not is_suspended(one.error)]
    if all(ended) and not failed:
        return Exit.DONE
    return Exit.SOME_FAILED if any(ended) or any(map(passes, failed)) else Exit.FAILED


# What is due ---------------------------------------------------------------------------------------------------------


async def _plan(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    async with _desk(settings, names) as desk:
        results = [await _due_of(desk, server) for server in desk.servers]
        spent = await desk.journal.bytes_proven(desk.clock.now().date())
    per_day = desk.config.proof.per_day
    if as_json:
        write_json(proofs_due(results, per_day, spent))
    else:
        _show_due(desk, results, spent)
    return desk.covering.exit_code(_exit_code_of_plan(results))


def _exit_code_of_plan(results: Sequence[ServerDue]) -> Exit:
    """The contract's: 4 if all failed, 3 if any, or for a state that passes."""
    tried = [one.error for one in results if not is_suspended(one.error)]
    if not any(tried):
        return Exit.DONE
    return Exit.FAILED if all(tried) and not any(map(passes, tried)) else Exit.SOME_FAILED


async def _due_of(desk: _Desk, server: ServerConfig) -> ServerDue:
    try:
        async with desk.seen(server) as (seen, _):
            proven, scope = seen.preview.proven, server.policy.scope
            lacking = proven.rule.number - len(proven.newest(seen.preview.plan.verdicts, scope))
            return ServerDue(about(server), seen.due, proven.frozen, lacking=lacking)
    except BackupdError as error:
        say_unseen(server.name, error)
        return ServerDue(about(server), error=error)


def _show_due(desk: _Desk, results: Sequence[ServerDue], spent: int) -> None:
    rows = due_rows(results, desk.servers, desk.clock.now())
    bound = desk.config.proof.per_day
    today = f"read today: {format_size(spent)}" + (f" of {format_size(bound)}" if bound else "")
    frozen = [cell(f"{one.about.server} is frozen: {one.frozen.wrong}", "bold red") for one in results if one.frozen]
    unseen = [one.about.server for one in results if one.error is not None]
    unknown = [cell(f"not known what is due: {', '.join(unseen)}", "bold yellow")] if unseen else []
    if rows:
        columns = ("server", "where", "backup", "size", "by", "why")
        total = format_size(sum(what.bytes for one in results for what in one.due))
        show(table(columns, rows, right=("size",)), cell(f"in all: {len(rows)} to read, {total}"))
    elif not unseen:
        show(cell("nothing is due"))
    show(*unknown, cell(today), *frozen)


# The operator's word -------------------------------------------------------------------------------------------------


async def _accept(settings: Settings, name: str, word: str, *, as_json: bool) -> int:
    """Accept what a proof found wrong; the panel is not asked, since the backup may be gone."""
    config = begin(settings)
    _must_remember(config)
    covering = await cover(config, [name])
    server, engine, clock = server_named(covering.config, name), engine_for(config.state), SystemClock()
    journal = await engine.open()
    try:
        bad = _meant([one for one in await journal.proofs() if _is_of(one, server)], word, name)
        uuid = bad[0].server_uuid
        changed = await journal.accept_proof(uuid, bad[0].proof.backup, clock.now())
    finally:
        await journal.close()
        engine.close()
    if as_json:
        write_json(proof_accepted(about(server), [one.proof for one in bad], changed=changed))
    else:
        show(*(cell(f"{name}: accepted, though {one.proof.wrong}") for one in bad))
    return Exit.DONE


def _is_of(record: ProofRecord, server: ServerConfig) -> bool:
    return bool(record.proof.problems) and record.server_uuid.startswith(server.id)


def _meant(bad: Sequence[ProofRecord], word: str, server: str) -> list[ProofRecord]:
    """Return the failed proofs of the one backup that the word names; raises UsageError."""
    if not bad:
        raise UsageError(f"no proof of {server} has failed", hint=f"ptero-backupd prove --plan {server}")
    latest = max(bad, key=lambda one: one.proof.made_at).proof.backup
    named = {one.proof.backup for one in bad if one.proof.name == word or one.proof.backup.startswith(word.lower())}
    uuids = {latest} if word == "latest" else named
    if len(uuids) != 1:
        names = ", ".join(dict.fromkeys(one.proof.name for one in bad))
        raise UsageError(f'"{word}" is not the one backup of {server} whose proof failed', hint=f"there are: {names}")
    return [one for one in bad if one.proof.backup in uuids]
