"""How each server stands at this moment, as values, for the page, the metrics, the documents and the commands.

`history` is what a server's rotations left, and `server_status` the one value that is made of it, the configuration and
the clock; `troubles` says what is wrong in it. All three are pure. `tracker` listens to the fleet and keeps histories
at hand, `stored` reads them from the journal. `coverage` says which days the backups cover, `copies` how the copies of
them stand in the stores, `copies_listed` which of them are damaged, `drills` how drills went. Nothing here decides
about backups, asks a panel or a store, or knows HTTP.
"""

__all__ = [
    "copies",
    "copies_listed",
    "coverage",
    "drills",
    "fleet_status",
    "history",
    "metrics",
    "proofs",
    "server_status",
    "snapshot",
    "stored",
    "timetable",
    "tracker",
    "troubles",
]
