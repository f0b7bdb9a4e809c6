"""What an operator asks for by hand. Nothing here prints, asks, or knows a terminal.

An operation calls back with its progress and returns values. Each goes through `operation`: the view of the server,
its lock, and the configuration. `result` is how it ended, `pick` finds which backups are meant, and `fit` says which
may be restored. `create`, `locks`, `accept`, `restore` and `delete` work on single backups; `read_first` reads one
before a server is emptied for it. `onto` brings an `archive`, one of the `archives` for instance, onto any server as
`onto_options` say, by one of the `ways`, of which `sent` and `sftp` have those from this machine. `drill` tries one on
a spare server, as the daemon does too, and `console` reads what that shows. What goes wrong on such a server is in
`restore_errors`. `proofs` records what a reading found. `rotations` runs or previews many servers, and `check` tells
whether the configuration can work, `check_stores` whether the stores can, `agreement` whether the daemons of a cluster
decide alike.
"""

__all__ = [
    "accept",
    "agreement",
    "archive",
    "archives",
    "check",
    "check_stores",
    "create",
    "delete",
    "drill",
    "findings",
    "fit",
    "locks",
    "onto",
    "onto_options",
    "operation",
    "pick",
    "proofs",
    "read_first",
    "restore",
    "restore_errors",
    "result",
    "rotations",
    "sent",
    "sftp",
    "ways",
]
