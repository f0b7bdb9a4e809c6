"""Which rotation runs for which server, and when.

`fleet` runs them, `scheduler` holds the timers, `recovery` decides what a restarted daemon goes on with, `discovery`
finds servers on the panels, and `clients` keeps one client per panel.
"""

__all__ = ["discovery", "fleet"]
