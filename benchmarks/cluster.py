"""Three daemons share ten thousand servers over one PostgreSQL: all are real processes, against the sandbox.

`fleet`: how soon they are ready and have shared the nodes out; a minute of starts as dense as ten thousand in ten
minutes are (a thousand rotations a minute): their lateness, what the database takes for them, and the members' memory;
then one member is killed, and its nodes are taken over after its lease of 30 s. Each server has 20 backups.

`throughput`: a smaller fleet that is due at once, with one member and then with three. Two cores carry members, sandbox
and database, so it is not seconds that are compared but processor time: that of the one member, and that of the busiest
of three, which would bound three machines.

`budget`: a fleet that is due at once, at a panel that allows 240 requests a minute, of which 48 are left to others;
somebody asks ten times in a row, every half minute. A member is killed meanwhile: how many requests the panel answers
429, and how many the members send at most in any minute from then on, beside what one daemon would send.

    python -m benchmarks.cluster fleet [--servers N] [--seconds N]
    python -m benchmarks.cluster throughput [--servers N]
    python -m benchmarks.cluster budget [--servers N]
"""

import argparse
import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from statistics import quantiles

import httpx

from benchmarks.measure import CLOCK, Figure, Spread, processor_seconds, report, resident, say
from benchmarks.members import Database, Member, database, let_be_due, members, wait_for, wait_until
from benchmarks.scheduler import SPLAY_SECONDS
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import KEY, empty, history
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World

NODES = 60
BACKUPS = 20
NAMES = ("one", "two", "three")
LEASE_SECONDS = 30
AROUND_SECONDS = 10
NO_LIMIT = 10**9
LIMIT, RESERVE = 240, 0.2
MINUTE = timedelta(minutes=1)
IN_A_ROW = 10


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("fleet", "throughput", "budget"))
    options.add_argument("--servers", type=int, metavar="N", help="10,000 of a fleet, 900 of the others")
    options.add_argument("--seconds", type=int, default=60, metavar="N", help="how long starts are watched")
    given = options.parse_args()
    if given.what == "fleet":
        report(fleet(given.servers or 10_000, given.seconds))
    else:
        report({"throughput": throughput, "budget": budget}[given.what](given.servers or 900))


def populated(servers: int, limit: int) -> World:
    """A panel of that limit, and servers with backups of the nights before on so many nodes."""
    world, owner, _ = empty(CLOCK, settings=Settings(api_limit=limit, creation_limit=0))
    nodes = [world.add_node(f"node-{number}") for number in range(NODES)]
    now = CLOCK.now().replace(microsecond=0)
    for number in range(servers):
        home = nodes[number % NODES]
        server = world.add_server(f"server-{number}", owner=owner, node=home, limit=5000, work=Work(seconds=2))
        history(world, server, [now - timedelta(hours=12 * ago) for ago in range(BACKUPS, 0, -1)])
    return world


@contextmanager
def staged(
    servers: int, names: Sequence[str], *, limit: int = NO_LIMIT, reserve: float = 0.0
) -> Iterator[tuple[Database, Sequence[Member], SandboxServer]]:
    """Members of these names, ready, with their database and their panel of so many servers."""
    world = populated(servers, limit)
    with (
        tempfile.TemporaryDirectory() as folder,
        database(Path(folder), world) as base,
        in_background(world) as sandbox,
        members(Path(folder), base, sandbox.url, world, names, reserve=reserve) as started,
    ):
        yield base, started, sandbox


# A fleet -------------------------------------------------------------------------------------------------------------


