"""One download to all stores: whole copies or none, and a store in trouble holds up no other (invariants 13 and 16)."""

import asyncio
import hashlib
from collections.abc import AsyncIterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.copies.branch import Target
from daemon.copies.errors import CopyError, EncryptionError
from daemon.copies.manifest import read_manifest
from daemon.core.copies_layout import CopyName
from daemon.errors import ProblemCode
from daemon.panel.download import HostError
from daemon.sandbox import faults
from daemon.sandbox.archive import Flavour
from daemon.sandbox.records import Storage
from daemon.stores.base import Details, Entry
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import ObjectExistsError, StoreError, StoreFullError, StoreUnreachableError
from daemon.stores.streams import RateLimit
from daemon.transfer.errors import WrongFileError
from tests.copies.conftest import SIZE, Rig
from tests.copies.support import run
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


async def data_key(rig: Rig, *, encrypted: bool = False) -> str:
    """The key of the copy's data."""
    return CopyName.of("main", rig.server.uuid, await rig.backup(), encrypted=encrypted).data


class Faulty(DirectoryStore):
    """A folder that fails at one of its puts, after so many bytes; or lies about how many it has."""

    fails_at: str = ".gz"
    after: int = 0
    lies: bool = False
    hangs: bool = False
    never_ends: bool = False

    def __init__(self, name: str, root: Path, limit: RateLimit) -> None:
        super().__init__(name, root, limit)
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        self.asked: list[tuple[int | None, int | None]] = []

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,
        lock_until: datetime | None = None,
    ) -> Entry:
        self.asked.append((size, at_most))
        if not key.endswith(self.fails_at):
            entry = await super().put(key, content, size=size, lock_until=lock_until)
            self.ended.set()
            return entry
        if self.lies:
            entry = await super().put(key, content, size=size, lock_until=lock_until)
            return replace(entry, size=entry.size - 1)

        async def held() -> AsyncIterable[bytes]:
            async for piece in content:
                yield piece
            self.begun.set()
            await asyncio.Event().wait()

        if self.never_ends:
            return await super().put(key, held(), size=size, lock_until=lock_until)

        async def some() -> AsyncIterable[bytes]:
            come = 0
            async for piece in content:
                come += len(piece)
                if self.hangs:
                    self.begun.set()
                    await asyncio.Event().wait()
                if come > self.after:
                    raise StoreFullError("no room")
                yield piece
            raise StoreFullError("no room")

        return await super().put(key, some(), size=size, lock_until=lock_until)


class Forgetful(DirectoryStore):
    """A folder that does what it is asked, and whose answer to a put of such a key is lost; `mute`: to a look too."""

    loses: str
    mute: bool = False

    async def put(self, key: str, content: AsyncIterable[bytes], **more: Any) -> Entry:
        entry = await super().put(key, content, **more)
        if key.endswith(self.loses):
            raise StoreUnreachableError("the answer was lost")
        return entry

    async def head(self, key: str) -> Details:
        if self.mute:
            raise StoreUnreachableError("nobody answers")
        return await super().head(key)


def forgetful(rig: Rig, *recipients: str, loses: str, mute: bool = False) -> Target:
    """A target that is so."""
    (rig.folder / "nas").mkdir()
    store = Forgetful("nas", rig.folder / "nas", RateLimit(None, rig.clock))
    store.loses, store.mute = loses, mute
    return Target("nas", store, recipients)


def faulty(
    rig: Rig, name: str, *, fails_at: str = ".gz", after: int = 0, lies: bool = False, hangs: bool = False
) -> Target:
    """A target that fails so."""
    (rig.folder / name).mkdir()
    store = Faulty(name, rig.folder / name, RateLimit(None, rig.clock))
    store.fails_at, store.after, store.lies, store.hangs = fails_at, after, lies, hangs
    return Target(name, store)


async def test_a_backup_is_fetched_once_and_lies_in_every_store_with_its_manifest(rig: Rig) -> None:
    """The very bytes, beside what they are; one download for both."""
    made = await rig.copy(await rig.target("nas"), await rig.target("usb"))
    key = await data_key(rig)
    for name in ("nas", "usb"):
        assert rig.files(name) == [key, f"{key}.json"]
        assert (rig.folder / name / key).read_bytes() == rig.data
        manifest = read_manifest((rig.folder / name / f"{key}.json").read_bytes(), key)
        assert manifest == made.manifests[name]
    assert made.errors == {}
    assert rig.sandbox.app.requests("download") == 1


