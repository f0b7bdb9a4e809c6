"""`cluster leave`, `join` and `evict`: which members act, by an operator's word."""

import asyncio
from collections.abc import Sequence

from daemon.cli.cluster.place import cluster_of, membership_of
from daemon.cli.context import begin
from daemon.cli.settings import Settings
from daemon.cli.ui.confirm import confirm, must_be_able_to_ask
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show
from daemon.clock import Clock, SystemClock
from daemon.core.shares import NODE
from daemon.documents.cluster import evicted_document, joined_document, left_document
from daemon.errors import Exit, UsageError
from daemon.operations.findings import counted
from daemon.state import ClusterSeen, Member, Membership

LOOK_SECONDS = 0.5

ALONE = "no other daemon of the cluster acts: there will be no backups until one does"


def leave_cluster(settings: Settings, name: str | None, *, wait: int, yes: bool, as_json: bool) -> int:
    """Send a member out, and wait until it has handed over; asks first if nobody is left to go on."""
    return asyncio.run(_leave(settings, name, wait=wait, yes=yes, as_json=as_json))


def join_cluster(settings: Settings, name: str | None, *, as_json: bool) -> int:
    """Let a member act again."""
    return asyncio.run(_join(settings, name, as_json=as_json))


def evict_member(settings: Settings, name: str, *, yes: bool, as_json: bool) -> int:
    """Send a member out, and end its leases; asks first if it is alive, or nobody is left to go on."""
    return asyncio.run(_evict(settings, name, yes=yes, as_json=as_json))


async def _leave(settings: Settings, asked: str | None, *, wait: int, yes: bool, as_json: bool) -> int:
    membership, own = _cluster(settings)
    name = asked or own
    seen = await membership.seen()
    if name not in {one.name for one in seen.daemons}:
        raise _unknown(name)
    if not _others(seen, name):
        must_be_able_to_ask(yes=yes)
        confirm([ALONE], f"let {name} leave?", yes=yes)
    await membership.send_out(name)
    holds = await _held_in_the_end(membership, name, wait, SystemClock())
    if as_json:
        write_json(left_document(name, holds))
    elif holds:
        show(cell(f"{name} takes nothing more, and still works on {_in_words(holds)}"))
    else:
        show(cell(f"{name} has handed over, and stays out until `ptero-backupd cluster join {name}`"))
    return Exit.SOME_FAILED if holds else Exit.DONE


async def _join(settings: Settings, asked: str | None, *, as_json: bool) -> int:
    membership, own = _cluster(settings)
    name = asked or own
    was_out = await membership.call_back(name)
    if as_json:
        write_json(joined_document(name, was_out=was_out))
    else:
        show(cell(f"{name} takes its share again, if its daemon runs" if was_out else f"{name} was not out"))
    return Exit.DONE


async def _evict(settings: Settings, name: str, *, yes: bool, as_json: bool) -> int:
    membership, _ = _cluster(settings)
    seen = await membership.seen()
    known = [one for one in seen.members if one.name == name]
    if not known:
        raise _unknown(name)
    facts = [_what_it_ends(one) for one in known if one.left > 0]
    facts += [] if _others(seen, name) else [ALONE]
    if facts:
        must_be_able_to_ask(yes=yes)
        confirm(facts, f"evict {name}?", yes=yes)
    epochs = await membership.evict(name)
    if as_json:
        write_json(evicted_document(name, epochs))
    else:
        show(cell(f"{name} is evicted, and stays out until `ptero-backupd cluster join {name}`"))
    return Exit.DONE


def _cluster(settings: Settings) -> tuple[Membership, str]:
    """Return the configured cluster, and this host's name in it; raises UsageError if there is none."""
    config = begin(settings, need_servers=False)
    return membership_of(config), cluster_of(config).member


def _unknown(name: str) -> UsageError:
    return UsageError(f"the cluster has no member {name!r}", hint="`ptero-backupd cluster status` shows them")


def _others(seen: ClusterSeen, name: str) -> bool:
    """Return whether another daemon is there to go on."""
    return any(one.name != name for one in seen.acting)


def _what_it_ends(one: Member) -> str:
    return (
        f"{one.name} is alive (process {one.process}) and holds {_in_words(one.holds)}: what it does is cut short, and"
        f" others pick it up; `cluster leave {one.name}` would let it finish"
    )


def _in_words(holds: Sequence[str]) -> str:
    return counted([part for part in holds if part.startswith(NODE)], "node")


async def _held_in_the_end(membership: Membership, name: str, wait: int, clock: Clock) -> list[str]:
    """Wait, at most so many seconds, until no daemon of that name holds anything; return what it still holds."""
    until = clock.monotonic() + wait
    while True:
        holds = [part for one in (await membership.seen()).daemons if one.name == name for part in one.holds]
        if not holds or clock.monotonic() >= until:
            return holds
        await clock.sleep(LOOK_SECONDS)
