"""Keys of real services that may not do everything: what `check` says of each, and what a copy leaves."""

from pathlib import Path
from uuid import uuid4

import pytest

from daemon.config.values import StoreConfig
from daemon.copies.branch import Target
from daemon.copies.probe import probe
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.stores.errors import StorePermissionError
from daemon.stores.open import open_store
from daemon.stores.values import StoreSettings
from tests.copies.conftest import Rig
from tests.fakes import FakeClock
from tests.stores.places import keys, now
from tests.stores.services import S3Service, SftpService

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    """The services' own time."""
    return FakeClock(now())


async def said(settings: StoreSettings) -> tuple[tuple[str, ...], str | None]:
    """What `check` could do with a store, and what it could not."""
    found = await probe(StoreConfig(settings, StoreRules("vault", Keep.parse("all"))))
    assert isinstance(found.error, StorePermissionError)
    return found.could, found.failed


@pytest.mark.parametrize(
    ("who", "could", "failed"),
    [("nolist", ("write",), "list"), ("nowrite", (), "write"), ("putonly", ("write",), "list")],
)
async def test_check_says_what_a_key_of_s3_may_not(
    s3_service: S3Service, who: str, could: tuple[str, ...], failed: str
) -> None:
    """The first thing that it may not; SeaweedFS knows no right to write without one to delete."""
    assert await said(s3_service.settings("plain", f"limits/{uuid4().hex}", who)) == (could, failed)


@pytest.mark.parametrize(
    ("who", "could", "failed"),
    [
        ("nolist", ("write",), "list"),
        ("nodelete", ("write", "list", "read"), "delete"),
        ("nowrite", (), "write"),
        ("putonly", ("write",), "list"),
    ],
)
async def test_check_says_what_a_key_of_sftp_may_not(
    sftp_service: SftpService, tmp_path: Path, who: str, could: tuple[str, ...], failed: str
) -> None:
    """By what OpenSSH's own server refuses it."""
    assert await said(sftp_service.settings(tmp_path, who)) == (could, failed)


@pytest.mark.parametrize("kind", ["s3", "sftp"])
async def test_a_key_that_may_only_put_makes_whole_copies(
    rig: Rig, s3_service: S3Service, sftp_service: SftpService, kind: str
) -> None:
    """A store is listed before it is copied to, so `copies run` needs more; this needs no right to read or delete."""
    (rig.folder / "box").mkdir()
    prefix = f"limits/{uuid4().hex}"
    settings, owner = (
        s3_service.settings("plain", prefix, who) if kind == "s3" else sftp_service.settings(rig.folder / "box", who)
        for who in ("putonly", "all")
    )
    async with open_store(settings, clock=rig.clock) as store:
        made = await rig.copy(Target("vault", store))
    assert made.errors == {}
    key = made.manifests["vault"].stored.key
    async with open_store(owner, clock=rig.clock) as store:
        assert await keys(store) == [key, f"{key}.json"]
