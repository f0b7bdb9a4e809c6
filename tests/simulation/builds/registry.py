"""The breaks by their titles. A break is a patch of one function, as a careless change would make it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any
from unittest import mock

import daemon.rotation.delete
from daemon.copying.pruning import Pruning
from tests.simulation.cluster.world import simulate_cluster
from tests.simulation.run import Report, simulate

PATCH = mock.patch.object

Make = Callable[[], AbstractContextManager[Any]]
BREAKS: dict[str, "Break"] = {}


@dataclass(frozen=True, slots=True)
class Break:
    """What makes it, the rules that may catch it, and the trouble that it takes, where that is rare.

    `first` is the first seed that is tried: near one that is known to show it, where few do. A break of a `cluster` is
    looked for in worlds of several members.
    """

    make: Make
    rules: frozenset[str]
    insist: Mapping[str, float]
    first: int
    cluster: bool = False

    @property
    def play(self) -> Callable[..., Report]:
        """What plays its worlds."""
        return simulate_cluster if self.cluster else simulate


def original(module: ModuleType, name: str) -> Any:
    """What a module calls by that name before it is patched, be it its own or imported."""
    return getattr(module, name)


def together(*breaks: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    """Several of them at once: in force from now on, until what is returned is closed."""
    stack = ExitStack()
    for one in breaks:
        stack.enter_context(one)
    return stack


def looked_at_once() -> AbstractContextManager[Any]:
    """What a deletion was decided by is not looked at again right before it: that alone would save what should be."""
    return together(
        PATCH(daemon.rotation.delete, "_expect_the_same", lambda _run, _config: None),
        PATCH(Pruning, "_leave", lambda _self, turn, _store: turn.hindrance()),
    )


def broken(
    title: str,
    *rules: str,
    insist: Mapping[str, float] = MappingProxyType({}),
    first: int = 0,
    cluster: bool = False,
) -> Callable[[Make], Make]:
    """Register a break under its title."""

    def register(make: Make) -> Make:
        BREAKS[title] = Break(make, frozenset(rules), insist, first, cluster)
        return make

    return register
