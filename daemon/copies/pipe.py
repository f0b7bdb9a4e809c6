"""Messages between the daemon and the process that copies for it: a length in four bytes, then that many bytes.

And the last one: the code with which the process ends.
"""

import asyncio
from asyncio import IncompleteReadError, StreamReader

LARGEST = 256 * 2**20
"""More than any job or result needs: what a store holds of one server is told in a few MiB."""


OUT_OF_MEMORY = 71
"""The code with which the process ends that needed more memory than it may have."""


async def read_message(reader: StreamReader) -> bytes | None:
    """Return the next message; None at the end, or if the other side broke off; raises ValueError if too large."""
    try:
        size = int.from_bytes(await reader.readexactly(4))
        if size > LARGEST:
            raise ValueError(f"a message of {size} bytes")
        return await reader.readexactly(size)
    except (IncompleteReadError, ConnectionError):
        return None


def write_message(writer: asyncio.StreamWriter, content: bytes) -> None:
    """Send a message, in the order of the calls; the loop's own thread alone may call it."""
    writer.write(len(content).to_bytes(4) + content)
