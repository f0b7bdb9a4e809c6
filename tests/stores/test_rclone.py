"""What only the engine for rclone must do: what the program is given, and what is made of how it ends."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.stores.base import Capability
from daemon.stores.errors import (
    ObjectMissingError,
    StoreCutError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.rclone import process, store
from daemon.stores.rclone.process import _failure
from daemon.stores.values import RcloneLocation
from tests.stores.places import Place, content, endless, keys, read
from tests.stores.services import free_ports, small_disk

pytestmark = pytest.mark.anyio

KEY = "main/uuid/world.tar.gz"


@pytest.fixture
def false_rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rclone: Place) -> Path:
    """A program of that name that does what a test writes into it."""
    program = tmp_path / "bin" / "rclone"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


async def test_nothing_but_remote_and_path_is_in_the_arguments(rclone: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on the machine may read those; where the configuration is goes by the environment."""
    started: list[tuple[str, ...]] = []
    start = asyncio.create_subprocess_exec

    async def noted(*words: str, **options: object) -> asyncio.subprocess.Process:
        started.append(words)
        return await start(*words, **options)  # type: ignore[arg-type]  # whatever it is called with

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    async with rclone.open() as opened:
        await opened.put(KEY, content(b"x"), size=1)
        await read(opened, KEY)
        await opened.list_all()
        await opened.delete(KEY)
    named = {word for words in started for word in words[1:] if not word.startswith("--")}
    commands = {"lsjson", "rcat", "moveto", "cat", "deletefile"}
    assert {word for word in named - commands if not word.startswith("drive:remote/")} == set()
    assert str(rclone.settings.rclone_config) not in " ".join(named)


async def test_it_ends_though_much_that_it_printed_is_left_unread(false_rclone: Path, tmp_path: Path) -> None:
    """More than asyncio buffers, which then stops reading the pipe and would never see its end."""
    printed = tmp_path / "printed"
    false_rclone.write_text(f"#!/bin/sh\nhead -c 200000 /dev/zero\ntouch {printed}\nexec sleep 1000\n")
    async with asyncio.timeout(30), process.Rclone("drive", str(false_rclone), None).started("reading", "cat"):
        while not printed.exists():  # noqa: ASYNC110 — it is another process
            await asyncio.sleep(0.01)  # noqa: TID251


