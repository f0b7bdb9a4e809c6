"""Whether the daemons of a cluster would decide alike, and a command by hand as they do (invariant 20)."""

from daemon.config.opinion import keys_of
from daemon.core.agreement import (
    UNCOMPARED,
    Disagreement,
    Opinion,
    differing_on,
    disagreement,
    of_those_that_act,
    store_key,
)
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.run import Disputed, undisputed
from daemon.state import ClusterSeen, Leadership

SAME_EVERYWHERE = "bring all members to one version and one configuration, and reload them"

log = get_logger()


async def disputed_by_hand(leadership: Leadership, own: Opinion) -> Disputed:
    """Return what says why a command may delete nothing of a server, by a look at the daemons now. `own` is the opinion
    of the command.

    Without a cluster there is no reason. If the database cannot be asked now, deletion is refused: by the time that
    something is to be deleted it may answer again, and then nothing else would prevent it.
    """
    if leadership.membership is None:
        return undisputed
    try:
        seen = await leadership.membership.seen()
    except StateError as error:
        log.warning("members_not_compared", text=error.text, consequence="nothing is deleted")
        return lambda _server, *_stores: UNCOMPARED
    where = disagreement([own, *_opinions(seen)])
    return lambda server, /, *stores: differing_on(where, *keys_of(server), *map(store_key, stores))


def disagreement_of(seen: ClusterSeen) -> Disagreement:
    """Return where the daemons of a cluster would decide differently."""
    return disagreement(_opinions(seen))


def differing_from(seen: ClusterSeen, own: Opinion) -> frozenset[str]:
    """Return the keys of which a configuration says something else than a daemon goes by."""
    said = [one.rules for one in _opinions(seen) if one is not None]
    return frozenset(key for key, rules in own.rules.items() if any(one.get(key) != rules for one in said))


def _opinions(seen: ClusterSeen) -> list[Opinion | None]:
    """Return what the daemons that act go by; None for one that has not said."""
    named = {one.epoch: (one.name, one.epoch) for one in seen.daemons}
    said = {named[epoch]: opinion for epoch, opinion in seen.opinions.items() if epoch in named}
    held = {part: named[one.epoch] for one in seen.daemons for part in one.holds}
    return list(of_those_that_act(said, [named[one.epoch] for one in seen.acting], held).values())
