"""The invariants of the design, held against what the witness saw: the panel's own ledger, never the daemon's opinion.

Each rule carries the design's number. The first one that is broken ends the run, though not at once, and `broken` holds
all of them; `checked` counts how often each was held against something, since a rule that is never asked proves
nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox.records import Deed, Entry, State
from tests.simulation import oracle
from tests.simulation.oracle import Row
from tests.simulation.scenario import HOUR
from tests.simulation.witness import DAEMON, ORIGIN, Exchange, Rotation, Witness

FRESH_SECONDS = 60.0
SETTLE_SECONDS = 120.0
AT_ONCE = 6.0
"""Seconds that a process may take from a look at one backup to its DELETE: as long as the API limit may hold it back,
and the answer's own way."""

TITLES = {
    "1": "a locked backup is never deleted",
    "2": "pending, strange and foreign ones are never deleted",
    "3": "the newest min_good good ones survive; no good new backup, no deletion",
    "4": "deletions come from a fresh listing, oldest first, one at a time",
    "5": "no deletion by a listing that never held together; only what the whole list deletes",
    "6": "no create is repeated; one backup for one start",
    "7": "never more good ones than max_deletions",
    "8": "every verdict says why",
    "10": "no key in logs, journal, errors, or at another host",
    "11": "a bad reload leaves the old configuration",
    "12": "one server's trouble is not another's",
    "told": "what alerts and metrics say agrees with the panel's ledger",
    "live": "after calm days every server has a fresh good backup, and exactly what retention says",
    "calm": "requests are bounded, no task and no file stays open, no bug is logged",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """What was broken, when and for which server."""

    rule: str
    at: float
    server: str | None
    text: str


class Rules:
    """Holds every event against the rules."""

    def __init__(self, witness: Witness, policies_between: Callable[[str, float, float], Sequence[Any]]) -> None:
        self.witness = witness
        self.checked: Counter[str] = Counter()
        self.violation: Violation | None = None
        self.broken: set[str] = set()
        self.on_violation: Callable[[], None] = lambda: None
        self._policies_between = policies_between
        self._deleting: dict[str, Exchange] = {}
        self._last_deletion: dict[int, tuple[int, Row]] = {}
        self._creates: dict[str, list[Exchange]] = {}
        self._made_for: dict[tuple[str, datetime], list[tuple[str, Rotation]]] = {}
        self._made_names: set[tuple[str, str]] = set()
        self._excused_until = -1.0
        self._journal_failed_at = self._clock_set_at = -1.0
        witness.on_entry.append(self._entry)

    def hold(self, rule: str, holds: bool, text: str, server: str | None = None) -> None:
        """Count the rule, and note the first time that it does not hold."""
        self.checked[rule] += 1
        if holds:
            return
        self.broken.add(rule)
        if self.violation is not None:
            return
        self.violation = Violation(rule, self.witness.now(), server, text)
        self.witness.tell(f"!!! {rule}: {text}", server)
        self.on_violation()

    def host_clock_set(self, by: float) -> None:
        """For a while a start may come twice: the host's clock passes over the same hours again."""
        self._excused_until = max(self._excused_until, self.witness.now() + 2 * abs(by) + HOUR)
        self.a_clock_was_set()

    def a_clock_was_set(self) -> None:
        """From now on dates that were made before cannot be compared with a start."""
        self._clock_set_at = self.witness.now()

    def a_clock_was_set_since(self, moment: float) -> bool:
        """Whether the host's or the panel's clock was set since then."""
        return self._clock_set_at >= moment

    def journal_failed(self) -> None:
        """What was done since is nowhere remembered; then only the panel's list can show what a start has got."""
        self._journal_failed_at = self.witness.now()

    def _remembered(self, rotation: Rotation) -> bool:
        """Whether the journal could hold what that rotation asked for, and for which start."""
        return self._journal_failed_at < rotation.began

    def _shown(self, exchange: Exchange, backup: Row, rotation: Rotation) -> bool:
        """Whether the list that a create rests on shows a backup of that rotation as one that was made since its start.

        It does not where the row was not told as it is, where the policy's name was changed, and where a clock was set.
        """
        now_at_work = exchange.rotation
        if now_at_work is None or self.a_clock_was_set_since(rotation.began):
            return False
        passes = _last_passes(now_at_work, exchange)
        row = _merged(passes[-1]).get(backup.uuid) if passes else None
        return row is not None and not row.strange and oracle.owns(now_at_work.policy, now_at_work.server, row.name)

    # The ledger ------------------------------------------------------------------------------------------------------

    def _entry(self, entry: Entry) -> None:
        if entry.by != DAEMON:
            return
        exchange = ORIGIN.get()
        if exchange is None:
            raise AssertionError("the daemon did something without a request")
        if entry.deed is Deed.DELETED:
            self._deleted(entry, exchange)
        elif entry.deed is Deed.CREATED:
            self._created(entry, exchange)
        elif exchange.rotation is not None:
            self.hold("1", False, f"a rotation {entry.deed.value} {entry.name}", entry.server)

    def _deleted(self, entry: Entry, exchange: Exchange) -> None:
        server, rotation = entry.server, exchange.rotation
        if rotation is None:
            self.hold("4", False, f"{entry.name} was deleted outside of any rotation", server)
            return
        row = self.witness.mirror[server][entry.backup]
        changed_at = self.witness.touched[entry.backup]
        under_way = self._under_way(exchange, changed_at)
        self.hold("1", not entry.locked or under_way, f"{entry.name} was locked", server)
        self.hold("2", entry.state is not State.PENDING, f"{entry.name} was pending", server)
        now = self.witness.world.now()
        self.hold("2", row.created <= now + oracle.TOO_FAR_AHEAD, f"{entry.name} was dated in the future", server)
        policies = [rotation.policy, *self._policies_between(rotation.server, rotation.began, exchange.sent)]
        mine = any(
            policy["scope"] == "all" or oracle.owns(policy, rotation.server, entry.name)
            for policy in policies
            if policy
        )
        self.hold("2", mine, f"{entry.name} was not made by the policy", server)

    def _under_way(self, exchange: Exchange, changed_at: float) -> bool:
        """Whether a change came when the DELETE was on its way, on what was the truth when it was last read."""
        read = self._last_read(exchange)
        if read is None or read.done is None or read.received is None or changed_at < read.done:
            return False
        return changed_at >= exchange.sent or exchange.sent - read.received <= AT_ONCE

    def _last_read(self, exchange: Exchange) -> Exchange | None:
        """The last answer that showed the backup to the rotation before it asked for its deletion."""
        if exchange.rotation is None:
            return None
        for earlier in reversed(exchange.rotation.exchanges):
            if earlier.number >= exchange.number or not earlier.delivered:
                continue
            if earlier.call == "view" and earlier.backup == exchange.backup:
                return earlier
            if earlier.call == "list" and exchange.backup in _rows_of(earlier):
                return earlier
        return None

    def _created(self, entry: Entry, exchange: Exchange) -> None:
        server, rotation = entry.server, exchange.rotation
        self.hold("6", (server, entry.name) not in self._made_names, f"{entry.name} was made twice", server)
        self._made_names.add((server, entry.name))
        if rotation is None or rotation.start_at is None:
            return
        made = self._made_for.setdefault((rotation.server, rotation.start_at), [])
        rows = self.witness.mirror[server]
        standing = [
            uuid
            for uuid, earlier in made
            if uuid not in self.witness.once_failed  # it was tried again before it turned good after all
            and uuid in rows
            and (rows[uuid].successful or rows[uuid].completed is None)
            and (self._remembered(earlier) or self._shown(exchange, rows[uuid], earlier))
        ]
        if self.witness.now() > self._excused_until:
            names = ", ".join(rows[uuid].name for uuid in standing)
            self.hold(
                "6",
                not standing,
                f"{entry.name} is a second backup for the start of {rotation.start_at:%d %H:%M}, beside {names}",
                server,
            )
        made.append((entry.backup, rotation))

    # Requests --------------------------------------------------------------------------------------------------------

    def sent(self, exchange: Exchange, created: str | None) -> None:
        """A request leaves; `created` is the backup that its rotation means to have made."""
        if exchange.rotation is None:
            return
        exchange.created_by_then = created
        if exchange.call == "create":
            self._create_sent(exchange)
        elif exchange.call == "delete":
            self._delete_sent(exchange)
        elif exchange.call in {"lock", "restore"}:
            self.hold("1", False, f"a rotation asks for {exchange.call}", exchange.server)

    def _create_sent(self, exchange: Exchange) -> None:
        server, name = exchange.server or "", exchange.name or ""
        earlier = self._creates.setdefault(server, [])
        again = [other for other in earlier if other.name == name]
        refused = all(other.received is not None and 400 <= other.status < 500 for other in again)
        self.hold("6", refused, f"{name} is asked for again, and nothing says that it was not made", server)
        last = earlier[-1] if earlier else None
        if last is not None and last.rotation and exchange.rotation and self._can_settle(last, exchange):
            same_start = last.rotation.start_at == exchange.rotation.start_at
            settled = last.received is not None or not same_start or exchange.sent - last.sent >= SETTLE_SECONDS - 1
            self.hold(
                "6",
                settled or self._was_seen(last),
                f"{name} is asked for {exchange.sent - last.sent:.0f} s after {last.name}, which may still come",
                server,
            )
        earlier.append(exchange)

    def _can_settle(self, create: Exchange, later: Exchange) -> bool:
        """Whether who asks now could know of the earlier create: by the journal, or as the same process."""
        if self.witness.now() <= self._excused_until:
            return False
        return create.process == later.process or (create.rotation is not None and self._remembered(create.rotation))

    def _was_seen(self, create: Exchange) -> bool:
        """Whether some list showed the backup since."""
        return any(
            exchange.call == "list"
            and exchange.delivered
            and any(row.name == create.name for row in _rows_of(exchange).values())
            for exchange in self.witness.exchanges[create.number :]
        )

    def _delete_sent(self, exchange: Exchange) -> None:
        rotation, server, uuid = exchange.rotation, exchange.server or "", exchange.backup or ""
        assert rotation is not None
        before = self._deleting.get(server)
        alone = (
            before is None
            or before.process != exchange.process
            or before.received is not None
            or before.given_up is not None
        )
        self.hold("4", alone, "two deletions at once", server)
        self._deleting[server] = exchange
        passes = _last_passes(rotation, exchange)
        if not passes:
            self.hold("4", False, "a deletion without a listing", server)
            return
        self._held_together(passes, server)
        rows = _merged(passes[-1])
        row = rows.get(uuid)
        self.hold("4", row is not None, f"{self.witness.short(uuid)} was not in the listing", server)
        if row is None:
            return
        self._fresh(exchange, passes[-1][0], row)
        self._in_order(exchange, passes[-1][0], row)
        making_room = self._making_room(rotation, exchange)
        self._deletable(exchange, passes[-1], rows, row, making_room=making_room)
        if not making_room:
            self._new_one_is_good(exchange, passes[-1], rows)
        if row.successful:
            rotation.good_deleted.add(uuid)
        policies = [rotation.policy, *self._policies_between(rotation.server, rotation.began, exchange.sent)]
        bounds = [oracle.setting(policy, "max_deletions") for policy in policies if policy]
        within = -1 in bounds or len(rotation.good_deleted) <= max(bounds)
        self.hold("7", within, f"good deletion {len(rotation.good_deleted)}, max_deletions = {bounds}", server)

    def _held_together(self, passes: Sequence[Sequence[Exchange]], server: str) -> None:
        last = passes[-1]
        totals = {_total(page) for page in last}
        complete = totals == {len(_merged(last))}
        steady = len(passes) > 1 and set(_merged(last)) == set(_merged(passes[-2]))
        self.hold("5", complete or steady, f"deleting by a listing of {len(_merged(last))} rows of {totals}", server)

    def _fresh(self, exchange: Exchange, page: Exchange, row: Row) -> None:
        """Failed ones, and what was listed more than a minute ago, are read again just before."""
        assert exchange.rotation is not None
        views = [
            view
            for view in exchange.rotation.delivered("view")
            if view.backup == exchange.backup and page.number < view.number < exchange.number
        ]
        age = exchange.sent - (views[0].received or 0.0) if views else exchange.sent - page.sent
        needs_view = row.completed is not None and not row.successful
        self.hold(
            "4",
            age <= FRESH_SECONDS + 1 and (bool(views) or not needs_view),
            f"{row.name} is deleted {age:.0f} s after it was last read" + ("" if views else ", which was in the list"),
            exchange.server,
        )

    def _in_order(self, exchange: Exchange, page: Exchange, row: Row) -> None:
        before = self._last_deletion.get(page.number)
        older = before is None or (before[1].created, before[1].uuid) <= (row.created, row.uuid)
        self.hold("4", older, f"{row.name} is deleted after a newer one", exchange.server)
        self._last_deletion[page.number] = (exchange.number, row)

    def _making_room(self, rotation: Rotation, exchange: Exchange) -> bool:
        """Whether the last create of the rotation met the panel's limit, so that this deletion makes room."""
        for earlier in reversed(rotation.exchanges):
            if earlier.call == "create" and earlier.number < exchange.number:
                return earlier.received is not None and earlier.status == 400
        return False

    def _deletable(
        self, exchange: Exchange, listing: Sequence[Exchange], rows: Mapping[str, Row], row: Row, *, making_room: bool
    ) -> None:
        """The backup is one that the naive rules delete, from what was read and from what was true."""
        rotation = exchange.rotation
        assert rotation is not None
        began, decided = listing[0], listing[-1].received or 0.0
        now = _date_of(began, self.witness.world.now())
        in_force = self._policies_between(rotation.server, decided, exchange.sent)
        policies = [rotation.policy] if rotation.trigger == "manual" else [policy for policy in in_force if policy]
        self.hold("4", bool(policies), "something is deleted though the server is gone from the configuration")
        same = [p for p in policies if all(_same(p, rotation.policy, key) for key in ("scope", "name"))]
        self.hold("4", bool(same), "something is deleted though scope or name were changed", exchange.server)

        def deletes(there: Mapping[str, Row], complete: bool) -> bool:
            for policy in same:
                if making_room:
                    room = oracle.room(list(there.values()), policy, rotation.server, now, complete=complete)
                    if room == row.uuid:
                        return True
                elif (
                    row.uuid
                    in oracle.judge(list(there.values()), policy, rotation.server, now, complete=complete).deletions
                ):
                    return True
            return False

        complete = {_total(page) for page in listing} == {len(rows)}
        why = "to make room" if making_room else "by the rules"
        self.hold("3", deletes(rows, complete), f"{row.name} is not to be deleted {why}", exchange.server)
        self._survivors(exchange, rows, same, row, now)
        truths = self.witness.truths(exchange.server or "", began.sent)
        if len(truths) == 1 and not any(page.falsified for page in listing):
            self.hold(
                "5", deletes(truths[0], True), f"the whole list does not delete {row.name} {why}", exchange.server
            )

    def _survivors(
        self, exchange: Exchange, rows: Mapping[str, Row], policies: Sequence[Any], row: Row, now: datetime
    ) -> None:
        for policy in policies[:1]:
            judged = oracle.judge(list(rows.values()), policy, exchange.rotation.server, now)  # type: ignore[union-attr]
            newest = judged.candidates[: oracle.setting(policy, "min_good")]
            self.hold("3", row.uuid not in newest, f"{row.name} is among the newest min_good", exchange.server)

    def _new_one_is_good(self, exchange: Exchange, listing: Sequence[Exchange], rows: Mapping[str, Row]) -> None:
        """Nothing is deleted after a new backup that is not good."""
        uuid = exchange.created_by_then
        truths = self.witness.truths(exchange.server or "", listing[0].sent)
        good = uuid is not None and any(uuid in truth and truth[uuid].successful for truth in truths)
        self.hold(
            "3",
            good and uuid in rows and rows[uuid].successful,
            f"a deletion, and the new backup {self.witness.short(uuid)} is not good",
            exchange.server,
        )

    def locked_by_hand(self, server: str, backup: str, wanted: bool, began: float) -> None:
        """A command says that a backup is locked, or is not; nobody else touched it meanwhile."""
        row = self.witness.mirror[server].get(backup)
        if row is not None and self.witness.touched_by_others.get(backup, -1.0) < began:
            self.hold(
                "6", row.locked is wanted, f"{row.name} was to be {'' if wanted else 'un'}locked, and is not", server
            )

    # Rotations -------------------------------------------------------------------------------------------------------

    def ended(self, rotation: Rotation, outcome: Outcome, *, calm: bool) -> None:
        """A rotation reports."""
        for verdict in outcome.verdicts:
            said = bool(verdict.reasons) and all(reason.text and reason.rule for reason in verdict.reasons)
            self.hold("8", said, f"no reason for {verdict.backup.name}", rotation.uuid)
        asked = len(rotation.exchanges)
        pages = max((exchange.page for exchange in rotation.exchanges), default=0)
        deletions = sum(exchange.call == "delete" for exchange in rotation.exchanges)
        # In trouble a lost create is looked for ten times within two minutes, in lists that are read three times each.
        most = (40 + 12 * pages if calm else 400 + 60 * pages) + 3 * deletions
        self.hold("calm", asked <= most, f"{asked} requests in one rotation", rotation.uuid)
        if calm and outcome.result is Result.DONE and not outcome.problems:
            self._exact(rotation)

    def _exact(self, rotation: Rotation) -> None:
        """What is there after an undisturbed rotation is exactly what retention keeps."""
        passes = _last_passes(rotation, None)
        if not passes:
            return
        first = passes[-1][0]
        deleted = [e for e in rotation.exchanges if e.call == "delete" and e.number > first.number]
        truth = self.witness.truths(rotation.uuid, first.sent)
        if len(truth) != 1 + len(deleted):
            return  # somebody else was at work too
        now = _date_of(first, self.witness.world.now())
        judged = oracle.judge(list(truth[0].values()), rotation.policy, rotation.server, now)
        wanted, done = list(judged.deletions), [exchange.backup for exchange in deleted]
        self.hold("live", wanted == done, f"to be deleted: {wanted}, deleted: {done}", rotation.uuid)


def _rows_of(exchange: Exchange) -> dict[str, Row]:
    """The rows of a list's answer as it arrived."""
    document = exchange.document
    data = document.get("data") if isinstance(document, dict) else None
    return {row.uuid: row for row in map(_row, data if isinstance(data, list) else ())}


def _row(item: Any) -> Row:
    """One row as it arrived; strange where a field is not as it should be."""
    said = item["attributes"]
    wrong = _uuid(said) is None or not isinstance(said.get("name"), str)
    wrong |= not isinstance(said.get("is_successful"), bool) or not isinstance(said.get("is_locked"), bool)
    created, completed = _moment(said.get("created_at")), _moment(said.get("completed_at"))
    wrong |= created is None or (completed is None and said.get("completed_at") is not None)
    size = said.get("bytes")
    wrong |= type(size) is not int and not (size is None and said.get("completed_at") is None)
    wrong |= type(size) is int and not 0 <= size < 2**63  # no disk is so large
    return Row(
        uuid=_uuid(said) or f"row {json.dumps(said, sort_keys=True)}",
        name=str(said.get("name", "")),
        successful=said.get("is_successful") is True,
        locked=said.get("is_locked") is not False,
        bytes=size if type(size) is int else 0,
        created=created or parsedate_to_datetime("Thu, 01 Jan 1970 00:00:00 +0000"),
        completed=completed,
        strange=bool(wrong),
    )


def _uuid(said: Mapping[str, Any]) -> str | None:
    uuid = said.get("uuid")
    return uuid if isinstance(uuid, str) and re.fullmatch(r"[0-9a-f-]{36}", uuid) else None


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _total(page: Exchange) -> Any:
    return page.document["meta"]["pagination"].get("total")


def _merged(pages: Sequence[Exchange]) -> dict[str, Row]:
    """The distinct rows of a pass."""
    return {uuid: row for page in pages for uuid, row in _rows_of(page).items()}


def _last_passes(rotation: Rotation, before: Exchange | None) -> list[list[Exchange]]:
    """The passes of the listing that was read last, each a row of pages."""
    pages: list[Exchange] = []
    for exchange in reversed(rotation.exchanges):
        if before is not None and exchange.number >= before.number:
            continue
        if exchange.call == "list":
            if exchange.delivered and isinstance(exchange.document, dict) and "data" in exchange.document:
                pages.append(exchange)
        elif pages:
            break
    passes: list[list[Exchange]] = []
    for page in reversed(pages):
        if page.page == 1:
            passes.append([])
        if passes:
            passes[-1].append(page)
    return passes


def _date_of(exchange: Exchange, otherwise: datetime) -> datetime:
    return exchange.date or otherwise


def _same(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    return bool(oracle.setting(one, key) == oracle.setting(other, key))


def calm_bound(interval: float, splay: float, timeout: float, queue: float) -> timedelta:
    """How old the newest good backup of a server may be when nothing hinders it."""
    return timedelta(seconds=interval + splay + timeout + queue)
