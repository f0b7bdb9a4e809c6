"""The daemon drills by itself: it restores backups onto spare servers, to see that they can be.

entry     the way in, which loads the rest once a drill is configured
drilling  when: one drill at a time, and first what one that was killed left
archive   a backup that another process reads (invariant 18)
"""

__all__ = ["entry"]
