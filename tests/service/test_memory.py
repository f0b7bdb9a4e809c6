"""What reading a large configuration took is given back; a small one leaves nothing that is worth it."""

import ctypes
from collections.abc import Callable
from typing import TypeVar
from unittest.mock import Mock

import pytest

from daemon.service.events import Events
from daemon.service.memory import LARGE, give_back
from daemon.service.reading import Reading

Result = TypeVar("Result")


@pytest.mark.parametrize(("servers", "times"), [(LARGE - 1, 0), (LARGE, 1)])
def test_memory_is_given_back_after_a_large_configuration(
    servers: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the C library that gives it."""
    library = Mock()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    give_back(servers)
    assert library.malloc_trim.call_count == times


def test_a_c_library_that_cannot_give_any_back_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl has no word for it."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    give_back(LARGE)


@pytest.mark.anyio
async def test_the_daemon_gives_it_back_as_it_has_read_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the thread that has read it, and once the one that it replaced is no longer followed."""
    given: list[int] = []
    monkeypatch.setattr("daemon.service.reading.give_back", given.append)
    monkeypatch.setattr("daemon.service.reading.refuse_unusable", lambda _: None)
    config, after = Mock(servers={"survival": Mock()}), Mock(servers={"survival": Mock(), "creative": Mock()})

    async def at_once(work: Callable[[], Result], /) -> Result:
        return work()

    reading = Reading(lambda: config, Events(), at_once)
    assert await reading.first()
    assert (reading.config, given) == (config, [1])
    reading.tidy_up()
    assert given == [1], "the first one replaces none"
    reading.config = after
    reading.tidy_up()
    reading.tidy_up()
    assert given == [1, 2], "what that replaced is given back later, once"
