"""Whatever a file's host answers, a link says, an archive holds or a file is to be called: a whole file, or an error.

Never a traceback, a hang, a byte outside of the folder that was named, or a name that holds half a file.
"""

import errno
import gzip
import io
import json
import socket
import stat
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from daemon.errors import BackupdError
from daemon.panel.download import FileHost, HostError
from daemon.sandbox.records import Server
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.serve import SandboxServer, in_background
from daemon.sandbox.world import World
from daemon.transfer.download import download, download_to
from daemon.transfer.expected import Expected
from daemon.transfer.receive import Source
from daemon.transfer.verify import ArchiveReader, verify
from tests.fakes import SkippingClock
from tests.fuzz.host import Host
from tests.fuzz.mutate import TEXTS, damaged
from tests.fuzz.support import examples, harmless, run, sound
from tests.transfer.conftest import ProgressListener, expected
from tests.transfer.host import answer, part_of

# Hosts ---------------------------------------------------------------------------------------------------------------

TREE = io.BytesIO()
with tarfile.open(fileobj=TREE, mode="w:gz") as tar:
    for name in ("world/level.dat", "server.properties", "l" * 150):
        entry = tarfile.TarInfo(name)
        entry.size = 700
        tar.addfile(entry, io.BytesIO(name.encode() * 700))
DATA = TREE.getvalue()
WHOLE = answer(DATA)
SECRET = "token=EXAMPLE-secret"


