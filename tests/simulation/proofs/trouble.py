"""The trouble that archives and restores have: damaged ones, those that kill their reader, and what operators do."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.sandbox.records import Backup, Server
from tests.simulation.proofs.restores import Asked
from tests.simulation.proofs.scenario import DAMAGES
from tests.simulation.scenario import DAY, HOUR
from tests.simulation.trouble import NothingToDoError, Spell

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


def _good(server: Server, rng: random.Random) -> Backup:
    """One of the newest good backups."""
    good = [backup for backup in server.backups.values() if backup.successful]
    if not good:
        raise NothingToDoError
    return rng.choice(good[-3:])


def damaged(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The next backups are, and the panel knows nothing of it; or all of them for hours or days."""
    if rng.random() < 0.3:
        work = replace(server.work, flavour=rng.choice(DAMAGES))
        sim.disturbances.spell(server, "work", work, rng.uniform(2 * HOUR, 2 * DAY))
        return
    for _ in range(rng.randrange(1, 3)):
        server.coming.append(replace(server.work, flavour=rng.choice(DAMAGES)))


def file_lost(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Its node does not find a backup's file, for a while."""
    sim.disturbances.spell(_good(server, rng), "file_gone", True, rng.uniform(HOUR, DAY))


def deadly(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """An archive ends whoever reads it: the machine has no memory left for that, or the archive is made for it."""
    backup = _good(server, rng)
    sim.proofs.deadly.add(backup.uuid)
    asyncio.get_running_loop().call_later(rng.uniform(600, 9 * HOUR), sim.proofs.deadly.discard, backup.uuid)


def accepted(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """`prove accept SERVER latest` from a terminal."""
    sim.accept_by_hand(server.name)


def restored(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """`backups restore` from a terminal, mostly with all files deleted first."""
    if server.status is not None:
        raise NothingToDoError
    backup = _good(server, rng)
    server.restore_seconds = rng.uniform(5, HOUR)
    truncates, reads, safe = rng.random() < 0.8, rng.random() < 0.85, rng.random() < 0.6
    sim.restore_by_hand(server.name, Asked(server.uuid, backup.uuid, reads, safe, truncates))


def restores_fail(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The node fails at each restore of a server."""
    sim.disturbances.spell(server, "restores_fail", True, rng.uniform(HOUR, 2 * DAY))


KINDS: Mapping[str, tuple[Spell, float, bool]] = {
    "archive damaged": (damaged, 0, True),
    "backup's file is not found": (file_lost, 900, True),
    "archive ends its reader": (deadly, 600, True),
    "failed proof accepted by hand": (accepted, 3600, True),
    "restored by hand": (restored, 3600, True),
    "restores fail": (restores_fail, 600, True),
}
"""With the longest delay after a rotation's beginning, and whether it concerns that server alone."""