async def test_the_manifest_tells_what_was_found_on_the_way(rig: Rig) -> None:
    """Checksum of the panel, SHA-256 of ours, what the archive holds, who wrote it."""
    made = await rig.copy(await rig.target("nas"))
    manifest, backup = made.manifests["nas"], await rig.backup()
    digest = hashlib.sha256(rig.data).hexdigest()
    assert (manifest.backup.checksum, manifest.backup.sha256, manifest.backup.bytes) == (backup.checksum, digest, SIZE)
    assert (manifest.stored.sha256, manifest.stored.bytes, manifest.encryption) == (digest, SIZE, None)
    assert (manifest.installation, manifest.server.name, manifest.server.title) == (
        "installation-1",
        "survival",
        "Survival World",
    )
    assert (manifest.proof.level, manifest.proof.unverified, manifest.proof.problems) == ("walked", False, ())
    assert manifest.contents is not None
    assert manifest.contents.files > 0


class Slow(DirectoryStore):
    """A folder that takes three hours for what it is given."""

    clock: FakeClock

    async def put(self, key: str, content: AsyncIterable[bytes], **about: Any) -> Entry:
        entry = await super().put(key, content, **about)
        await self.clock.sleep(3 * 3600)
        return entry


async def test_the_manifest_tells_when_the_stream_had_ended_not_when_the_store_had_it(rig: Rig) -> None:
    """Whatever reads the backup meanwhile reads it later."""
    (rig.folder / "nas").mkdir()
    store, began = Slow("nas", rig.folder / "nas", RateLimit(None, rig.clock)), rig.clock.now()
    store.clock = rig.clock
    manifest = (await rig.copy(Target("nas", store))).manifests["nas"]
    assert (manifest.proof.at, manifest.written_at) == (began, began + timedelta(hours=3))


# Trouble on the way ---------------------------------------------------------------------------------------------------


async def test_a_stream_that_breaks_goes_on_without_a_second_upload(rig: Rig) -> None:
    """The node begins again at the beginning, as nodes do; what the stores have is compared and passed over."""
    rig.order(faults.cut())
    made = await rig.copy(await rig.target("nas"))
    assert (rig.folder / "nas" / await data_key(rig)).read_bytes() == rig.data
    assert made.manifests["nas"].stored.sha256 == hashlib.sha256(rig.data).hexdigest()
    assert rig.sandbox.app.requests("download") == 2


