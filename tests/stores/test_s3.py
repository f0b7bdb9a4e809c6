"""What only the engine for S3 must do, over SeaweedFS; what it cannot show, over answers made up here."""

import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from daemon.stores.base import GivesLinks, Store, Traits
from daemon.stores.errors import (
    ObjectLockedError,
    ObjectMissingError,
    StoreCredentialsError,
    StoreError,
    StorePermissionError,
    StoreRefusedError,
    StoreUnreachableError,
)
from daemon.stores.s3.http import S3Http
from daemon.stores.s3.store import S3Store
from daemon.stores.sizes import PART
from daemon.stores.values import Credentials
from tests.fakes import START, FakeClock, SkippingClock
from tests.leaks import leaks
from tests.stores.places import PIECE, Place, content, keys, now, read
from tests.stores.services import S3Service, free_ports

pytestmark = pytest.mark.anyio

KEY = "main/uuid/world.tar.gz"


def http_of(store: Store) -> S3Http:
    """What counts the requests."""
    return cast("S3Store", store)._client._http


@pytest.fixture
async def locking(s3_service: S3Service) -> AsyncIterator[Store]:
    """A store in a bucket with Object Lock."""
    place = Place("s3", s3_service.settings("lockable", f"tests/{uuid4().hex}"))
    async with place.open() as store:
        yield store


async def test_2500_objects_are_listed_in_three_requests(s3_service: S3Service, tmp_path: Path) -> None:
    """All of them, each once; those of one server in one, whatever else is in the bucket."""
    prefix = f"many/{uuid4().hex}"
    names = [f"server-{number % 25:02}/{number:04}" for number in range(2500)]
    for name in names:
        path = tmp_path / "planted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    s3_service.plant(tmp_path / "planted", "plain", prefix)
    async with Place("s3", s3_service.settings("plain", f"{prefix}/planted")).open() as store:
        assert await keys(store) == sorted(names)
        assert http_of(store).count == 3
        assert len(await keys(store, "server-07/")) == 100
        assert http_of(store).count == 4


async def test_a_link_gives_the_object_to_whoever_has_it(s3: Place) -> None:
    """Without the key, until it expires; another object's name takes more than changing the address."""
    async with s3.open() as store:
        assert isinstance(store, GivesLinks)
        await store.put(KEY, content(b"world"))
        link = store.link(KEY, 60)
        assert "Signature" not in repr(link)
        async with httpx.AsyncClient(trust_env=False) as anybody:
            given = await anybody.get(link.get_secret_value())
            other = await anybody.get(link.get_secret_value().replace("world.tar", "other.tar"))
    assert (given.content, given.headers["content-length"], other.status_code) == (b"world", "5", 403)


async def test_a_locked_object_stays(locking: Store) -> None:
    """From its first moment, in one part or many; a lock is only ever made longer."""
    until = now() + timedelta(days=1)
    for key, size in (("small", 5), ("large", PART + 1)):
        await locking.put(key, content(bytes(size)), size=size, lock_until=until)
        details = await locking.head(key)
        assert details.locked_until is not None
        assert timedelta(0) <= details.locked_until - until < timedelta(seconds=1)
        with pytest.raises(ObjectLockedError) as raised:
            await locking.delete(key)
        assert raised.value.until == details.locked_until
    longer = until + timedelta(days=1)
    await locking.lock("small", until - timedelta(hours=1))
    assert (await locking.head("small")).locked_until == (await locking.head("large")).locked_until
    await locking.lock("small", longer)
    lock = (await locking.head("small")).locked_until
    assert lock is not None
    assert timedelta(0) <= lock - longer < timedelta(seconds=1)
    assert await keys(locking) == ["large", "small"]


async def test_an_object_can_be_locked_later(locking: Store) -> None:
    """And one without a lock is deleted."""
    for key in ("one", "two"):
        await locking.put(key, content(b"x"))
        details = await locking.head(key)
        assert (details.locked_until, details.lock_known) == (None, True)
    await locking.lock("one", now() + timedelta(hours=1))
    with pytest.raises(ObjectLockedError):
        await locking.delete("one")
    await locking.delete("two")
    assert await keys(locking) == ["one"]
    with pytest.raises(ObjectMissingError):
        await locking.lock("nothing", now())


async def test_a_bucket_says_how_it_is_set_up(s3: Place, locking: Store) -> None:
    """Object Lock needs versions, so that a delete leaves its bytes behind."""
    assert await locking.traits() == Traits(versioned=True, lockable=True)
    async with s3.open() as plain:
        assert await plain.traits() == Traits(versioned=False, lockable=False)
        assert plain.lacks == {}
        await plain.put(KEY, content(b"x"))
        assert (await plain.head(KEY)).lock_known
        with pytest.raises(StoreError):
            await plain.lock(KEY, now() + timedelta(hours=1))


