"""Copies of backups in stores: made in one pass from one download, listed, read back, pruned.

What must hold (invariants 13 to 16): a manifest is written last, after the panel's checksum agreed with the very bytes
that were stored; a store in trouble drops out and holds up no other; memory does not grow with a backup.

manifest  what stands beside a copy's data        errors    what can go wrong with a copy
make      one backup copied to its stores         one_pass  one download to all of them
branch    one store's share of that               channel   bytes from the download's thread to a store
age       encryption and decryption               source    where a backup's file comes from
elsewhere what other stores hold                  feed      what brings a pass its bytes
run       what a server's stores lack, copied     fetch     a copy back out of its store
shelf     what a store holds of a server          shelves   the shelves that are remembered
probe     whether a store can be used             prune     a store pruned by its own rules
clear     what is in the way, and is no copy
look      a store looked into and cleared up      outcome   what came of a server's copies
alone     one run at a time for a server        mend      manifests that were gone, written back
verify    a copy read back                       renew     the locks of copies, made longer
spool     what waits on a disk for slow stores    judged    what a store's rules say of its copies
spool_room  how much may wait there               settle    a put whose answer was lost
records   what the journal keeps of copies by hand
jobs      what the daemon asks of whoever touches stores
results   what comes of it                       workers   who does it, as protocols
work      those jobs done by this process         child     the daemon's own process for them
prove     what one reading found                  pipe      messages between the two
parts     a backup fetched, and split             reading   an archive read while somebody waits
"""

__all__ = [
    "age",
    "alone",
    "errors",
    "fetch",
    "jobs",
    "judged",
    "manifest",
    "outcome",
    "pipe",
    "probe",
    "prune",
    "reading",
    "records",
    "results",
    "run",
    "shelf",
    "shelves",
    "source",
    "spool_room",
    "verify",
    "workers",
]
