"""A backup looked at, over real HTTP; nothing is written."""

from pathlib import Path

import pytest

from daemon.panel.download import HostError
from daemon.sandbox import faults
from daemon.sandbox.archive import Flavour
from daemon.sandbox.records import Storage
from daemon.transfer.errors import WrongFileError
from daemon.transfer.verify import Contents, VerifyResult, verify
from tests.transfer.conftest import SIZE, Rig, sha1


def look(rig: Rig) -> VerifyResult:
    """Verify the rig's backup."""
    return verify(rig.source(), rig.expected)


def test_a_sound_backup_is_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and bytes, with nothing to complain of and nothing written."""
    monkeypatch.setattr(Path, "open", None)
    found = look(rig)
    assert (found.size, found.checksum) == (SIZE, f"sha1:{sha1(rig.data)}")
    assert (found.problems, found.warnings) == ((), ())
    assert isinstance(found.contents, Contents)
    assert (found.contents.files, found.contents.entries) == (2, 2)
    assert SIZE - 5000 < found.contents.bytes < SIZE
    assert list(rig.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("flavour", "code", "words"),
    [
        (Flavour.CUT, "archive", "the gzip stream ends in the middle"),
        (Flavour.CUT_TAR, "archive", "the tar ends in the middle"),
        (Flavour.BAD_CRC, "archive", "the gzip stream is damaged (incorrect data check)"),
        (Flavour.ESCAPING, "escaping", "1 name leads out of the folder: ../../outside.dat"),
    ],
)
def test_an_archive_can_be_bad_though_its_checksum_is_right(rig: Rig, flavour: Flavour, code: str, words: str) -> None:
    """The node took the sha1 of what it had written, whole or not."""
    rig.record.flavour = flavour
    found = look(rig)
    assert [(problem.code, problem.text) for problem in found.problems] == [(code, words)]
    assert (found.contents is None) is (code == "archive")


def test_noise_is_no_archive(rig: Rig) -> None:
    """A few bytes of something else."""
    rig.record.size = 100
    (problem,) = look(rig).problems
    assert "incorrect header" in problem.text


def test_a_wrong_checksum_is_one_problem_of_several(rig: Rig) -> None:
    """The archive is looked at all the same."""
    rig.record.claimed_checksum = "sha1:" + "0" * 40
    rig.record.flavour = Flavour.CUT
    assert [problem.code for problem in look(rig).problems] == ["checksum", "archive"]


def test_a_wrong_size_ends_it_at_once(rig: Rig) -> None:
    """The host says so before it sends anything."""
    rig.record.claimed_bytes = SIZE + 1
    with pytest.raises(WrongFileError):
        look(rig)


def test_an_unknown_checksum_is_a_warning(rig: Rig) -> None:
    """And the archive's own CRC still counts."""
    rig.record.claimed_checksum = "blake3:00"
    found = look(rig)
    assert found.problems == ()
    assert [warning.code for warning in found.warnings] == ["unchecked"]


@pytest.mark.parametrize("storage", [Storage.NODE, Storage.S3])
def test_a_broken_transfer_is_gone_on_with(rig: Rig, storage: Storage) -> None:
    """From where it broke, or all over, the archive too."""
    rig.server.storage = storage
    rig.order(faults.cut(), times=2)
    found = look(rig)
    assert found.problems == ()
    assert found.contents is not None
    assert found.contents.files == 2


def test_a_host_that_never_gives_it_whole_is_no_finding(rig: Rig) -> None:
    """Nothing is known of the backup then."""
    rig.order(faults.reset(), times=None)
    with pytest.raises(HostError):
        look(rig)
