"""The statements by which a member holds something, and those that count only while it is a member.

Such a statement renews its member's row, and changes nothing where there is no such row. Nobody takes over before it
has ended, since it has changed that row (invariant 20). It is one statement, and not a transaction of some, wherever a
rotation makes it: each costs the database a turn.
"""

SERVER = "server "
"""Before a server's uuid, what its lock is called."""

JOIN = (  # the one before it, to which no answer came, may have been done, or be under way: it is waited for then
    "INSERT INTO member (name, process, until, lease, role, life)"
    " VALUES ($1, $2, clock_timestamp() + $3, $3, $4, $5) ON CONFLICT (life)"
    " DO UPDATE SET until = excluded.until, lease = excluded.lease, role = excluded.role RETURNING epoch,"
    " (SELECT extract(epoch FROM clock_timestamp() - promoted_at)::float8 FROM home) AS promoted"
)
RENEW = "UPDATE member SET until = clock_timestamp() + $2 WHERE epoch = $1 RETURNING epoch"
EVICT = (  # a row that is locked is being renewed, or taken away: two that waited for each other would do so for ever
    "DELETE FROM member WHERE epoch IN"
    " (SELECT epoch FROM member WHERE until <= clock_timestamp() AND epoch <> $1 FOR UPDATE SKIP LOCKED)"
)
CUT = (  # no lease lasts longer than from now on, unless the clock was set back since it was renewed
    "UPDATE member SET until = clock_timestamp() + lease WHERE epoch IN"
    " (SELECT epoch FROM member WHERE until > clock_timestamp() + lease AND epoch <> $1 FOR UPDATE SKIP LOCKED)"
)
LEAVE = "DELETE FROM member WHERE life = $1"

# What a member holds -------------------------------------------------------------------------------------------------

TAKE_AT_ONCE = (  # what an evicted member held is free for the next statement; its own row first, as who evicts does
    f"WITH live AS ({RENEW}), gone AS ({EVICT}),"  # noqa: S608 — constants alone
    " within AS (SELECT epoch FROM live JOIN lease USING (epoch) WHERE what = $4 FOR SHARE OF lease)"
    " INSERT INTO lease (what, epoch, part) SELECT $3, epoch, $4 FROM live"
    " WHERE $4 IS NULL OR EXISTS (SELECT FROM within) ON CONFLICT DO NOTHING RETURNING epoch"
)
TAKE = "INSERT INTO lease (what, epoch, part) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING epoch"
KEEP = "UPDATE lease SET part = $3 WHERE what = $1 AND epoch = $2 RETURNING epoch"
HOLD_FAST = "SELECT epoch FROM lease WHERE what = $1 AND epoch = $2 FOR SHARE"
HOLDER = "SELECT member.* FROM lease JOIN member USING (epoch) WHERE what = $1 AND until > clock_timestamp()"
FREE = "DELETE FROM lease WHERE what = $1 AND epoch = $2"

# What counts only under an epoch -------------------------------------------------------------------------------------

STEP = "INSERT INTO step (rotation, at, name, detail) VALUES ($1, $2, $3, $4)"
FENCED_STEP = (
    f"WITH live AS ({RENEW}) INSERT INTO step (rotation, at, name, detail) SELECT $3, $4, $5, $6 FROM live"  # noqa: S608
    f" WHERE EXISTS (SELECT FROM rotation JOIN lease ON what = '{SERVER}' || server_uuid"
    " WHERE rotation.id = $3 AND lease.epoch = live.epoch) RETURNING id"
)


def as_member(change: str, *, acts: bool = True) -> str:
    """Given a statement that changes rows `FROM live` (or `USING live`), its values from $3 on, return one that does so
    only for a member, $1 and $2 being its epoch and lease. It returns how many rows, or no row where there is no such
    member. One that holds nothing, and so does not `act`, is always let.
    """
    live = RENEW if acts else "SELECT $1::bigint AS epoch, $2::interval"
    change = f"WITH live AS ({live}), done AS ({change} RETURNING 1)"
    return f"{change} SELECT (SELECT count(*) FROM done) FROM live"  # noqa: S608 — statements of ours
