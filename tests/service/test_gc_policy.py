"""What is settled is not looked at again, and nothing is looked for while a configuration is read."""

import gc
import weakref

import pytest

from daemon.config.errors import ConfigError
from daemon.config.load import load
from daemon.service.gc_policy import left_alone, settled


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
