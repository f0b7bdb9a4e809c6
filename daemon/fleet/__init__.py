"""Which rotation runs for which server, and when.

`fleet` runs them, `scheduler` holds the timers, `timekeeper` notices a clock that was set, `recovery` decides what a
restarted daemon goes on with, from the journal's `attempts`. `discovery` finds servers on the panels, and `clients`
keeps one client per panel. `on_demand` is for parts that are loaded only once a server needs them. In a cluster
`sharing` says for which servers this member acts, `share` lets all else here know of them, `placement` says on which
nodes they are, `reaching` which panels a member cannot reach, `busy_nodes` where anybody works now, `agreeing` where
others would decide differently, `standing` what of this an operator should know, and `population` how many share what a
panel or a store allows.
"""

__all__ = ["busy_nodes", "clients", "discovery", "fleet", "on_demand", "population", "share", "sharing", "standing"]
