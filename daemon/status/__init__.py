"""The status of each server, as values, for page, metrics and `status`.

`tracker` listens to the fleet and remembers `values`; `stored` keeps them in the journal. `views`, `fleet_status`,
`coverage` and `timetable` make of them what is shown, `metrics` what Prometheus scrapes. Nothing here decides anything
about backups, asks a panel, or knows HTTP.
"""

__all__ = ["coverage", "fleet_status", "metrics", "stored", "tracker", "values", "views"]
