"""Which rotation runs for which server, and when.

`fleet` runs them, `scheduler` holds the timers, `timekeeper` notices a clock that was set, `recovery` decides what a
restarted daemon goes on with, from the journal's `attempts`. `discovery` finds servers on the panels, and `clients`
keeps one client per panel. `on_demand` is for parts that are loaded only once a server needs them. In a cluster
`sharing` says for which servers this member acts, `agreeing` where others would decide differently, and `population`
how many share what a panel allows.
"""

__all__ = ["clients", "discovery", "fleet", "on_demand", "population", "sharing"]
