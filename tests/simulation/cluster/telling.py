"""The rule of alerts in a cluster: each is sent by one member, once, or by the next one if that dies meanwhile."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daemon.alerts.formats import Post
from daemon.alerts.message import CLUSTER
from daemon.alerts.sender import Failure
from tests.simulation.alert_checks import Mailbox
from tests.simulation.scenario import HOUR

if TYPE_CHECKING:
    from tests.simulation.cluster.member import Member
    from tests.simulation.cluster.world import Cluster

Key = tuple[str, str, str, str]

OF_ROTATIONS = {"failed", "limit", "suspicious", "new_normal", "recovered", "done"}

NOTED_SECONDS = 5.0
"""So long after a message arrived its member has noted that, if nothing was in the way."""

DATED_SECONDS = 60.0
"""After what tells a rotation's end has dated it, within which its last listener hears of that."""

TOLD_SECONDS = 150.0
"""In which a message reaches its receiver: a member looks each minute, and rests for one after it told something."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One try of a member to send some messages, under an epoch; `noted` once it surely knows that they arrived."""

    member: "Member"
    keys: tuple[Key, ...]
    epoch: int | None
    began: float
    arrived: float = float("inf")
    noted: bool = False


class MemberMailbox(Mailbox):
    """A member's way to the receiver, which may be slow to take a message and slow to say so."""

    def __init__(self, member: "Member") -> None:
        super().__init__(member)
        self._member = member

    async def send(self, post: Post) -> Failure | None:
        """Hand it over, unless the member dies."""
        telling = self._member.simulation.telling
        with telling.in_hand(self._member, post) as delivery:
            telling.may_kill(self._member)
            await self._member.clock.sleep(telling.slowness)
            failure = await super().send(post)
            if failure is None:
                telling.arrived(delivery)
            await self._member.clock.sleep(telling.slowness)
        return failure


class Telling:
    """Who has which message in hand, and what has arrived. It takes so many seconds (`slowness`) to reach the receiver,
    and as many back.
    """

    slowness = 0.0

    def __init__(self, simulation: "Cluster", kill: str) -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._in_hand: dict[Key, Delivery] = {}
        self._arrived: dict[Key, Delivery] = {}
        self._kill = kill
        self._deaths = simulation.scenario.stream(kill)

    @contextmanager
    def in_hand(self, member: "Member", post: Post) -> Iterator[Delivery]:
        """A member sends some messages; no other one has them in hand."""
        simulation, now = self._simulation, self._simulation.clock.monotonic()
        document = json.loads(post.body)
        keys = tuple(map(_key, document.get("alerts", [document])))
        delivery = Delivery(member, keys, simulation.epoch_of(member.name), now)
        for key in keys:
            other = self._in_hand.get(key)
            alone = other is None or other.member is member or self._may_be_lost(other) or self._is_its_own(member, key)
            self._hold("once", alone, f"{member.name} sends {_words(key)}, which another one has in hand")
            self._in_hand[key] = delivery
        try:
            yield delivery
        finally:
            for key in keys:
                if self._in_hand.get(key) is delivery:
                    del self._in_hand[key]

    def may_kill(self, member: "Member") -> None:
        """Kill it with the message in hand, now and then, before that arrives or after it."""
        simulation, rate = self._simulation, self._simulation.scenario.kinds.get(self._kill)
        if rate is None or simulation.calm or self._deaths.random() >= rate:
            return
        simulation.happened(self._kill)
        simulation.later(
            self._deaths.random() * (0.4 + 2 * self.slowness),
            lambda: member.die("it tells somebody") if member.alive else None,
        )

    def arrived(self, delivery: Delivery) -> None:
        """The receiver has these: for the first time, unless the member that sent them before may not know of it."""
        simulation = self._simulation
        delivery.arrived = simulation.clock.monotonic()
        for key in delivery.keys:
            before = self._arrived.get(key)
            # What was in hand when another one arrived may have been claimed before its member stood still.
            known = before is not None and before.noted and delivery.began >= before.arrived > simulation.promoted_at
            if known and before is not None and before.member is not delivery.member:
                both = all(self._rotated(one.member, key) for one in (before, delivery))
                known = not (both or self._is_its_own(delivery.member, key))
            self._hold("once", not known, f"{delivery.member.name} sends {_words(key)}, which arrived before")
            self._arrived[key] = delivery
        simulation.later(2 * self.slowness + NOTED_SECONDS, lambda: self._note(delivery))

    def _note(self, delivery: Delivery) -> None:
        roads = self._simulation.roads[delivery.member.name]
        may_wait = roads.cut or roads.refusing or roads.slowness  # and whatever fails has not failed yet
        delivery.noted = delivery.member.at_work and not may_wait and not self._may_be_lost(delivery)

    def _may_be_lost(self, delivery: Delivery) -> bool:
        """Whether what a member has in hand may be another one's: it is dead, stood still, lost its lease, or what it
        claimed. What it could not write is known to itself alone, and to the others once it has been written.
        """
        simulation, member, began = self._simulation, delivery.member, delivery.began
        stood_still = member.stands_still or member.went_on_at >= began
        joined_anew = simulation.epoch_of(member.name) != delivery.epoch
        unwritten = simulation.failed_since(member.name, began - HOUR)
        set_since = max(simulation.database_set_at, simulation.promoted_at) >= began
        return not member.at_work or stood_still or joined_anew or unwritten or set_since

    def _is_its_own(self, member: "Member", key: Key) -> bool:
        """Whether a message is of a rotation of the member's own, and its way to the database failed since that ended,
        perhaps as the member stood still: it sends such a message without a claim. The message may have been written
        all the same, and sent by another member; or that one made a rotation for the same start, which ended within the
        same second in the same words.
        """
        return self._simulation.roads[member.name].failed_at >= self._dated(member, key) and self._rotated(member, key)

    def _rotated(self, member: "Member", key: Key) -> bool:
        """Whether a rotation of the member's own ended when its clock showed what a message names. Two members' clocks
        may show the same as each of them ends one, which tells the same in the same words.
        """
        (event, server, _, _), dated = key, self._dated(member, key)
        heard = max(dated, member.went_on_at) + DATED_SECONDS
        return event in OF_ROTATIONS and any(
            one.ended is not None and dated <= one.ended < heard
            for one in self._simulation.recorder.rotations
            if (one.process, one.server) == (member.name, server)
        )

    def _dated(self, member: "Member", key: Key) -> float:
        """When the member's clock showed what a message names."""
        since = (member.clock.now() - datetime.fromisoformat(key[2])).total_seconds()
        return self._simulation.clock.monotonic() - since

    def look_at_the_end(self) -> None:
        """After calm days nothing waits for its receiver any more, and somebody was told of the last promotion."""
        tables = self._simulation.tables
        late = tables.now() - TOLD_SECONDS
        waits = [f"{event} of {server}" for (_, server, event), row in tables.waiting.items() if row.since < late]
        self._hold("news", not waits, f"these messages wait for nobody: {', '.join(waits)}")
        if tables.quiet_since is not None:
            last = max((one.arrived for key, one in self._arrived.items() if key[1] == CLUSTER), default=0.0)
            self._hold("news", last >= self._simulation.promoted_at, "nobody was told that the database was promoted")


def _key(letter: dict[str, Any]) -> Key:
    return letter["event"], letter["server"], letter["at"], letter["title"]


def _words(key: Key) -> str:
    return f"“{key[3]}” of {key[2]}"
