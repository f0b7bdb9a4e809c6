"""One rotation of one server, one module per step.

`rotate` runs it by an `order`: `gather`, `create` and, at the limit, `room`, then `wait`, `prune`, `report`. `run` is
what these steps share, `judging` what they decide by, `outcome` how it ended. `preview` says what it would do, `copied`
what must be in a store before it goes, `proven` what is known to be restorable. `setup` makes what all rotations share.
"""

__all__ = [
    "copied",
    "delete",
    "deletion",
    "gather",
    "judging",
    "order",
    "outcome",
    "preview",
    "proven",
    "report",
    "rotate",
    "run",
    "setup",
    "wait",
]
