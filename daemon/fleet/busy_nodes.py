"""Whether a node makes backups now, or has them read: of this daemon, or of any member of a cluster."""

from daemon.core.shares import node_part
from daemon.errors import StateError
from daemon.rotation.run import RotationContext


async def node_is_busy(context: RotationContext, panel: str, node: str) -> bool:
    """Return whether nothing more is to be read from a node.

    This daemon's own rotations are known by its slots. In a cluster the node may be another member's: those show
    themselves by the locks that they hold there. While nobody can say, it counts as busy.
    """
    if context.slots.busy(panel, node):
        return True
    shares = context.engine.leadership.shares
    try:
        return shares is not None and await shares.at_work(node_part(panel, node))
    except StateError:
        return True
