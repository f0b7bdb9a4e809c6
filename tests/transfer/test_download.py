"""A backup into a file, over real HTTP from the sandbox's node and store, with all that goes wrong on the way."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from daemon.errors import BackupdError
from daemon.panel.download import HostError, LinkRefusedError, StrangeHostError
from daemon.sandbox import faults
from daemon.sandbox.orders import Fault
from daemon.sandbox.records import Storage
from daemon.transfer import files
from daemon.transfer.download import download
from daemon.transfer.errors import DiskError, NoSpaceError, TargetError, WrongFileError
from tests.transfer.conftest import SIZE, Rig, expected
from tests.transfer.host import answer, host

BOTH = pytest.mark.parametrize("storage", [Storage.NODE, Storage.S3])


def get(rig: Rig, *, replace: bool = False) -> bool:
    """Download the rig's backup."""
    return download(rig.source(), rig.expected, rig.path, replace=replace)


@BOTH
def test_a_backup_becomes_a_private_file(rig: Rig, storage: Storage) -> None:
    """The bytes of the node, mode 0600, nothing else left, one link used."""
    rig.server.storage = storage
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert stat.S_IMODE(rig.path.stat().st_mode) == 0o600
    assert list(rig.folder.iterdir()) == [rig.path]
    assert rig.links == 1


def test_a_used_up_link_is_followed_by_a_new_one(rig: Rig) -> None:
    """The node answers 404 for it."""
    used = rig.link()
    rig.sandbox.world.used_tokens.update({"x"})
    links = iter([used, used])
    download(rig.source(link=lambda: next(links)), rig.expected, rig.folder / "first.tar.gz")
    given = iter([used, rig.link()])
    download(rig.source(link=lambda: next(given)), rig.expected, rig.path)
    assert rig.path.read_bytes() == rig.data
    assert "answers 404" in rig.listener.text
    assert rig.naps == [1.0]


def test_a_link_is_never_used_twice(rig: Rig) -> None:
    """Each try asks the panel for one."""
    rig.order(faults.cut(), times=3)
    get(rig)
    assert rig.links == 4
    assert len(rig.sandbox.world.used_tokens) == 4


@pytest.mark.parametrize("fault", [faults.cut(), faults.reset(), faults.lost_before()])
def test_where_the_host_knows_no_range_a_broken_transfer_begins_again(rig: Rig, fault: Fault) -> None:
    """A node sends the whole file each time."""
    rig.order(fault)
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert "trying again with a new link" in rig.listener.text
    assert "going on" not in rig.listener.text


def test_where_the_host_knows_ranges_a_broken_transfer_goes_on(rig: Rig) -> None:
    """An object store sends the other half, and the two are checked as one."""
    rig.server.storage = Storage.S3
    moved: list[int] = []
    rig.listener.at = moved.append
    rig.order(faults.cut())
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert "going on after 146.5 KiB" in rig.listener.text
    assert moved == sorted(moved)
    assert moved[-1] == SIZE


def test_tries_that_bring_nothing_more_are_bounded(rig: Rig) -> None:
    """Five, with growing pauses, and nothing is left."""
    rig.order(faults.cut(), times=None)
    with pytest.raises(HostError, match="broke"):
        get(rig)
    assert rig.links == 5
    assert rig.naps == [1.0, 2.0, 4.0, 8.0]
    assert list(rig.folder.iterdir()) == []
    assert rig.listener.said_[-1] == "nothing is left of what came"


def test_of_what_never_came_nothing_is_said_to_be_left(rig: Rig) -> None:
    """A download that is refused had nothing to lose."""
    rig.order(faults.lost_before(), times=None)
    with pytest.raises(HostError):
        get(rig)
    assert "nothing is left" not in rig.listener.text


def test_tries_that_bring_more_are_not_counted(rig: Rig) -> None:
    """A large file over a connection that breaks again and again arrives all the same."""
    rig.server.storage = Storage.S3
    rig.record.size = 8 * 2**20
    rig.order(faults.cut(), times=3)
    rig.order(faults.lost_before(), times=4)
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert rig.naps == [1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0]