async def test_where_the_host_refuses_to_go_on_the_file_comes_again_from_its_beginning(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store that serves no ranges; the stores get nothing twice."""
    rig.server.storage = Storage.S3
    monkeypatch.setattr("daemon.sandbox.node._wanted_range", lambda asked, size: (size if asked else 0, size))
    rig.order(faults.cut())
    await rig.copy(await rig.target("nas"))
    assert (rig.folder / "nas" / await data_key(rig)).read_bytes() == rig.data
    assert rig.sandbox.app.requests("download") == 3


async def test_a_file_that_is_not_what_the_panel_says_lies_nowhere(rig: Rig) -> None:
    """The checksum is compared before the data has its name: neither data nor manifest is there."""
    rig.record.claimed_checksum = "sha1:" + "0" * 40
    with pytest.raises(WrongFileError, match="its sha1 is"):
        await rig.copy(await rig.target("nas"), await rig.target("usb"))
    assert rig.files("nas") == rig.files("usb") == []


async def test_a_host_that_gives_nothing_leaves_nothing(rig: Rig) -> None:
    """After the transfer's own tries."""
    rig.order(faults.cut(), times=None)
    with pytest.raises(HostError):
        await rig.copy(await rig.target("nas"))
    assert rig.files("nas") == []


@pytest.mark.parametrize("after", [0, 1_200_000, 10**9], ids=["at once", "in the middle", "at the end"])
async def test_a_store_that_fails_drops_out_and_the_others_go_on(rig: Rig, after: int) -> None:
    """Its error is told, nothing of it stays, and the others have their copy."""
    made = await rig.copy(faulty(rig, "full", after=after), await rig.target("nas"))
    assert set(made.manifests) == {"nas"}
    assert made.errors["full"].code == ProblemCode.STORE_FULL
    assert rig.files("full") == []
    assert len(rig.files("nas")) == 2


async def test_an_engine_with_a_bug_drops_out_and_the_others_go_on(rig: Rig) -> None:
    """Whatever it raises is told as that store's."""

    class Broken(DirectoryStore):
        async def put(
            self,
            key: str,
            content: AsyncIterable[bytes],
            *,
            size: int | None = None,
            at_most: int | None = None,
            lock_until: datetime | None = None,
        ) -> Entry:
            raise ZeroDivisionError("by nothing")

    made = await rig.copy(
        Target("broken", Broken("broken", rig.folder, RateLimit(None, rig.clock))), await rig.target("nas")
    )
    assert set(made.manifests) == {"nas"}
    assert "broken: the copy cannot be stored (ZeroDivisionError: by nothing)" in made.errors["broken"].text


async def test_where_every_store_fails_the_download_ends(rig: Rig) -> None:
    """And each says why."""
    made = await rig.copy(faulty(rig, "a"), faulty(rig, "b", after=1_200_000))
    assert made.manifests == {}
    assert {name: type(error) for name, error in made.errors.items()} == {"a": StoreFullError, "b": StoreFullError}


async def test_data_whose_manifest_cannot_be_written_is_taken_away_again(rig: Rig) -> None:
    """It is no copy, and would stand in the way of the next try."""
    made = await rig.copy(faulty(rig, "nas", fails_at=".json"))
    assert made.manifests == {}
    assert isinstance(made.errors["nas"], StoreFullError)
    assert rig.files("nas") == []


@pytest.mark.parametrize("loses", [".gz", ".age", ".json"])
async def test_an_answer_that_was_lost_is_settled_by_a_look(rig: Rig, identity: tuple[Path, str], loses: str) -> None:
    """Of data and of manifests: the copy is whole, and told as made."""
    made = await rig.copy(forgetful(rig, *(() if loses == ".gz" else (identity[1],)), loses=loses))
    assert made.errors == {}
    key = made.manifests["nas"].stored.key
    stored = (rig.folder / "nas" / key).read_bytes()
    assert rig.files("nas") == [key, f"{key}.json"]
    assert hashlib.sha256(stored).hexdigest() == made.manifests["nas"].stored.sha256


@pytest.mark.parametrize(("loses", "files"), [(".gz", 1), (".json", 2)])
async def test_where_nobody_says_what_became_of_it_nothing_is_deleted(rig: Rig, loses: str, files: int) -> None:
    """A manifest may stand, and would be one without data; data alone is cleared away later."""
    made = await rig.copy(forgetful(rig, loses=loses, mute=True))
    assert isinstance(made.errors["nas"], StoreUnreachableError)
    assert len(rig.files("nas")) == files


async def test_what_another_stored_meanwhile_is_not_taken_for_ours(rig: Rig) -> None:
    """It has as many bytes, and begins otherwise."""
    key, put = await data_key(rig), DirectoryStore.put

    async def other(store: DirectoryStore, name: str, content: AsyncIterable[bytes], **more: Any) -> Entry:
        entry = await put(store, name, content, **more)
        file = rig.folder / "nas" / name
        file.write_bytes(b"x" + file.read_bytes()[1:])
        return entry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DirectoryStore, "put", other)
        made = await rig.copy(forgetful(rig, loses=".gz"))
    assert isinstance(made.errors["nas"], StoreUnreachableError)
    assert rig.files("nas") == [key]


async def test_data_beside_another_s_manifest_stays(rig: Rig) -> None:
    """A run that overlaps was quicker: what stands there is its copy."""
    key = await data_key(rig)
    manifest = rig.folder / "nas" / f"{key}.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("another's")
    made = await rig.copy(await rig.target("nas"))
    assert isinstance(made.errors["nas"], ObjectExistsError)
    assert rig.files("nas") == [key, f"{key}.json"]
    assert manifest.read_text() == "another's"


async def test_a_store_that_has_fewer_bytes_than_it_was_given_has_no_copy(rig: Rig) -> None:
    """However content it was: no manifest is written."""
    made = await rig.copy(faulty(rig, "liar", lies=True))
    assert made.manifests == {}
    assert isinstance(made.errors["liar"], CopyError)
    assert not any(name.endswith(".json") for name in rig.files("liar"))


async def test_what_lies_there_already_is_not_replaced(rig: Rig) -> None:
    """Whoever wrote it."""
    there = rig.folder / "nas" / await data_key(rig)
    there.parent.mkdir(parents=True)
    there.write_text("somebody's")
    made = await rig.copy(await rig.target("nas"))
    assert isinstance(made.errors["nas"], ObjectExistsError)
    assert there.read_text() == "somebody's"