async def test_a_locked_bucket_gets_the_checksum_that_s3_demands(
    locking: Store, s3: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS would not mind; AWS refuses a PUT without one."""
    sent: list[tuple[str, str | None]] = []
    exchange = S3Http.exchange

    async def noted(self: S3Http, method: str, target: str, headers: dict[str, str], *rest: object) -> object:
        if method == "PUT":
            sent.append((target.partition("?")[2], headers.get("content-md5")))
        return await exchange(self, method, target, headers, *rest)  # type: ignore[arg-type]  # whatever it is called with

    monkeypatch.setattr(S3Http, "exchange", noted)
    await locking.put("a", content(b"x"))
    await locking.put("b", content(bytes(PART + 1)))
    await locking.lock("a", now() + timedelta(hours=1))
    assert [bool(md5) for _, md5 in sent] == [True] * 4
    sent.clear()
    async with s3.open() as plain:
        await plain.put("a", content(b"x"))
    assert sent == [("", None)]


@pytest.mark.parametrize(
    ("who", "allowed"),
    [("nolist", {"put", "get", "delete"}), ("nowrite", {"get", "list"}), ("putonly", {"put"})],
)
async def test_a_key_that_may_not_do_everything_says_what_it_may_not(
    s3: Place, s3_service: S3Service, who: str, allowed: set[str]
) -> None:
    """As a permission that is lacking, and nothing else."""
    async with s3.open() as owner:
        await owner.put("old", content(b"x"))
        await owner.put("older", content(b"x"))
        limited = replace(s3.settings, credentials=s3_service.settings("plain", who=who).credentials)
        async with Place("s3", limited).open() as store:
            calls: dict[str, Callable[[], object]] = {
                "put": lambda: store.put(KEY, content(b"x"), size=1),
                "get": lambda: read(store, "old"),
                "list": store.list_all,
                "delete": lambda: store.delete("older"),
            }
            done = set()
            for name, call in calls.items():
                try:
                    await call()  # type: ignore[misc]  # each is a coroutine
                except StorePermissionError:
                    continue
                done.add(name)
        assert done == allowed
        assert (KEY in await keys(owner)) == ("put" in allowed)


async def test_a_wrong_secret_is_said_and_not_shown(s3: Place) -> None:
    """Nor is the signature that was made with it."""
    wrong = Credentials(SecretStr("AKIAEXAMPLEall"), SecretStr("hunter2-EXAMPLE"))
    unknown = Credentials(SecretStr("AKIAEXAMPLEnobody"), SecretStr("hunter2-EXAMPLE"))
    for credentials in (wrong, unknown):
        async with Place("s3", replace(s3.settings, credentials=credentials)).open() as store:
            with pytest.raises(StoreCredentialsError) as raised:
                await store.list_all()
        assert leaks(f"{raised.value!r} {raised.value.text} {raised.value.hint}", "hunter2-EXAMPLE") == []


async def test_a_bucket_that_is_not_there_is_no_empty_one(s3: Place, s3_service: S3Service) -> None:
    """With what to do about it."""
    async with Place("s3", s3_service.settings("nothing-there")).open() as store:
        for call in (store.list_all(), store.put(KEY, content(b"x")), store.unfinished()):
            with pytest.raises(StoreRefusedError, match="NoSuchBucket") as raised:
                await call
            assert "create the bucket" in raised.value.hint


@pytest.mark.parametrize("ahead", [timedelta(hours=-3), timedelta(days=60)], ids=["behind", "ahead"])
async def test_a_service_whose_clock_is_another_is_used_all_the_same(s3: Place, ahead: timedelta) -> None:
    """It refuses what is signed too long before or after its own time, and says what that is."""
    async with s3.open(FakeClock(now() + ahead)) as store:
        await store.put(KEY, content(b"world"), size=5)
        assert (await keys(store), await read(store, KEY)) == ([KEY], b"world")
        await store.delete(KEY)
        assert await keys(store) == []
        assert abs(cast("S3Store", store)._client.now() - now()) < timedelta(minutes=1)


async def test_a_service_that_is_not_there_is_tried_a_few_times_and_no_longer(s3: Place) -> None:
    """Some seconds, not obstinately."""
    clock = SkippingClock()
    gone = replace(s3.settings, endpoint=f"http://127.0.0.1:{free_ports(1)[0]}")
    async with Place("s3", gone).open(clock) as store:
        with pytest.raises(StoreUnreachableError, match="cannot be reached"):
            await store.list_all()
        assert http_of(store).count == 4
    assert 5 < clock.skipped < 15


async def test_a_clock_that_is_wrong_is_found_out_and_allowed_for(s3: Place) -> None:
    """The service refuses a signature from another time; its own Date says which it is."""
    clock = FakeClock(START - timedelta(days=400))
    async with s3.open(clock) as store:
        await store.put(KEY, content(b"x"))
        assert await keys(store) == [KEY]
    assert len(clock.naps) == 1


async def test_a_large_object_takes_little_memory(s3: Place) -> None:
    """Two parts on their way and one that is being filled."""

    async def large() -> AsyncIterator[bytes]:
        for _ in range(48 * 2**20 // PIECE):
            yield bytes(PIECE)

    async with s3.open() as store:
        tracemalloc.start()
        try:
            await store.put(KEY, large(), size=48 * 2**20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 20 * 2**20
