"""A daemon's folder as months of use leave it: a configuration of many servers, and the journal of their rotations."""

import json
import random
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.state import MOST_ROTATIONS
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.store import FILE_NAME
from daemon.state.rows import written
from daemon.status.packed import write_detail

POLICY = {
    "scope": '"own"',
    "keep": "{ last = 3000, daily = 60, weekly = 26, monthly = 24, yearly = -1, within_hourly = '7d' }",
    "max_deletions": "-1",
}
OWN_KEYS_EVERY = 10
"""One server in so many keeps more than its policy says."""

ROTATIONS = 10
"""How many rotations of each server the journal holds, as far as it holds so many at all."""

BACKUPS = 14
"""How many backups each server had when it was last looked at."""

STEPS = (
    "gathered",
    "create_intended",
    "created",
    "turned_good",
    "gathered",
    "planned",
    "delete_intended",
    "delete_done",
)


def write_config(folder: Path, url: str, ids: Sequence[str], schedules: Sequence[str], *, splay: str) -> Path:
    """A configuration of one panel and servers dealt out to policies of these schedules."""
    lines = [f'state_dir = "{folder / "state"}"']
    lines += [f'[panels.main]\nurl = "{url}"\nbackups_per_node = 1000\napi_reserve = 0.0']
    for number, schedule in enumerate(schedules):
        lines += [f'[policies.number-{number}]\nschedule = "{schedule}"\nsplay = "{splay}"']
        lines += [f"{key} = {value}" for key, value in POLICY.items()]
    for number, identifier in enumerate(ids):
        lines += [f'[servers.server-{number}]\nid = "{identifier}"\npolicy = "number-{number % len(schedules)}"']
        lines += ["keep = { last = 3000, daily = 90 }"] if number % OWN_KEYS_EVERY == 0 else []
    file = folder / "config.toml"
    file.write_text("\n".join(lines))
    return file


def write_journal(folder: Path, uuids: Sequence[str], now: datetime, *, rotations: int = ROTATIONS) -> None:
    """The journal of a daemon that rotated each of these servers once a day, the last time an hour ago."""
    state = folder / "state"
    SqliteJournal.open(state).close()
    chance = random.Random(1)  # noqa: S311 — made-up uuids
    with sqlite3.connect(state / FILE_NAME) as connection:
        connection.executemany("INSERT INTO snapshot VALUES (?, 'main', ?, ?)", _snapshots(uuids, now, chance))
        for ago in range(min(rotations, MOST_ROTATIONS // len(uuids)) - 1, -1, -1):
            for number, server_uuid in enumerate(uuids):
                _rotation(connection, number, server_uuid, now - timedelta(days=ago, hours=1), chance)
    connection.close()


def _rotation(
    connection: sqlite3.Connection, number: int, server_uuid: str, at: datetime, chance: random.Random
) -> None:
    made, gone = ({"uuid": _uuid(chance), "name": _name(number, at, chance), "bytes": 5 << 30} for _ in range(2))
    summary = {"good": True, "passing": False, "created": made, "deleted": [gone], "kept": BACKUPS, "problems": []}
    row = connection.execute(
        "INSERT INTO rotation (server_uuid, server, panel, policy, trigger, start_at, began_at, ended_at, result,"
        " backup_uuid, summary) VALUES (?, ?, 'main', 'number-0', 'schedule', ?, ?, ?, 'done', ?, ?)",
        (
            server_uuid,
            f"server-{number}",
            written(at),
            written(at),
            written(at + timedelta(minutes=3)),
            made["uuid"],
            json.dumps(summary),
        ),
    )
    details = json.dumps({"backup": made["name"], "uuid": made["uuid"]})
    steps = ((row.lastrowid, written(at), name, details) for name in STEPS)
    connection.executemany("INSERT INTO step (rotation, at, name, detail) VALUES (?, ?, ?, ?)", steps)


def _snapshots(uuids: Sequence[str], now: datetime, chance: random.Random) -> Iterator[tuple[str, str | None, str]]:
    for number, server_uuid in enumerate(uuids):
        verdicts = [_verdict(number, now - timedelta(days=ago, hours=1), chance) for ago in range(BACKUPS)]
        yield server_uuid, written(now), write_detail(f"node-{number % 50}", 30, verdicts)


def _verdict(number: int, at: datetime, chance: random.Random) -> Verdict:
    backup = Backup(
        uuid=_uuid(chance),
        name=_name(number, at, chance),
        successful=True,
        locked=False,
        bytes=chance.randrange(5 << 30),
        created_at=at,
        completed_at=at + timedelta(minutes=3),
    )
    reason = Reason("daily", f"{at:%Y-%m-%d}", f"the newest of {at:%Y-%m-%d}")
    return Verdict(backup, State.GOOD, True, Action.KEEP, (reason,))


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _name(number: int, at: datetime, chance: random.Random) -> str:
    return f"auto-server-{number}-{at:%Y%m%dT%H%M%SZ}-{chance.getrandbits(32):08x}"
