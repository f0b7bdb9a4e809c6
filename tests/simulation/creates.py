"""The rules of creates: one backup for one start, under a name of the policy, never asked for twice, in its turn."""

from datetime import timedelta

from daemon.sandbox.records import Entry
from tests.simulation import oracle
from tests.simulation.checker import SIGHTING, Checker
from tests.simulation.oracle import Row
from tests.simulation.reading import last_passes, merged, rows_of
from tests.simulation.recorder import Exchange, Rotation
from tests.simulation.scenario import NODE_HOLDS
from tests.simulation.starts import starts

SETTLE_SECONDS = 120.0
FAR_BEYOND, SLACK = 1800.0, 60.0
"""Seconds that a backup may be pending before its node's next one need not wait, where earlier ones were quick."""
PATIENCE = 300.0
"""Seconds that a rotation may need from its place on the node to its first list, where the panel answers badly."""
DATED = timedelta(seconds=1)
"""The panel's dates are whole seconds."""

NODE_TROUBLE = {"DaemonConnectionException", "RequestException", "ConnectionException"}


class Creates:
    """Holds every create, when it leaves and when it is done; `places` is how many backups a node has room for."""

    def __init__(self, checker: Checker, places: int) -> None:
        self._checker = checker
        self._recorder = checker.recorder
        self._hold = checker.hold
        self._places = places
        self._asked: dict[str, list[Exchange]] = {}
        self._made_for: dict[tuple[str, object], list[tuple[str, Rotation]]] = {}
        self._made_names: dict[tuple[str, str], Exchange] = {}
        self._made_in_calm: dict[str, list[str]] = {}

    # When it leaves --------------------------------------------------------------------------------------------------

    def sent(self, exchange: Exchange) -> None:
        """A rotation asks for a backup."""
        server, name = exchange.server or "", exchange.name or ""
        earlier = self._asked.setdefault(server, [])
        again = [other for other in earlier if other.name == name]
        refused = all(
            _was_refused(other) or _are_beside(other, exchange) or self._is_past(other, name) for other in again
        )
        self._hold("6", refused, f"{name} is asked for again, and nothing says that it was not made", server)
        last = earlier[-1] if earlier else None
        if last is not None and last.rotation and exchange.rotation and self._can_settle(last, exchange):
            same_start = last.rotation.start_at == exchange.rotation.start_at
            settled = last.received is not None or not same_start or exchange.sent - last.sent >= SETTLE_SECONDS - 1
            self._hold(
                "6",
                settled or self._was_seen(last),
                f"{name} is asked for {exchange.sent - last.sent:.0f} s after {last.name}, which may still come",
                server,
            )
        earlier.append(exchange)
        self._by_policy(exchange)

    def _is_past(self, create: Exchange, name: str) -> bool:
        """Whether a clock was set back to that name's second long after its create, and no backup has the name."""
        if create.server is None or not self._checker.a_clock_was_set_since(create.sent):
            return False
        rows = self._recorder.mirror[create.server].values()
        return self._recorder.now() - create.sent >= SETTLE_SECONDS and all(row.name != name for row in rows)

    def _can_settle(self, create: Exchange, later: Exchange) -> bool:
        """Whether who asks now could know of the earlier create: by the journal, or as the same process. That has
        forgotten what it could not write down, or what was lost since, where it has joined the cluster anew.
        """
        if create.rotation is None or self._checker.starts_may_come_again(later.rotation):
            return False
        forgotten = create.beside_others or self._checker.lost(create)
        return self._checker.remembered(create.rotation) or (create.process == later.process and not forgotten)

    def _was_seen(self, create: Exchange) -> bool:
        """Whether some list showed the backup since."""
        return any(
            exchange.call == "list"
            and exchange.delivered
            and any(row.name == create.name for row in rows_of(exchange).values())
            for exchange in self._recorder.exchanges[create.number :]
        )

    def _by_policy(self, exchange: Exchange) -> None:
        """The server is configured, and the name is its policy's: as it was when the rotation began, or since."""
        rotation, name = exchange.rotation, exchange.name or ""
        assert rotation is not None
        if rotation.trigger == "manual":
            policies, configured = [rotation.policy], True
        else:
            between = self._checker.policies_between
            policies = [policy for policy in between(rotation.server, rotation.read, exchange.sent) if policy]
            listed = next((e.sent for e in rotation.exchanges if e.call == "list"), rotation.began)
            stood_at, went_on_at = self._checker.stood(rotation.process)
            if stood_at <= listed and went_on_at >= listed - PATIENCE:
                listed = stood_at  # what it asks for it had decided before that
            configured = any(between(rotation.server, max(rotation.began, listed - PATIENCE), exchange.sent))
        self._hold(
            "6", configured, f"{name} is asked for, and its server is gone from the configuration", rotation.uuid
        )
        named = any(oracle.owns({**policy, "also_own": ()}, rotation.server, name) for policy in policies)
        self._hold("6", named, f"{name} is asked for, which no policy in force would call so", rotation.uuid)

    # When it is done -------------------------------------------------------------------------------------------------

    def done(self, entry: Entry, exchange: Exchange) -> None:
        """The panel has made a backup that the daemon asked for."""
        server, rotation = entry.server, exchange.rotation
        earlier_one = self._made_names.get((server, entry.name))
        twice = earlier_one is not None and not (
            _are_beside(earlier_one, exchange) or self._is_past(earlier_one, entry.name)
        )
        self._hold("6", not twice, f"{entry.name} was made twice", server)
        self._made_names[server, entry.name] = exchange
        if rotation is not None and rotation.once_more is not None:
            self._checker.proofs.made_once_more(server, rotation.once_more, entry.backup, rotation.process)
        if rotation is None or rotation.start_at is None:
            return
        made = self._made_for.setdefault((rotation.server, rotation.start_at), [])
        rows = self._recorder.mirror[server]
        server_status = [
            uuid
            for uuid, earlier in made
            if uuid not in self._recorder.once_failed  # it was tried again before it turned good after all
            and not earlier.early  # the clock comes to that start again
            and uuid in rows
            and (rows[uuid].successful or rows[uuid].completed is None)
            and (self._could_know(earlier, exchange) or self._shown(exchange, rows[uuid], earlier))
        ]
        if not self._checker.starts_may_come_again(rotation):
            names = ", ".join(rows[uuid].name for uuid in server_status)
            self._hold(
                "6",
                not server_status,
                f"{entry.name} is a second backup for the start of {rotation.start_at:%d %H:%M}, beside {names}",
                server,
            )
        made.append((entry.backup, rotation))
        rotation.made = entry.backup
        self._in_turn(rotation)
        self._as_many_as_starts(entry, rotation)

    def _could_know(self, earlier: Rotation, exchange: Exchange) -> bool:
        """Whether the journal could tell who asks now of an earlier rotation: not where it lets another member ask that
        cannot reach it.
        """
        return self._checker.remembered(earlier) and not (exchange.unannounced and earlier.process != exchange.process)

    def _shown(self, exchange: Exchange, backup: Row, rotation: Rotation) -> bool:
        """Whether the list that a create rests on shows a backup of that rotation as one that was made since its start.

        It does not where the row was not told as it is, where the policy's name was changed, and where a clock was set;
        nor where the clocks of a cluster's machines differ, and by that of the one at work the start came later.
        """
        now_at_work = exchange.rotation
        if now_at_work is None or self._checker.a_clock_was_set_since(rotation.began):
            return False
        if now_at_work.trigger == "schedule" and now_at_work.process != rotation.process:
            return False  # a member that was cut off from the database has made one too: one more is what that may cost
        passes = last_passes(now_at_work, exchange)
        row = merged(passes[-1]).get(backup.uuid) if passes else None
        if row is None or row.strange or not oracle.owns(now_at_work.policy, now_at_work.server, row.name):
            return False
        assert rotation.start_at is not None
        start_at = rotation.start_at + (self._recorder.world.now() - self._checker.clock_of(now_at_work.process))
        return row.created > start_at - DATED

    def _in_turn(self, rotation: Rotation) -> None:
        """No more backups of one process are made at once on a node than it has places, however long one holds its."""
        if self._checker.at_work(rotation.process):
            others = [other for other in self._recorder.rotations if other.process == rotation.process]
            held = [other.server for other in others if other is not rotation and self._holds_place(other, rotation)]
            text = f"{rotation.server} is backed up while {', '.join(held)} are, on one node"
            self._hold("turn", len(held) < self._places, text, rotation.uuid)

    def _holds_place(self, other: Rotation, rotation: Rotation) -> bool:
        """Whether another rotation's backup is certainly being made on that node, and not for longer than its hold."""
        now, row = self._recorder.now(), self._recorder.mirror[other.uuid].get(other.made or "")
        runs = self._recorder.running.get((other.process, other.server)) is other  # or a lost lease has ended it
        if row is None or row.completed is not None or not runs:
            return False
        # Not by the row's date: its own process waits by a monotonic clock, whatever the panel's is set to meanwhile.
        pending = now - self._recorder.first_seen(other.uuid, row.uuid)
        if now - other.began >= NODE_HOLDS[other.policy["node_hold"]] or pending >= FAR_BEYOND - SLACK:
            return False
        nodes = [self._recorder.node_of(one.uuid, one.began - SIGHTING) for one in (other, rotation)]
        return nodes[0] is not None and nodes[0] == nodes[1]

    def _as_many_as_starts(self, entry: Entry, rotation: Rotation) -> None:
        """In calm days there are no more new backups than starts fell due, failed ones and what was left apart."""
        calm_since = self._checker.calm_since
        if calm_since is None or rotation.trigger == "manual":
            return
        made = self._made_in_calm.setdefault(rotation.server, [])
        made.append(entry.backup)
        now = self._checker.host_now()
        due = len(starts(rotation.policy, rotation.uuid, calm_since, now + timedelta(seconds=1)))
        count = sum(uuid not in self._recorder.once_failed for uuid in made)
        self._hold("6", count <= due + 2, f"{count} backups since the calm began, and {due} starts", rotation.uuid)


def _was_refused(create: Exchange) -> bool:
    """Whether the panel said that it did not make it: by its status, or that its call to the node failed."""
    if create.received is None or 400 <= create.status < 500:
        return create.received is not None
    return any(error.get("code") in NODE_TROUBLE for error in errors_of(create))


def _are_beside(one: Exchange, other: Exchange) -> bool:
    """Whether one process could not know of what the other one did; a policy's names may tell no more than seconds."""
    return one.process != other.process and (one.beside_others or other.beside_others)


def errors_of(exchange: Exchange) -> list[dict[str, str]]:
    """The errors that the panel itself tells of, in its own words."""
    errors = exchange.document.get("errors") if isinstance(exchange.document, dict) else None
    return errors if isinstance(errors, list) else []
