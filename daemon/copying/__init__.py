"""The daemon copies by itself: which server, when, and by whom.

copying   when: the queue, and what makes a server line up
visit     one server's turn: look at panel and stores, copy, prune
process   the process that does all that touches a store, seen from the daemon
"""

from daemon.copying.copying import Copying
from daemon.copying.process import ChildProcess

__all__ = ["ChildProcess", "Copying"]
