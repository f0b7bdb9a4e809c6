"""Whether a command by hand would decide as the daemons of its cluster do (invariant 20)."""

from collections.abc import Collection

from daemon.config.opinion import key_of, opinion_on
from daemon.config.values import ServerConfig
from daemon.core.agreement import differing_on, disagreement, of_those_that_act
from daemon.errors import StateError
from daemon.rotation.run import Disputed
from daemon.state import Leadership


async def disputed_by_hand(leadership: Leadership, servers: Collection[ServerConfig]) -> Disputed | None:
    """Return what says of each of these servers why nothing may be deleted there, by a look at the daemons now.

    None where there is no cluster, or it cannot be asked: then nothing is deleted in any case.
    """
    if leadership.shares is None:
        return None
    try:
        seen = await leadership.shares.look()
    except StateError:
        return None
    acting = of_those_that_act(seen.opinions, seen.members, seen.held)
    where = disagreement([opinion_on(servers), *acting.values()])
    return lambda server, *_: differing_on(where, key_of(server))
