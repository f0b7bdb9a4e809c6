"""What an operator asks for by hand. Nothing here prints, asks, or knows a terminal.

An operation calls back with its progress and returns values. Each goes through `operation`: the view of the server, its
lock, and the configuration. `result` is how it ended, `pick` finds which backups are meant. `create`, `locks`,
`accept`, `restore` and `delete` work on single backups, `rotations` runs or previews many servers, and `check` tells
whether the configuration can work.
"""

__all__ = [
    "accept",
    "check",
    "create",
    "delete",
    "findings",
    "locks",
    "operation",
    "pick",
    "restore",
    "result",
    "rotations",
]
