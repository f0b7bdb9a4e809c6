"""Two threads for one piece: both are done when it is, and what either says is heard."""

import threading
from collections.abc import Iterator

import pytest

from daemon.transfer.threads import WORTH_A_THREAD, Beside


@pytest.fixture
def beside() -> Iterator[Beside]:
    """A second thread."""
    made = Beside("second")
    yield made
    made.close()


@pytest.mark.parametrize(("size", "threads"), [(WORTH_A_THREAD - 1, 1), (WORTH_A_THREAD, 2)])
def test_a_large_piece_is_worth_a_second_thread(beside: Beside, size: int, threads: int) -> None:
    """Both have had it on return."""
    had: list[tuple[int, int]] = []

    def take(piece: bytes) -> None:
        had.append((len(piece), threading.get_ident()))

    beside.run(take, take, bytes(size))
    assert [length for length, _ in had] == [size, size]
    assert len({thread for _, thread in had}) == threads


@pytest.mark.parametrize("size", [1, WORTH_A_THREAD])
def test_what_either_raises_is_raised(beside: Beside, size: int) -> None:
    """By that thread too which nobody sees."""

    def ignore(_: bytes) -> None:
        pass

    def fail(_: bytes) -> None:
        raise ValueError("damaged")

    for one, other in ((fail, ignore), (ignore, fail)):
        with pytest.raises(ValueError, match="damaged"):
            beside.run(one, other, bytes(size))
