"""Hosts with odd answers, byte for byte: lengths that lie or are missing, ranges that are others, silence and drips."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from daemon.panel import download as hosts
from daemon.panel.download import FileHost, HostError, StrangeHostError
from daemon.transfer.download import download
from daemon.transfer.errors import WrongFileError
from daemon.transfer.expected import Expected
from daemon.transfer.receive import Source
from tests.fakes import FakeClock
from tests.transfer.conftest import ProgressListener, expected
from tests.transfer.host import HANG, Host, answer, host, part_of

DATA = bytes(range(256)) * 40
HALF = len(DATA) // 2
WHOLE = answer(DATA)


class Way:
    """Downloads from a scripted host."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.path = folder / "b"
        self.clock = clock
        self.listener = ProgressListener()

    def get(self, at: Host, what: Expected | None = None, *, silence_seconds: float = 5.0) -> bool:
        """Download the file from that host."""

        def pause(seconds: float) -> None:
            self.clock.elapsed += seconds

        source = Source(
            host=FileHost(clock=self.clock, silence_seconds=silence_seconds),
            link=lambda: SecretStr(f"{at.url}/file?token=secret"),
            pause=pause,
            listener=self.listener,
        )
        return download(source, what or expected(DATA), self.path)


@pytest.fixture
def way(tmp_path: Path, clock: FakeClock) -> Iterator[Way]:
    """The way from a scripted host to a file; whatever was said holds no link."""
    made = Way(tmp_path, clock)
    yield made
    assert "secret" not in made.listener.text


def test_what_is_asked_for(way: Way) -> None:
    """The file as it lies there, not packed once more on the way; nothing about us but the program's name."""
    with host(WHOLE) as at:
        assert way.get(at)
        (head,) = at.heads
    lines = dict(line.split(": ", 1) for line in head.lower().splitlines()[1:] if line)
    assert lines.pop("host").startswith("127.0.0.1")
    assert lines == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": "ptero-backupd",
    }


