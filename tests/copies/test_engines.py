"""One pass to real services of every kind at once, and back from each of them."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.copies.branch import Target
from daemon.copies.feed import node_feed
from daemon.copies.fetch import fetch_to
from daemon.copies.make import Made, Targets, copy_backup
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import look_at_all, look_into
from daemon.stores.base import Store
from daemon.stores.errors import ObjectExistsError
from tests.copies.conftest import Rig
from tests.copies.support import unknown
from tests.core.build import NOW
from tests.stores.places import Place

pytestmark = pytest.mark.anyio

AGE = "age1d262y5kc2k64964r3pys4khhn0z5tdarkje84574dhy893zvh5usqahj5d"
"""A public key whose private one nobody has."""


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


@pytest.mark.parametrize("kind", ["directory", "s3"])
async def test_of_two_daemons_that_copy_to_one_store_at_once_one_makes_the_copy(
    rig: Rig, directory: Place, s3: Place, kind: str
) -> None:
    """The other one takes nothing away. Encrypted, their bytes differ: the manifest is of those that stand."""
    place = {"directory": directory, "s3": s3}[kind]
    one, other = [await rig.held.enter_async_context(place.open()) for _ in range(2)]
    backup = await rig.backup()

    async def copied(installation: str, store: Store) -> Made:
        origin, targets = replace(rig.origin, installation=installation), Targets((Target("vault", store, (AGE,)),))
        return await copy_backup(node_feed(rig.source(backup)), backup, origin, targets, rig.clock)

    made = await asyncio.gather(copied("installation-1", one), copied("installation-2", other))
    (manifest,) = [manifest for each in made for manifest in each.manifests.values()]
    (error,) = [error for each in made for error in each.errors.values()]
    assert isinstance(error, ObjectExistsError)
    shelf = await look_into(one, "main", rig.server.uuid, None, NOW)
    assert list(shelf.manifests.values()) == [manifest]
    assert hashlib.sha256(await fetched(other, manifest)).hexdigest() == manifest.stored.sha256
    assert (shelf.damaged, shelf.loose, await one.unfinished()) == ({}, {}, [])