def fleet(servers: int, seconds: int) -> list[Figure]:
    """Three members from their start until two of them have taken over from the third."""
    with staged(servers, NAMES) as (base, started, sandbox):
        ready = Spread(tuple(one.ready for one in started))
        worked = Spread(tuple(processor_seconds(one.process.pid) for one in started))
        shared = max(ready.values) + wait_until(lambda: is_even(base, len(NAMES)), "the nodes are shared out")
        say(f"ready after {ready} s, shared out after {shared:.1f} s")
        wait_for(let_be_due(started, SPLAY_SECONDS))
        minute = busy(base, started, seconds)
        memory = Spread(tuple(resident(one.process.pid) for one in started))
        taken, burst = taken_over(base, started, sandbox)
        late = [each for one in started[:-1] for each in lateness(one, minute.began, minute.ended)]
    each = [
        Figure("ready", "s", ready, 5),
        Figure("of that, of the processor", "s", worked),
        Figure("nodes shared out evenly", "s", Spread((shared,))),
        Figure(f"late, 99th percentile of {len(late)} starts of two members", "ms", high(late), 500),
        Figure("resident", "MiB", memory, 90),
        Figure("taken over from a killed member", "s", Spread((taken,)), LEASE_SECONDS + 5),
        Figure("requests then, beside those before", "times", Spread((burst,))),
    ]
    return [*each[:4], *minute.figures(), *each[4:]]


def is_even(base: Database, number: int) -> bool:
    """Whether so many members hold all nodes, and none two more than another."""
    held = base.nodes()
    return len(held) == number and sum(held) == NODES and held[-1] - held[0] <= 1


class Busy:
    """What a busy minute took."""

    def __init__(self, began: float, ended: float, database: float, processor: Sequence[float]) -> None:
        self.began, self.ended = began, ended
        self._database, self._processor = database, processor
        self.rotations = self.statements = self.steps = 0

    def figures(self) -> list[Figure]:
        """As lines of the table."""
        seconds, number = self.ended - self.began, max(1, self.rotations)
        share, of_members = 100 * self._database / seconds, sum(self._processor)
        return [
            Figure("rotations a minute", "", Spread((60 * number / seconds,))),
            Figure("statements, for each step of a rotation", "", Spread((self.statements / max(1, self.steps),)), 3),
            Figure("the database's processor time", "% of a core", Spread((share,)), 10),
            Figure("the members' processor time for a rotation", "ms", Spread((1000 * of_members / number,))),
        ]


def busy(base: Database, started: Sequence[Member], seconds: float) -> Busy:
    """Watch the starts for so long."""

    def counts() -> tuple[int, int, int]:
        return int(base.ask("SELECT count(ended_at) FROM rotation")), base.statements, base.steps

    def used() -> list[float]:
        return [processor_seconds(one.process.pid) for one in started]

    before, began, processor, of_members = counts(), CLOCK.monotonic(), base.processor, used()
    wait_for(CLOCK.now() + timedelta(seconds=seconds))
    ended, processor = CLOCK.monotonic(), base.processor - processor
    took = Busy(began, ended, processor, [after - one for after, one in zip(used(), of_members, strict=True)])
    took.rotations, took.statements, took.steps = (b - a for a, b in zip(before, counts(), strict=True))
    return took


def taken_over(base: Database, started: Sequence[Member], sandbox: SandboxServer) -> tuple[float, float]:
    """Kill the last member; return how long it takes until the others hold all its nodes, and how many times as many
    requests as before its end they send in the ten seconds after that.
    """
    killed = started[-1]
    at = CLOCK.now()
    killed.kill()
    took = wait_until(lambda: sum(base.nodes(without=killed.name)) == NODES, "the killed member's nodes are taken")
    then = CLOCK.now()
    around = timedelta(seconds=AROUND_SECONDS)
    wait_for(then + around)
    calls = list(sandbox.app.calls)
    before, after = (sum(since < call.at <= since + around for call in calls) for since in (at - around, then))
    return took, after / max(1, before)


def lateness(member: Member, began: float, ended: float) -> list[float]:
    """How late each start of a member was that began in that time, of the monotonic clock that all processes share."""
    seen = json.loads(member.seen())
    return [seconds for at, seconds in seen["late"] if began <= at <= ended]


def high(seconds: Sequence[float]) -> Spread:
    """The 99th percentile, in milliseconds; of one or none, that or 0."""
    many = quantiles(seconds, n=100) if len(seconds) > 1 else [*seconds] or [0.0]
    return Spread((many[-1] * 1000,))


# Throughput ----------------------------------------------------------------------------------------------------------


