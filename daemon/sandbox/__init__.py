"""A Pterodactyl panel with its nodes in memory, behind the same endpoints over real HTTP.

For the demo, for trying a policy, and for tests. It shares no code with the panel client, so that one mistake cannot
hide in both, and knows nothing of the daemon but its clock.

    from daemon.sandbox.scenes import KEY, three_pages
    from daemon.sandbox.serve import SandboxServer
    from daemon.sandbox.faults import Call, lost_after

    world, server = three_pages(clock)                      # every time comes from this clock
    async with SandboxServer(world) as sandbox:             # 127.0.0.1, free ports
        world.faults.order(lost_after(), on=Call.CREATE)    # the next create is done, its answer lost
        ...                                                 # talk to sandbox.url with KEY
    assert not any(entry.deed is Deed.DELETED and entry.locked for entry in world.ledger)
    assert sandbox.app.requests(Call.LIST) == 3

world    the state and the rules        faults   trouble on order        scenes   worlds that are ready
records  what there is                  limits   the throttles           agenda   what happens by itself
app      the panel over ASGI            node     the host of downloads   serve    both over real HTTP
archive  the files behind the backups   links    the way to them         shapes   records as JSON
requests  what callers ask for          answers  what they get           control  orders over HTTP

In-process: `PanelApp(world)` and `NodeApp(world)` are ASGI applications; a fault that breaks the connection raises
`ConnectionLostError` there.
"""
