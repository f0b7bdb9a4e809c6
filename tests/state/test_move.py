"""The whole state moves to a cluster's database and back, or not at all."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.config.values import ClusterConfig
from daemon.core.applied import AppliedRetention
from daemon.core.copies_queue import CopyQueue
from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.core.proof import Level
from daemon.errors import StateError
from daemon.state import Alert, CopyEvent, CopyRecord, Holding, ProofAsked, ShelfRecord, Snapshot, engine_for
from daemon.state.local.catalogue import LocalCatalogue
from daemon.state.local.store import FILE_NAME
from daemon.state.move import move_state
from daemon.state.postgres.catalogue import PostgresCatalogue
from tests.postgres import Postgres

AT = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
OTHER = "2b9e6e2c-259b-452e-8b4e-cecc464142ca"
ROTATIONS = 2100
"""More than a batch."""

pytestmark = pytest.mark.anyio


@pytest.fixture
def cluster(postgres_server: Postgres) -> ClusterConfig:
    """Tables of their own."""
    return postgres_server.new()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A state folder with something in its tables."""
    engine = engine_for(tmp_path / "state")
    journal = await engine.open()
    number = await journal.begin(
        server_uuid=UUID, server="survival", panel="main", policy="p", trigger="manual", start_at=None, at=AT
    )
    await journal.announce(number, "create", AT, backup="auto-ü \0", nested={"a": [None, 1.5]})
    await journal.end(number, at=AT, result="done", summary={"good": True})
    await journal.accept(UUID, "small", AT)
    await journal.was_altered(UUID, "renamed", Altered("asked", "kept"), AT)
    await journal.ask(UUID, "half", AT)
    await journal.deleted_by_hand(UUID, "by-hand", AT)
    await journal.listed(UUID, [Backup("one", "auto-1", True, False, 2**40, AT, AT)], AT)
    await journal.apply(UUID, AppliedRetention("a", ("u", "v"), "b", AT))
    await journal.snapshot(Snapshot(UUID, "main", AT, "detail"), 7)
    await journal.watch({"survival": {"told": []}}, AT, [Alert("ops", "survival", "failed", {"n": 1})])
    queue = CopyQueue().asked("survival", ["nas"], AT, fresh=True).store_failed("usb", AT, "gone", server="survival")
    await journal.requeue_copies(CopyQueue(), queue)
    await journal.record_copies([CopyRecord(CopyEvent.MADE, AT, "survival", UUID, "nas", "b-1", "auto-1", 2**40)])
    await journal.ask_proofs([ProofAsked("main", UUID[:8], Level.SANE, AT)])
    await journal.close()
    await engine.catalogue.remember(ShelfRecord(Holding("nas", "main", UUID, AT, 2, 700, None), "…"))
    await engine.catalogue.installation()
    engine.close()
    with sqlite3.connect(tmp_path / "state" / FILE_NAME) as connection:
        many = ((UUID, "survival", "main", "p", "manual", "2026-04-01T04:00:00Z") for _ in range(ROTATIONS))
        columns = "server_uuid, server, panel, policy, trigger, began_at"
        connection.executemany(f"INSERT INTO rotation ({columns}) VALUES (?, ?, ?, ?, ?, ?)", many)  # noqa: S608
    connection.close()
    return tmp_path / "state"


def dump(folder: Path, name: str = FILE_NAME) -> list[str]:
    """All that is in a folder's journal or catalogue, as statements; but for how SQLite counts."""
    with sqlite3.connect(folder / name) as connection:
        lines = [line for line in connection.iterdump() if "INSERT" in line and "sqlite_sequence" not in line]
    connection.close()
    return sorted(lines)


async def test_what_moves_to_a_cluster_and_back_is_what_it_was(
    folder: Path, cluster: ClusterConfig, tmp_path: Path
) -> None:
    """Every row of every table, the id of the installation, and what was seen in stores."""
    there = await move_state(folder, cluster)
    back = await move_state(cluster, tmp_path / "back")
    assert there == back
    assert (there["rotation"], there["step"], there["shelf"]) == (ROTATIONS + 1, 1, 1)
    assert there["proof_asked"] == 1
    assert dump(tmp_path / "back") == dump(folder)
    ours, theirs = engine_for(folder), engine_for(tmp_path / "back")
    assert await theirs.catalogue.installation() == await ours.catalogue.installation()
    assert await theirs.catalogue.shelves("main", UUID) == await ours.catalogue.shelves("main", UUID)


async def test_what_comes_after_a_move_is_numbered_after_it(folder: Path, cluster: ClusterConfig) -> None:
    """The newest rotation has the highest number."""
    await move_state(folder, cluster)
    engine = engine_for(cluster)
    journal = await engine.open()
    number = await journal.begin(
        server_uuid=UUID, server="survival", panel="main", policy="p", trigger="manual", start_at=None, at=AT
    )
    assert [row.id for row in await journal.recent(limit=1)] == [number]
    assert number > ROTATIONS
    await journal.close()
    engine.close()


