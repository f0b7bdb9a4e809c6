"""A large archive in parts: the same files, no part larger than asked, and what cannot be split refused before."""

import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random

import pytest

from daemon.transfer import split as module
from daemon.transfer.errors import DiskError
from daemon.transfer.split import OVERHEAD, SplitError, check_split, split

NOISE = Random(1).randbytes(400_000)


def packed(path: Path, *members: tarfile.TarInfo) -> Path:
    """An archive of these members, regular ones with noise of their size."""
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, BytesIO(NOISE[: member.size]) if member.isreg() else None)
    return path


def member(name: str, size: int = 0, change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> tarfile.TarInfo:
    """One member of an archive."""
    made = tarfile.TarInfo(name)
    made.size = size
    change(made)
    return made


def a_folder(made: tarfile.TarInfo) -> None:
    """Make it a folder."""
    made.type = tarfile.DIRTYPE


def a_link(made: tarfile.TarInfo) -> None:
    """Make it a symbolic link."""
    made.type, made.linkname = tarfile.SYMTYPE, "target"


def a_hard_link(made: tarfile.TarInfo) -> None:
    """Make it a hard link."""
    made.type, made.linkname = tarfile.LNKTYPE, "target"


def unpacked(path: Path) -> list[tuple[str, bytes, int]]:
    """The members of an archive: name, type and size."""
    with tarfile.open(path) as archive:
        return [(one.name, one.type, one.size) for one in archive]


def test_the_parts_hold_the_same_members_in_order(tmp_path: Path) -> None:
    """Folders and links too; none is larger than asked."""
    members = [
        member("world", change=a_folder),
        *(member(f"world/{number}", 60_000 + number) for number in range(12)),
        member("link", change=a_link),
    ]
    path, most = packed(tmp_path / "all.tar.gz", *members), OVERHEAD + 150_000
    check_split(path, most)
    found, sizes = [], []
    for part in split(path, tmp_path, most):
        found += unpacked(part)
        sizes.append(part.stat().st_size)
    assert found == unpacked(path)
    assert len(sizes) > 3
    assert max(sizes) <= most


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (member("large", 200_000), "large alone has 200000 bytes, and a part 100000 at most"),
        (member("hard", change=a_hard_link), "hard is a hard link or sparse"),
    ],
    ids=["large", "hard link"],
)
def test_what_cannot_be_split_is_refused(tmp_path: Path, one: tarfile.TarInfo, said: str) -> None:
    """Before the first part is made."""
    with pytest.raises(SplitError, match=said):
        check_split(packed(tmp_path / "all.tar.gz", member("a", 5), one), 100_000)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Whatever tarfile says of it."""
    (tmp_path / "no").write_bytes(b"no archive")
    with pytest.raises(SplitError, match="it cannot be split"):
        check_split(tmp_path / "no", 100_000)


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As our own error."""
    path = packed(tmp_path / "all.tar.gz", member("a", 5))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_fill", full)
    with pytest.raises(DiskError, match="No space left"):
        next(split(path, tmp_path, 100_000))
