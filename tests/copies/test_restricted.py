"""Keys of real services that may not do everything: what `check` says of each, and what a copy leaves."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from daemon.config.values import StoreConfig
from daemon.copies.branch import Target
from daemon.copies.probe import probe
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.stores.errors import StoreCredentialsError, StorePermissionError
from daemon.stores.open import open_store
from daemon.stores.values import DirectoryLocation, RcloneLocation, StoreSettings
from tests.copies.conftest import Rig
from tests.fakes import FakeClock
from tests.stores.places import Place, keys, now
from tests.stores.refusing import WRONG_KEY, refusing
from tests.stores.services import RIGHTS, SECRET, S3Service, SftpService

pytestmark = pytest.mark.anyio

NOBODY = 65534


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


@pytest.fixture
def rclone_of_s3(s3_service: S3Service, rclone: Place) -> Callable[[str], StoreSettings]:
    """Remotes of rclone's, which are that service's bucket by each of its keys."""
    assert rclone.settings.rclone_config is not None
    options = f"type = s3\nprovider = SeaweedFS\nendpoint = {s3_service.endpoint}\nno_check_bucket = true"
    named = {who: f"access_key_id = AKIAEXAMPLE{who}\nsecret_access_key = {SECRET.format(who)}" for who in RIGHTS}
    remotes = [f"[{who}]\n{options}\n{key}\n" for who, key in named.items()]
    rclone.settings.rclone_config.write_text("\n".join(remotes))

    def settings(who: str) -> StoreSettings:
        return replace(rclone.settings, location=RcloneLocation(who, f"plain/limits/{uuid4().hex}"))

    return settings


@pytest.mark.parametrize("who", ["nolist", "nowrite", "putonly"])
async def test_check_says_that_a_key_behind_rclone_may_not_write(
    rclone_of_s3: Callable[[str], StoreSettings], who: str
) -> None:
    """Each of these: rclone lists before it writes, to see whether something has that name."""
    assert await said(rclone_of_s3(who)) == ((), "write")


async def test_a_key_behind_rclone_that_may_do_all_passes(rclone_of_s3: Callable[[str], StoreSettings]) -> None:
    """So it is the key that the others lack something of, and nothing else."""
    found = await probe(StoreConfig(rclone_of_s3("all"), StoreRules("vault", Keep.parse("all"))))
    assert (found.could, found.error) == (("write", "list", "read", "delete"), None)


@pytest.mark.parametrize(
    ("refused", "could", "failed"),
    [
        ("PUT", (), "write"),
        ("LIST", ("write",), "list"),
        ("GET", ("write", "list"), "read"),
        ("DELETE", ("write", "list", "read"), "delete"),
    ],
)
async def test_check_says_what_a_key_of_a_cloud_may_not(refused: str, could: tuple[str, ...], failed: str) -> None:
    """A listing and a deletion that are refused are no trouble that passes."""
    with refusing({refused}) as settings:
        assert await said(settings) == (could, failed)


async def test_a_cloud_s_wrong_key_is_no_missing_right() -> None:
    """Azure answers 403 to both; only its code says which it is, and there is none where no answer has a body."""
    with refusing({"PUT"}, WRONG_KEY) as settings:
        found = await probe(StoreConfig(settings, StoreRules("vault", Keep.parse("all"))))
    assert isinstance(found.error, StoreCredentialsError)
    assert "the service answers 403 Forbidden (AuthenticationFailed)" in found.error.text
    with refusing({"HEAD"}, WRONG_KEY) as settings:
        found = await probe(StoreConfig(settings, StoreRules("vault", Keep.parse("all"))))
    assert isinstance(found.error, StorePermissionError)
    assert found.error.hint.startswith("check the store's key")


@pytest.fixture
def anybody() -> Iterator[Path]:
    """A folder that all may use, and this test as a user who may do no more than others; root may do everything."""
    before = os.umask(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        was = os.geteuid()
        try:
            yield folder
        finally:
            os.seteuid(was)
            os.umask(before)


def as_nobody() -> None:
    """Go on as a user whom no file belongs to; what Python still has to load must be loaded."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


@pytest.mark.parametrize(("store", "checks"), [(0o555, None), (0o333, None), (0o777, 0o333), (0o777, 0o555)])
async def test_check_says_what_a_folder_may_not(
    anybody: Path, directory: Place, store: int, checks: int | None
) -> None:
    """One that may not be listed may not be written to either: its new files would not be known to be on the disk."""
    await probe(StoreConfig(directory.settings, StoreRules("vault", Keep.parse("all"))))
    folder = anybody / "nas"
    folder.mkdir()
    if checks is not None:
        (folder / "ptero-backupd-check").mkdir(checks)
    folder.chmod(store)
    as_nobody()
    assert await said(StoreSettings("nas", DirectoryLocation(folder))) == ((), "write")


async def test_a_folder_that_may_not_be_deleted_in_says_so(anybody: Path, directory: Place) -> None:
    """As where an earlier daemon was another user, and the folder is one that everybody writes to."""
    async with directory.open() as opened:
        await opened.list_all()
    folder = anybody / "nas" / "main"
    folder.mkdir(0o777, parents=True)
    folder.chmod(0o1777)
    (folder / "a.tar.gz").write_bytes(b"x")
    as_nobody()
    async with open_store(StoreSettings("nas", DirectoryLocation(folder.parent))) as opened:
        if folder.stat().st_uid == os.geteuid():
            pytest.skip("it takes root to have files of another user")
        with pytest.raises(StorePermissionError, match=r"main/a.tar.gz cannot be deleted") as raised:
            await opened.delete("main/a.tar.gz")
        assert await keys(opened) == ["main/a.tar.gz"]
    assert "the owner and the mode of the store's folder" in raised.value.hint


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