@pytest.fixture(autouse=True)
def _no_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody outside is called, whatever a link says."""
    real = socket.create_connection

    def connect(address: tuple[str, int], *given: Any, **more: Any) -> socket.socket:
        if address[0] != "127.0.0.1":
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return real(address, *given, **more)

    monkeypatch.setattr(socket, "create_connection", connect)


def source(host: Host, *says: bytes, link: str | None = None) -> tuple[Source, ProgressListener]:
    """The way to that host, which answers so, and what is told of it."""
    host.says, host.asked = says, 0
    clock, listener = SkippingClock(), ProgressListener()

    def pause(seconds: float) -> None:
        assert 0 <= seconds <= 600
        clock.skipped += seconds

    files = FileHost(clock=clock, silence_seconds=5)
    return Source(
        files, lambda: SecretStr(f"{host.url}/file?{SECRET}" if link is None else link), pause, listener
    ), listener


def told(error: BackupdError) -> None:
    """It is one that can be shown."""
    text = f"{error.text} {error.hint}"
    assert harmless(text), text
    assert "\n" not in text
    assert len(text) < 1000
    assert SECRET not in text
    assert error.__cause__ is None


sizes = st.integers(-1, len(DATA) + 2)
numbers = sizes.map(str) | st.sampled_from(["", "0", "-1", "+5", "0x10", "1e3", "\xb2", "9" * 18, "9" * 5000, "nan"])
ranges = st.builds("bytes {}-{}/{}".format, numbers, numbers, numbers | st.just("*")) | st.text(
    st.characters(min_codepoint=32, max_codepoint=255), max_size=20
)
HEADERS = {
    "Content-Length": numbers,
    "Content-Range": ranges,
    "Accept-Ranges": st.sampled_from(["bytes", "none", "\xff"]),
    "ETag": st.sampled_from(['"a"', '"b"', 'W/"a"', "", '"', '"\xff"', '"' + "x" * 9000 + '"']),
    "Transfer-Encoding": st.sampled_from(["chunked", "gzip", "identity", "chunked, chunked"]),
    "Content-Encoding": st.sampled_from(["gzip", "br", "gzip, gzip", "\xff"]),
    "Location": st.sampled_from(
        ["", "/x", "//", "http://[", "file:///etc/passwd", "?" * 9000, "http://a:99999/", "\xff"]
    ),
    "Connection": st.sampled_from(["close", "keep-alive", "upgrade"]),
}
STATUSES = ["200 OK", "200 OK", "206 Partial Content", "206 Partial Content", "302 Found", "416 x", "404 x", "503 x"]


@st.composite
def strange(draw: st.DrawFn) -> bytes:
    """An answer with a body and headers that may or may not belong together."""
    body = draw(
        st.just(DATA)
        | damaged(DATA)
        | sizes.map(lambda size: DATA[max(0, size) :])
        | sizes.map(lambda size: DATA[: max(0, size)])
        | st.binary(max_size=50).map(lambda more: DATA + more)
    )
    fields = draw(st.dictionaries(st.sampled_from(sorted(HEADERS)), st.none(), max_size=4))
    lines = [f"{name}: {draw(HEADERS[name])}" for name in fields]
    head = "\r\n".join([f"HTTP/1.1 {draw(st.sampled_from(STATUSES))}", *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


cut = st.integers(0, len(DATA) - 1)
scripts = st.lists(
    st.just(WHOLE)
    | strange()
    | damaged(WHOLE)
    | cut.map(lambda size: answer(DATA[:size], "Accept-Ranges: bytes", 'ETag: "a"', length=len(DATA)))
    | cut.map(lambda start: part_of(DATA, start, 'ETag: "a"')),
    min_size=1,
    max_size=4,
)


@examples(50)
@given(says=scripts, checked=st.booleans(), before=st.none() | damaged(DATA, most=1), force=st.booleans())
@example([answer(b"", "Location: /x", status="302 Found")], True, None, False)
@example([b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + WHOLE], True, None, False)
@example([answer(DATA, "X-Long: " + "x" * 2**20)], True, None, False)
@example([answer(DATA * 500, length=None)], False, None, False)
def test_a_file_from_a_host_that_answers_anything(
    host: Host, says: list[bytes], checked: bool, before: bytes | None, force: bool
) -> None:
    """It has its name only where it is right; what is left has another one, and the next call makes it right."""
    what = expected(DATA, checked=checked)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "backup"
        if before is not None:
            path.with_name("backup.part").write_bytes(before)
        done = downloaded(host, says, what, path, force=force)
        assert path.exists() is done
        assert host.asked <= 40
        if not done:
            assert downloaded(host, [WHOLE], what, path, force=force)
        assert [file.name for file in Path(folder).iterdir()] == ["backup"]


def downloaded(host: Host, says: Sequence[bytes], what: Expected, path: Path, *, force: bool) -> bool:
    """Whether it is there in the end; held against what must always be so."""
    way, listener = source(host, *says)
    try:
        download(way, what, path, replace=force)
    except BackupdError as error:
        told(error)
        assert {file.name for file in path.parent.iterdir()} <= {"backup.part"}
        return False
    finally:
        assert SECRET not in listener.text
        assert harmless(listener.text.replace("\n", ""))
    assert path.stat().st_size == what.size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert what.checksum is None or path.read_bytes() == DATA
    return True


@examples(40)
@given(says=scripts)
def test_a_stream_and_a_look_at_a_host_that_answers_anything(host: Host, says: list[bytes]) -> None:
    """What is written to stdout is whole, or there is an error; what is verified is good, or there is a problem."""
    stream = io.BytesIO()
    with suppress(BackupdError):
        download_to(source(host, *says)[0], expected(DATA), stream)
        assert stream.getvalue() == DATA
    try:
        found = verify(source(host, *says)[0], expected(DATA))
    except BackupdError as error:
        told(error)
    else:
        assert bool(found.problems) is not (found.contents is not None and found.contents.files == 3)


# Links ---------------------------------------------------------------------------------------------------------------

LINKS = [
    *TEXTS,
    *("http://", "https:///x", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/", "http://a:b/"),
    *("http://[::1", "http://[v1.a]/", "http://\u2025/", "http://xn--a/", "http://" + "a" * 300, "http://a..b/"),
    *("javascript:x", "data:,x", "file:///etc/passwd", "ftp://127.0.0.1/", "HTTP://127.0.0.1:1/", "//127.0.0.1/"),
    *(
        "http://127.0.0.1/" + "x" * 100_000,
        "http://me:pass@127.0.0.1/",
        "http://127.0.0.1\\@b/",
        "http://127.0.0.1/\r\nX: y",
    ),
]
addresses = (
    st.sampled_from(LINKS)
    | st.text(max_size=30)
    | damaged(b"http://127.0.0.1:1/file?token=x").map(lambda link: link.decode("utf-8", "surrogateescape"))
)


@examples(40)
@given(link=addresses)
def test_a_link_that_is_anything(host: Host, link: str) -> None:
    """Nobody is asked but who is meant; and no link is shown."""
    way, _ = source(host, WHOLE, link=link)
    with pytest.raises(HostError) as raised, way.host.open(way.link()):
        raise AssertionError("opened")
    told(raised.value)
    assert len(link) < 12 or link not in raised.value.text


@examples(40)
@given(location=addresses, status=st.sampled_from(["301 x", "302 x", "303 x", "307 x", "308 x"]))
def test_a_redirect_to_anything(host: Host, location: str, status: str) -> None:
    """As a link."""
    line = location.encode("utf-8", "replace").decode("latin-1")
    said = f"HTTP/1.1 {status}\r\nLocation: {line}\r\n\r\n".encode("latin-1")
    way, _ = source(host, said, said, WHOLE)
    try:
        with way.host.open(way.link()) as stream:
            assert b"".join(stream.pieces) == DATA
    except HostError as error:
        told(error)


# Archives ------------------------------------------------------------------------------------------------------------

odd_names = (
    st.sampled_from(TEXTS) | st.text(max_size=40) | st.sampled_from(["/", "..", "a/../../b", "a\nb", "./" * 200])
)
kinds = st.sampled_from([bytes([kind]) for kind in b"01234567LKSxgXDVMN\0\xff"])


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Headers that say anything, each with a right sum, and some bytes behind them."""
    made = bytearray()
    for _ in range(draw(st.integers(1, 5))):
        header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
        header[0:100] = draw(odd_names).encode("utf-8", "surrogatepass")[:100].ljust(100, b"\0")
        size = draw(st.integers(0, 2000).map(lambda size: b"%011o\0" % size) | st.binary(min_size=12, max_size=12))
        header[124:136], header[156:157] = size, draw(kinds)
        header[157:257] = draw(odd_names).encode("utf-8", "surrogatepass")[:100].ljust(100, b"\0")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        made += header + draw(st.binary(max_size=600)).ljust(draw(st.sampled_from([0, 512, 1024, 2048])), b"\1")
    return bytes(made) + bytes(1024)


