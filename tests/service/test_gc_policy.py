"""What is settled is not looked at again, and nothing is looked for while a configuration is read."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import TypeVar
from unittest.mock import Mock

import pytest

from daemon.config.errors import ConfigError
from daemon.config.load import load
from daemon.service.events import Events
from daemon.service.gc_policy import left_alone, settled
from daemon.service.reading import READ_SECONDS, Reading
from tests.virtual import BACKEND, VirtualClock

Result = TypeVar("Result")


def test_nothing_is_looked_for_within_the_block() -> None:
    """Not after a mistake in the configuration either is it forgotten to begin again."""
    with left_alone():
        with pytest.raises(ConfigError), left_alone():
            load(None, {"PTERO_BACKUPD_CONFIG": "/missing"})
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_is_there_is_passed_over_within_the_block_alone() -> None:
    """What was garbage before is gone by then, and would never be found."""

    class Ring:
        def __init__(self) -> None:
            self.itself = self

    gone = weakref.ref(Ring())
    with settled():
        assert gone() is None
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [BACKEND])
async def test_a_configuration_that_hangs_leaves_no_garbage_for_ever(
    anyio_backend: object,
) -> None:
    """A mount may hang for days: the daemon goes on meanwhile, and makes garbage."""
    clock = VirtualClock()

    async def hang(work: Callable[[], Result], /) -> Result:
        with left_alone():
            await asyncio.Event().wait()
        return work()

    reading = Reading(lambda: load(None, {}), Events(), hang)
    reading.config = Mock()
    assert reading.begin()
    await clock.sleep(READ_SECONDS / 2)
    assert not gc.isenabled()
    await clock.sleep(READ_SECONDS)
    assert gc.isenabled()
    reading.drop()
