"""How each server stands at this moment, as values, for the page, the metrics, the documents and the commands.

`history` is what a server's rotations left, and `server_status` the one value that is made of it, the configuration and
the clock; both are pure. `tracker` listens to the fleet and keeps histories at hand, `stored` reads them from the
journal. `coverage` says which days the backups cover. Nothing here decides about backups, asks a panel, or knows HTTP.
"""

__all__ = ["coverage", "fleet_status", "history", "metrics", "server_status", "snapshot", "stored", "tracker"]
