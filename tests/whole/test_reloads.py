"""A reload between two steps of what is under way: what follows it obeys the new configuration, and nothing else."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.config.values import Config
from daemon.errors import StateError
from daemon.fleet.attempts import Attempts
from daemon.panel.client import PanelClient
from daemon.sandbox.faults import web_page
from daemon.sandbox.orders import Call
from daemon.sandbox.records import BackupEnding, Change, Server, Work
from daemon.state.local.journal import SqliteJournal
from tests.whole.fleet import Daemons, at, made, rows, until
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


def unreadable(_: SqliteJournal) -> AbstractContextManager[None]:
    """A disk that lets nothing be read."""
    raise StateError("the journal cannot be read: disk I/O error")


async def test_a_retry_obeys_the_configuration_that_came_after_the_first_try(
    daemons: Daemons, survival: Server
) -> None:
    """A backup under the name of before would be nobody's own, and never be deleted."""
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(web_page(502), on=Call.CREATE)
        await until(daemons.clock, at(1, 4, 5))
        fleet.reload(daemons.configure({"survival": survival}, name="nightly-{time}-{id}"))
        await until(daemons.clock, at(1, 5))
    assert rows(daemons)[1:] == [("schedule", "failed"), ("retry", "done")]
    assert [backup.name.partition("-")[0] for backup in survival.backups.values()] == ["auto", "nightly"]


def once_answered(monkeypatch: pytest.MonkeyPatch, question: str, act: Callable[[], None]) -> None:
    """Let something happen between the journal's next answer to this and what is made of it."""
    real = getattr(Attempts, question)

    async def ask(*about: Any) -> Any:
        answer = await real(*about)
        monkeypatch.setattr(Attempts, question, real)
        act()
        return answer

    monkeypatch.setattr(Attempts, question, ask)


