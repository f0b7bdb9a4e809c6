"""Whether a node makes backups now, or has them read: of this daemon, or of any member of a cluster."""

from daemon.core.shares import node_part
from daemon.rotation.run import RotationContext


async def node_is_busy(context: RotationContext, panel: str, node: str) -> bool:
    """Return whether nothing more is to be read from a node; raises StateError.

    This daemon's own rotations are known by its slots. In a cluster the node may be another member's: those show
    themselves by the locks that they hold there.
    """
    if context.slots.busy(panel, node):
        return True
    shares = context.engine.leadership.shares
    return shares is not None and await shares.at_work(node_part(panel, node))
