"""How the process is prepared, where the C library plays along and where it does not."""

import ctypes
from unittest.mock import Mock

import pytest

from daemon.cli.commands import run
from daemon.cli.settings import Settings
from daemon.errors import StateError
from daemon.service.process import hide_memory, share_one_heap


def test_the_daemon_hides_its_memory_and_has_one_heap_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """PR_SET_DUMPABLE of prctl(2), M_ARENA_MAX of mallopt(3)."""
    library = Mock()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(run, "configure", Mock(side_effect=StateError("as far as this")))
    with pytest.raises(StateError, match="as far as this"):
        run.run_daemon(Settings())
    library.prctl.assert_called_once_with(4, 0, 0, 0, 0)
    library.mallopt.assert_called_once_with(-8, 1)


def test_a_c_library_that_can_neither_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl has one heap for all threads anyway."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    share_one_heap()
    hide_memory()
