"""Which messages wait in the journal, and which of them are in hand here: no other member of a cluster sends those.

What could not be written is in this process alone, and is sent without a claim.
"""

from collections.abc import Iterable, Mapping, Sequence

from daemon.alerts import memory
from daemon.alerts.message import Message
from daemon.alerts.receivers import Letter
from daemon.alerts.sender import Failure
from daemon.alerts.writing import Writing
from daemon.errors import StateError
from daemon.log import get_logger

log = get_logger()


class Claims:
    """The messages that wait, as the journal knows them."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self.unwritten: set[Letter] = set()
        """What the journal lacks of what waits."""

        self._unforgotten: set[Letter] = set()
        """What it holds, although that does not wait any more."""

    async def claim(self, receiver: str, messages: Sequence[Message]) -> Sequence[Message] | Failure:
        """Return those of the messages that may be sent from here now, or why nobody can say."""
        ours, others = self._parted(receiver, messages)
        try:
            return [*ours, *await memory.claimed(self._writing.journal, receiver, others)]
        except StateError as error:
            return Failure(error.text, passing=True)

    async def arrived(self, receiver: str, messages: Sequence[Message]) -> None:
        """Record that a receiver has taken these messages."""
        ours, others = self._parted(receiver, messages)
        await self._forget(receiver, others, claimed=True)
        await self._forget(receiver, ours)  # what failed may be written all the same

    def lose(self, receiver: str, messages: Sequence[Message]) -> None:
        """Drop what waits for a receiver that is not configured any more."""
        if messages:
            reason = "this receiver is configured no more"
            log.warning("alert_lost", receiver=receiver, count=len(messages), reason=reason)
            self._writing.later(self._forget(receiver, messages))

    def still_waiting(self, found: Mapping[str, Iterable[Message]]) -> dict[str, list[Message]]:
        """Return what waits of what the journal holds, by receiver."""
        return {
            name: [one for one in messages if (name, one) not in self._unforgotten] for name, messages in found.items()
        }

    async def catch_up(self) -> None:
        """Forget what could not be forgotten, before what waits is written again; raises StateError."""
        for receiver, one in self._unforgotten:
            await memory.arrived(self._writing.journal, receiver, [one], claimed=True)
        self._unforgotten.clear()

    def _parted(self, receiver: str, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
        """Return the messages that only this process knows, and the others."""
        ours = [one for one in messages if (receiver, one) in self.unwritten]
        return ours, [one for one in messages if (receiver, one) not in self.unwritten]

    async def _forget(self, receiver: str, messages: Sequence[Message], *, claimed: bool = False) -> None:
        """Record that these messages do not wait any more, with `claimed` those that are in hand here."""
        letters = {(receiver, one) for one in messages}
        async with self._writing.one_at_a_time:
            self.unwritten -= letters
            self._unforgotten |= letters
            with self._writing.noticing():
                await memory.arrived(self._writing.journal, receiver, messages, claimed=claimed)
                self._unforgotten -= letters
