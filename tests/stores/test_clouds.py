"""What only the engine for Google and Azure must do. The contract runs over a real service that is asked by Google's
requests, through a gateway and, where `azurite-blob` is installed, over Azurite. Google's own service is not asked by
any test.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore import exceptions
from obstore.store import LocalStore
from pydantic import SecretStr

from daemon.clock import Clock, SystemClock
from daemon.stores import extras
from daemon.stores.base import Store
from daemon.stores.clouds.store import CloudStore
from daemon.stores.clouds.trouble import translated
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCredentialsError,
    StoreError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.open import open_store
from daemon.stores.streams import RateLimit
from daemon.stores.values import BucketLocation, Credentials, Location, SftpLocation, StoreSettings
from tests.leaks import leaks
from tests.stores.places import Place, content, keys
from tests.stores.services import free_ports

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class CloudPlace(Place):
    """The engine over a folder that obstore takes for a cloud: what it leaves is to be seen there."""

    @asynccontextmanager
    async def open(self, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
        """As `open_store` does, past the choice of the service."""
        limit = RateLimit(self.settings.rate, clock or SystemClock())
        assert self.folder is not None
        yield CloudStore(self.settings.name, LocalStore(self.folder), limit)


@pytest.fixture
def clouds(tmp_path: Path) -> Place:
    """A folder."""
    folder = tmp_path / "cloud"
    folder.mkdir()
    return CloudPlace("clouds", StoreSettings("cloud", BucketLocation("gs", "bucket", "")), folder)


GOOGLE, AZURE = BucketLocation("gs", "bucket", "p"), BucketLocation("az", "container", "p")
SECRET = "aHVudGVyMi1FWEFNUExF"


async def test_a_service_that_is_not_there_is_unreachable() -> None:
    """After a few tries of obstore's own, in seconds; its words are told without the address."""
    credentials = Credentials(account_name=SecretStr("account"), account_key=SecretStr(SECRET))
    endpoint = f"https://127.0.0.1:{free_ports(1)[0]}/account"
    async with open_store(StoreSettings("x", AZURE, endpoint=endpoint, credentials=credentials)) as store:
        with pytest.raises(StoreUnreachableError, match="x cannot be listed") as raised:
            await store.list_all()
    assert "127.0.0.1" not in raised.value.text


@pytest.mark.parametrize(
    ("location", "credentials", "said"),
    [
        (GOOGLE, Credentials(), "service_account is missing"),
        (GOOGLE, Credentials(service_account=SecretStr(SECRET)), "cannot be read"),
        (AZURE, Credentials(account_name=SecretStr("x")), "account_key is missing"),
        (AZURE, Credentials(account_key=SecretStr(SECRET)), "account_name is missing"),
        (AZURE, Credentials(account_name=SecretStr("x"), account_key=SecretStr(f"{SECRET}!")), "cannot be read"),
    ],
)
async def test_a_secret_that_is_missing_or_wrong_is_said_and_not_shown(
    location: Location, credentials: Credentials, said: str
) -> None:
    """Before anything is sent."""
    with pytest.raises(StoreUnusableError, match=said) as raised:
        async with open_store(StoreSettings("x", location, credentials=credentials)):
            pass
    assert leaks(f"{raised.value.text} {raised.value.hint} {raised.value.__cause__}", SECRET) == []


@pytest.mark.parametrize(
    ("proxy", "why"),
    [("http://127.0.0.1:80800", "port is no number"), ("socks5://127.0.0.1:1080", "cannot be reached through SOCKS")],
)
@pytest.mark.parametrize("location", [GOOGLE, AZURE], ids=["gs", "az"])
async def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    location: Location, proxy: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """obstore would only say that the service does not answer."""
    credentials = Credentials(
        account_name=SecretStr("account"), account_key=SecretStr(SECRET), service_account=SecretStr("{}")
    )
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(StoreUnusableError, match=f"the proxy in https_proxy cannot be used: .*{why}"):
        async with open_store(StoreSettings("x", location, credentials=credentials)):
            pass


