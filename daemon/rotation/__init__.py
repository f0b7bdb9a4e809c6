"""One rotation of one server, one module per step.

`rotate` runs it by an order of `run`: `gather`, `create`, `wait`, `delete`, `report`. `outcome` is how it ended,
`preview` what it would do, and `setup` makes what all rotations share.
"""

__all__ = ["delete", "deletion", "gather", "outcome", "preview", "report", "rotate", "run", "setup", "wait"]
