"""How fast a fleet that is due at once is rotated, beside the fastest that its panel allows.

At the API's limit (virtual time, 240 requests a minute, places enough on the nodes): of what the limit allows less the
reserve for humans, how much is used, counted until the last backup is asked for; after that there is only waiting. Is
anybody answered 429 after the first minute, when the limit is known? Somebody at the panel loads a page of ten requests
every half minute without any pace, and another process of ours lists a server's backups every two minutes.

At the nodes (virtual time, 20 ms latency, no limit): the ideal is the nodes' own time. Each place makes its share of
the backups one after the other, and for each the panel is asked three times (list, create, and the list that shows it
done); the DELETE is after the place was given back, so only the last one counts.

At the connections (real HTTP, 20 ms latency, no limit, places for all): the daemon as a process of its own with its
journal on the disk. The ideal is that list, create and list of all rotations go over ten connections without a gap, and
that one backup is made meanwhile (deletions have connections of their own). What lies above it is the processor's time
of daemon and sandbox, the disk's for the journal, and the first look, which comes two seconds after the create at the
earliest. From 10 to 2,000 servers it is to grow as the ideal does.

    python -m benchmarks.pace [--servers N] [--runs N] [--draw]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import httpx

from benchmarks.chart import Axis, Curve, draw
from benchmarks.fleets import SCHEDULE, Night, Plan, night, populated, virtually
from benchmarks.measure import CLOCK, Figure, Spread, machine, processor_seconds, report, say
from daemon.config.values import Config
from daemon.panel.http import CONNECTIONS
from daemon.sandbox.app import CallMade
from daemon.sandbox.orders import Call
from daemon.sandbox.scenes import KEY
from daemon.sandbox.serve import SandboxServer, in_background
from tests.whole.fleet import Daemons
from tests.whole.rig import InProcess

LIMITED = Plan(places=4, backups=20, seconds=60.0, api_limit=240)
AT_NODES = Plan(backups=20)
AT_CONNECTIONS = Plan(nodes=10, backups=20, seconds=1.0)
SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000)

RESERVE = 0.2
REQUESTS = 3
MINUTE = 60.0
TOO_MANY = 429


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", type=int, default=1000, metavar="N")
    options.add_argument("--runs", type=int, default=3, metavar="N", help="how often what takes real time is measured")
    options.add_argument("--draw", action="store_true", help="measure the curve too, and draw it into docs/")
    given = options.parse_args()
    figures = [*at_limit(given.servers), at_nodes(given.servers)]
    runs = [over_http(replace(AT_CONNECTIONS, servers=given.servers)) for _ in range(given.runs)]
    figures += at_connections(given.servers, runs)
    report(figures)
    if given.draw:
        curve()


# At the API's limit --------------------------------------------------------------------------------------------------


def at_limit(servers: int) -> list[Figure]:
    """The pace by which the requests leave, and what others who share the limit notice."""
    plan, others = replace(LIMITED, servers=servers), Others()
    gave = virtually(night(plan, others.use))
    say(f"{plan}; {plan.api_limit} requests a minute: {minutes(gave.seconds)}, {len(gave.calls):,} requests")
    after = [call for call in gave.calls if seconds_since(gave.calls[0], call) > MINUTE]
    refused = sum(call.status == TOO_MANY for call in after)
    share = plan.api_limit * (1 - RESERVE)
    say(f"others: {others.asked} requests of a person, {others.refused} of them refused")
    return [
        Figure("API limit: used of what it allows", "%", one(100 * pace(gave, others) / share), 92, at_least=True),
        Figure("API limit: 429 after the first minute", "answers", one(refused), 0),
        Figure("API limit: another process lists backups", "s", one(others.waited)),
    ]


def pace(gave: Night, others: "Others") -> float:
    """Our requests a minute until the last backup was asked for."""
    creates = [call for call in gave.calls if call.call is Call.CREATE]
    seconds = seconds_since(gave.calls[0], creates[-1])
    sent = sum(call.at <= creates[-1].at for call in gave.calls) - others.asked
    return sent / seconds * MINUTE


@dataclass(slots=True)
class Others:
    """Who else uses the key: how often a person asked and was refused, and how long another process waited."""

    asked: int = 0
    refused: int = 0
    waited: float = 0.0

    async def use(self, daemons: Daemons, config: Config) -> None:
        """Use the panel until cancelled."""
        await asyncio.gather(self._load_pages(daemons), self._list_by_hand(daemons, config))

    async def _load_pages(self, daemons: Daemons) -> None:
        """A person in a browser: ten requests at once, every half minute."""
        transport, headers = InProcess(daemons.app), {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="https://panel.example.com", headers=headers) as web:
            while True:
                await daemons.clock.sleep(MINUTE / 2)
                answers = await asyncio.gather(*(web.get("/api/client?per_page=1") for _ in range(10)))
                self.asked += len(answers)
                self.refused += sum(answer.status_code == TOO_MANY for answer in answers)

    async def _list_by_hand(self, daemons: Daemons, config: Config) -> None:
        """Another process of ours, with a pace of its own that begins by knowing nothing."""
        server = next(iter(config.servers.values()))
        while True:
            await daemons.clock.sleep(2 * MINUTE)
            async with daemons.open_client(server.panel) as client:
                began = daemons.clock.monotonic()
                await client.backups(server.id)
                self.waited = max(self.waited, daemons.clock.monotonic() - began)
                self.asked += client.requests


# At the nodes --------------------------------------------------------------------------------------------------------


def at_nodes(servers: int) -> Figure:
    """How long it takes where the nodes are what there is too little of."""
    plan = replace(AT_NODES, servers=servers)
    rounds = -(-servers // (plan.nodes * plan.places))
    ideal = rounds * (plan.seconds + 3 * plan.latency) + plan.latency
    gave = virtually(night(plan))
    say(f"{plan}: {minutes(gave.seconds)}, {len(gave.calls):,} requests")
    what = "20 ms, no limit, at the nodes"
    return Figure(what, "s", one(gave.seconds), 1.25 * ideal, ideal=one(ideal))


# At the connections, over real HTTP ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Real:
    """Seconds from the first request to the last answer, the daemon's processor time, and its requests."""

    seconds: float
    processor: float
    requests: int