async def test_a_retry_obeys_a_reload_that_came_while_the_journal_was_asked(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cluster seed 1047506: a member that stood still is told of a new name before the database has answered."""
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(web_page(502), on=Call.CREATE)
        await until(daemons.clock, at(1, 4, 5))
        new = daemons.configure({"survival": survival}, name="nightly-{time}-{id}")
        once_answered(monkeypatch, "served", lambda: fleet.reload(new))
        await until(daemons.clock, at(1, 5))
    assert rows(daemons)[1:] == [("schedule", "failed"), ("retry", "done")]
    assert [backup.name.partition("-")[0] for backup in survival.backups.values()] == ["auto", "nightly"]


async def test_a_retry_is_not_made_of_another_server_that_has_the_name_by_then(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether that one's start was missed is found out by the reload."""
    _, creative = daemons.world.servers.values()
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(web_page(502), on=Call.CREATE)
        await until(daemons.clock, at(1, 4, 5))
        other = daemons.configure({"survival": creative})
        once_answered(monkeypatch, "served", lambda: fleet.reload(other))
        await until(daemons.clock, at(1, 12))
    assert rows(daemons)[1:] == [("schedule", "failed"), ("catch-up", "done")]


@pytest.mark.parametrize("question", ["served", "recovery"])
async def test_what_left_the_configuration_while_the_journal_was_asked_is_let_be(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """No rotation begins, neither a retry nor one that makes up for a start."""
    _, creative = daemons.world.servers.values()
    config, without = daemons.configure({"survival": survival}), daemons.configure({"creative": creative})
    async with daemons.running(config) as fleet:
        if question == "served":
            await until(daemons.clock, at(1, 3, 59, 50))
            daemons.world.faults.order(web_page(502), on=Call.CREATE)
        once_answered(monkeypatch, question, lambda: fleet.reload(without))
        await until(daemons.clock, at(1, 12))
    assert rows(daemons) == ([("catch-up", "done"), ("schedule", "failed")] if question == "served" else [])


@pytest.mark.parametrize("question", ["known", "recovery"])
@pytest.mark.parametrize("change", [{"name": "nightly-{time}-{id}"}, {"schedule": "30 3 * * *"}], ids=str)
async def test_what_is_picked_up_obeys_a_reload_that_came_while_the_journal_was_asked(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], question: str
) -> None:
    """And is picked up once: where another start may be due since, the reload itself sees to that."""
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        new = daemons.configure({"survival": survival}, **change)
        once_answered(monkeypatch, question, lambda: fleet.reload(new))
        await until(daemons.clock, at(1, 3, 59, 55))
    assert rows(daemons) == [("catch-up", "done")]
    (backup,) = survival.backups.values()
    assert backup.name.startswith("nightly-" if "name" in change else "auto-")


async def test_whether_there_is_time_for_a_retry_is_asked_of_the_new_schedule(
    daemons: Daemons, survival: Server
) -> None:
    """By the old one the next start came sooner than the retry; it was taken out while the create was looked for."""
    async with daemons.running(daemons.configure({"survival": survival}, schedule="0,10 4 * * *")) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(web_page(502), on=Call.CREATE)
        await until(daemons.clock, at(1, 4, 1))
        fleet.reload(daemons.configure({"survival": survival}, schedule="0 4 * * *"))
        await until(daemons.clock, at(1, 5))
    assert made(daemons)[1:] == ["01 04:12"]


def written_otherwise(daemons: Daemons) -> Config:
    """Both servers, by their uuids, on their panel at another address."""
    config, uuids = daemons.configure(), {one.name: one.uuid for one in daemons.world.servers.values()}
    panel = replace(config.panels["main"], url="https://panel.example.com:8443")
    servers = {name: replace(one, id=uuids[name], panel=panel) for name, one in config.servers.items()}
    return replace(config, servers=servers, panels={"main": panel})


async def test_a_server_that_was_only_written_otherwise_while_it_queued_gets_its_backup(
    daemons: Daemons, survival: Server
) -> None:
    """Or its start would be lost, since the reload saw a rotation under way for it. Nothing is deleted by that."""
    _, creative = daemons.world.servers.values()
    survival.work = creative.work = Work(seconds=30)
    async with daemons.running(daemons.configure()) as fleet:
        await daemons.clock.sleep(5)
        (waiting,) = (one for one in (survival, creative) if not one.backups)
        fleet.reload(written_otherwise(daemons))
        await until(daemons.clock, at(1, 5))
    assert len(waiting.backups) == 2
    assert rows(daemons, waiting.name) == [("catch-up", "refused"), ("schedule", "done")]


async def test_nor_does_it_lose_its_retry(daemons: Daemons, survival: Server) -> None:
    """The create of before has failed since."""
    async with daemons.running(daemons.configure()) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(web_page(502), on=Call.CREATE, server=survival.uuid)
        await until(daemons.clock, at(1, 4, 1))
        fleet.reload(written_otherwise(daemons))
        await until(daemons.clock, at(1, 5))
    assert made(daemons)[1:] == ["01 04:12"]


async def test_two_servers_that_exchange_their_names_while_one_is_looked_at_are_no_duplicates(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its rotation saw says nothing of the server that has the name by now."""
    _, creative = daemons.world.servers.values()
    async with daemons.running(daemons.configure({"survival": survival, "creative": creative})) as fleet:
        swapped = daemons.configure({"survival": creative, "creative": survival})
        real, seen = PanelClient.seen_server, list[str]()

        async def seen_server(client: PanelClient, server: str) -> Any:
            found = await real(client, server)
            if not seen:
                seen.append(server)
                fleet.reload(swapped)
            return found

        monkeypatch.setattr(PanelClient, "seen_server", seen_server)
        await until(daemons.clock, at(3, 5))
    assert [result for name in ("survival", "creative") for _, result in rows(daemons, name)].count("refused") == 0
    assert (len(survival.backups), len(creative.backups)) == (3, 3)


async def test_a_planned_retry_is_not_made_of_another_server_that_has_the_name_by_then(
    daemons: Daemons, survival: Server
) -> None:
    """That one has had its own start already, so that the reload has nothing to make up for."""
    _, creative = daemons.world.servers.values()
    early, late = sorted((survival, creative), key=lambda one: first_start(daemons, one))
    start = first_start(daemons, late)
    async with daemons.running(configured_hourly(daemons, early)) as fleet:
        await until(daemons.clock, first_start(daemons, early) + MINUTE)
        fleet.reload(configured_hourly(daemons, late))
        await until(daemons.clock, start - MINUTE / 6)
        daemons.world.faults.order(web_page(502), on=Call.CREATE)
        await until(daemons.clock, start + 5 * MINUTE)
        before = len(early.backups)
        fleet.reload(configured_hourly(daemons, early))
        await until(daemons.clock, at(1, 5))
    assert rows(daemons)[-1] == ("schedule", "failed")
    assert len(early.backups) == before


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_server_that_is_taken_out_while_it_queues_for_its_node_gets_no_backup(
    daemons: Daemons, survival: Server, *, replaced: bool
) -> None:
    """Its operator has given it to somebody else, or to another daemon, and perhaps its name to another server."""
    _, creative = daemons.world.servers.values()
    other = daemons.world.add_server("other", owner=survival.owner, node=survival.node, limit=9)
    survival.work = creative.work = other.work = Work(seconds=30)
    async with daemons.running(daemons.configure({one.name: one for one in (survival, creative)})) as fleet:
        await daemons.clock.sleep(5)
        ((waiting,), (first,)) = [
            [server for server in (survival, creative) if bool(server.backups) is begun] for begun in (False, True)
        ]
        fleet.reload(daemons.configure({first.name: first} | ({waiting.name: other} if replaced else {})))
        await until(daemons.clock, at(1, 5))
    done = [("catch-up", "done"), ("schedule", "done")]
    assert waiting.backups == {}
    assert rows(daemons, waiting.name) == [("catch-up", "skipped"), *(done if replaced else [])]
    assert rows(daemons, first.name) == done
    assert len(other.backups) == (2 if replaced else 0)


async def test_what_was_merged_for_the_server_that_had_the_name_before_is_not_made_of_another_one(
    daemons: Daemons, survival: Server
) -> None:
    """Its start came while it was rotated; the other one, to which the name is given back, has had its own."""
    _, creative = daemons.world.servers.values()
    early, late = sorted((survival, creative), key=lambda one: first_start(daemons, one))
    given, second = (first_start(daemons, one) + later for one, later in ((late, MINUTE), (early, 60 * MINUTE)))
    early.work, late.work = Work(seconds=(second + MINUTE - given).total_seconds()), Work(seconds=30)
    config = configured_hourly(daemons, late)
    async with daemons.running(config) as fleet:
        await until(daemons.clock, given)
        fleet.reload(configured_hourly(daemons, early))
        await until(daemons.clock, second + MINUTE / 2)
        fleet.reload(config)
        await until(daemons.clock, at(1, 7))
    assert len(early.backups) == 1
    assert [when[3:5] for when in made(daemons, late.name)] == ["04", "04", "05", "06"]


def configured_hourly(daemons: Daemons, server: Server) -> Config:
    """The name stands for this one, each hour, some minutes into it."""
    return daemons.configure({"survival": server}, schedule="0 * * * *", splay="50m", keep={"last": 9})


def first_start(daemons: Daemons, server: Server) -> datetime:
    """When it is backed up after 04:00."""
    return configured_hourly(daemons, server).servers["survival"].starts.after(at(1, 4))


async def test_a_retry_of_the_server_that_had_the_name_before_takes_the_place_of_no_other(
    daemons: Daemons, survival: Server
) -> None:
    """The name was another one's for a minute, whose rotation went on for longer, and failed too."""
    _, creative = daemons.world.servers.values()
    config = daemons.configure({"survival": survival})
    async with daemons.running(config) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(web_page(502), on=Call.CREATE, times=2)
        await until(daemons.clock, at(1, 4, 3))
        fleet.reload(daemons.configure({"survival": creative}))
        await until(daemons.clock, at(1, 4, 4))
        fleet.reload(config)
        await until(daemons.clock, at(1, 5))
    assert [result for _, result in rows(daemons)] == ["done", "failed", "failed", "done"]
    assert made(daemons)[1:] == ["01 04:12"]


@pytest.mark.parametrize("change", [{"url": "https://other.example.com"}, {"name": "other"}], ids=str)
async def test_nothing_is_deleted_once_the_id_is_that_of_a_server_on_another_panel(
    rig: Rig, change: dict[str, Any]
) -> None:
    """The policy in force may be meant for that one; short ids of two panels can be the same."""
    rig.fill(4)
    rig.server.work = Work(seconds=600)
    rotation = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(300)
    rig.config = replace(rig.config, panel=replace(rig.config.panel, **change))
    outcome = await rotation
    assert [problem.code for problem in outcome.problems] == ["configuration-changed"]
    assert [entry for entry in rig.world.ledger if entry.change is Change.DELETED] == []


async def test_a_name_that_now_stands_for_another_server_has_no_past(daemons: Daemons, survival: Server) -> None:
    """What was made for the server of before does not make a start of the new one served."""
    _, creative = daemons.world.servers.values()
    async with daemons.running(daemons.configure({"survival": survival})):
        await until(daemons.clock, at(1, 12))
    async with daemons.running(daemons.configure({"survival": creative})):
        await until(daemons.clock, at(1, 13))
    assert made(daemons, "creative") == ["01 12:00"]


async def test_nor_does_a_panel_of_another_name(daemons: Daemons, survival: Server) -> None:
    """The same server there, without the backups that were made here."""
    config = daemons.configure({"survival": survival})
    async with daemons.running(config):
        await until(daemons.clock, at(1, 12))
    survival.backups.clear()
    server = config.servers["survival"]
    server = replace(server, panel=replace(server.panel, name="other"))
    async with daemons.running(replace(config, servers={"survival": server})):
        await until(daemons.clock, at(1, 13))
    assert made(daemons) == ["01 12:00"]


@pytest.mark.parametrize(
    ("outcome", "expected"), [(BackupEnding.GOOD, ["02 04:00"]), (BackupEnding.FAILED, ["02 04:00", "02 04:24"])]
)
async def test_a_start_whose_rotation_is_under_way_is_not_served_again_because_nobody_remembers_it(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch, outcome: BackupEnding, expected: list[str]
) -> None:
    """Seed 749437138: no journal could tell what was under way; nor is the retry lost that a failed one gets."""
    async with daemons.running(daemons.configure({"survival": survival}, splay="0s")) as fleet:
        await until(daemons.clock, at(1, 12))
        survival.coming.append(Work(seconds=600, outcome=outcome))
        await until(daemons.clock, at(2, 4, 5))
        monkeypatch.setattr(SqliteJournal, "_reading", unreadable)
        fleet.reload(daemons.configure({"survival": survival}, splay="0s", schedule="0 4,16 * * *"))
        await until(daemons.clock, at(2, 6))
    assert made(daemons)[2:] == expected


async def test_a_name_that_stood_for_another_server_for_a_moment_gets_no_second_backup(
    daemons: Daemons, survival: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be made up for the other one is looked at again for this one, by the panel's list alone."""
    _, creative = daemons.world.servers.values()
    config = daemons.configure({"survival": survival}, splay="0s")
    async with daemons.running(config) as fleet:
        await until(daemons.clock, at(1, 12))
        survival.work = Work(seconds=600)
        await until(daemons.clock, at(2, 4, 5))
        monkeypatch.setattr(SqliteJournal, "_reading", unreadable)
        fleet.reload(daemons.configure({"survival": creative}, splay="0s"))
        await until(daemons.clock, at(2, 4, 6))
        fleet.reload(config)
        await until(daemons.clock, at(2, 6))
    assert made(daemons)[2:] == ["02 04:00"]


@pytest.mark.parametrize("splay", ["0s", "20m"])
async def test_a_start_that_is_under_way_for_another_server_is_served_after_it(
    daemons: Daemons, survival: Server, splay: str
) -> None:
    """The name stands for the other one since the reload, whose start nobody has served."""
    _, creative = daemons.world.servers.values()
    async with daemons.running(daemons.configure({"survival": survival}, splay=splay)) as fleet:
        await until(daemons.clock, at(1, 12))
        survival.work = Work(seconds=3600)
        await until(daemons.clock, at(2, 4, 25))
        fleet.reload(daemons.configure({"survival": creative}, splay=splay))
        await until(daemons.clock, at(2, 6))
    assert len(creative.backups) == 1
