"""What the database of `cluster_rounds` records beside the members' own tables: who held what, and what was announced.

All moments are by a clock that nobody moves, whatever clock the database or a member goes by.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

TABLES = """
CREATE TABLE audit (what TEXT, epoch BIGINT, name TEXT, taken TIMESTAMPTZ, freed TIMESTAMPTZ);
CREATE TABLE audit_step (
    id BIGINT GENERATED ALWAYS AS IDENTITY, rotation BIGINT, trigger TEXT, step TEXT, member TEXT, server TEXT,
    wrong FLOAT8, detail TEXT);
CREATE TABLE audit_promoted (at TIMESTAMPTZ);
CREATE FUNCTION audit_wrong() RETURNS FLOAT8 LANGUAGE sql AS $$ SELECT {wrong} $$;
CREATE FUNCTION audit_now() RETURNS TIMESTAMPTZ LANGUAGE sql AS $$
    SELECT clock_timestamp() - audit_wrong() * interval '1 second' $$;
CREATE FUNCTION audit_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit SELECT NEW.what, NEW.epoch, name, audit_now() FROM member WHERE epoch = NEW.epoch;
    RETURN NEW; END $$;
CREATE FUNCTION audit_freed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE audit SET freed = audit_now() WHERE what = OLD.what AND epoch = OLD.epoch AND freed IS NULL;
    RETURN OLD; END $$;
CREATE FUNCTION audit_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit_step (rotation, trigger, step, member, server, wrong, detail)
        SELECT NEW.rotation, trigger, NEW.name,
        (SELECT name FROM lease JOIN member USING (epoch) WHERE what = 'server ' || server_uuid),
        left(server_uuid, 8), audit_wrong(), NEW.detail FROM rotation WHERE id = NEW.rotation;
    RETURN NEW; END $$;
CREATE FUNCTION audit_promoted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit_promoted VALUES (audit_now());
    RETURN NEW; END $$;
CREATE TRIGGER audit_taken AFTER INSERT ON lease FOR EACH ROW EXECUTE FUNCTION audit_taken();
CREATE TRIGGER audit_freed AFTER DELETE ON lease FOR EACH ROW EXECUTE FUNCTION audit_freed();
CREATE TRIGGER audit_step AFTER INSERT ON step FOR EACH ROW EXECUTE FUNCTION audit_step();
CREATE TRIGGER audit_promoted AFTER UPDATE OF promoted_at ON home FOR EACH ROW EXECUTE FUNCTION audit_promoted();
"""
"""Tables, and triggers that write them; `wrong` is how the database's clock is asked by how much it is wrong."""

COMMITTED = "pg_xact_commit_timestamp(xmin) - wrong * interval '1 second'"
"""When a row of `audit_step` was committed."""

_STEPS = f"SELECT rotation, trigger, step, member, server, {COMMITTED}, detail FROM audit_step ORDER BY id"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Held:
    """From when until when a member held a server."""

    taken: datetime
    freed: datetime | None

    def at(self, moment: datetime) -> bool:
        """Whether it did then."""
        return self.taken <= moment <= (self.freed or moment)


@dataclass(frozen=True, slots=True)
class Journalled:
    """A step of a rotation as it was committed, and which member held the server then."""

    rotation: int
    trigger: str
    name: str
    member: str
    server: str
    committed: datetime
    detail: dict[str, Any]


class Audit:
    """What was recorded; `sql` runs a statement on the tables."""

    def __init__(self, sql: Callable[[str], str]) -> None:
        rows = sql("SELECT name, substr(what, 8, 8), taken, freed FROM audit WHERE what LIKE 'server %'")
        self.held: dict[tuple[str, str], list[Held]] = {}
        """By a member's name, and a server's identifier."""

        for row in rows.splitlines():
            name, server, taken, freed = row.split("|")
            moments = datetime.fromisoformat(taken), datetime.fromisoformat(freed) if freed else None
            self.held.setdefault((name, server), []).append(Held(*moments))
        rows = sql(_STEPS)
        self.steps = [_step(row) for row in rows.splitlines()]
        self.promoted = [datetime.fromisoformat(row) for row in sql("SELECT at FROM audit_promoted").splitlines()]


def _step(row: str) -> Journalled:
    rotation, trigger, name, member, server, committed, detail = row.split("|", 6)
    at = datetime.fromisoformat(committed)
    return Journalled(int(rotation), trigger, name, member, server, at, json.loads(detail))