async def test_nothing_is_moved_where_something_is(folder: Path, cluster: ClusterConfig) -> None:
    """Two histories in one would be none."""
    await move_state(folder, cluster)
    with pytest.raises(StateError, match="is not empty: there are rows in rotation"):
        await move_state(folder, cluster)
    with pytest.raises(StateError, match="is not empty"):
        await move_state(cluster, folder)


async def test_nothing_is_moved_while_somebody_uses_it(folder: Path, cluster: ClusterConfig) -> None:
    """What it writes meanwhile would be lost."""
    engine = engine_for(folder)
    async with engine.presence.known():
        with pytest.raises(StateError, match="a daemon runs on it"):
            await move_state(folder, cluster)
    other = engine_for(cluster)
    async with other.locks.held(UUID):
        with pytest.raises(StateError, match="the cluster has members: backup-1"):
            await move_state(folder, cluster)
    other.close()
    engine.close()


async def test_what_cannot_be_moved_leaves_nothing_behind(
    folder: Path, cluster: ClusterConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without a journal, or a row that comes out otherwise than it went in."""
    with pytest.raises(StateError, match="there is no journal in"):
        await move_state(tmp_path / "nowhere", cluster)

    async def forget(*_: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr("daemon.state.postgres.moving.ClusterSide.fill", forget)
        with pytest.raises(StateError, match="is not what was written there"):
            await move_state(folder, cluster)
    await move_state(folder, cluster)


LOSES: dict[str, Callable[[list[ShelfRecord]], list[ShelfRecord]]] = {
    "none of them": lambda records: records,
    "one of them": lambda records: records[1:],
    "a detail": lambda records: [replace(records[0], detail=""), *records[1:]],
    "a number": lambda records: [*records[:1], replace(records[1], holding=replace(records[1].holding, copies=1))],
}


@pytest.mark.parametrize("kept", LOSES)
@pytest.mark.parametrize("back", [False, True], ids=["to a cluster", "to a folder"])
async def test_what_was_seen_in_stores_is_read_again_and_moves_with_the_rest_or_not_at_all(
    folder: Path, cluster: ClusterConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, *, back: bool
) -> None:
    """By either engine; what fails leaves a place that is as empty as before, for another try."""
    engine = engine_for(folder)
    await engine.catalogue.remember(ShelfRecord(Holding("nas", "main", OTHER, AT, 3, 900, AT), "other"))
    await engine.catalogue.remember(ShelfRecord(Holding("usb", "main", UUID, AT, 1, 100, AT), "usb"))
    engine.close()
    if back:
        await move_state(folder, cluster)
    source, target = (cluster, tmp_path / "back") if back else (folder, cluster)
    catalogue = LocalCatalogue if back else PostgresCatalogue
    write = catalogue.replace

    async def lose(self: Any, store: str, records: Iterable[ShelfRecord]) -> None:
        found = list(records)
        await write(self, store, LOSES[kept](found) if store == "nas" and found else found)

    monkeypatch.setattr(catalogue, "replace", lose)
    if kept != "none of them":
        with pytest.raises(StateError, match=r"shelf in .* is not what was written there"):
            await move_state(source, target)
        assert await seen(target) == []
        monkeypatch.undo()
    moved = await move_state(source, target)
    assert (moved["shelf"], moved["rotation"]) == (3, ROTATIONS + 1)
    assert await seen(target) == await seen(source)


async def seen(place: Path | ClusterConfig) -> list[ShelfRecord | None]:
    """All that is recorded there of what was seen in stores."""
    engine = engine_for(place)
    try:
        found = await engine.catalogue.holdings()
        return [await engine.catalogue.shelf(one.store, one.panel, one.server_uuid) for one in found]
    finally:
        engine.close()


async def test_what_was_seen_in_stores_is_taken_back_where_the_journal_cannot_be_moved(
    folder: Path, cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If that is impossible too, what is left is found by the next move, and by nobody taken for the whole."""

    async def fail(*_: object) -> None:
        raise StateError("the connection is lost", hint="")

    monkeypatch.setattr("daemon.state.postgres.moving.ClusterSide.fill", fail)
    with pytest.raises(StateError, match="the connection is lost"):
        await move_state(folder, cluster)
    assert await seen(cluster) == []
    with monkeypatch.context() as patched:
        patched.setattr("daemon.state.move._take_back", fail)
        with pytest.raises(StateError):
            await move_state(folder, cluster)
    monkeypatch.undo()
    with pytest.raises(StateError, match="is not empty: there are rows in shelf"):
        await move_state(folder, cluster)
    assert len(await seen(cluster)) == 1, "nobody has removed what was there before"
