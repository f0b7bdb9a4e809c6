"""What only the engine for folders must do: links, modes, disks that fill, mounts that are missing or hang."""

import asyncio
import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from daemon.stores.directory import part, store
from daemon.stores.directory.tree import files_below
from daemon.stores.directory.trouble import translated
from daemon.stores.errors import (
    ObjectExistsError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
)
from daemon.stores.values import DirectoryLocation, StoreSettings
from tests.stores.places import Place, content, endless, keys, read
from tests.stores.services import small_disk

pytestmark = pytest.mark.anyio

KEY = "main/uuid/world.tar.gz"


@pytest.fixture
def folder(directory: Place) -> Path:
    """Where the files are."""
    assert directory.folder is not None
    return directory.folder


async def stopped(under_way: asyncio.Event) -> AsyncIterator[bytes]:
    """A piece, and no more."""
    yield bytes(2 * 2**20)
    under_way.set()
    await asyncio.Event().wait()


async def test_files_are_private_from_their_first_byte(directory: Place, folder: Path) -> None:
    """And so are the folders that are made for them; one that was there stays as it was."""
    (folder / "main").mkdir()
    (folder / "main").chmod(0o755)
    under_way = asyncio.Event()
    async with directory.open() as opened:
        writing = asyncio.create_task(opened.put(KEY, stopped(under_way)))
        await under_way.wait()
        (begun,) = folder.rglob("*.part")
        assert stat.S_IMODE(begun.stat().st_mode) == 0o600
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await opened.put(KEY, content(b"x"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {"main": 0o755, "uuid": 0o700, "world.tar.gz": 0o600}


async def test_it_is_on_the_disk_before_it_has_its_name(directory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the file's bytes, then the name, then the folder that holds the name."""
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def noted_fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_link(*args: str, **options: int) -> None:
        done.append("name")
        link(*args, **options)  # type: ignore[arg-type]  # whatever it is called with

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    async with directory.open() as opened:
        await opened.put("world", content(b"x"))
    assert done == ["file", "name", "folder"]


async def test_no_link_leads_out_of_the_store(directory: Place, folder: Path, tmp_path: Path) -> None:
    """Neither a folder that is one nor a file; what it leads to is not read, listed, written or deleted."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "world").write_bytes(b"somebody's")
    (folder / "main").symlink_to(outside)
    (folder / "file").symlink_to(outside / "world")
    async with directory.open() as opened:
        for call in (
            opened.put("main/new", content(b"x")),
            read(opened, "main/world"),
            read(opened, "file"),
            opened.head("main/world"),
            opened.head("file"),
            opened.delete("main/world"),
            opened.list_all("main/"),
        ):
            with pytest.raises(StoreError, match=r"main|file|store"):
                await call
        with pytest.raises(ObjectExistsError):
            await opened.put("file", content(b"x"))
        assert await keys(opened) == []
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"world": b"somebody's"}


async def test_the_store_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    """Its owner configured it."""
    (tmp_path / "link").symlink_to(folder)
    async with Place("directory", StoreSettings("nas", DirectoryLocation(tmp_path / "link"))).open() as opened:
        await opened.put(KEY, content(b"x"))
        assert await keys(opened) == [KEY]
    assert (folder / KEY).read_bytes() == b"x"


async def test_a_folder_that_is_missing_is_not_made(directory: Place, folder: Path) -> None:
    """A mount that is not there is no empty store."""
    folder.rmdir()
    async with directory.open() as opened:
        for call in (opened.put(KEY, content(b"x")), opened.list_all(), opened.unfinished(), opened.head(KEY)):
            with pytest.raises(StoreUnreachableError, match="there is no folder") as raised:
                await call
            assert "mount" in raised.value.hint
    assert not folder.exists()


async def test_what_is_not_ours_is_left_out(directory: Place, folder: Path) -> None:
    """Names that no key has, whatever is no file, another program's unfinished files."""
    for name in (b"caf\xe9", b"two\nlines", b"rsync.part", b"world.0123.part"):
        (folder / os.fsdecode(name)).write_bytes(b"x")
    os.mkfifo(folder / "pipe")
    (folder / "lost+found").mkdir()
    (folder / "lost+found" / "x").write_bytes(b"x")
    (folder / "empty").mkdir()
    async with directory.open() as opened:
        assert (await keys(opened), await opened.unfinished()) == ([], [])
        with pytest.raises(StoreRefusedError, match="pipe cannot be read"):
            await read(opened, "pipe")


async def test_what_is_being_written_is_not_cleared(directory: Place) -> None:
    """Whoever looks, and however old it seems: it is locked while it is written."""
    under_way = asyncio.Event()
    async with directory.open() as one, directory.open() as other:
        writing = asyncio.create_task(one.put(KEY, stopped(under_way)))
        await under_way.wait()
        (begun,) = await other.unfinished()
        assert not await other.clear(begun)
        assert await other.unfinished() == [begun]
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture
def full(folder: Path) -> Iterator[None]:
    """Four MiB for the store."""
    with small_disk(folder):
        yield


@pytest.mark.usefixtures("full")
async def test_a_full_disk_is_said_and_what_was_begun_goes(directory: Place) -> None:
    """So that there is room again for what is smaller."""
    async with directory.open() as opened:
        with pytest.raises(StoreFullError, match="No space left"):
            await opened.put(KEY, endless())
        assert (await keys(opened), await opened.unfinished()) == ([], [])
        await opened.put(KEY, content(bytes(3 * 2**20)))
        assert (await opened.head(KEY)).entry.size == 3 * 2**20


@pytest.mark.parametrize("taken", [False, True])
async def test_a_file_system_without_links_replaces_nothing_either(
    directory: Place, folder: Path, monkeypatch: pytest.MonkeyPatch, *, taken: bool
) -> None:
    """As SMB and FAT are: a rename that says so does the same."""

    def refused(*args: object, **options: object) -> None:
        if taken:
            (folder / KEY).write_bytes(b"another's")
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    async with directory.open() as opened:
        if taken:
            with pytest.raises(ObjectExistsError):
                await opened.put(KEY, content(b"ours"))
        else:
            await opened.put(KEY, content(b"ours"))
        assert await read(opened, KEY) == (b"another's" if taken else b"ours")
        assert await opened.unfinished() == []


async def test_other_trouble_with_the_name_is_raised(directory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is renamed instead."""

    def failing(*args: object, **options: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", failing)
    async with directory.open() as opened:
        with pytest.raises(StoreTroubleError, match=r"cannot be written to the disk: Input/output error"):
            await opened.put(KEY, content(b"x"))
        assert (await keys(opened), await opened.unfinished()) == ([], [])


async def test_a_listing_that_breaks_is_no_listing(directory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even of what was read before."""
    async with directory.open() as opened:
        for key in ("a/x", "b/x", "c/x"):
            await opened.put(key, content(b"x"))
        scandir, left = os.scandir, [None, None]

        def breaking(descriptor: int) -> Iterator[os.DirEntry[str]]:
            if not left:
                raise OSError(errno.EIO, "Input/output error")
            left.pop()
            return scandir(descriptor)

        monkeypatch.setattr(os, "scandir", breaking)
        with pytest.raises(StoreTroubleError, match="cannot be listed"):
            await opened.list_all()


async def test_a_folder_that_goes_meanwhile_is_an_empty_one(directory: Place, folder: Path) -> None:
    """Somebody tidied up."""
    async with directory.open() as opened:
        await opened.put("a/x", content(b"x"))
        (folder / "gone").mkdir()
        listing = files_below(folder, "")
        first = next(listing)
        (folder / "gone").rmdir()
        assert [first[0], *(path for path, _ in listing)] == ["a/x"]


async def test_a_mount_that_hangs_is_given_up_and_takes_nothing_with_it(
    directory: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call ends at its deadline; when the mount comes back, what was begun is removed."""
    back, write = threading.Event(), os.write
    monkeypatch.setattr(store, "CALL_SECONDS", 0.05)
    monkeypatch.setattr(os, "write", lambda *args: (back.wait(20), write(*args))[1])
    async with directory.open() as opened:
        with pytest.raises(StoreUnreachableError, match=r"nas: no answer within 0\.05 s"):
            await opened.put(KEY, content(b"x"))
        assert [path.suffix for path in folder.rglob("*.*")] == [".part"]
        monkeypatch.setattr(store, "CALL_SECONDS", 20)
        back.set()
        await opened.put("main/uuid/other", content(b"x"))
        threads = opened._threads._threads  # type: ignore[attr-defined]  # the engine's own, not the contract's
    for thread in threads:
        thread.join()  # until what was given up has ended
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["other"]


HANGING = """
import asyncio, threading
from daemon.stores.errors import StoreUnreachableError
from daemon.stores.threads import StoreThreads

async def main():
    threads = StoreThreads("nas")
    try:
        await threads.run(0.05, threading.Event().wait)
    except StoreUnreachableError as error:
        print(error)
    threads.close()

asyncio.run(main())
"""


def test_a_mount_that_hangs_does_not_keep_the_process_from_ending() -> None:
    """A call that was given up may never come back."""
    words = [sys.executable, "-c", HANGING]
    ended = subprocess.run(words, check=True, capture_output=True, timeout=20, cwd=Path(__file__).parents[2])
    assert ended.stdout == b"nas: no answer within 0.05 s\n"


async def test_what_is_cancelled_while_it_gets_its_name_has_none(
    directory: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that gives it goes on to its end."""
    (folder / KEY).parent.mkdir(parents=True)
    named, back, sync = threading.Event(), threading.Event(), os.fsync

    def slow(file: int) -> None:
        if (folder / KEY).exists():
            named.set()
            back.wait(20)
        sync(file)

    monkeypatch.setattr(os, "fsync", slow)
    async with directory.open() as opened:
        writing = asyncio.create_task(opened.put(KEY, content(b"x")))
        assert await asyncio.to_thread(named.wait, 20)
        writing.cancel()
        back.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_what_is_cancelled_after_the_store_was_closed_is_cleared_away(directory: Place, folder: Path) -> None:
    """At once, in a thread of its own."""
    under_way = asyncio.Event()
    async with directory.open() as opened:
        writing = asyncio.create_task(opened.put(KEY, stopped(under_way)))
        await under_way.wait()
    writing.cancel()
    await asyncio.wait([writing], timeout=20)
    assert writing.cancelled()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_part_that_was_given_up_before_it_began_makes_no_file(folder: Path) -> None:
    """Its thread may come to run later."""
    late = part.Part(folder, KEY)
    late.discard()
    late.open()
    assert list(folder.rglob("*")) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EACCES, StorePermissionError),
        (errno.EROFS, StorePermissionError),
        (errno.ESTALE, StoreUnreachableError),
        (errno.ETIMEDOUT, StoreUnreachableError),
        (errno.EFBIG, StoreRefusedError),
        (errno.EIO, StoreTroubleError),
    ],
)
def test_what_the_system_says_is_told_as_what_it_is(number: int, kind: type[StoreError]) -> None:
    """With its own words."""
    with pytest.raises(kind, match=f"it cannot be: {os.strerror(number)}"), translated("it cannot be"):
        raise OSError(number, os.strerror(number))
