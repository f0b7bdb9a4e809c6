"""One at a time: the copies of a server are made or pruned by one task of one process.

The lock is not the rotation's own, since a copy may take hours, and holds up no rotation (invariant 16).
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from daemon.copies.errors import CopiesBusyError
from daemon.errors import ElsewhereError, ServerBusyError
from daemon.state import Locks


@asynccontextmanager
async def alone(locks: Locks, server_uuid: str, part: str | None = None) -> AsyncIterator[None]:
    """Hold the lock of a server's copies; raises CopiesBusyError at once where another does, and StateError.

    In a cluster it is only given to the member that holds that `part` of the fleet, and ends with that as well:
    ElsewhereError for another one.
    """
    async with AsyncExitStack() as held:
        try:
            await held.enter_async_context(locks.held(f"copies-{server_uuid.lower()}", part))
        except ElsewhereError:
            raise
        except ServerBusyError:
            raise CopiesBusyError("its copies are being made or pruned already by another run") from None
        yield
