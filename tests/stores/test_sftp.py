"""What only the engine for SFTP must do, over OpenSSH's server: who is at the other end, and what breaks on the way."""

import asyncio
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import asyncssh
import pytest
from pydantic import SecretStr

from daemon.stores.base import Store
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreCredentialsError,
    StoreCutError,
    StoreError,
    StoreFullError,
    StoreIdentityError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.sftp import session, store, upload
from daemon.stores.sftp.store import SftpStore
from daemon.stores.sftp.trouble import translated
from daemon.stores.values import Credentials, SftpLocation, StoreSettings
from tests.fakes import FakeClock
from tests.leaks import leaks
from tests.stores.places import Place, content, endless, keys, read
from tests.stores.services import SftpService, free_ports, program, small_disk

pytestmark = pytest.mark.anyio

KEY = "main/uuid/world.tar.gz"


def connection_of(opened: Store) -> asyncssh.SSHClientConnection:
    """The connection that it has."""
    connection = cast("SftpStore", opened)._session._connection
    assert connection is not None
    return connection


async def test_another_host_key_is_another_host(sftp: Place, tmp_path: Path) -> None:
    """Neither a wrong one nor one that nobody knows is believed; nothing is sent to it."""
    keygen = program("ssh-keygen", "apt-get install openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    location = sftp.settings.location
    assert isinstance(location, SftpLocation)
    wrong = f"[127.0.0.1]:{location.port} {(tmp_path / 'other.pub').read_text()}"
    elsewhere = (sftp.settings.known_hosts or "").replace("127.0.0.1", "box.example.com")
    for known_hosts in (wrong, elsewhere):
        async with replace(sftp, settings=replace(sftp.settings, known_hosts=known_hosts)).open() as opened:
            with pytest.raises(StoreIdentityError, match="Host key is not trusted") as raised:
                await opened.put(KEY, content(b"x"))
            assert not raised.value.transient
    assert sftp.folder is not None
    assert list(sftp.folder.iterdir()) == []


async def test_a_key_that_the_host_does_not_know_is_refused(sftp: Place, tmp_path: Path) -> None:
    """As a secret that is wrong, and without showing it."""
    keygen = program("ssh-keygen", "apt-get install openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    credentials = Credentials(private_key=SecretStr((tmp_path / "other").read_text()))
    async with replace(sftp, settings=replace(sftp.settings, credentials=credentials)).open() as opened:
        with pytest.raises(StoreCredentialsError):
            await opened.list_all()


class OnlyPassword(asyncssh.SSHServer):
    """A server that lets in who knows the password."""

    def password_auth_supported(self) -> bool:
        """It does nothing else."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """One user, one password."""
        return (username, password) == ("u", "right-EXAMPLE")


@asynccontextmanager
async def password_host(folder: Path) -> AsyncIterator[Place]:
    """A host with such a server, and its folder."""
    key = asyncssh.generate_private_key("ssh-ed25519")

    def serve(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=OnlyPassword, server_host_keys=[key], sftp_factory=serve
    )
    async with server:
        location = SftpLocation("u", "127.0.0.1", server.get_port(), "/")
        known_hosts = f"[127.0.0.1]:{location.port} {key.export_public_key().decode()}"
        right = Credentials(password=SecretStr("right-EXAMPLE"))
        yield Place("sftp", StoreSettings("box", location, credentials=right, known_hosts=known_hosts), folder)


async def test_a_password_does_too_and_a_wrong_one_is_not_shown(tmp_path: Path) -> None:
    """Nor tried in any other way."""
    async with password_host(tmp_path) as place:
        async with place.open() as opened:
            await opened.put(KEY, content(b"x"))
            assert await keys(opened) == [KEY]
        wrong = replace(place.settings, credentials=Credentials(password=SecretStr("hunter2-EXAMPLE")))
        async with replace(place, settings=wrong).open() as opened:
            with pytest.raises(StoreCredentialsError) as raised:
                await opened.list_all()
        assert leaks(f"{raised.value!r} {raised.value.text} {raised.value.hint}", "hunter2-EXAMPLE") == []
    assert (tmp_path / KEY).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"known_hosts": None}, "known_hosts is missing or empty"),
        ({"known_hosts": " \n"}, "known_hosts is missing or empty"),
        ({"credentials": Credentials()}, "password or private_key is missing"),
        ({"credentials": Credentials(private_key=SecretStr("hunter2-EXAMPLE"))}, "the private key cannot be read"),
    ],
)
async def test_what_is_missing_or_cannot_be_read_is_refused_at_once(
    sftp: Place, change: dict[str, Any], said: str
) -> None:
    """There is no way to go on without knowing the host."""
    with pytest.raises(StoreUnusableError, match=said) as raised:
        async with replace(sftp, settings=replace(sftp.settings, **change)).open():
            pass
    assert leaks(f"{raised.value.text} {raised.value.hint}", "hunter2-EXAMPLE") == []


async def test_an_encrypted_key_needs_its_passphrase(sftp: Place, sftp_service: SftpService) -> None:
    """And works with it."""
    key = asyncssh.import_private_key(sftp_service.private_keys["all"])
    with pytest.warns(UserWarning, match="1 round"):  # few, so that it takes no time
        encrypted = SecretStr(key.export_private_key(passphrase="pass-EXAMPLE", rounds=1).decode())
    right = Credentials(private_key=encrypted, passphrase=SecretStr("pass-EXAMPLE"))
    async with replace(sftp, settings=replace(sftp.settings, credentials=right)).open() as opened:
        assert await keys(opened) == []
    for passphrase in (None, SecretStr("other")):
        wrong = replace(right, passphrase=passphrase)
        with pytest.raises(StoreUnusableError, match="the private key cannot be read"):
            async with replace(sftp, settings=replace(sftp.settings, credentials=wrong)).open():
                pass


async def test_a_host_that_is_not_there_is_unreachable(sftp: Place) -> None:
    """Nobody listens."""
    location = cast("SftpLocation", sftp.settings.location)
    gone = replace(sftp.settings, location=replace(location, port=free_ports(1)[0]))
    async with replace(sftp, settings=gone).open() as opened:
        with pytest.raises(StoreUnreachableError):
            await opened.list_all()


async def test_a_host_that_says_nothing_is_given_up(sftp: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline of the call."""
    monkeypatch.setattr(store, "CALL_SECONDS", 0.1)
    silent = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1")
    async with server:
        location = cast("SftpLocation", sftp.settings.location)
        port = server.sockets[0].getsockname()[1]
        mute = replace(sftp.settings, location=replace(location, port=port))
        async with replace(sftp, settings=mute).open() as opened:
            with pytest.raises(StoreUnreachableError, match="no answer in time"):
                await opened.head(KEY)
        silent.set()


PIECES = [bytes([number]) * (5 * 2**20 + 7) for number in range(3)]


def breaking(opened: Store, meanwhile: Callable[[], object] = lambda: None) -> AsyncIterator[bytes]:
    """Some content, with a connection that breaks before its second and third piece."""

    async def pieces() -> AsyncIterator[bytes]:
        yield PIECES[0]
        for piece in PIECES[1:]:
            connection_of(opened).abort()
            meanwhile()
            yield piece

    return pieces()


async def test_an_upload_goes_on_where_its_connection_broke(
    sftp: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a new one, to the same file: no byte is sent twice but those that were under way."""
    written: list[int] = []
    write = asyncssh.SFTPClientFile.write

    async def counted(self: asyncssh.SFTPClientFile, data: bytes, offset: int) -> int:
        done = await write(self, data, offset)
        written.append(len(data))
        return done

    monkeypatch.setattr(asyncssh.SFTPClientFile, "write", counted)
    async with sftp.open(clock) as opened:
        entry = await opened.put(KEY, breaking(opened))
        assert entry.size == sum(written) == sum(map(len, PIECES))
        assert await read(opened, KEY) == b"".join(PIECES)
        assert await opened.unfinished() == []


async def test_what_came_to_have_the_name_while_the_connection_was_gone_stays(sftp: Place, clock: FakeClock) -> None:
    """The condition holds to the end."""
    assert sftp.folder is not None
    file = sftp.folder / KEY
    async with sftp.open(clock) as opened:
        with pytest.raises(ObjectExistsError):
            await opened.put(KEY, breaking(opened, lambda: file.write_bytes(b"another's")))
        assert (await read(opened, KEY), await opened.unfinished()) == (b"another's", [])


@pytest.mark.parametrize("damage", ["shorter", "other bytes", "gone"])
async def test_a_host_that_lost_what_it_had_confirmed_gets_no_copy(sftp: Place, clock: FakeClock, damage: str) -> None:
    """One that was reset, and had not written it to its disk: what stands there is compared, all of it."""
    assert sftp.folder is not None
    folder = sftp.folder

    def lose() -> None:
        (part,) = folder.rglob("*.part")
        if damage == "shorter":
            os.truncate(part, 2**20)
        elif damage == "gone":
            part.unlink()
        else:
            with part.open("r+b") as file:
                file.write(b"x")

    async with sftp.open(clock) as opened:
        with pytest.raises(ObjectMissingError if damage == "gone" else StoreCutError):
            await opened.put(KEY, breaking(opened, lose))
        assert (await keys(opened), await opened.unfinished()) == ([], [])


async def test_a_host_that_stays_away_is_given_up_and_what_was_begun_is_cleared_away_later(
    sftp: Place, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few tries; a half copy has no name."""
    client, left = session.Session.client, [True]
    tries: list[bool] = []

    async def none(self: session.Session) -> asyncssh.SFTPClient:
        if left:
            return await client(self)
        tries.append(True)
        raise asyncssh.ConnectionLost("x")

    monkeypatch.setattr(session.Session, "client", none)
    async with sftp.open(clock) as opened:
        with pytest.raises(StoreUnreachableError):
            await opened.put(KEY, breaking(opened, left.clear))
        assert len(tries) >= upload.TRIES
        left.append(True)
        assert await keys(opened) == []
        (begun,) = await opened.unfinished()
        assert await opened.clear(begun)


async def test_a_listing_that_breaks_is_no_listing(sftp: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even of what was read before."""
    names, left = store._names, [None, None]

    async def breaking(client: asyncssh.SFTPClient, folder: bytes) -> list[store.Found]:
        if not left:
            raise asyncssh.SFTPConnectionLost("x")
        left.pop()
        return await names(client, folder)

    async with sftp.open() as opened:
        for key in ("a/x", "b/x", "c/x"):
            await opened.put(key, content(b"x"))
        monkeypatch.setattr(store, "_names", breaking)
        with pytest.raises(StoreUnreachableError, match="cannot be listed"):
            await opened.list_all()


async def test_a_name_or_a_folder_that_comes_to_be_in_the_last_moment_is_seen(
    sftp: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSH only says that it failed: another's name is left to it, another's folder is as good as ours."""
    assert sftp.folder is not None
    folder = sftp.folder
    rename, mkdir = asyncssh.SFTPClient.rename, asyncssh.SFTPClient.mkdir

    async def late_rename(self: asyncssh.SFTPClient, *words: Any) -> None:
        (folder / KEY).write_bytes(b"another's")
        await rename(self, *words)

    async def late_mkdir(self: asyncssh.SFTPClient, path: bytes, *words: Any) -> None:
        Path(path.decode()).mkdir()
        await mkdir(self, path, *words)

    monkeypatch.setattr(asyncssh.SFTPClient, "rename", late_rename)
    monkeypatch.setattr(asyncssh.SFTPClient, "mkdir", late_mkdir)
    async with sftp.open() as opened:
        with pytest.raises(ObjectExistsError):
            await opened.put(KEY, content(b"ours"))
        assert await read(opened, KEY) == b"another's"
        assert await opened.unfinished() == []


async def test_files_are_private(sftp: Place) -> None:
    """And so are the folders that are made for them."""
    async with sftp.open() as opened:
        await opened.put(KEY, content(b"x"))
    assert sftp.folder is not None
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sftp.folder.rglob("*")}
    assert modes == {"main": 0o700, "uuid": 0o700, "world.tar.gz": 0o600}


async def test_a_folder_that_is_missing_is_not_made(sftp: Place) -> None:
    """A mount of the host that is not there is no empty store."""
    assert sftp.folder is not None
    sftp.folder.rmdir()
    async with sftp.open() as opened:
        for call in (opened.put("x", content(b"x")), opened.put(KEY, content(b"x")), opened.list_all()):
            with pytest.raises(StoreUnreachableError, match="there is no folder"):
                await call
    assert not sftp.folder.exists()


async def test_what_is_not_ours_is_left_out(sftp: Place) -> None:
    """Names that are no text or no key, whatever is no file."""
    assert sftp.folder is not None
    for name in (b"caf\xe9", b"two\nlines", b"rsync.part"):
        (sftp.folder / name.decode(errors="surrogateescape")).write_bytes(b"x")
    (sftp.folder / "link").symlink_to("/etc")
    (sftp.folder / "lost+found").mkdir()
    async with sftp.open() as opened:
        assert (await keys(opened), await opened.unfinished()) == ([], [])
        with pytest.raises(StoreRefusedError, match="no regular file"):
            await opened.head("link")
        with pytest.raises(ObjectExistsError):
            await opened.put("link", content(b"x"))


@pytest.fixture
def full(sftp: Place) -> Iterator[None]:
    """Four MiB for the store."""
    assert sftp.folder is not None
    with small_disk(sftp.folder):
        yield


@pytest.mark.usefixtures("full")
async def test_a_full_disk_is_said_and_what_was_begun_goes(sftp: Place) -> None:
    """OpenSSH only says that it failed; its room says why."""
    async with sftp.open() as opened:
        with pytest.raises(StoreFullError, match="no room left"):
            await opened.put(KEY, endless())
        assert (await keys(opened), await opened.unfinished()) == ([], [])
        await opened.put(KEY, content(bytes(2**20)))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncssh.SFTPPermissionDenied("x"), StorePermissionError),
        (asyncssh.SFTPQuotaExceeded("x"), StoreFullError),
        (asyncssh.SFTPFailure("x"), StoreTroubleError),
        (asyncssh.ChannelOpenError(1, "x"), StoreRefusedError),
        (asyncssh.ConnectionLost("x"), StoreUnreachableError),
        (ConnectionRefusedError(), StoreUnreachableError),
        (TimeoutError(), StoreUnreachableError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_asyncssh_raises_is_told_as_what_it_is(error: Exception, kind: type[StoreError]) -> None:
    """Nothing of it crosses the boundary."""
    with pytest.raises(kind, match="it cannot be: "), translated("it cannot be"):
        raise error


def test_nothing_of_the_users_own_ssh_is_used(sftp: Place) -> None:
    """No agent, no configuration, no key of theirs: the store's settings are all that holds."""
    options = session._options(sftp.settings)
    assert (options["config"], options["agent_path"]) == (None, None)
    by_password = replace(sftp.settings, credentials=Credentials(password=SecretStr("x")))
    assert session._options(by_password)["client_keys"] is None
