"""The daemon drills by itself: it restores backups onto spare servers, to see that they can be.

entry     the way in, which loads the rest once a drill is configured
drilling  when: one drill at a time, and first what one that was killed left
archive   a backup that another process reads, and fetches (invariant 18)
folder    where it lies meanwhile, if it has to be uploaded
left      what one that was killed had fetched
"""

__all__ = ["entry", "left"]
