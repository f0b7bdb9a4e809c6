"""One pass to real services of every kind at once, and back from each of them."""

import hashlib
from pathlib import Path

import pytest

from daemon.copies.branch import Target
from daemon.copies.fetch import fetch_to
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import look_at_all, look_into
from daemon.stores.base import Store
from tests.copies.conftest import Rig
from tests.copies.support import unknown
from tests.core.build import NOW
from tests.stores.places import Place

pytestmark = pytest.mark.anyio


async def fetched(store: Store, manifest: Manifest) -> bytes:
    """What comes of a copy."""
    content = bytearray()
    await fetch_to(store, manifest, content.extend, (), spool_in=Path())
    return bytes(content)


@pytest.mark.timeout(120)
async def test_one_download_goes_to_every_kind_of_store_and_comes_back_from_each(
    rig: Rig, directory: Place, s3: Place, sftp: Place, rclone: Place
) -> None:
    """A folder, SeaweedFS, OpenSSH and rclone; each listing tells the same whole copy."""
    stores = {place.kind: await rig.held.enter_async_context(place.open()) for place in (directory, s3, sftp, rclone)}
    made = await rig.copy(*(Target(kind, store) for kind, store in stores.items()))
    assert made.errors == {}
    assert rig.sandbox.app.requests("download") == 1
    digest = hashlib.sha256(rig.data).hexdigest()
    for kind, store in stores.items():
        shelf = await look_into(store, "main", rig.server.uuid, None, NOW)
        assert list(shelf.manifests.values()) == [made.manifests[kind]]
        assert (shelf.damaged, shelf.loose) == ({}, {})
        assert list(await look_at_all(store, unknown, NOW)) == [("main", rig.server.uuid)]
        assert hashlib.sha256(await fetched(store, made.manifests[kind])).hexdigest() == digest
