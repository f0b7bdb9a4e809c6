"""Writing and reading the journal.

A write is whole when its call returns, and survives a kill of the process. What a power cut must not take either is on
the disk as well: what is announced before its deed, since a create whose unique name was lost would be made twice, and
what an operator accepted. The rest is told afterwards, and does without a wait for the disk of milliseconds each.

Where the journal cannot be read or written the call raises StateError and leaves no half of it behind; the next call
tries again, and `trouble` says what was wrong until something could be written again. Within a process one thread uses
it, and no call waits for longer than the file's busy timeout. Who found it locked by another does not wait again before
it was free: a daemon with hundreds of rotations would stand still for minutes.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, get_args

from daemon.core.model import Backup
from daemon.core.names import Altered
from daemon.errors import StateError
from daemon.files import try_folder
from daemon.state.local import file
from daemon.state.local.file import in_memory, lacks_index, opened, set_patience, synced, transaction, translated
from daemon.state.values import (
    Alert,
    AppliedRetention,
    Rotation,
    Sample,
    Snapshot,
    Step,
    Trigger,
    read_applied,
    read_backups,
    read_rotations,
    read_snapshot,
    read_step,
    read_trend,
    written,
    written_backups,
)

FILE_NAME = "history.sqlite3"
KEPT_FOR = timedelta(days=400)
MOST_ROTATIONS = 100_000
_LAST_ROOMS = (
    "SELECT max(rotation) FROM step JOIN rotation ON rotation.id = step.rotation"
    " WHERE name IN ('room', 'room_done', 'turned_good') GROUP BY server_uuid, name"
)
"""A few rotations for each server: until a backup turned good since room was made, none is made again."""
MOST_UNSEEN = 100
TREND_KEPT_FOR = timedelta(days=90)
OF_BACKUPS = ("accepted", "altered", "asked")
"""The tables of what is remembered of single backups."""
_SERVER_GONE = (
    "server_uuid NOT IN (SELECT server_uuid FROM listing"
    " UNION SELECT server_uuid FROM rotation WHERE began_at >= :before)"
)


class Journal:
    """The history of one state folder. Make it by `open` or `memory`, and close it."""

    def __init__(self, path: Path | None, *, to_look: bool = False, keep: bool = False) -> None:
        self.set_aside: Path | None = None
        self.trouble: StateError | None = None
        self._path = path
        with ExitStack() as held:
            if path is None:
                self._connection = held.enter_context(in_memory())
            else:
                self._connection, self.set_aside = held.enter_context(opened(path, to_look=to_look, keep=keep))
                self._inode = path.lstat().st_ino
            self._held = held.pop_all()

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Open the journal in that folder, making both where they are missing.

        A damaged file is set aside, and a new one begun: then `set_aside` is where the old one lies. StateError where
        that cannot be done, or the file was written by a newer version.
        """
        path = state_dir / FILE_NAME
        with translated(f"the journal {path} cannot be opened"):
            return cls(path)

    @classmethod
    def look(cls, state_dir: Path) -> Self | None:
        """Open the journal for a moment; None where there is none, since looking makes none.

        JournalDamagedError where it is damaged; it stays where it is. A full disk hinders only while others have it
        open: one that is alone with it does without the index that they would share.
        """
        path = state_dir / FILE_NAME
        with translated(f"the journal {path} cannot be opened"):
            if not path.exists():
                return None
            try:
                return cls(path, to_look=True)
            except sqlite3.Error as error:
                if not lacks_index(error):
                    raise
                return cls(path, to_look=True, keep=True)

    @classmethod
    def check(cls, state_dir: Path) -> None:
        """Find out whether `open` can be done, and make nothing; StateError says why not."""
        with translated(f"the journal {state_dir / FILE_NAME} cannot be opened"):
            try_folder(state_dir)
        if journal := cls.look(state_dir):
            journal.close()

    @classmethod
    def memory(cls) -> Self:
        """A journal that ends with the process, for `state_dir = "none"`."""
        return cls(None)

    @property
    def persistent(self) -> bool:
        """Whether what is written outlives the process."""
        return self._path is not None

    def look_after(self) -> None:
        """Find out whether the file is still the one that was opened; StateError where it is not."""
        with self._noticed(), translated(f"{self._title} cannot be used"):
            self._still_there()

    def probe(self) -> None:
        """Write something that changes nothing; StateError where that cannot be done."""
        with self._writing("probe") as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with suppress(sqlite3.Error, OSError):
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self,
        *,
        server_uuid: str,
        server: str,
        panel: str,
        policy: str,
        trigger: Trigger,
        start_at: datetime | None,
        at: datetime,
    ) -> int:
        """Journal that a rotation begins, and return its number. `start_at` is the scheduled start that it serves."""
        if trigger not in get_args(Trigger):
            raise ValueError(f"no such trigger: {trigger!r}")
        row = (server_uuid, server, panel, policy, trigger, written(start_at), written(at))
        with self._writing("rotation's begin") as connection:
            cursor = connection.execute(
                "INSERT INTO rotation (server_uuid, server, panel, policy, trigger, start_at, began_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return int(cursor.lastrowid or 0)

    def step(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal one step. `detail` is anything that JSON can hold, and nothing secret."""
        row = (rotation, written(at), name, json.dumps(detail))
        with self._writing(f"step {name!r}") as connection:
            connection.execute("INSERT INTO step (rotation, at, name, detail) VALUES (?, ?, ?, ?)", row)

    def announce(self, rotation: int, name: str, at: datetime, /, **detail: Any) -> None:  # noqa: ANN401 — any JSON
        """Journal a step that is about to be taken: on the disk when this returns, whatever then becomes of us."""
        with self._synced():
            self.step(rotation, name, at, **detail)

    def end(
        self,
        rotation: int,
        *,
        at: datetime,
        result: str,
        retry_at: datetime | None = None,
        backup_uuid: str | None = None,
        summary: Mapping[str, Any],
    ) -> None:
        """Journal that a rotation ended, with what result, and when the daemon means to try again."""
        row = (written(at), result, written(retry_at), backup_uuid, json.dumps(dict(summary)), rotation)
        with self._writing("rotation's end") as connection:
            cursor = connection.execute(
                "UPDATE rotation SET ended_at = ?, result = ?, retry_at = ?, backup_uuid = ?, summary = ? WHERE id = ?",
                row,
            )
            if not cursor.rowcount:
                raise StateError(f"the journal has no rotation {rotation}")

    def attempts(self, server: str, limit: int) -> list[Rotation]:
        """Return the newest rotations of that configured name, newest first, without their steps: what came of each."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM rotation WHERE server = ? ORDER BY id DESC LIMIT ?", (server, limit)
            )
            return read_rotations(rows, ())

    def of_start(self, server_uuid: str, start_at: datetime | None) -> list[Rotation]:
        """Return, newest first, the server's rotations for that start, and those that never ended."""
        return self._rotations(
            "server_uuid = ? AND (ended_at IS NULL OR start_at = ?)", server_uuid, written(start_at), limit=-1
        )

    def recent(self, server: str | None = None, limit: int = 50) -> list[Rotation]:
        """Return the newest rotations, newest first: of that configured name, or of all."""
        if server is not None:
            return self._rotations("server = ?", server, limit=limit)
        return self._rotations("TRUE", limit=limit)

    def running(self) -> list[Rotation]:
        """Return every rotation that has not ended, newest first: under way in some process, or killed."""
        return self._rotations("ended_at IS NULL", limit=-1)

    def last_step(self, server_uuid: str, names: Collection[str]) -> Step | None:
        """Return the newest step of one of these names in any rotation of the server."""
        marks = ", ".join("?" * len(names))
        with self._reading() as connection:
            row = connection.execute(
                "SELECT step.* FROM step JOIN rotation ON rotation.id = step.rotation"  # noqa: S608 — marks alone
                f" WHERE server_uuid = ? AND name IN ({marks}) ORDER BY step.id DESC LIMIT 1",
                (server_uuid, *names),
            ).fetchone()
            return None if row is None else read_step(row)

    def accepted(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server that an operator said are no longer suspicious."""
        with self._reading() as connection:
            rows = connection.execute("SELECT backup_uuid FROM accepted WHERE server_uuid = ?", (server_uuid,))
            return frozenset(str(row[0]) for row in rows)

    def accept(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Remember that an operator accepted the backup; a second time changes nothing."""
        with self._synced(), self._writing("accepted backup") as connection:
            connection.execute(
                "INSERT INTO accepted (server_uuid, backup_uuid, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (server_uuid, backup_uuid, written(at)),
            )

    def unseen(self, server_uuid: str) -> list[str]:
        """Return the newest names that were asked for by rotations which saw no good backup come of it."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT json_extract(asked.detail, '$.backup') FROM step AS asked"
                " JOIN rotation ON rotation.id = asked.rotation"
                " WHERE server_uuid = ? AND asked.name = 'create' AND NOT EXISTS"
                " (SELECT 1 FROM step WHERE step.rotation = asked.rotation AND step.name = 'turned_good')"
                " ORDER BY asked.id DESC LIMIT ?",
                (server_uuid, MOST_UNSEEN),
            )
            return [str(row[0]) for row in rows]

    def altered(self, server_uuid: str) -> dict[str, Altered]:
        """Return the backups of ours, by uuid, that the panel keeps under another name than was asked for."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT backup_uuid, asked, name FROM altered WHERE server_uuid = ?", (server_uuid,)
            )
            return {str(uuid): Altered(str(asked), str(name)) for uuid, asked, name in rows}

    def was_altered(self, server_uuid: str, backup_uuid: str, altered: Altered, at: datetime) -> None:
        """Remember that the panel keeps a backup of ours under another name; it is known by its uuid from then on."""
        with self._synced(), self._writing("altered name") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO altered (server_uuid, backup_uuid, name, asked, at) VALUES (?, ?, ?, ?, ?)",
                (server_uuid, backup_uuid, altered.kept, altered.asked, written(at)),
            )

    def asked(self, server_uuid: str) -> frozenset[str]:
        """Return the backups of the server whose deletion was asked for and is not known to be completed."""
        with self._reading() as connection:
            rows = connection.execute("SELECT backup_uuid FROM asked WHERE server_uuid = ?", (server_uuid,))
            return frozenset(str(row[0]) for row in rows)

    def ask(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Remember that the backup's deletion is about to be asked for: on the disk with what is announced next."""
        with self._writing("deletion asked for") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO asked (server_uuid, backup_uuid, at) VALUES (?, ?, ?)",
                (server_uuid, backup_uuid, written(at)),
            )

    def asked_no_more(self, server_uuid: str, backup_uuid: str) -> bool:
        """Forget it, since the backup is gone or was seen to be whole; return whether it was remembered."""
        with self._writing("end of a deletion") as connection:
            forgotten = connection.execute(
                "DELETE FROM asked WHERE server_uuid = ? AND backup_uuid = ?", (server_uuid, backup_uuid)
            )
            return bool(forgotten.rowcount)

    def deleted_by_hand(self, server_uuid: str, backup_uuid: str, at: datetime) -> None:
        """Remember that an operator deleted the backup, so that it is known to have been there."""
        with self._writing("deletion by hand") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO deleted_by_hand (server_uuid, backup_uuid, at) VALUES (?, ?, ?)",
                (server_uuid, backup_uuid, written(at)),
            )

    def knows(self, server_uuid: str, backup_uuid: str) -> bool:
        """Return whether anything is remembered of a backup of that server: that it was made, seen or deleted."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM deleted_by_hand WHERE server_uuid = :server AND backup_uuid = :backup)"
                " OR EXISTS (SELECT 1 FROM accepted WHERE server_uuid = :server AND backup_uuid = :backup)"
                " OR EXISTS (SELECT 1 FROM rotation WHERE server_uuid = :server"
                "            AND (backup_uuid = :backup OR instr(summary, :backup)))"
                " OR EXISTS (SELECT 1 FROM step JOIN rotation ON rotation.id = step.rotation"
                "            WHERE server_uuid = :server AND instr(detail, :backup))"
                " OR EXISTS (SELECT 1 FROM snapshot WHERE server_uuid = :server AND instr(detail, :backup))",
                {"server": server_uuid, "backup": backup_uuid},
            )
            return bool(found.fetchone()[0])

    def applied(self, server_uuid: str) -> AppliedRetention | None:
        """Return the retention that was last applied to the server; None where none was."""
        with self._reading() as connection:
            row = connection.execute("SELECT * FROM applied WHERE server_uuid = ?", (server_uuid,)).fetchone()
            return None if row is None else read_applied(row)

    def apply(self, server_uuid: str, applied: AppliedRetention) -> None:
        """Remember the retention that is applied to the server, and which is told to come, instead of those before."""
        passed, told_at = json.dumps(applied.passed), written(applied.told_at)
        with self._writing("retention in force") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO applied (server_uuid, retention, passed, coming, told_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (server_uuid, applied.retention, passed, applied.coming, told_at),
            )

    def listed(self, server_uuid: str, backups: Iterable[Backup], at: datetime) -> None:
        """Remember the successful ones of a complete listing, instead of those before."""
        row = (server_uuid, written(at), written_backups(backups))
        with self._writing("listing") as connection:
            connection.execute("INSERT OR REPLACE INTO listing (server_uuid, at, backups) VALUES (?, ?, ?)", row)

    def last_listing(self, server_uuid: str) -> tuple[Backup, ...]:
        """Return the successful backups of the server's last complete listing, unlocked; none where none is known."""
        with self._reading() as connection:
            row = connection.execute("SELECT backups FROM listing WHERE server_uuid = ?", (server_uuid,)).fetchone()
            return () if row is None else read_backups(row["backups"])

    def snapshot(self, taken: Snapshot, size: int) -> None:
        """Remember a server's backups instead of those before, and as the day's end so far that they hold `size`."""
        day = taken.at.astimezone(UTC).date()
        row = (taken.server_uuid, taken.panel, written(taken.at), taken.detail)
        with self._writing("snapshot") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO snapshot (server_uuid, panel, at, detail) VALUES (?, ?, ?, ?)", row
            )
            connection.execute(
                "INSERT OR REPLACE INTO trend (server_uuid, day, bytes) VALUES (?, ?, ?)",
                (taken.server_uuid, day.isoformat(), size),
            )
            connection.execute(
                "DELETE FROM trend WHERE server_uuid = ? AND day < ?",
                (taken.server_uuid, (day - TREND_KEPT_FOR).isoformat()),
            )

    def last_snapshot(self, panel: str, server_id: str) -> Snapshot | None:
        """Return the newest snapshot of the panel's server whose uuid is `server_id`, or begins so."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT * FROM snapshot WHERE panel = ? AND server_uuid >= ? AND server_uuid < ?",
                (panel, server_id, f"{server_id}~"),  # no uuid holds a character beyond the tilde
            ).fetchone()
            return None if row is None else read_snapshot(row)

    def trend(self, server_uuid: str) -> list[Sample]:
        """Return how many bytes the server's backups held, day by day, oldest first; some days may be missing."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM trend WHERE server_uuid = ? ORDER BY day", (server_uuid,))
            return read_trend(rows)

    def watches(self) -> dict[str, Mapping[str, Any]]:
        """Return what alerts remember of each server, by its name."""
        with self._reading() as connection:
            rows = connection.execute("SELECT server, watch FROM watch")
            return {row["server"]: json.loads(row["watch"]) for row in rows}

    def watch(
        self,
        changes: Mapping[str, Mapping[str, Any] | None],
        at: datetime,
        alerts: Iterable[Alert] = (),
        *,
        whole: bool = False,
    ) -> None:
        """Remember for alerts what is known of these servers, and forget those where it is None; and, in one with it,
        what waits to be told. A newer alert of the same event of a server takes the place of the one before; the
        `whole` of what waits, that of all before.
        """
        kept = [(server, json.dumps(dict(watch)), written(at)) for server, watch in changes.items() if watch]
        gone = [(server,) for server, watch in changes.items() if not watch]
        told = [(one.receiver, one.server, one.event, json.dumps(dict(one.message)), written(at)) for one in alerts]
        with self._writing("memory of alerts") as connection:
            connection.executemany("INSERT OR REPLACE INTO watch (server, watch, at) VALUES (?, ?, ?)", kept)
            connection.executemany("DELETE FROM watch WHERE server = ?", gone)
            if whole:
                connection.execute("DELETE FROM alert")
            connection.executemany(
                "INSERT OR REPLACE INTO alert (receiver, server, event, message, at) VALUES (?, ?, ?, ?, ?)", told
            )

    def alerts(self) -> list[Alert]:
        """Return what waits to be told, oldest first."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM alert ORDER BY id")
            return [Alert(row["receiver"], row["server"], row["event"], json.loads(row["message"])) for row in rows]

    def alerts_sent(self, sent: Iterable[tuple[str, str, str]]) -> None:
        """Forget what was told, or is not to be told any more: by receiver, server and event."""
        with self._writing("memory of alerts") as connection:
            connection.executemany("DELETE FROM alert WHERE receiver = ? AND server = ? AND event = ?", list(sent))

    def prune(self, now: datetime, keep: timedelta = KEPT_FOR, most: int = MOST_ROTATIONS) -> int:
        """Forget rotations older than `keep`, and all but the newest `most`; return how many.

        Age spares each server's newest attempt: when it was decides whether a start was missed. Both spare those that
        made room last, and saw a backup turn good. What is remembered of a backup is forgotten only once a list lacks
        it, or its server is long gone.
        """
        with self._writing("pruning") as connection:
            aged = connection.execute(
                "DELETE FROM rotation WHERE began_at < ? AND id NOT IN"  # noqa: S608 — constants alone
                f" (SELECT max(id) FROM rotation GROUP BY server_uuid UNION {_LAST_ROOMS})",
                (written(now - keep),),
            )
            surplus = connection.execute(
                "DELETE FROM rotation WHERE id <= (SELECT id FROM rotation ORDER BY id DESC LIMIT 1 OFFSET ?)"  # noqa: S608
                f" AND id NOT IN ({_LAST_ROOMS})",
                (most,),
            )
            connection.execute("DELETE FROM snapshot WHERE at < ?", (written(now - keep),))
            connection.execute("DELETE FROM deleted_by_hand WHERE at < ?", (written(now - keep),))
            connection.execute("DELETE FROM listing WHERE at < ?", (written(now - keep),))
            for table in OF_BACKUPS:
                connection.execute(
                    f"DELETE FROM {table} WHERE at < :before AND ({_SERVER_GONE} OR EXISTS (SELECT 1 FROM listing"  # noqa: S608
                    f" WHERE listing.server_uuid = {table}.server_uuid"
                    f" AND instr(listing.backups, {table}.backup_uuid) = 0))",
                    {"before": written(now - keep)},
                )
            connection.execute(f"DELETE FROM applied WHERE {_SERVER_GONE}", {"before": written(now - keep)})  # noqa: S608
            connection.execute(
                "DELETE FROM trend WHERE day < ?", ((now - TREND_KEPT_FOR).astimezone(UTC).date().isoformat(),)
            )
            return aged.rowcount + surplus.rowcount

    def _rotations(self, where: str, *values: str | None, limit: int) -> list[Rotation]:
        """Read rotations with their steps, newest first; `where` is one of our own constants."""
        chosen = f"SELECT * FROM rotation WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 — constants alone
        of_chosen = f"SELECT * FROM step WHERE rotation IN (SELECT id FROM ({chosen})) ORDER BY id"  # noqa: S608
        with self._reading() as connection:
            connection.execute("BEGIN")  # one view of both tables, though another process writes meanwhile
            try:
                rotations = connection.execute(chosen, (*values, limit)).fetchall()
                steps = connection.execute(of_chosen, (*values, limit)).fetchall()
            finally:
                connection.execute("ROLLBACK")
            return read_rotations(rotations, steps)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._noticed(), translated(f"{self._title} cannot be read"):
            try:
                yield self._connection
            except (ValueError, TypeError, OverflowError, RecursionError) as error:  # a row that we did not write so
                raise StateError(f"{self._title} holds what cannot be read: {error}") from error

    @contextmanager
    def _writing(self, what: str) -> Iterator[sqlite3.Connection]:
        """One transaction, whole or not at all."""
        with self._noticed(), translated(f"the {what} cannot be written to {self._title}"):
            self._still_there()
            with transaction(self._connection):
                yield self._connection
        if self.trouble is not None:
            self.trouble = None
            set_patience(self._connection, file.BUSY_SECONDS)

    @contextmanager
    def _synced(self) -> Iterator[None]:
        with self._noticed(), translated(f"{self._title} cannot be written"), synced(self._connection):
            yield

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Remember trouble, and wait for nobody while it lasts."""
        try:
            yield
        except StateError as error:
            self.trouble = error
            with suppress(sqlite3.Error):
                set_patience(self._connection, 0)
            raise

    @property
    def _title(self) -> str:
        return f"the journal {self._path}" if self._path else "the journal in memory"

    def _still_there(self) -> None:
        """SQLite would go on writing to a file that somebody deleted or replaced, where no restart finds it."""
        if self._path and self._path.lstat().st_ino != self._inode:
            raise StateError(f"{self._title} was replaced while it was open", hint="a daemon opens it anew")
