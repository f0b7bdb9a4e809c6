"""Why nothing of a server is deleted in the stores by hand."""

from daemon.config.values import ServerConfig
from daemon.copies.errors import CopiesFrozenError
from daemon.core.plan import frozen_by
from daemon.rotation.outcome import thawing
from daemon.rotation.proven import proven_of
from daemon.state import Journal


async def frozen(server: ServerConfig, uuid: str, journal: Journal) -> CopiesFrozenError | None:
    """Return why none of the server's copies may be deleted, if a proof has failed; raises StateError."""
    bad = (await proven_of(server.policy, uuid, journal)).frozen
    if bad is None:
        return None
    return CopiesFrozenError(frozen_by(bad), hint=thawing(server.name, bad))
