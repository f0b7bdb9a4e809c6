"""The breaks by their titles. A break is a patch of one function, as a careless change would make it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any
from unittest import mock

PATCH = mock.patch.object

Make = Callable[[], AbstractContextManager[Any]]
BREAKS: dict[str, "Break"] = {}


@dataclass(frozen=True, slots=True)
class Break:
    """What makes it, the rules that may catch it, and the trouble that it takes, where that is rare.

    `first` is the first seed that is tried: near one that is known to show it, where few do.
    """

    make: Make
    rules: frozenset[str]
    insist: Mapping[str, float]
    first: int


def original(module: ModuleType, name: str) -> Any:
    """What a module calls by that name before it is patched, be it its own or imported."""
    return getattr(module, name)


def broken(
    title: str, *rules: str, insist: Mapping[str, float] = MappingProxyType({}), first: int = 0
) -> Callable[[Make], Make]:
    """Register a break under its title."""

    def register(make: Make) -> Make:
        BREAKS[title] = Break(make, frozenset(rules), insist, first)
        return make

    return register
