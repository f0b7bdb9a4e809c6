"""One rotation of one server, one module per step.

`rotate` runs it by an order of `run`: `gather`, `create`, `wait`, `delete`, `report`. `outcome` is how it ended,
`preview` what it would do, `copied` what must be in a store before it goes, `proven` what is known to be restorable.
`setup` makes what all rotations share.
"""

__all__ = [
    "copied",
    "delete",
    "deletion",
    "gather",
    "outcome",
    "preview",
    "proven",
    "report",
    "rotate",
    "run",
    "setup",
    "wait",
]
