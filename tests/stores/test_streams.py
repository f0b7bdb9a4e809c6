"""What lies between a stream and a store."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.stores.errors import StoreCutError
from daemon.stores.streams import RateLimit, at_least, blocks, exactly
from tests.fakes import FakeClock
from tests.stores.places import content

pytestmark = pytest.mark.anyio


async def test_a_rate_is_kept_on_the_mean_over_all_that_share_it() -> None:
    """The first piece passes at once, the next waits for it."""
    clock = FakeClock()
    limit = RateLimit(100, clock)

    async def drained(*pieces: bytes) -> bytes:
        return b"".join([piece async for piece in limit.over(content(*pieces))])

    both = tuple(await asyncio.gather(drained(b"a" * 100, b"b" * 50), drained(b"c" * 200)))
    assert both == (b"a" * 100 + b"b" * 50, b"c" * 200)
    await drained(b"d")
    assert clock.elapsed >= 3.5


async def test_an_idle_time_is_not_saved_up() -> None:
    """After an hour of nothing, the rate is the same."""
    clock = FakeClock()
    limit = RateLimit(100, clock)
    clock.elapsed = 3600
    async for _ in limit.over(content(b"a" * 100, b"b" * 100, b"c" * 100)):
        pass
    assert clock.elapsed == 3602


async def test_without_a_rate_nobody_waits() -> None:
    """Not even for a moment."""
    clock = FakeClock()
    assert [piece async for piece in RateLimit(None, clock).over(content(b"a" * 999, b"b"))] == [b"a" * 999, b"b"]
    assert clock.naps == []


@given(st.lists(st.binary(max_size=9)), st.integers(min_value=1, max_value=12))
async def test_blocks_are_the_same_bytes_in_pieces_of_one_size(pieces: list[bytes], size: int) -> None:
    """Only the last may be smaller, and none is empty."""
    found = [block async for block in blocks(content(*pieces), size)]
    assert b"".join(found) == b"".join(pieces)
    assert all(len(block) == size for block in found[:-1])
    assert all(0 < len(block) <= size for block in found)


@given(st.lists(st.binary(max_size=9)), st.integers(min_value=1, max_value=12))
async def test_small_pieces_are_joined_and_large_ones_pass_as_they_are(pieces: list[bytes], size: int) -> None:
    """Only the last may be smaller, and none is empty."""
    found = [piece async for piece in at_least(content(*pieces), size)]
    assert b"".join(found) == b"".join(pieces)
    assert all(len(piece) >= size for piece in found[:-1])
    assert all(found)


@given(st.lists(st.binary(max_size=5)), st.integers(min_value=0, max_value=12))
async def test_only_the_exact_size_passes(pieces: list[bytes], size: int) -> None:
    """And what passes is never more than that."""
    passed = b""
    try:
        async for piece in exactly(content(*pieces), size):
            passed += piece
    except StoreCutError:
        assert len(b"".join(pieces)) != size
    else:
        assert passed == b"".join(pieces)
        assert len(passed) == size
    assert len(passed) <= size


async def test_a_piece_that_is_large_enough_is_not_copied() -> None:
    """It is the very same bytes object: a backup is gigabytes."""
    large = b"x" * 100
    assert [piece is large async for piece in at_least(content(large, large), 100)] == [True, True]
