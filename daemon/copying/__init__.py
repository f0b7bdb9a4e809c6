"""The daemon copies by itself: which server, when, and by whom.

entry     the way in, which loads the rest once a server has stores
copying   when: the queue, and what makes a server line up
kept      the queue as the journal keeps it, which the members of a cluster share
visit     one server's turn: look at panel and stores, copy, prune
turn      what a visit knows by now, and tells the catalogue, the journal and the log
filling   the copies of a visit are made
pruning   one server's copies in a store are pruned
steps     a task of the daemon's own that goes on beside the rotations
proofs    what the stream of a copy proves
logged    a transfer's progress in the log
process   the process that does all that touches a store, seen from the daemon
"""

__all__ = ["entry", "logged", "process", "steps"]
