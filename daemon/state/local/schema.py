"""The journal's tables, and how a file of an earlier version is brought to them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from daemon.errors import StateError

ROOM_STEPS = frozenset({"room", "room_done", "room_refused", "turned_good"})
"""The steps that are looked for in all rotations of a server, and have an index for that."""

OF_ROOM = f"name IN ({', '.join(map(repr, sorted(ROOM_STEPS)))})"
"""A query finds that index by this very text."""

# The schema, one entry a version. An entry that was released never changes; a new one only adds (columns with a
# default, tables), since a daemon of the version before may still have the file open.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE rotation (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            server_uuid TEXT NOT NULL,
            server TEXT NOT NULL,
            panel TEXT NOT NULL,
            policy TEXT NOT NULL,
            trigger TEXT NOT NULL,
            start_at TEXT,
            began_at TEXT NOT NULL,
            ended_at TEXT,
            result TEXT,
            retry_at TEXT,
            backup_uuid TEXT,
            summary TEXT NOT NULL DEFAULT '{}'
        )""",
        "CREATE INDEX rotation_by_server ON rotation (server_uuid, id)",
        "CREATE INDEX rotation_by_name ON rotation (server, id)",
        "CREATE INDEX rotation_unfinished ON rotation (server_uuid, id) WHERE ended_at IS NULL",
        """CREATE TABLE step (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            rotation INTEGER NOT NULL REFERENCES rotation (id) ON DELETE CASCADE,
            at TEXT NOT NULL,
            name TEXT NOT NULL,
            detail TEXT NOT NULL
        )""",
        "CREATE INDEX step_by_rotation ON step (rotation, id)",
        """CREATE TABLE accepted (
            server_uuid TEXT NOT NULL,
            backup_uuid TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (server_uuid, backup_uuid)
        )""",
    ),
    (
        """CREATE TABLE snapshot (
            server_uuid TEXT PRIMARY KEY,
            panel TEXT NOT NULL,
            at TEXT NOT NULL,
            detail TEXT NOT NULL
        )""",
        """CREATE TABLE trend (
            server_uuid TEXT NOT NULL,
            day TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            PRIMARY KEY (server_uuid, day)
        )""",
    ),
    ("CREATE TABLE watch (server TEXT PRIMARY KEY, watch TEXT NOT NULL, at TEXT NOT NULL)",),
    (
        """CREATE TABLE alert (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            receiver TEXT NOT NULL,
            server TEXT NOT NULL,
            event TEXT NOT NULL,
            message TEXT NOT NULL,
            at TEXT NOT NULL,
            UNIQUE (receiver, server, event)
        )""",
    ),
    (
        """CREATE TABLE deleted_by_hand (
            server_uuid TEXT NOT NULL,
            backup_uuid TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (server_uuid, backup_uuid)
        )""",
    ),
    (
        """CREATE TABLE applied (
            server_uuid TEXT PRIMARY KEY,
            retention TEXT,
            passed TEXT NOT NULL,
            coming TEXT,
            told_at TEXT
        )""",
    ),
    (
        """CREATE TABLE altered (
            server_uuid TEXT NOT NULL,
            backup_uuid TEXT NOT NULL,
            name TEXT NOT NULL,
            asked TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (server_uuid, backup_uuid)
        )""",
    ),
    ("CREATE TABLE listing (server_uuid TEXT PRIMARY KEY, at TEXT NOT NULL, backups TEXT NOT NULL)",),
    (
        """CREATE TABLE asked (
            server_uuid TEXT NOT NULL,
            backup_uuid TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (server_uuid, backup_uuid)
        )""",
    ),
    (f"CREATE INDEX step_of_room ON step (rotation, name) WHERE {OF_ROOM}",),
    (
        """CREATE TABLE copy_queue (
            server TEXT NOT NULL,
            store TEXT NOT NULL,
            since TEXT NOT NULL,
            fresh INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            next_at TEXT,
            text TEXT NOT NULL,
            PRIMARY KEY (server, store)
        )""",
        """CREATE TABLE store_trouble (
            store TEXT PRIMARY KEY,
            since TEXT NOT NULL,
            tries INTEGER NOT NULL,
            next_at TEXT NOT NULL,
            text TEXT NOT NULL
        )""",
        """CREATE TABLE copy_record (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            event TEXT NOT NULL,
            at TEXT NOT NULL,
            server TEXT NOT NULL,
            server_uuid TEXT NOT NULL,
            store TEXT NOT NULL,
            backup_uuid TEXT,
            backup TEXT NOT NULL,
            bytes INTEGER,
            text TEXT NOT NULL
        )""",
        "CREATE INDEX copy_record_by_server ON copy_record (server, id)",
        "CREATE INDEX copy_record_by_store ON copy_record (store, id)",
    ),
    (
        """CREATE TABLE proof (
            server_uuid TEXT NOT NULL,
            store TEXT NOT NULL,
            backup_uuid TEXT NOT NULL,
            asked TEXT NOT NULL,
            server TEXT NOT NULL,
            name TEXT NOT NULL,
            made_at TEXT NOT NULL,
            at TEXT NOT NULL,
            reached TEXT,
            problems TEXT NOT NULL,
            files INTEGER,
            bytes INTEGER,
            worlds TEXT NOT NULL,
            accepted_at TEXT,
            PRIMARY KEY (server_uuid, store, backup_uuid, asked)
        )""",
        "CREATE TABLE proof_day (day TEXT PRIMARY KEY, bytes INTEGER NOT NULL)",
    ),
    (
        """CREATE TABLE applied_in_store (
            server_uuid TEXT NOT NULL,
            store TEXT NOT NULL,
            retention TEXT,
            passed TEXT NOT NULL,
            coming TEXT,
            told_at TEXT,
            PRIMARY KEY (server_uuid, store)
        )""",
    ),
    (
        """CREATE TABLE drill (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            drill TEXT NOT NULL,
            spare TEXT NOT NULL,
            spare_uuid TEXT NOT NULL,
            server TEXT NOT NULL,
            server_uuid TEXT NOT NULL,
            backup_uuid TEXT NOT NULL,
            name TEXT NOT NULL,
            began_at TEXT NOT NULL,
            starts INTEGER NOT NULL,
            put TEXT,
            ended_at TEXT,
            result TEXT,
            seconds REAL,
            text TEXT NOT NULL DEFAULT ''
        )""",
    ),
    (
        """CREATE TABLE proof_asked (
            panel TEXT NOT NULL,
            identifier TEXT NOT NULL,
            level TEXT NOT NULL,
            since TEXT NOT NULL,
            PRIMARY KEY (panel, identifier)
        )""",
    ),
    ("ALTER TABLE proof ADD COLUMN archive TEXT NOT NULL DEFAULT ''",),
)


def migrate(connection: sqlite3.Connection, title: str) -> None:
    """Bring the schema to our version; refuse one from the future."""
    if _version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        version = _version(connection)  # again, now that nobody else can migrate
        if version > len(MIGRATIONS):
            raise StateError(
                f"the journal {title} was written by a newer ptero-backupd (schema {version}, this one knows up to"
                f" {len(MIGRATIONS)})",
                hint="install that version again, or move the file away",
            )
        for statement in (statement for migration in MIGRATIONS[version:] for statement in migration):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin as a writer at once, so that two processes queue instead of failing half-way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite itself rolls back after some errors
            connection.execute("ROLLBACK")
        raise