def test_neither_netrc_nor_the_environment_adds_a_password(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a proxy get to see a link over http."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with host(WHOLE) as at:
        assert way.get(at)
        assert "authorization" not in at.heads[0].lower()


def test_nor_does_the_address_itself(clock: FakeClock) -> None:
    """A redirect could hold a name and a password, for whomever."""
    with host(WHOLE) as at:
        link = at.url.replace("//", "//me:secret@")
        with FileHost(clock=clock).open(SecretStr(link)) as stream:
            assert b"".join(stream.pieces) == DATA
        assert "authorization" not in at.heads[0].lower()


@pytest.mark.parametrize("header", ["X-A: b", "Connection: close"])
def test_no_content_length_is_no_trouble(way: Way, header: str) -> None:
    """The end of the connection is the end of the file."""
    with host(answer(DATA, header, length=None)) as at:
        assert way.get(at)
    assert way.path.read_bytes() == DATA


def test_without_a_length_a_short_file_is_a_broken_one(way: Way) -> None:
    """Nobody can tell the two apart; another try can."""
    with host(answer(DATA[:-1], length=None), WHOLE) as at:
        assert way.get(at)
        assert "the connection ended before the file did" in way.listener.text
        assert f"range: bytes={len(DATA) - 1}-" in at.heads[1].lower()


@pytest.mark.parametrize("body", [DATA[:-1], b""])
def test_a_short_file_in_chunks_is_short(way: Way, body: bytes) -> None:
    """The host says where the file ends."""
    chunks = (f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
    with host(answer(chunks, "Transfer-Encoding: chunked", length=None)) as at:
        with pytest.raises(WrongFileError, match=f"it is {len(body)} bytes"):
            way.get(at)
        assert len(at.heads) == 1


def test_a_file_without_end_is_not_read_on(way: Way) -> None:
    """Where no length is told, reading stops once it is longer than it may be."""
    moved: list[int] = []
    way.listener.at = moved.append
    with (
        host(answer(DATA * 2000, length=None)) as at,
        pytest.raises(WrongFileError, match="longer than the 10240 bytes"),
    ):
        way.get(at)
    assert len(moved) == 1
    assert list(way.path.parent.iterdir()) == []


def test_a_content_length_that_promises_more_is_a_broken_transfer(way: Way) -> None:
    """The connection ends before the promised end."""
    with host(answer(DATA[:HALF], length=len(DATA)), WHOLE) as at:
        assert way.get(at)
    assert f"broke (RemoteProtocolError) after {HALF / 1024:g} KiB" in way.listener.text


@pytest.mark.parametrize("length", [hosts.READ // 2, 3 * hosts.READ + 1])
def test_what_a_host_sends_behind_the_file_is_no_part_of_it(way: Way, length: int) -> None:
    """A body whose length is told is read to that length, however much of it came with the headers."""
    data = (DATA * (length // len(DATA) + 1))[:length]
    with host(answer(data + b"more", length=length)) as at:
        assert way.get(at, expected(data))
    assert way.path.read_bytes() == data


def test_nothing_at_all_is_a_wrong_size(way: Way) -> None:
    """0 bytes, as a file and in words."""
    with host(answer(b"")) as at, pytest.raises(WrongFileError, match="a file of 0 bytes"):
        way.get(at)


@pytest.mark.parametrize(
    "nonsense",
    [
        part_of(DATA, HALF - 1),
        part_of(DATA[:-1], HALF),
        answer(DATA[HALF:-1], f"Content-Range: bytes {HALF}-{len(DATA) - 2}/{len(DATA)}", status="206 Partial Content"),
        answer(DATA[HALF:], "Content-Range: bytes half", status="206 Partial Content"),
        answer(DATA[HALF:], status="206 Partial Content"),
        answer(b"", "Content-Range: bytes */5", status="416 Range Not Satisfiable"),
    ],
)
def test_a_range_that_is_not_as_asked_is_not_used(way: Way, nonsense: bytes) -> None:
    """The file is asked for as a whole, or found to be another one."""
    with host(answer(DATA[:HALF], length=len(DATA)), nonsense, WHOLE) as at:
        try:
            assert way.get(at)
        except WrongFileError as error:
            assert f"a file of {len(DATA) - 1} bytes" in error.text  # noqa: PT017 — one of the six
            return
        assert f"range: bytes={HALF}-" in at.heads[1].lower()
        assert "range:" not in at.heads[2].lower()
    assert "another part" in way.listener.text or "nothing from byte" in way.listener.text
    assert "put together" not in way.listener.text
    assert way.path.read_bytes() == DATA


def test_a_part_that_nobody_asked_for_is_not_used(way: Way) -> None:
    """206 to a plain request."""
    with host(part_of(DATA, 0), WHOLE) as at:
        assert way.get(at)
    assert "another part" in way.listener.text


def test_the_etag_makes_sure_that_it_is_the_same_file(way: Way) -> None:
    """A strong one goes into If-Range; where the file has changed the host sends it whole."""
    with host(answer(DATA[:HALF], 'ETag: "one"', length=len(DATA)), answer(DATA, 'ETag: "two"')) as at:
        assert way.get(at)
        assert 'if-range: "one"' in at.heads[1].lower()
    assert "begins again at the beginning" in way.listener.text


@pytest.mark.parametrize(("etag", "ranged"), [('ETag: "one"', True), ('ETag: W/"one"', False), ("X-A: b", False)])
def test_without_checksum_and_etag_nothing_is_put_together(way: Way, etag: str, ranged: bool) -> None:
    """A weak one does not vouch for each byte."""
    second = part_of(DATA, HALF) if ranged else WHOLE
    with host(answer(DATA[:HALF], etag, length=len(DATA)), second) as at:
        assert way.get(at, expected(DATA, checked=False))
        assert ("range:" in at.heads[1].lower()) is ranged
    assert way.path.read_bytes() == DATA


def test_a_silent_host_is_left(way: Way) -> None:
    """Before its answer and in the middle of it."""
    with host(HANG, answer(DATA[:HALF], length=len(DATA)) + HANG, WHOLE) as at:
        assert way.get(at, silence_seconds=0.05)
    assert way.listener.text.count("ReadTimeout") == 2


def test_a_host_that_drips_is_left(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to nothing within a minute, by a clock that runs faster here."""
    monkeypatch.setattr(way.clock, "monotonic", lambda: tick(way.clock))
    with host(answer(DATA[:HALF], length=len(DATA)) + HANG, WHOLE) as at, pytest.raises(HostError, match="next to"):
        FileHostReader(way.clock).read(at)


def tick(clock: FakeClock) -> float:
    """Every look at the clock takes a minute."""
    clock.elapsed += 60
    return clock.elapsed


class FileHostReader:
    """Reads one stream to its end."""

    def __init__(self, clock: FakeClock) -> None:
        self._host = FileHost(clock=clock, silence_seconds=5)

    def read(self, at: Host) -> bytes:
        """All that comes."""
        with self._host.open(SecretStr(at.url)) as stream:
            return b"".join(stream.pieces)


def test_a_slow_host_is_handed_on_as_it_comes(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """A progress bar need not wait for a whole batch."""
    monkeypatch.setattr(hosts, "LEAST_BYTES", 0)
    monkeypatch.setattr(way.clock, "monotonic", lambda: tick(way.clock))
    with host(answer(DATA)) as at, FileHost(clock=way.clock).open(SecretStr(at.url)) as stream:
        pieces = list(stream.pieces)
    assert b"".join(pieces) == DATA


def test_a_host_that_is_not_there_is_named_without_the_link(way: Way) -> None:
    """The system's words, and nothing of the query."""
    with host() as at:
        pass
    with pytest.raises(HostError, match=r"host 127.0.0.1 gives no answer \(.*refused") as raised:
        way.get(at)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert way.clock.elapsed == 15


@pytest.mark.parametrize(
    "link", ["", "file:///etc/passwd", "https://", "http://[::1", "http://a:b:c/", "ftp://a/", "http://xn--a/"]
)
def test_a_link_that_is_none_is_not_followed(clock: FakeClock, link: str) -> None:
    """Nor shown."""
    with (
        pytest.raises(StrangeHostError, match="is no address of a host"),
        FileHost(clock=clock).open(SecretStr(link)),
    ):
        raise AssertionError("opened")


def test_encryption_is_not_given_up_on_the_way() -> None:
    """From https only to https, from http to either."""
    secure, plain = httpx.URL("https://a/x"), httpx.URL("http://a/x")
    with pytest.raises(StrangeHostError, match="without encryption"):
        hosts._redirected(secure, "http://b/")
    assert hosts._redirected(secure, "//b/y").scheme == "https"
    assert hosts._redirected(plain, "/y").scheme == "http"
    assert hosts._redirected(plain, "https://b/").host == "b"


def test_a_link_in_the_clear_is_followed_only_where_it_may_be(clock: FakeClock) -> None:
    """Whoever is on the way could read the world. This machine itself is no way."""
    careful = FileHost(clock=clock, clear=False)
    with (
        pytest.raises(StrangeHostError, match=r"its link to node\.example is http") as refused,
        careful.open(SecretStr("http://node.example:8080/download/backup?token=abc")),
    ):
        raise AssertionError("opened")
    assert "allow_http" in refused.value.hint
    with host(WHOLE) as at, careful.open(SecretStr(at.url)) as stream:
        assert b"".join(stream.pieces) == DATA


def test_no_client_can_be_made(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment that is none is told by its variable alone: the address may hold a password."""
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://me:secret@proxy")
    with (
        pytest.raises(StrangeHostError, match=r"127\.0\.0\.1 is not asked: the proxy in HTTPS_PROXY cannot be"),
        FileHost(clock=way.clock).open(SecretStr("https://127.0.0.1:1/")),
    ):
        raise AssertionError("opened")
