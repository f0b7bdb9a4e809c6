"""Which messages wait in the journal, and which of them are in hand here: no other member of a cluster sends those.

What could not be written is in this process alone, and is sent without a claim.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

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

        self._unclaimed: set[Letter] = set()
        """What is in hand here without a claim. It may have been written since."""

        self._unforgotten: dict[Letter, bool] = {}
        """What the journal holds, although it does not wait any more, and whether it was claimed."""

    async def claim(self, receiver: str, messages: Sequence[Message]) -> Sequence[Message] | Failure:
        """Return those of the messages that may be sent from here now, or why nobody can say."""
        ours, others = _parted(receiver, messages, self.unwritten)
        self._unclaimed = (self._unclaimed | _letters(receiver, ours)) - _letters(receiver, others)
        try:
            return [*ours, *await memory.claimed(self._writing.journal, receiver, others)]
        except StateError as error:
            return Failure(error.text, passing=True)

    async def arrived(self, receiver: str, messages: Sequence[Message]) -> None:
        """Record that a receiver has taken these messages."""
        ours, others = _parted(receiver, messages, self._unclaimed)
        await self._forget(receiver, others, claimed=True)
        await self._forget(receiver, ours)  # it may be written by now, or the failed write was done all the same

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
        for (receiver, one), claimed in self._unforgotten.items():
            await memory.arrived(self._writing.journal, receiver, [one], claimed=claimed)
        self._unforgotten.clear()

    async def _forget(self, receiver: str, messages: Sequence[Message], *, claimed: bool = False) -> None:
        """Record that these messages do not wait any more, with `claimed` those that are in hand here."""
        letters = _letters(receiver, messages)
        async with self._writing.one_at_a_time:
            self.unwritten -= letters
            self._unclaimed -= letters
            self._unforgotten |= dict.fromkeys(letters, claimed)
            with self._writing.noticing():
                await memory.arrived(self._writing.journal, receiver, messages, claimed=claimed)
                for one in letters:
                    self._unforgotten.pop(one, None)


def _letters(receiver: str, messages: Sequence[Message]) -> set[Letter]:
    return {(receiver, one) for one in messages}


def _parted(
    receiver: str, messages: Sequence[Message], some: AbstractSet[Letter]
) -> tuple[Sequence[Message], Sequence[Message]]:
    """Return those of the messages that are among `some`, and the others."""
    ours = [one for one in messages if (receiver, one) in some]
    return ours, [one for one in messages if (receiver, one) not in some]
