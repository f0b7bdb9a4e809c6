"""A part of the daemon that is loaded only once the configuration asks for it, since loading costs memory."""

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from daemon.config.values import Config
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome


class Part(Protocol):
    """What is loaded. It is `at_work` for one server at a time, or for none."""

    at_work: str | None

    def follow(self, config: Config) -> None:
        """Obey a configuration."""
        ...

    def rotated(self, name: str, outcome: Outcome) -> None:
        """A server's rotation ended."""
        ...

    async def stop(self) -> None:
        """Leave what is under way."""
        ...


Loaded = TypeVar("Loaded", bound=Part)


class OnDemand(ABC, Generic[Loaded]):
    """The part, once it is loaded, for as long as the daemon runs; a listener of the fleet."""

    def __init__(self) -> None:
        self._part: Loaded | None = None

    @abstractmethod
    def wanted(self, config: Config) -> bool:
        """Return whether the configuration needs the part."""

    @abstractmethod
    def load(self) -> Loaded:
        """Import the part, and make it."""

    async def began(self, order: Order) -> None:
        """A rotation begins: no part needs it, since the node's slots show it."""

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        if self._part is not None:
            self._part.rotated(order.server.name, outcome)

    def follow(self, config: Config) -> None:
        """Obey a configuration."""
        if self._part is None and self.wanted(config):
            self._part = self.load()
        if self._part is not None:
            self._part.follow(config)

    @property
    def at_work(self) -> str | None:
        """The server for which something is under way; None if there is none."""
        return self._part.at_work if self._part is not None else None

    async def stop(self) -> None:
        """Leave what is under way."""
        if self._part is not None:
            await self._part.stop()