@pytest.mark.parametrize(
    ("location", "extra"), [(GOOGLE, "gs"), (AZURE, "az"), (SftpLocation("u", "box.example", 22, "/"), "sftp")]
)
async def test_an_extra_that_is_missing_is_said_with_the_command_that_installs_it(
    location: Location, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is imported before."""
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    with pytest.raises(StoreUnusableError, match="is not installed") as raised:
        async with open_store(StoreSettings("x", location)):
            pass
    assert raised.value.hint == f"install it: pip install 'ptero-backupd[{extra}]'"


@pytest.mark.parametrize(
    ("size", "at_most", "parts"),
    [(2**30, None, (5, 2)), (60 * 2**30, None, (7, 1)), (80 * 2**30, None, (9, 1)), (None, 80 * 2**30, (9, 1))],
)
async def test_the_parts_are_large_enough(
    clouds: Place, monkeypatch: pytest.MonkeyPatch, size: int | None, at_most: int | None, parts: tuple[int, int]
) -> None:
    """For what is to come, whether it is known to the byte or not; the larger they are, the fewer at a time."""
    asked: list[tuple[int, int]] = []

    async def noted(*words: object, chunk_size: int, max_concurrency: int, **options: object) -> None:
        asked.append((chunk_size, max_concurrency))
        raise FileNotFoundError

    monkeypatch.setattr(obstore, "put_async", noted)
    async with clouds.open() as store:
        with pytest.raises(StoreError):
            await store.put("world", content(bytes(9 * 2**20)), size=size, at_most=at_most)
    assert asked == [(parts[0] * 2**20, parts[1])]


async def test_what_breaks_leaves_no_part_of_its_own(clouds: Place) -> None:
    """Not even where it had been sent as a whole, and its name was taken meanwhile."""
    assert clouds.folder is not None
    folder: Path = clouds.folder

    async def overtaken() -> AsyncIterator[bytes]:
        yield bytes(9 * 2**20)
        (folder / "world").write_bytes(b"another's")

    async with clouds.open() as store:
        with pytest.raises(ObjectExistsError):
            await store.put("world", overtaken())
        assert await keys(store) == ["world"]
        await store.put("other", content(b"x"))
    assert sorted(path.name for path in folder.iterdir()) == ["other", "world"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("x"), ObjectMissingError),
        (exceptions.AlreadyExistsError("x"), ObjectExistsError),
        (exceptions.PreconditionError("x"), ObjectExistsError),
        (exceptions.PermissionDeniedError("x"), StorePermissionError),
        (exceptions.UnauthenticatedError("x"), StoreCredentialsError),
        (exceptions.NotSupportedError("x"), StoreRefusedError),
        (exceptions.GenericError("Generic GCS error: HTTP error: error sending request"), StoreUnreachableError),
        (exceptions.GenericError("Server returned 503"), StoreTroubleError),
        (exceptions.GenericError("status code: 403 Forbidden: <Error>"), StorePermissionError),
        (exceptions.GenericError("Bulk delete request failed for key x: Forbidden (code: 403)"), StorePermissionError),
        (exceptions.GenericError("status code: 401 Unauthorized: "), StoreCredentialsError),
        (exceptions.GenericError("status code: 500 Internal Server Error: "), StoreTroubleError),
        (exceptions.PermissionDeniedError("x\n<Code>AuthenticationFailed</Code>"), StoreCredentialsError),
        (TimeoutError(), StoreUnreachableError),
    ],
)
def test_what_obstore_raises_is_told_as_what_it_is(error: Exception, kind: type[StoreError]) -> None:
    """Nothing of it crosses the boundary."""
    with pytest.raises(StoreError, match="it cannot be: ") as raised, translated("it cannot be"):
        raise error
    assert type(raised.value) is kind