@pytest.mark.parametrize("name", ["RCLONE_MAX_SIZE", "RCLONE_EXCLUDE", "RCLONE_MAX_AGE", "RCLONE_DRY_RUN"])
async def test_a_variable_of_rclones_hides_nothing(rclone: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One that filters would make a listing that is cut look whole."""
    assert rclone.folder is not None
    (rclone.folder / "large").write_bytes(bytes(2000))
    value = {"RCLONE_MAX_SIZE": "1k", "RCLONE_EXCLUDE": "*", "RCLONE_MAX_AGE": "1ms", "RCLONE_DRY_RUN": "true"}[name]
    monkeypatch.setenv(name, value)
    async with rclone.open() as opened:
        assert await keys(opened) == ["large"]
        await opened.delete("large")
    assert list(rclone.folder.iterdir()) == []


def test_the_variables_of_its_configuration_go_with_it() -> None:
    """A remote may be defined by them, and the configuration may be encrypted."""
    ours = {"RCLONE_CONFIG_PASS": "a", "RCLONE_CONFIG_X_TYPE": "b", "RCLONE_CONFIG": "c", "PATH": "d"}
    environ = ours | {"RCLONE_MIN_SIZE": "e"}
    kept = process._environment(environ, None)
    assert kept == ours
    assert process._environment(environ, Path("/f"))["RCLONE_CONFIG"] == "/f"


def test_none_of_our_own_secrets_go_with_it() -> None:
    """It is another's program, and other processes of this user can read its environment."""
    ours = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": "ptlc_EXAMPLE", "CREDENTIALS_DIRECTORY": "/run/credentials/x"}
    assert process._environment(ours | {"PATH": "a"}, None) == {"PATH": "a"}


async def test_a_program_that_is_missing_is_said(
    rclone: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnusableError, match="needs the program rclone") as raised:
        async with rclone.open():
            pass
    assert "apt-get install rclone" in raised.value.hint


async def test_a_remote_that_is_not_configured_is_said(rclone: Place) -> None:
    """It is no empty store."""
    nowhere = replace(rclone.settings, location=RcloneLocation("nowhere", "x"))
    async with replace(rclone, settings=nowhere).open() as opened:
        with pytest.raises(StoreUnusableError, match="didn't find section") as raised:
            await opened.list_all()
    assert "listremotes" in raised.value.hint


async def test_a_service_that_is_not_there_is_unreachable(rclone: Place) -> None:
    """Here a WebDAV server at a port where nobody listens."""
    config = rclone.settings.rclone_config
    assert config is not None
    config.write_text(f"[dav]\ntype = webdav\nurl = http://127.0.0.1:{free_ports(1)[0]}/\nvendor = other\n")
    gone = replace(rclone.settings, location=RcloneLocation("dav", "x"))
    async with replace(rclone, settings=gone).open() as opened:
        with pytest.raises(StoreUnreachableError) as raised:
            await opened.list_all()
    assert "http://" not in raised.value.text


@pytest.fixture
def full(rclone: Place) -> Iterator[None]:
    """Four MiB for the store."""
    assert rclone.folder is not None
    with small_disk(rclone.folder):
        yield


@pytest.mark.usefixtures("full")
async def test_a_full_disk_is_said_and_what_was_begun_goes(rclone: Place) -> None:
    """By the program's own words."""
    async with rclone.open() as opened:
        with pytest.raises(StoreFullError, match="no space left"):
            await opened.put(KEY, endless())
        assert (await keys(opened), await opened.unfinished()) == ([], [])


async def test_a_name_that_is_taken_in_the_last_moment_stays_taken(
    rclone: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look: rclone leaves both, and what we wrote is removed."""
    assert rclone.folder is not None
    folder = rclone.folder
    run = process.Rclone.run

    async def overtaken(self: process.Rclone, what: str, *words: str, silent: float | None = None) -> bytes:
        if words[0] == "moveto":
            (folder / "world").write_bytes(b"another's")
        return await run(self, what, *words, silent=silent)

    monkeypatch.setattr(process.Rclone, "run", overtaken)
    async with rclone.open() as opened:
        with pytest.raises(StoreError, match="there already"):
            await opened.put("world", content(b"ours"))
        assert Capability.ATOMIC_CREATE in opened.lacks
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"world": b"another's"}


@pytest.mark.parametrize(
    "script",
    [
        'printf "[\\n{\\"Path\\":\\"a\\",\\"Size\\":1,\\"ModTime\\":\\"2026-04-01T04:00:00Z\\"},\\n"',
        'printf "[{\\"Path\\":\\"a\\",\\"Size\\":1,\\"ModTime\\":\\"2026-04-01T04:00:00Z\\"}]"; exit 1',
        'printf "[{\\"Path\\":\\"a\\",\\"Size\\":1}]"',
        "echo null",
        ":",
    ],
    ids=["cut", "failed", "no moment", "nothing", "empty"],
)
async def test_a_listing_that_may_be_cut_is_none(rclone: Place, false_rclone: Path, script: str) -> None:
    """Neither by its text nor by how the program ends."""
    false_rclone.write_text(f"#!/bin/sh\n{script}\n")
    async with rclone.open() as opened:
        with pytest.raises((StoreCutError, StoreTroubleError)):
            await opened.list_all()


async def test_an_object_that_ends_early_is_cut(rclone: Place, false_rclone: Path) -> None:
    """Though the program calls it done."""
    false_rclone.write_text("#!/bin/sh\nprintf 123\n")
    async with rclone.open() as opened:
        with pytest.raises(StoreCutError, match="2 bytes before"):
            await read(opened, "a", start=5, end=10)


async def test_a_program_that_hangs_is_given_up(
    rclone: Place, false_rclone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And killed, with the whole of what it holds."""
    monkeypatch.setattr(process, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(store, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(store, "LIST_SECONDS", 0.2)
    false_rclone.write_text("#!/bin/sh\nexec sleep 1000\n")
    async with rclone.open() as opened:
        with pytest.raises(StoreUnreachableError, match="makes no progress"):
            await opened.head("a")
        with pytest.raises(StoreUnreachableError, match="makes no progress"):
            await opened.list_all()
        with pytest.raises(StoreUnreachableError, match="makes no progress"):
            await read(opened, "a", start=5, end=10)


@pytest.mark.parametrize(
    ("size", "at_most", "hints"),
    [
        (7, 7, ("--size=7",)),
        (None, None, ()),
        (None, 50_000 * 2**20, ()),
        (None, 50_000 * 2**20 + 1, ("--s3-chunk-size=6M",)),
    ],
)
def test_rclone_is_told_how_large_its_parts_must_be(
    size: int | None, at_most: int | None, hints: tuple[str, ...]
) -> None:
    """It would begin with the smallest."""
    assert store._hints(size, at_most) == hints


async def test_a_hint_is_one_that_rclone_knows(rclone: Place) -> None:
    """It refuses what it does not know."""
    async with rclone.open() as opened:
        await opened.put(KEY, content(b"x"), at_most=100 * 2**30)
        assert await read(opened, KEY) == b"x"


async def test_a_move_and_a_listing_may_take_their_time(rclone: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service copies a large object before it has another name; a look at one has the usual deadline."""
    given: dict[str, float | None] = {}
    run = process.Rclone.run

    async def noted(self: process.Rclone, what: str, *words: str, silent: float | None = None) -> bytes:
        given[" ".join(words[:2])] = silent
        return await run(self, what, *words, silent=silent)

    monkeypatch.setattr(process.Rclone, "run", noted)
    async with rclone.open() as opened:
        await opened.put(KEY, content(b"x"))
        assert await keys(opened) == [KEY]
    assert given == {
        "lsjson --stat": None,
        "moveto --ignore-existing": store.MOVE_SECONDS,
        "lsjson --recursive": store.LIST_SECONDS,
    }


async def test_a_program_that_stops_reading_says_why(rclone: Place, false_rclone: Path) -> None:
    """Its own words are told, and not that a pipe broke."""
    words = "2026/04/01 04:00:00 NOTICE: Failed to rcat: quota exceeded"
    false_rclone.write_text(f'#!/bin/sh\n[ "$1" != rcat ] || {{ echo "{words}" >&2; exit 1; }}\nexit 3\n')
    async with rclone.open() as opened:
        with pytest.raises(StoreFullError, match=r"ends with 1: Failed to rcat: quota exceeded"):
            await opened.put("a", endless())


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (3, "directory not found", ObjectMissingError),
        (4, "object not found", ObjectMissingError),
        (1, "googleapi: Error 403: forbidden", StorePermissionError),
        (1, "dial tcp: lookup x: no such host", StoreUnreachableError),
        (1, "couldn't decrypt configuration", StoreUnusableError),
        (2, "unknown flag", StoreRefusedError),
        (5, "please try again", StoreTroubleError),
        (7, "account is closed", StoreRefusedError),
    ],
)
def test_how_it_ends_is_told_as_what_it_is(code: int, words: str, kind: type[StoreError]) -> None:
    """By its exit code first."""
    assert type(_failure("it cannot be", code, f"earlier words\n2026/04/01 04:00:00 ERROR : {words}\n")) is kind


def test_an_address_in_its_words_is_left_out() -> None:
    """It may be signed."""
    said = _failure("x", 1, 'ERROR : Get "https://example.com/?token=EXAMPLE": EOF \x1b[2J').text
    assert "EXAMPLE" not in said
    assert "\x1b" not in said
