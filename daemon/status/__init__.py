"""What the daemon knows of its fleet at this moment, as values, for the page, the status and the metrics.

`tracker` listens to the fleet and remembers, `values` is what it remembers, `stored` how that outlives the process.
`views`, `coverage` and `timetable` make of it what is shown. Nothing here decides anything about backups, asks a panel,
or knows of HTTP.
"""