async def test_a_copy_that_is_broken_off_leaves_nothing(rig: Rig) -> None:
    """Ctrl-C cancels the task; what was begun is cleared away before it ends."""
    target = faulty(rig, "nas", hangs=True)
    copying = asyncio.create_task(rig.copy(target, await rig.target("usb")))
    assert isinstance(target.store, Faulty)
    await target.store.begun.wait()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert rig.files("nas") == rig.files("usb") == []


async def test_a_copy_that_is_broken_off_twice_at_once_goes_on_nowhere(rig: Rig) -> None:
    """A second cancellation comes before the first one's clearing up has begun."""
    target = faulty(rig, "nas", hangs=True)
    before = asyncio.all_tasks()
    copying = asyncio.create_task(rig.copy(target))
    assert isinstance(target.store, Faulty)
    await target.store.begun.wait()
    copying.cancel()
    await asyncio.sleep(0)  # noqa: TID251 — one step of the loop, and no more
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    left = asyncio.all_tasks() - before
    assert not left or not (await asyncio.wait(left, timeout=5))[1]
    assert rig.files("nas") == []


@pytest.mark.parametrize("waiting", [1, 100], ids=["in the middle", "at the end"])
async def test_a_store_that_takes_nothing_any_more_drops_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """Though it says nothing: the others have their copy."""
    monkeypatch.setattr("daemon.copies.channel.MOST_WAITING", waiting)
    monkeypatch.setattr("daemon.copies.branch.STALL_SECONDS", 2.0)
    monkeypatch.setattr("daemon.copies.branch.FINISH_SECONDS", 2.0)
    made = await rig.copy(faulty(rig, "stuck", hangs=True), await rig.target("nas"))
    assert set(made.manifests) == {"nas"}
    assert isinstance(made.errors["stuck"], StoreUnreachableError)
    assert rig.files("stuck") == []


# Without a checksum, and damaged --------------------------------------------------------------------------------------


async def test_without_a_checksum_of_the_panel_the_walk_must_do_and_it_is_marked(rig: Rig) -> None:
    """Size, walk and our own SHA-256."""
    rig.record.claimed_checksum = "blake3:00"
    made = await rig.copy(await rig.target("nas"))
    assert made.manifests["nas"].proof.unverified
    assert made.manifests["nas"].backup.checksum is None


async def test_without_a_checksum_a_damaged_archive_is_not_copied(rig: Rig) -> None:
    """Nothing says that it is what the node has."""
    rig.record.flavour = Flavour.BAD_CRC
    rig.record.claimed_checksum = "blake3:00"
    with pytest.raises(WrongFileError, match="the panel gives no checksum to go by, and"):
        await rig.copy(await rig.target("nas"))
    assert rig.files("nas") == []


async def test_a_damaged_archive_is_copied_as_it_is_and_its_manifest_says_so(rig: Rig) -> None:
    """It is what the panel has, to the byte; only its level of proof is lower."""
    rig.record.flavour = Flavour.BAD_CRC
    made = await rig.copy(await rig.target("nas"))
    assert (made.manifests["nas"].proof.level, made.manifests["nas"].contents) == ("read", None)
    assert "gzip" in made.manifests["nas"].proof.problems[0]