def throughput(servers: int) -> list[Figure]:
    """What one member takes for the whole fleet, and the busiest of three."""
    (alone, seconds), (three, together) = (at_once(servers, NAMES[:number]) for number in (1, 3))
    ratio = alone[0] / max(three)
    each = Spread(tuple(1000 * one / servers for one in (alone[0], sum(three))))
    say(f"{servers} rotations: alone {seconds:.1f} s, three {together:.1f} s; members' processor time {three}")
    return [
        Figure(
            "throughput of three members for one's, by processor time", "times", Spread((ratio,)), 2.5, at_least=True
        ),
        Figure("a rotation's processor time, alone and with three", "ms", each),
    ]


def at_once(servers: int, names: Sequence[str]) -> tuple[list[float], float]:
    """The processor time of each member while all servers are rotated, and the seconds that it takes."""
    with staged(servers, names) as (base, started, _):
        wait_until(lambda: is_even(base, len(names)), "the nodes are shared out")
        wait_for(let_be_due(started, 0) - timedelta(seconds=1))
        before = [processor_seconds(one.process.pid) for one in started]
        began = int(base.ask("SELECT count(ended_at) FROM rotation"))
        took = wait_until(
            lambda: int(base.ask("SELECT count(ended_at) FROM rotation")) - began >= servers, "all are rotated", 180
        )
        return [processor_seconds(one.process.pid) - used for one, used in zip(started, before, strict=True)], took


# One API budget ------------------------------------------------------------------------------------------------------


def budget(servers: int) -> list[Figure]:
    """Three members at full load until two of them have gone on without the third for three minutes."""
    with staged(servers, NAMES, limit=LIMIT, reserve=RESERVE) as (base, started, sandbox), somebody(sandbox) as answers:
        wait_until(lambda: is_even(base, len(NAMES)), "the nodes are shared out")
        due = let_be_due(started, 0)
        wait_for(due + 3 * MINUTE)
        killed_at = CLOCK.now()
        started[-1].kill()
        killed = started[-1].name
        took = wait_until(lambda: sum(base.nodes(without=killed)) == NODES, "the killed member's nodes are taken")
        wait_for(killed_at + 4 * MINUTE)
        calls = list(sandbox.app.calls)
    share = LIMIT * (1 - RESERVE)
    ours = [call.at for call in calls if call.call is not Call.RESOURCES]
    refused = [call.at for call in calls if call.status == HTTPStatus.TOO_MANY_REQUESTS]
    minutes = [_within_a_minute(ours, due + number * MINUTE) for number in range(1, 8)]
    say(f"the members' requests in each minute: {minutes}; killed after the third, taken over {took:.1f} s later")
    most = max(_within_a_minute(ours, at) for at in ours if at > killed_at)
    each = {
        "before": sum(due + MINUTE < at <= killed_at for at in refused),
        "after": sum(at > killed_at for at in refused),
    }
    return [
        *(Figure(f"429 {when} the kill", "answers", Spread((number,)), 0) for when, number in each.items()),
        Figure(f"refused, of {len(answers)} of somebody's", "requests", Spread((_refused(answers),)), 0),
        Figure("used of the share, in the last minute before the kill", "%", Spread((100 * minutes[2] / share,))),
        Figure("used of it in the fullest minute from then on", "%", Spread((100 * most / share,)), 100),
        Figure("used of it in the last minute", "%", Spread((100 * minutes[-1] / share,))),
        Figure("taken over from a killed member", "s", Spread((took,)), LEASE_SECONDS + 5),
    ]


def _within_a_minute(moments: Sequence[datetime], end: datetime) -> int:
    """How many of them are in the minute until then."""
    return sum(end - MINUTE < at <= end for at in moments)


def _refused(answers: Sequence[int]) -> int:
    return sum(status == HTTPStatus.TOO_MANY_REQUESTS for status in answers)


@contextmanager
def somebody(sandbox: SandboxServer) -> Iterator[list[int]]:
    """Somebody who looks at a server ten times in a row, every half minute; the statuses of the answers."""
    server = next(iter(sandbox.world.servers.values()))
    path = f"{sandbox.url}/api/client/servers/{server.identifier}/resources"
    over, answers = threading.Event(), list[int]()

    def use() -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
        with httpx.Client(headers=headers, timeout=30) as web:
            while not over.wait(MINUTE.total_seconds() / 2):
                answers.extend(web.get(path).status_code for _ in range(IN_A_ROW))

    thread = threading.Thread(target=use, name="somebody")
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
