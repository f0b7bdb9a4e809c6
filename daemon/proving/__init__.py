"""The daemon proves by itself that backups can be restored: which, when, and what follows from it.

entry     the way in, which loads the rest once a server is to be proven
proving   when: the servers in turn, the day's bytes, quiet hours
look      what of one server is due
further   one more backup where the newest is not sound
"""

__all__ = ["entry", "look"]