# Encrypted ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["age", "no-such-age"], ids=["program", "library"])
def identity(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A private key's file, and the public one, as age's own program makes them; and either way to encrypt."""
    monkeypatch.setattr("daemon.copies.age_program.PROGRAM", request.param)
    file = tmp_path / "key.txt"
    run("age-keygen", "-o", file)
    return file, run("age-keygen", "-y", file).decode().strip()


async def test_an_encrypted_copy_is_read_by_age_alone(rig: Rig, identity: tuple[Path, str]) -> None:
    """And a plain one is made in the same pass; the manifest tells the sums of both."""
    file, public = identity
    made = await rig.copy(await rig.target("nas"), await rig.target("offsite", public))
    stored = rig.folder / "offsite" / await data_key(rig, encrypted=True)
    assert run("age", "-d", "-i", file, stored) == rig.data
    manifest = made.manifests["offsite"]
    assert manifest.encryption is not None
    assert manifest.encryption.recipients == (public,)
    assert manifest.stored.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert manifest.stored.bytes == stored.stat().st_size
    assert manifest.backup.sha256 == made.manifests["nas"].stored.sha256 == hashlib.sha256(rig.data).hexdigest()


@pytest.mark.parametrize("script", ["head -c 2000000; cat >/dev/null", "cat; head -c 9000 /dev/zero"])
async def test_a_size_that_the_encrypted_backup_cannot_have_is_no_copy(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """Though age ended well: a disk that is full, or a program of that name that is not age. No data has its name."""
    run("age-keygen", "-o", tmp_path / "key.txt")
    public = run("age-keygen", "-y", tmp_path / "key.txt").decode().strip()
    program = tmp_path / "cut-age"
    program.write_text(f"#!/bin/sh\nprintf 'age-encryption.org/v1\\n'\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr("daemon.copies.age_program.PROGRAM", str(program))
    made = await rig.copy(await rig.target("nas"), await rig.target("offsite", public))
    assert set(made.manifests) == {"nas"}
    assert "the encrypted backup has" in made.errors["offsite"].text
    assert rig.files("offsite") == []


async def test_an_ssh_key_can_read_it_too(rig: Rig, tmp_path: Path) -> None:
    """As operators have them already."""
    file = tmp_path / "id"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
    await rig.copy(await rig.target("offsite", file.with_suffix(".pub").read_text().strip()))
    stored = rig.folder / "offsite" / await data_key(rig, encrypted=True)
    assert run("age", "-d", "-i", file, stored) == rig.data


async def test_what_is_cancelled_at_the_end_leaves_nothing_where_it_was_done_already(rig: Rig) -> None:
    """One store has its data under its name, and the other has not: without a manifest neither is a copy."""
    quick, slow = faulty(rig, "nas", fails_at="nothing"), faulty(rig, "offsite")
    assert isinstance(quick.store, Faulty)
    assert isinstance(slow.store, Faulty)
    slow.store.never_ends = True
    copying = asyncio.create_task(rig.copy(quick, slow))
    await quick.store.ended.wait()
    await slow.store.begun.wait()
    assert len(rig.files("nas")) == 1
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert (rig.files("nas"), rig.files("offsite")) == ([], [])


async def test_a_store_is_told_how_large_a_copy_can_become(rig: Rig, identity: tuple[Path, str]) -> None:
    """Encrypted, its size is not known before; a service of parts must know how large they have to be."""
    target = replace(faulty(rig, "offsite", fails_at="nothing"), recipients=(identity[1], identity[1]))
    await rig.copy(target)
    stored = (rig.folder / "offsite" / await data_key(rig, encrypted=True)).stat().st_size
    assert isinstance(target.store, Faulty)
    (size, at_most), _ = target.store.asked
    assert size is None
    assert at_most is not None
    assert stored <= at_most < SIZE * 1.01


async def test_an_encrypted_copy_of_a_wrong_file_lies_nowhere(rig: Rig, identity: tuple[Path, str]) -> None:
    """The encryption is broken off, and its thread ends."""
    rig.record.claimed_checksum = "sha1:" + "0" * 40
    with pytest.raises(WrongFileError):
        await rig.copy(await rig.target("offsite", identity[1]))
    assert rig.files("offsite") == []


async def test_an_encrypted_store_that_fails_drops_out_too(rig: Rig, identity: tuple[Path, str]) -> None:
    """Nobody waits for its thread."""
    target = replace(faulty(rig, "full", fails_at=".age", after=1_200_000), recipients=(identity[1],))
    made = await rig.copy(target, await rig.target("nas"))
    assert set(made.manifests) == {"nas"}
    assert isinstance(made.errors["full"], StoreError)


async def test_a_store_that_cannot_be_encrypted_for_holds_up_no_other(rig: Rig) -> None:
    """What would be right is told, and no whole line of what is wrong."""
    made = await rig.copy(await rig.target("nas"), await rig.target("offsite", "age1nonsense"))
    assert set(made.manifests) == {"nas"}
    assert isinstance(made.errors["offsite"], EncryptionError)
    assert "age-keygen" in made.errors["offsite"].hint
    assert rig.files("offsite") == []


async def test_where_no_store_can_be_encrypted_for_nothing_is_fetched(rig: Rig) -> None:
    """The link would be used up for nothing."""
    made = await rig.copy(await rig.target("offsite", "age1nonsense"))
    assert isinstance(made.errors["offsite"], EncryptionError)
    assert rig.sandbox.app.requests("download") == 0
    assert [task for task in asyncio.all_tasks() if "Branch" in repr(task)] == []  # the other store was let go
