"""Two daemons on one real PostgreSQL, of which one does all the work: the other, and each command, shows it."""

import json
from asyncio import gather, to_thread
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from daemon.config.values import ClusterConfig, HttpConfig
from daemon.core.units import rfc3339
from daemon.sandbox.records import Backup, BackupEnding, Server, Work
from tests.postgres import PASSWORD, Postgres
from tests.process.members import CLOCK, Member, cluster, until
from tests.process.support import Panel, command
from tests.process.test_cluster import environ
from tests.stores.services import free_ports

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

Shown = dict[str, dict[str, Any]]
"""What `/api/status` tells, by server."""


@pytest.fixture
def database(postgres_server: Postgres, panel: Panel) -> ClusterConfig:
    """A database of their own; nothing that they print holds its password."""
    panel.secrets.append(PASSWORD)
    return postgres_server.new()


class View:
    """What a member shows to whoever asks it over HTTP."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    @classmethod
    async def of(cls, member: Member) -> "View":
        """Let a member answer somewhere."""
        (port,) = free_ports(1)
        await member.parts.http.follow(HttpConfig("127.0.0.1", port, frozenset(), None))
        return cls(port)

    async def get(self, path: str) -> str:
        """A page, as text."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self._address}{path}")
        assert answer.status_code == 200
        return answer.text

    async def servers(self) -> Shown:
        """How each server stands."""
        return {one["server"]: one for one in json.loads(await self.get("/api/status"))["servers"]}

    async def until(self, holds: Callable[[Shown], bool], what: str, seconds: float = 30.0) -> Shown:
        """Ask again and again until it holds; return what is shown then."""
        deadline = CLOCK.monotonic() + seconds
        while not holds(shown := await self.servers()):
            assert CLOCK.monotonic() < deadline, f"waited {seconds} s in vain: {what}: {shown}"
            await CLOCK.sleep(0.1)
        return shown

    async def metric(self, name: str, server: str) -> float:
        """The value of one of a server's metrics."""
        start = f'ptero_backupd_{name}{{server="{server}"}} '
        (line,) = (line for line in (await self.get("/metrics")).splitlines() if line.startswith(start))
        return float(line.removeprefix(start))


@dataclass(frozen=True)
class Rotated:
    """What a rotation came to: the backup that it made, when that was complete, and since when which one is good."""

    result: str
    made: Backup
    completed_at: datetime
    good: Backup


async def rotated(panel: Panel, server: Server, end: str) -> Rotated:
    """Let the node end a server's backup, once that was asked for: `finish` it, or `fail`."""
    await until(lambda: panel.backups(server)[-1].completed_at is None, "the backup is being made", 60)
    *_, before, made = panel.backups(server)
    panel.order("POST", f"servers/{server.identifier}/backups/{made.uuid}/{end}")
    assert made.completed_at is not None
    is_good = end == "finish"
    return Rotated("done" if is_good else "failed", made, made.completed_at, made if is_good else before)


async def test_what_one_member_did_is_shown_by_the_other_and_by_every_command(
    panel: Panel, database: ClusterConfig, postgres_server: Postgres
) -> None:
    """How each rotation ended and when, and the newest good backup, though the other had shown before that there was
    none; and still so after it has taken over.
    """
    survival, lobby = servers = [panel.add_server("survival"), panel.add_server("lobby")]
    for server in servers:
        server.work = Work(outcome=BackupEnding.STUCK)
    async with cluster(panel.configure(*servers), database, postgres_server.port) as made:
        one = await made.join("one")
        await until(lambda: one.acts_for == {"survival", "lobby"}, "one member acts for both")
        two = await made.join("two")
        view = await View.of(two)
        assert [shown["last"] for shown in (await view.servers()).values()] == [None, None]
        await is_under_way(view)
        ends = await gather(rotated(panel, survival, "finish"), rotated(panel, lobby, "fail"))
        came = dict(zip(("survival", "lobby"), ends, strict=True))
        shown = await view.until(lambda shown: all(one["last"] for one in shown.values()), "the other shows both")
        assert two.acts_for == set()
        await shows(view, shown, came)

        told = (await by_command(panel, database, "history"))["rotations"]
        assert {row["server"]: row["result"] for row in told} == {name: one.result for name, one in came.items()}
        for row in told:
            assert row["created"]["uuid"] == came[row["server"]].made.uuid
            assert row["ended_at"] == shown[row["server"]]["last"]["ended_at"]
        for row in (await by_command(panel, database, "status"))["servers"]:
            assert row["last"]["result"] == came[row["server"]].result
            assert row["last"]["ended_at"] == shown[row["server"]]["last"]["ended_at"]
            assert row["newest_good"]["backup"]["uuid"] == came[row["server"]].good.uuid

        await one.leave()
        await until(lambda: two.acts_for == {"survival", "lobby"}, "the other takes over")
        await shows(view, await view.servers(), came)


async def shows(view: View, shown: Shown, came: dict[str, Rotated]) -> None:
    """Status, metrics and pages tell how each rotation ended, what it made, and which backup is the newest good one."""
    fleet = await view.get("/")
    assert "1 of 2 servers needs attention" in fleet
    for name, rotation in came.items():
        last, failed, good_at = shown[name]["last"], rotation.result == "failed", rotation.good.created_at
        assert (last["result"], last["created"]) == (rotation.result, rotation.made.name)
        assert [one["code"] for one in last["problems"]] == ["backup-failed"] * failed
        assert rfc3339(rotation.completed_at) <= last["ended_at"] <= rfc3339(CLOCK.now())
        assert shown[name]["newest_good_at"] == rfc3339(good_at)
        assert shown[name]["backups"]["failed"] == failed
        assert await view.metric("newest_good_backup_timestamp_seconds", name) == good_at.timestamp()
        assert await view.metric("rotation_failures", name) == failed
        assert f'<time datetime="{rfc3339(good_at)}"' in fleet
        page = await view.get(f"/servers/{name}")
        for text in (rotation.made.name, f'datetime="{last["began_at"]}"', f">{rotation.result}</span>"):
            assert text in page
        assert ("The last rotation failed" in page) == failed


async def is_under_way(view: View) -> None:
    """What the other member does is shown while it does it: on every page, and with who it is."""

    def waits(shown: Shown) -> list[str]:
        return [name for name, one in shown.items() if (one["under_way"] or {}).get("stage") == "waiting"]

    shown = await view.until(lambda shown: bool(waits(shown)), "the other shows what is under way")
    (name,) = waits(shown)
    assert shown[name]["under_way"]["member"] == "one"
    assert "backing up</b><small>by one</small>" in await view.get("/")
    assert "Under way by one, catching up a missed start" in await view.get(f"/servers/{name}")


async def by_command(panel: Panel, database: ClusterConfig, what: str) -> dict[str, Any]:
    """What a command tells on the machine of the other member."""

    def told() -> str:
        done = command(panel, what, "--json", room=None, **environ(database, "two"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    return dict(json.loads(await to_thread(told)))