def ideal_over_http(plan: Plan) -> float:
    """All but deletions over ten connections without a gap, fewer where there are fewer servers; and one backup."""
    return plan.servers * REQUESTS * plan.latency / min(CONNECTIONS, plan.servers) + plan.seconds


def at_connections(servers: int, runs: Sequence[Real]) -> list[Figure]:
    """How long it takes where neither limit nor nodes hold it up."""
    ideal = ideal_over_http(replace(AT_CONNECTIONS, servers=servers))
    seconds = Spread(tuple(run.seconds for run in runs))
    each = Spread(tuple(run.processor * 1000 / servers for run in runs))
    return [
        Figure("20 ms, no limit, over real HTTP", "s", seconds, 1.25 * ideal, ideal=one(ideal)),
        Figure("the daemon's processor time for a rotation", "ms", each),
    ]


def over_http(plan: Plan) -> Real:
    """Rotate the fleet once by the daemon as a process of its own."""
    world = populated(CLOCK, plan)
    with tempfile.TemporaryDirectory() as folder, in_background(world) as sandbox:
        command = [sys.executable, "-m", "daemon", "--config", str(configuration(Path(folder), plan, sandbox)), "run"]
        environ = {**os.environ, "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 — ours
            assert process.stderr is not None  # noqa: S101 — it is a pipe
            wait_for(process.stderr, plan.servers)
            processor = processor_seconds(process.pid)
            process.terminate()
            process.stderr.read()
        calls = list(sandbox.app.calls)
    return Real(seconds_since(calls[0], calls[-1]) + plan.latency, processor, len(calls))


def configuration(folder: Path, plan: Plan, sandbox: SandboxServer) -> Path:
    """The daemon's file: every server of the sandbox, due since four in the morning, places for all of them."""
    lines = [f'state_dir = "{folder / "state"}"', "[panels.main]", f'url = "{sandbox.url}"']
    lines += [f"backups_per_node = {plan.servers}", "[policies.standard]", f'schedule = "{SCHEDULE}"']
    lines += ['scope = "own"', f"keep = {{ last = {plan.backups} }}"]
    lines += [f'[servers.{server.name}]\nid = "{server.identifier}"' for server in sandbox.world.servers.values()]
    file = folder / "config.toml"
    file.write_text("\n".join(lines))
    return file


def wait_for(lines: IO[str], rotations: int) -> None:
    """Read the daemon's log until so many rotations have ended, all of them well."""
    for line in lines:
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "rotation_ended":
            if event["result"] != "done":
                raise SystemExit(line)
            rotations -= 1
        if not rotations:
            return
    raise SystemExit("the daemon ended before its work was done")


def curve() -> None:
    """Measure fleets of all sizes over real HTTP, and draw how the time grows."""
    measured = [(servers, over_http(replace(AT_CONNECTIONS, servers=servers))) for servers in SIZES]
    for servers, run in measured:
        say(f"{servers:,} servers: {run.seconds:.2f} s, {run.requests:,} requests, {run.processor:.2f} s of processor")
    ideal = [(servers, ideal_over_http(replace(AT_CONNECTIONS, servers=servers))) for servers in SIZES]
    file = draw(
        "performance-pace.svg",
        "A fleet that is due at once, 20 ms latency, no API limit",
        across=Axis("servers"),
        up=Axis("seconds until all are rotated"),
        curves=[
            Curve("measured, over real HTTP", [(servers, run.seconds) for servers, run in measured]),
            Curve("ideal: ten connections without a gap", ideal, ideal=True),
        ],
    )
    say(f"{file.name}: {machine()}")


def seconds_since(first: CallMade, call: CallMade) -> float:
    """From one call's answer to another's."""
    return (call.at - first.at).total_seconds()


def one(value: float) -> Spread:
    """A figure that is the same at each run."""
    return Spread((value,))


def minutes(seconds: float) -> str:
    """A span for people."""
    return f"{seconds / MINUTE:.1f} min"


if __name__ == "__main__":
    main()