@examples(80)
@given(content=archives().map(gzip.compress) | damaged(DATA), step=st.integers(1, 3000))
def test_an_archive_that_holds_anything(content: bytes, step: int) -> None:
    """It is judged, and the judgement can be written."""
    reader = ArchiveReader()
    for place in range(0, len(content), step):
        reader.add(content[place : place + step])
    what = expected(content)
    found = reader.finding(what, what.difference(reader.tally))
    for complaint in (*found.problems, *found.warnings):
        assert len(complaint.text) < 5000
        json.dumps(complaint.text, ensure_ascii=False).encode()
    assert (found.contents is None) is any(problem.code == "archive" for problem in found.problems)


# Names and targets ---------------------------------------------------------------------------------------------------

NAMES = [*TEXTS, "/etc/passwd", "..", "a/b", "a\0b", "-", "~", "A", "a", "a.tar.gz", "n" * 191, "\U0001f30d" * 191]
titles = st.sampled_from(NAMES) | st.text(max_size=30)
TARGETS = [
    "",
    "there",
    "file",
    "link",
    "file/x",
    "a/b/c/",
    "n" * 250,
    "n" * 300,
    "\udcff",
    "\udcff/",
    "a\nb/",
    "../../x",
]
targets = st.sampled_from(TARGETS) | st.text(st.characters(exclude_categories=["C"]), max_size=20)
"""Of which a shell can hand over each: bytes that are no UTF-8 come as lone surrogates of their own."""


class Panel:
    """A panel over real HTTP whose one server holds backups of these names."""

    def __init__(self, world: World, server: Server, sandbox: SandboxServer) -> None:
        self._world, self._server = world, server
        self.environ = {
            "PTERO_BACKUPD_STATE_DIR": "none",
            "PTERO_BACKUPD_PANELS__MAIN__URL": sandbox.url,
            "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY,
            "PTERO_BACKUPD_POLICIES__ALL__SCHEDULE": "@daily",
            "PTERO_BACKUPD_POLICIES__ALL__SCOPE": "own",
            "PTERO_BACKUPD_POLICIES__ALL__KEEP": '{"last": 1}',
            "PTERO_BACKUPD_SERVERS__SURVIVAL__ID": server.identifier,
        }

    def hold(self, names: Sequence[str]) -> None:
        """Forget what was there, and hold backups of these names instead."""
        self._server.backups.clear()
        for title in names:
            self._world.add_backup(self._server, title.encode("utf-8", "replace").decode(), size=600)


@pytest.fixture(scope="module")
def panel() -> Iterator[Panel]:
    """One for all examples."""
    world, server = one_server(SkippingClock(), limit=100)
    with in_background(world) as sandbox:
        yield Panel(world, server, sandbox)


@examples(25)
@given(names=st.lists(titles, min_size=1, max_size=3), target=targets, every=st.booleans())
@example(["a"], "\udcff", False)
@example(["a", "A", "../a"], "\udcff", True)
@example(["a"], "n" * 250, False)
@example(["a"], "n" * 300, False)
def test_backups_of_any_names_go_where_was_said(panel: Panel, names: list[str], target: str, every: bool) -> None:
    """And nowhere else; a command that cannot do that says why."""
    panel.hold(names)
    with TemporaryDirectory() as top:
        folder = Path(top) / "one" / "two"
        (folder / "there").mkdir(parents=True)
        (folder / "file").write_bytes(b"somebody's")
        (folder / "link").symlink_to("/dev/null")
        words = ["--all"] if every else ["latest"]
        ran = sound(run("backups", "download", "survival", *words, "-o", f"{folder}/{target}", environ=panel.environ))
        made = [path for path in Path(top).rglob("*") if path.is_file() and not path.is_symlink()]
        made.remove(folder / "file")
        assert (folder / "file").read_bytes() == b"somebody's"
        assert [path.stat().st_size for path in made] == [600] * (ran.code == 0) * (len(names) if every else 1)
        assert len({path.parent for path in made}) <= 1
