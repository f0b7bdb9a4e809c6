"""Which copy is fetched where the newest one is damaged, and what to say of that."""

from collections.abc import Sequence

from daemon.config.values import Config, ServerConfig
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf
from daemon.core.copies_layout import read_key
from daemon.core.proof import Proofs
from daemon.core.units import format_moment
from daemon.errors import StateError
from daemon.state import engine_for, looked_into

CopyThere = tuple[str, Manifest]
"""A store, and the manifest of a copy in it."""


async def proofs_of(config: Config, uuid: str) -> Proofs:
    """Return what was read of a server's backups and copies; nothing where that is not known."""
    async with looked_into(engine_for(config.state), despite_trouble=True) as journal:
        try:
            return Proofs(one.proof for one in await journal.proofs(uuid))
        except StateError:
            return Proofs()


def passed_over(
    chosen: CopyThere, copies: Sequence[CopyThere], shelves: Sequence[tuple[str, Shelf]], proofs: Proofs
) -> list[str]:
    """Return in sentences which damaged copies there are of newer backups than the one that was chosen."""
    moment = chosen[1].name.created_at
    found = []
    for store, manifest in copies:
        bad = proofs.failed(manifest.backup.uuid, store)
        if bad is not None and manifest.name.created_at > moment:
            found.append(f"{bad.wrong}; it is newer, and passed over")
    for store, shelf in shelves:
        for key, text in shelf.damaged.items():
            known = read_key(key)
            if known is not None and known[0].created_at > moment:
                found.append(f"a newer copy in {store} is damaged: {key.rpartition('/')[2]}: {text}")
    return found


def another(server: ServerConfig, bad: CopyThere, copies: Sequence[CopyThere], proofs: Proofs) -> str:
    """Given a copy that is damaged, return in words how to fetch the next good one: the same backup's in another store,
    or an older one's; empty where there is none. The copies are given newest first.
    """
    same = [one for one in copies if one[1].backup.uuid == bad[1].backup.uuid and one != bad]
    older = [one for one in copies if one[1].name.created_at < bad[1].name.created_at]
    for store, manifest in (*same, *older):
        if proofs.failed(manifest.backup.uuid, store) is None:
            made = format_moment(manifest.backup.created_at, server.policy.zone)
            command = f"`copies fetch {server.name} {manifest.backup.uuid} --store {store}`"
            return f"the copy in {bad[0]} is damaged; {command} fetches {manifest.backup.name} of {made}"
    return ""
