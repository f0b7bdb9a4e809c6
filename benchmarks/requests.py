"""How many requests a rotation takes, beside what it must take and what a simple client takes.

A thousand servers that are due at once, each with sixty backups on two pages of fifty (the most that a panel gives), by
the daemon under virtual time. The ideal: the list before the create, the create, the list after it, which is the look
that shows the backup done as well, and the deletion; that is 3 + deletions + (pages - 1) x 2 = 6. What the daemon asks
beyond that is the server list, once a minute for all who wait for their place on a node.

The simple client does what the panel's description suggests: it views the server, lists at the default of twenty a
page, creates, looks at the backup every five seconds until it is done, lists again and deletes the oldest. How many
requests that is depends on how long a backup takes, so that is shown for several; the daemon's do not. Four times the
ideal it takes from 70 seconds on; beside shorter backups nobody who lists twice can ask four times less.

    python -m benchmarks.requests [--servers N] [--seconds N]
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from statistics import median
from typing import Any

import httpx

from benchmarks.fleets import Night, Plan, night, populated, virtually
from benchmarks.measure import Figure, Spread, report, say
from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import Call
from daemon.sandbox.scenes import KEY
from tests.virtual import VirtualClock
from tests.whole.rig import InProcess

PAGES = 2
DELETIONS = 1
IDEAL = 3 + DELETIONS + (PAGES - 1) * 2
POLL_SECONDS = 5.0
OTHER_SECONDS = (30.0, 60.0, 300.0)
FEW = 20
"""Servers for the other durations: nothing of the simple client's is shared, so that each takes the same."""


def main() -> None:
    """Count, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", type=int, default=1000, metavar="N")
    options.add_argument("--seconds", type=float, default=120.0, metavar="N", help="how long a backup takes")
    given = options.parse_args()
    plan = Plan(servers=given.servers, seconds=given.seconds)
    ours, simple = virtually(night(plan)), virtually(simply(plan))
    say(f"{plan}\n")
    kinds(ours, simple, plan.servers)
    figures = [
        Figure(
            "of its own, median",
            "requests",
            one(middle(ours)),
            IDEAL,
            ideal=one(IDEAL),
            alternative=one(middle(simple)),
        ),
        compared("all, for each rotation", ours, simple, plan.servers),
    ]
    for seconds in OTHER_SECONDS:
        shorter = replace(plan, servers=FEW, nodes=1, places=FEW, seconds=seconds)
        both = virtually(night(shorter)), virtually(simply(shorter))
        figures.append(compared(f"all, where a backup takes {seconds:.0f} s ({FEW} servers)", *both, FEW))
    say("")
    report(figures)


def compared(what: str, ours: Night, simple: Night, servers: int) -> Figure:
    """Everything that was asked, for one rotation; wanted is a quarter of the alternative, where the ideal is less."""
    alternative = len(simple.calls) / servers
    wanted = alternative / 4 if alternative / 4 >= IDEAL else None
    each = one(len(ours.calls) / servers)
    return Figure(what, "requests", each, wanted, ideal=one(IDEAL), alternative=one(alternative))


def kinds(ours: Night, simple: Night, servers: int) -> None:
    """Print what was asked, by its kind."""
    asked, asked_simply = (Counter(call.call for call in gave.calls) for gave in (ours, simple))
    say("| for each rotation | ours | simple client |\n| --- | --- | --- |")
    for kind in Call:
        if asked[kind] or asked_simply[kind]:
            say(f"| {kind} | {asked[kind] / servers:.2f} | {asked_simply[kind] / servers:.2f} |")


def middle(gave: Night) -> float:
    """The median of what concerned one server alone."""
    return median(gave.of_each_server.values())


def one(value: float) -> Spread:
    """A count is the same at each run."""
    return Spread((value,))


async def simply(plan: Plan) -> Night:
    """The same fleet by the simple client, all servers at once."""
    clock = VirtualClock()
    app = PanelApp(populated(clock, plan))
    transport = InProcess(app)
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
    base = "https://panel.example.com/api/client/servers/"
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as web:
        rotations = (rotate_simply(web, clock, server.identifier) for server in app.world.servers.values())
        await asyncio.gather(*rotations)
    return Night(list(app.calls), clock.monotonic())


async def rotate_simply(web: httpx.AsyncClient, clock: VirtualClock, server: str) -> None:
    """One rotation as the simple client does it."""
    await web.get(server)
    await every_backup(web, server)
    made = (await web.post(f"{server}/backups", json={"name": "nightly"})).json()["attributes"]
    while made["completed_at"] is None:
        await clock.sleep(POLL_SECONDS)
        made = (await web.get(f"{server}/backups/{made['uuid']}")).json()["attributes"]
    oldest = min(await every_backup(web, server), key=lambda backup: str(backup["created_at"]))
    await web.delete(f"{server}/backups/{oldest['uuid']}")


async def every_backup(web: httpx.AsyncClient, server: str) -> list[Mapping[str, Any]]:
    """All pages of the list, at the panel's default of twenty a page."""
    rows: list[Mapping[str, Any]] = []
    for page in count(1):
        document = (await web.get(f"{server}/backups", params={"page": page})).json()
        rows += [row["attributes"] for row in document["data"]]
        if page >= document["meta"]["pagination"]["total_pages"]:
            break
    return rows


if __name__ == "__main__":
    main()
