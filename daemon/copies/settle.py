"""A put whose answer was lost: a look at the store says whether it was done (invariant 6, for stores).

What must hold: nothing is deleted, and nothing counts as stored, on the strength of an answer that never came.
"""

from contextlib import aclosing

from daemon.stores.base import Store
from daemon.stores.errors import StoreError

BEGINNING = 4 * 2**10
"""How many bytes are compared. An encrypted copy begins with a header that no other has, and the backup's own bytes are
the same whoever stores them.
"""


async def stands(store: Store, key: str, beginning: bytes, size: int) -> bool:
    """Return whether what has this name is what was sent: as many bytes, which begin so; False if it is not known."""
    found = bytearray()
    try:
        details = await store.head(key)
        if details.entry.size != size:
            return False
        async with aclosing(store.get(key, start=0, end=len(beginning))) as pieces:
            async for piece in pieces:
                found += piece
    except StoreError:
        return False
    return found == beginning
