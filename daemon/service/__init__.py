"""The daemon's life: `life` runs it from start to drain, `systemd` notifies systemd, `process` prepares the process,
and `aside` runs what may hang.
"""

__all__ = ["aside", "life", "process", "systemd"]
