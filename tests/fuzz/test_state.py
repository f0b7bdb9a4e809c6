"""Whatever the state folder holds: what the journal says, a new journal beside the damaged one, or a clear error."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.alerts.memory import recalled
from daemon.errors import BackupdError, StateError
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.locks import is_locked, server_lock
from daemon.state.local.store import FILE_NAME
from daemon.status.stored import from_stored
from tests.at_once import at_once, awaited
from tests.fuzz.mutate import anything, damaged, mutated
from tests.fuzz.support import KEY, document, examples, run, sound

AT = datetime(2026, 4, 1, 4, tzinfo=UTC)
UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
CREATED = {"uuid": "9f2f9b87", "name": "auto-1", "created_at": "2026-04-01T04:00:00Z", "bytes": 5}
SUMMARY = {"good": True, "created": CREATED, "deleted": [CREATED], "kept": 3, "problems": [{"code": "x", "text": "y"}]}
COLUMNS = {
    "rotation": ("server_uuid", "server", "panel", "policy", "trigger", "start_at", "began_at", "ended_at", "result"),
    "step": ("at", "name", "detail"),
}
CONFIG = """
[panels.main]
url = "https://panel.example.com"
[policies.standard]
schedule = "0 4 * * *"
scope = "own"
keep = { last = 3 }
[servers.survival]
id = "1a7ce997"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state folder for all examples, beside its configuration."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "config.toml").write_text(f'state_dir = "{folder / "state"}"\n{CONFIG}')
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal as a daemon leaves it."""
    folder = tmp_path_factory.mktemp("written")
    with SqliteJournal.open(folder) as journal:
        fill(journal)
    return (folder / FILE_NAME).read_bytes()


def fill(journal: SqliteJournal, summary: Any = SUMMARY) -> None:
    """Five rotations, the last one unfinished."""
    for number in range(5):
        at = AT + timedelta(days=number)
        row = journal.begin(
            server_uuid=UUID, server="survival", panel="main", policy="standard", trigger="schedule", start_at=at, at=at
        )
        journal.step(row, "create", at, name=f"auto-{number}")
        if number < 4:
            journal.end(row, at=at, result="done", backup_uuid="9f2f9b87", summary=summary)
    journal.accept(UUID, "9f2f9b87", AT)
    journal.watch({"survival": {"failed": 3}}, AT)


def put(folder: Path, content: bytes) -> None:
    """Put a journal's file there, alone."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    for file in state.iterdir():
        file.unlink()
    (state / FILE_NAME).write_bytes(content)


def looked_at(folder: Path) -> None:
    """`history` and `status` tell what is there, or why they cannot; the daemon's own look and writing likewise."""
    environ = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
    for words in (("history",), ("history", "--json"), ("status",), ("status", "--json")):
        ran = sound(run("--config", str(folder / "config.toml"), *words, environ=environ))
        assert ran.code in {0, 4}
        if ran.out and "--json" in words:
            document(ran)
    with suppress(StateError), SqliteJournal.open(folder / "state") as journal:
        looks = (journal.recent, journal.running, lambda: at_once(recalled(awaited(journal))), lambda: seen(journal))
        for look in looks:
            with suppress(StateError):
                look()
        for action in (lambda: fill(journal), lambda: journal.prune(AT)):
            with suppress(StateError):
                action()


def seen(journal: SqliteJournal) -> None:
    """What a restarted daemon shows."""
    if stored := journal.last_snapshot("main", "1a7ce997"):
        from_stored(stored)
    journal.trend(UUID)


@examples(10)
@given(content=st.binary())
def test_any_bytes_as_the_journal(folder: Path, content: bytes) -> None:
    """Set aside, and a new one begun."""
    put(folder, content)
    looked_at(folder)


@examples(20)
@given(data=st.data())
def test_a_journal_that_was_damaged(folder: Path, written: bytes, data: st.DataObject) -> None:
    """Pages overwritten, cut out, doubled, or the end missing."""
    put(folder, data.draw(damaged(written)))
    looked_at(folder)


@examples(20)
@given(data=st.data(), table=st.sampled_from(sorted(COLUMNS)))
def test_a_sound_journal_with_any_value_in_a_row(folder: Path, written: bytes, data: st.DataObject, table: str) -> None:
    """As another version, a person or a flipped bit may leave it."""
    column = data.draw(st.sampled_from(COLUMNS[table]))
    value = data.draw(
        st.none() | st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary() | anything.map(json.dumps)
    )
    if isinstance(value, str):
        value = value.encode("utf-8", "replace").decode()
    put(folder, written)
    opened = closing(sqlite3.connect(folder / "state" / FILE_NAME, isolation_level=None))
    with suppress(sqlite3.IntegrityError), opened as connection:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE id % 2", (value,))  # noqa: S608 — names of ours
    looked_at(folder)


@examples(20)
@given(summary=mutated(SUMMARY))
def test_a_rotation_told_in_another_way(folder: Path, written: bytes, summary: Any) -> None:
    """Its summary is JSON of any shape."""
    put(folder, written)
    with closing(sqlite3.connect(folder / "state" / FILE_NAME, isolation_level=None)) as connection:
        for table in ("rotation SET summary", "watch SET watch"):
            connection.execute(f"UPDATE {table} = ?", (json.dumps(summary),))
        connection.execute("INSERT INTO snapshot VALUES (?, 'main', ?, ?)", (UUID, "2026-04-01", json.dumps(summary)))
    looked_at(folder)


def odd(path: Path) -> Iterator[str]:
    """What can stand where a file of the state folder belongs, one after the other."""
    for kind in ("folder", "loop", "pipe", "empty"):
        match kind:
            case "folder":
                path.mkdir()
            case "loop":
                path.symlink_to(path.name)
            case "pipe":
                os.mkfifo(path)
            case _:
                path.touch()
        yield kind
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def test_what_is_no_file_where_the_journal_belongs(tmp_path: Path) -> None:
    """A clear error at once, or a journal."""
    for name in (FILE_NAME, "history.lock"):
        state = tmp_path / name / "state"
        state.mkdir(parents=True)
        for _ in odd(state / name):
            try:
                SqliteJournal.open(state).close()
            except BackupdError as error:
                told = error
            else:
                continue
            assert isinstance(told, StateError)
            assert name in told.text


def test_what_is_no_file_where_a_lock_belongs(tmp_path: Path) -> None:
    """Taken, or refused at once; looking at it waits for nobody."""
    path = tmp_path / "locks" / f"{UUID}.lock"
    path.parent.mkdir()
    for kind in odd(path):
        assert not is_locked(tmp_path, UUID), kind
        with suppress(StateError):
            server_lock(tmp_path, UUID).__enter__()
