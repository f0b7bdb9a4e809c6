"""Which messages wait in the journal, and which of them are in hand here: no other member of a cluster sends those.

What could not be written is in this process alone, and is sent without a claim.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from daemon.alerts import memory
from daemon.alerts.message import Message
from daemon.alerts.receivers import Letter
from daemon.alerts.writing import Writing
from daemon.core.alerting import Event
from daemon.errors import StateError
from daemon.log import get_logger

log = get_logger()


class Claims:
    """The messages that wait, as the journal knows them."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self.unwritten: set[Letter] = set()
        """What the journal lacks of what waits."""

        self._unclaimed: dict[str, Collection[Message]] = {}
        """What each receiver was last sent without a claim, though it may have been written meanwhile."""

        self._unforgotten: dict[Letter, bool] = {}
        """What the journal holds, although it does not wait any more, and whether it was claimed."""

    async def claim(self, receiver: str, messages: Sequence[Message]) -> Sequence[Message]:
        """Return those of the messages that may be sent from here now.

        While the database of a cluster cannot be asked, what it holds is left to it, so that nothing that it lacks has
        to wait behind that: the next look there, by this member or another, queues it again.
        """
        ours = [one for one in messages if (receiver, one) in self.unwritten]
        others = [one for one in messages if (receiver, one) not in self.unwritten]
        self._unclaimed[receiver] = messages if self._writing.is_stand_in else ours
        try:
            return [*ours, *await memory.claimed(self._writing.journal, receiver, others)]
        except StateError as error:
            log.info("alert_delayed", receiver=receiver, waiting=len(others), reason=error.text)
            return ours

    async def arrived(self, receiver: str, messages: Sequence[Message]) -> None:
        """Record that a receiver has taken these messages."""
        if messages:
            unclaimed = self._unclaimed.get(receiver, ())
            self._gone({(receiver, one): one not in unclaimed for one in messages})
            await self._forget()

    def written(self, letters: Collection[Letter]) -> None:
        """The journal holds these now, in the place of earlier ones of their kind: those are not to be forgotten."""
        self.unwritten.difference_update(letters)
        kinds = set(map(_kind, letters))
        self._unforgotten = {one: claimed for one, claimed in self._unforgotten.items() if _kind(one) not in kinds}

    async def hold(self, letters: Collection[Letter]) -> None:
        """Claim those of these letters, which were written only now, that may be on their way without a claim. Raises
        StateError.
        """
        for receiver, sent in list(self._unclaimed.items()):
            found = [one for to, one in letters if to == receiver and one in sent]
            await memory.claimed(self._writing.journal, receiver, found)

    def lose(self, receiver: str, messages: Sequence[Message]) -> None:
        """Drop what waits for a receiver that is not configured any more."""
        if messages:
            reason = "this receiver is no longer configured"
            log.warning("alert_lost", receiver=receiver, count=len(messages), reason=reason)
            self._gone({(receiver, one): False for one in messages})
            self._writing.later(self._forget())

    def still_waiting(self, found: Mapping[str, Iterable[Message]]) -> dict[str, list[Message]]:
        """Return what waits of what the journal holds, by receiver."""
        return {
            name: [one for one in messages if (name, one) not in self._unforgotten] for name, messages in found.items()
        }

    async def catch_up(self) -> None:
        """Forget what does not wait any more, before what waits is written again; raises StateError.

        What is sent while the journal cannot be opened is forgotten there once it can.
        """
        if self._writing.is_stand_in:
            return
        for claimed in (True, False):
            letters = [one for one, how in self._unforgotten.items() if how is claimed]
            await memory.arrived(self._writing.journal, letters, claimed=claimed)
            for one in letters:
                self._unforgotten.pop(one, None)

    def _gone(self, letters: Mapping[Letter, bool]) -> None:
        """Note at once what does not wait any more, and whether it was claimed: nobody is to queue it again."""
        self.unwritten -= letters.keys()
        self._unforgotten |= letters

    async def _forget(self) -> None:
        async with self._writing.one_at_a_time:
            with self._writing.noticing():
                await self.catch_up()


def _kind(letter: Letter) -> tuple[str, str, Event]:
    """Return what two letters have in common if the newer one replaces the earlier."""
    receiver, message = letter
    return receiver, message.server, message.news.event