def test_what_broke_off_is_gone_on_with_by_the_next_call(rig: Rig) -> None:
    """Where the host can continue, NAME.part is left, and said so."""
    rig.server.storage = Storage.S3
    rig.order(faults.cut())
    rig.order(faults.lost_before(), times=None)
    with pytest.raises(HostError):
        get(rig)
    assert rig.part.read_bytes() == rig.data[: SIZE // 2]
    assert rig.listener.said_[-1] == f"{rig.part} keeps the first 146.5 KiB, and the same command goes on with it"
    rig.sandbox.world.faults.clear()
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert not rig.part.exists()


def test_a_part_that_is_whole_already_only_gets_its_name(rig: Rig) -> None:
    """The last run was stopped between the last byte and the name."""
    rig.part.write_bytes(rig.data)
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert rig.links == 0


@pytest.mark.parametrize("left", [b"something else", b"x" * SIZE, b"x" * (SIZE + 1)])
@BOTH
def test_a_part_of_something_else_does_no_harm(rig: Rig, storage: Storage, left: bytes) -> None:
    """The checksum tells, and the file is fetched again as a whole; its mode becomes private."""
    rig.server.storage = storage
    rig.part.write_bytes(left)
    rig.part.chmod(0o666)
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert stat.S_IMODE(rig.path.stat().st_mode) == 0o600


def test_a_wrong_checksum_leaves_nothing(rig: Rig) -> None:
    """After one whole transfer, which would only be the same again."""
    rig.record.claimed_checksum = "sha1:" + "0" * 40
    with pytest.raises(WrongFileError, match=r"its sha1 is [0-9a-f]{40}, and the panel says 0{40}"):
        get(rig)
    assert list(rig.folder.iterdir()) == []
    assert rig.links == 1


def test_a_wrong_checksum_of_what_was_put_together_is_looked_at_twice(rig: Rig) -> None:
    """Two halves may not fit; a whole one that is wrong is wrong."""
    rig.server.storage = Storage.S3
    rig.record.claimed_checksum = "sha1:" + "0" * 40
    rig.order(faults.cut())
    with pytest.raises(WrongFileError):
        get(rig)
    assert rig.links == 3
    assert list(rig.folder.iterdir()) == []


@pytest.mark.parametrize("claimed", [SIZE - 1, SIZE + 1, 10])
def test_a_wrong_size_is_noticed_before_anything_is_written(rig: Rig, claimed: int) -> None:
    """The host's Content-Length tells."""
    rig.record.claimed_bytes = claimed
    with pytest.raises(WrongFileError, match=f"a file of {SIZE} bytes, and the panel says {claimed}"):
        get(rig)
    assert list(rig.folder.iterdir()) == []


@pytest.mark.parametrize(("checksum", "why"), [("blake3:00ff", 'unknown kind "blake3"'), (None, "no checksum")])
@BOTH
def test_what_cannot_be_checked_is_no_failure(rig: Rig, storage: Storage, checksum: str | None, why: str) -> None:
    """Nor is a part of it trusted: without a checksum nobody knows whether the pieces fit."""
    rig.server.storage = storage
    rig.sandbox.world.faults.order(faults.with_values({"checksum": checksum}), on="view")
    told = rig.expected
    assert why in (told.unchecked or "")
    rig.part.write_bytes(b"something else")
    assert download(rig.source(), told, rig.path)
    assert rig.path.read_bytes() == rig.data
    assert "going on" not in rig.listener.text


def test_a_part_of_the_right_size_is_not_believed_without_a_checksum(rig: Rig) -> None:
    """It could be anything."""
    rig.record.claimed_checksum = "blake3:00"
    rig.part.write_bytes(b"x" * SIZE)
    assert get(rig)
    assert rig.path.read_bytes() == rig.data


def test_the_name_is_given_when_the_bytes_are_on_the_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file first, then the name, then the folder."""
    steps: list[str] = []
    fsync, link = os.fsync, Path.hardlink_to

    def sync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def name(path: Path, target: Path) -> None:
        steps.append("name")
        link(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "hardlink_to", name)
    assert get(rig)
    assert steps == ["file", "name", "folder"]


def test_without_a_checksum_the_store_vouches_that_it_is_the_same_file(rig: Rig) -> None:
    """Its ETag goes into If-Range, within one call."""
    rig.server.storage = Storage.S3
    rig.record.claimed_checksum = "blake3:00"
    rig.order(faults.cut())
    assert get(rig)
    assert rig.path.read_bytes() == rig.data
    assert "going on after" in rig.listener.text


def test_a_full_disk_is_foreseen(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the panel is asked for a link, and with a margin for whatever else runs there."""
    monkeypatch.setattr(files, "room", lambda _: (SIZE + 99, 2000))
    with pytest.raises(NoSpaceError, match=r"293 KiB do not fit into .*, where 293.1 KiB are free"):
        get(rig)
    assert rig.links == 0
    assert list(rig.folder.iterdir()) == []
    monkeypatch.setattr(files, "room", lambda _: (SIZE + 100, 2000))
    assert get(rig)


def test_what_the_part_holds_needs_no_room_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a part from before is not removed for a disk that is too small for the rest."""
    rig.server.storage = Storage.S3
    rig.part.write_bytes(rig.data[: SIZE - 1000])
    monkeypatch.setattr(files, "room", lambda _: (999, 0))
    with pytest.raises(NoSpaceError):
        get(rig)
    assert rig.part.stat().st_size == SIZE - 1000
    monkeypatch.setattr(files, "room", lambda _: (1000, 0))
    assert get(rig)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_meanwhile_gets_its_room_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Even where the transfer could be gone on with: something else runs on that disk."""
    rig.server.storage = Storage.S3
    rig.part.write_bytes(rig.data[:1000])
    fail_to_write(monkeypatch, number)
    with pytest.raises(NoSpaceError, match=r"b\.tar\.gz\.part cannot be written") as raised:
        get(rig)
    assert "free some space" in raised.value.hint
    assert list(rig.folder.iterdir()) == []
    assert rig.links == 1


def test_a_part_that_cannot_be_read_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor can the file that is there: its checksum is not known then."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "unreadable")

    rig.part.write_bytes(b"abc")
    with monkeypatch.context() as broken:
        broken.setattr(os, "read", refuse)
        with pytest.raises(DiskError, match=r"b\.tar\.gz\.part cannot be opened: unreadable"):
            download(rig.source(), expected(rig.data), rig.path)
    rig.path.write_bytes(rig.data)
    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(DiskError, match=r"b\.tar\.gz cannot be read: unreadable"):
        download(rig.source(), expected(rig.data), rig.path)


def test_what_is_written_is_let_go_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A game server's files stay in memory; where the system does not take the advice it is no matter."""
    advice: list[int] = []

    def advise(*given: int) -> None:
        advice.append(given[-1])
        raise OSError(errno.EINVAL, "no advice here")

    monkeypatch.setattr(files, "LET_GO_EVERY", 1000)
    monkeypatch.setattr(os, "posix_fadvise", advise)
    assert get(rig)
    assert set(advice) == {os.POSIX_FADV_DONTNEED}


def test_another_trouble_of_the_disk_is_told_as_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the system's words."""
    fail_to_write(monkeypatch, errno.EIO)
    with pytest.raises(DiskError, match=os.strerror(errno.EIO)) as raised:
        get(rig)
    assert not isinstance(raised.value, NoSpaceError)


def fail_to_write(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the second write to a file fail, and the first be short."""
    write, times = os.write, iter(range(100))

    def failing(descriptor: int, data: bytes) -> int:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            if next(times):
                raise OSError(number, os.strerror(number))
            return write(descriptor, data[:1000])
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", failing)


def test_a_redirect_is_followed_without_the_key(rig: Rig) -> None:
    """The other host sees neither Authorization nor a cookie."""
    link = rig.link()
    target = link.get_secret_value()
    with host(answer(b"", f"Location: {target}", "Set-Cookie: a=b", status="302 Found")) as elsewhere:
        rig.order(faults.redirected(f"{elsewhere.url}/x?token=secret"))
        assert get(rig)
    assert rig.path.read_bytes() == rig.data
    (head,) = elsewhere.heads
    assert "GET /x?token=secret" in head
    assert "authorization" not in head.lower()
    assert "cookie" not in head.lower()
    assert "ptlc_" not in head


def test_redirects_are_not_followed_for_ever(rig: Rig) -> None:
    """Three are; and the error holds no link."""
    link = rig.link().get_secret_value()
    rig.order(faults.redirected(link), times=None)
    with pytest.raises(StrangeHostError, match="redirected more than 3 times") as raised:
        get(rig)
    assert "token" not in str(raised.value)
    assert rig.sandbox.world.faults.happened["redirected"] == 4


@pytest.mark.parametrize("location", ["", "ftp://elsewhere.invalid/", "javascript:x"])
def test_a_redirect_to_no_address_is_refused(rig: Rig, location: str) -> None:
    """At once: a new link would lead there too."""
    rig.order(faults.redirected(location))
    with pytest.raises(StrangeHostError):
        get(rig)
    assert rig.links == 1


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_host_that_refuses_is_asked_twice(rig: Rig, status: int) -> None:
    """The link may have been used up or too old; a second one is not."""
    rig.order(faults.web_page(status), times=None)
    with pytest.raises(LinkRefusedError, match=f"answers {status}"):
        get(rig)
    assert rig.links == 2
    assert list(rig.folder.iterdir()) == []


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_host_in_trouble_is_given_time(rig: Rig, status: int) -> None:
    """Four times in vain is not too often."""
    rig.order(faults.web_page(status), times=4)
    assert get(rig)
    assert rig.links == 5


def test_a_file_that_the_node_lost_is_said_to_be_gone(rig: Rig) -> None:
    """Though the panel says that all is well."""
    told = rig.expected
    rig.record.file_gone = True
    with pytest.raises(BackupdError) as raised:
        download(rig.source(), told, rig.path)
    assert raised.value.hint


def test_a_file_that_is_there_and_right_is_passed_over(rig: Rig) -> None:
    """No link is asked for, and the file is not touched; not even with `replace`."""
    rig.path.write_bytes(rig.data)
    before = rig.path.stat().st_mtime_ns
    assert not get(rig)
    assert not get(rig, replace=True)
    assert (rig.links, rig.path.stat().st_mtime_ns) == (0, before)


@pytest.mark.parametrize("content", [b"another", b"x" * SIZE])
def test_another_file_is_never_overwritten_without_being_told_to(rig: Rig, content: bytes) -> None:
    """Whether its size tells, or only its checksum."""
    rig.path.write_bytes(content)
    with pytest.raises(TargetError, match="another file") as raised:
        get(rig)
    assert "--force" in raised.value.hint
    assert (rig.path.read_bytes(), rig.links) == (content, 0)
    assert get(rig, replace=True)
    assert rig.path.read_bytes() == rig.data


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(rig: Rig) -> None:
    """What came whole stays beside it."""

    def appear(_: int) -> None:
        rig.path.write_text("somebody else's")

    rig.listener.at = appear
    with pytest.raises(TargetError, match="meanwhile"):
        get(rig)
    assert rig.path.read_text() == "somebody else's"
    assert rig.part.read_bytes() == rig.data


def test_a_file_system_without_links_gets_the_file_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a plain rename."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert get(rig)
    assert list(rig.folder.iterdir()) == [rig.path]


def test_a_file_system_in_trouble_is_no_such(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(DiskError, match="broken"):
        get(rig)


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_what_is_no_file_is_left_alone(rig: Rig, kind: str) -> None:
    """Neither as the target nor as its part."""
    for path in (rig.path, rig.part):
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(rig.folder / "elsewhere")
        else:
            os.mkfifo(path)
        with pytest.raises((TargetError, DiskError)):
            get(rig, replace=True)
        assert not (rig.folder / "elsewhere").exists()
        assert path.is_symlink() or path.exists()
        path.rmdir() if kind == "folder" else path.unlink()


def test_two_downloads_do_not_write_one_part(rig: Rig) -> None:
    """The second is told; the first is not disturbed."""
    with rig.part.open("wb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(TargetError, match="being written by another download"):
            get(rig)
        assert rig.part.exists()


def test_a_part_that_has_just_got_its_name_is_not_written_to(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, the other download may have ended."""
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        rig.part.rename(rig.folder / "done.tar.gz")
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(TargetError, match="being written by another download"):
        get(rig)
    assert (rig.folder / "done.tar.gz").read_bytes() == b""


def test_a_file_system_without_locks_is_good_enough(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then only nobody is warned."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert get(rig)


def test_a_part_of_somebody_else_is_not_written_to(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could read on while it grows."""
    rig.part.touch()
    fstat = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        found = list(fstat(descriptor))
        if stat.S_ISREG(int(found[stat.ST_MODE])):
            found[stat.ST_UID] = 12345
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", foreign)
    with pytest.raises(TargetError, match="somebody else"):
        get(rig)


@pytest.mark.parametrize(("storage", "left"), [(Storage.NODE, False), (Storage.S3, True)])
def test_ctrl_c_leaves_a_part_only_where_it_is_of_use(rig: Rig, storage: Storage, left: bool) -> None:
    """And either way it is said."""
    rig.server.storage = storage

    def press(_: int) -> None:
        raise KeyboardInterrupt

    rig.listener.at = press
    with pytest.raises(KeyboardInterrupt):
        get(rig)
    assert rig.part.exists() is left
    assert not rig.path.exists()
    assert rig.listener.said_[-1].startswith(str(rig.part) if left else "nothing is left")


def test_a_missing_folder_is_told(rig: Rig) -> None:
    """It is not made for a file."""
    with pytest.raises(DiskError, match="No such file"):
        download(rig.source(), rig.expected, rig.folder / "missing" / "b.tar.gz")
