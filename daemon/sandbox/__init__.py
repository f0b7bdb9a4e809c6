"""A Pterodactyl panel with its nodes in memory, behind the same endpoints over real HTTP.

For the demo, for trying a policy, and for tests. It shares no code with the panel client, so that the same mistake
cannot hide in both, and uses nothing of the daemon but its clock.

    from daemon.sandbox.scenes import KEY, three_pages
    from daemon.sandbox.serve import SandboxServer
    from daemon.sandbox.faults import lost_after
    from daemon.sandbox.orders import Call
    from daemon.sandbox.records import Change

    world, server = three_pages(clock)                      # every time comes from this clock
    async with SandboxServer(world) as sandbox:             # 127.0.0.1, free ports
        world.faults.order(lost_after(), on=Call.CREATE)    # the next create is done, its answer lost
        ...                                                 # talk to sandbox.url with KEY
    assert not any(entry.change is Change.DELETED and entry.locked for entry in world.ledger)
    assert sandbox.app.requests(Call.LIST) == 3

world     what there is, and what happens app       the way of every call through the panel
records   the values that it is made of  endpoints  what each of them does in the end
checks    what the panel refuses
settings  of the panel itself
limits    the throttles                  requests   what callers ask for
agenda    what happens by itself         answers    what they get
scenes    worlds that are ready          shapes     records as JSON, in pages
archive   the files behind the backups   links      the way to those files
faults    the trouble that can be had    node       the host they come from
orders    which call is to have it       control    orders over HTTP, for a person
serve     all of it over real HTTP       dates      how HTTP writes a moment

In-process: `PanelApp(world)` and `NodeApp(world)` are ASGI applications; a fault that breaks the connection raises
`ConnectionLostError` there.
"""

__all__ = ["records", "scenes", "serve", "settings", "world"]
