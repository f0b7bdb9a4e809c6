"""The program `age` as what encrypts: only what is age's own format is taken, and only a good end is one."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.copies.age import Encryption
from daemon.copies.age_program import ProgramEncryption, encryption_for
from daemon.copies.channel import StalledError
from daemon.copies.errors import EncryptionError
from tests.copies.support import run

MAGIC = "printf 'age-encryption.org/v1\\n'"
PIECE = b"x" * 2**20

Begin = Callable[..., ProgramEncryption]


def give_much(encryption: ProgramEncryption) -> None:
    """More than the pipes hold."""
    for _ in range(9):
        encryption.give(PIECE)


@pytest.fixture
def taken() -> list[bytes]:
    """What was handed on."""
    return []


@pytest.fixture
def begin(tmp_path: Path, taken: list[bytes]) -> Begin:
    """Begin to encrypt by a script in place of age."""

    def begun(script: str, stall_seconds: float = 30.0) -> ProgramEncryption:
        program = tmp_path / "age"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(stat.S_IRWXU)
        return ProgramEncryption(str(program), ["age1public"], taken.append, stall_seconds=stall_seconds)

    return begun


def test_it_is_used_where_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[bytes]) -> None:
    """And the library where it is not; what either makes, age opens."""
    run("age-keygen", "-o", tmp_path / "key.txt")
    public = run("age-keygen", "-y", tmp_path / "key.txt").decode().strip()
    for program, kind in (("age", ProgramEncryption), ("no-such-age", Encryption)):
        monkeypatch.setattr("daemon.copies.age_program.PROGRAM", program)
        taken.clear()
        encryption = encryption_for([public], taken.append, stall_seconds=5.0)
        assert isinstance(encryption, kind)
        for _ in range(3):
            encryption.give(PIECE)
        encryption.end()
        (tmp_path / "sealed").write_bytes(b"".join(taken))
        assert run("age", "-d", "-i", tmp_path / "key.txt", tmp_path / "sealed") == PIECE * 3


def test_it_is_given_public_keys_and_none_of_our_environment(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be keys of panels and stores in it."""
    monkeypatch.setenv("PTERO_BACKUPD_PANELS__MAIN__API_KEY", "ptlc_EXAMPLE")
    begin(f'echo "$@" >{tmp_path}/words; env >{tmp_path}/env; {MAGIC}; cat').end()
    assert (tmp_path / "words").read_text() == "--encrypt --recipient age1public\n"
    assert "EXAMPLE" not in (tmp_path / "env").read_text()


def test_what_is_not_age_s_format_is_not_taken(begin: Begin, taken: list[bytes]) -> None:
    """Another program of that name must not send a world in the clear."""
    encryption = begin("exec cat")
    with pytest.raises(EncryptionError, match="not encrypted by age"):
        give_much(encryption)
    assert taken == []


@pytest.mark.parametrize("script", ["exit 0", f"{MAGIC}; exit 0", "kill -9 $$"])
def test_one_that_ends_before_the_backup_does_is_a_failure(begin: Begin, script: str) -> None:
    """However it ends."""
    encryption = begin(script)
    with pytest.raises(EncryptionError, match="age ended"):
        give_much(encryption)


def test_a_bad_end_is_a_failure_though_all_was_printed(begin: Begin) -> None:
    """It knows of something that we do not."""
    encryption = begin(f"{MAGIC}; cat; exit 3")
    encryption.give(PIECE)
    with pytest.raises(EncryptionError, match="age ended with code 3"):
        encryption.end()


def test_a_good_end_without_a_byte_is_a_failure(begin: Begin, taken: list[bytes]) -> None:
    """It took all, and made nothing of it."""
    encryption = begin("exec cat >/dev/null")
    encryption.give(PIECE)
    with pytest.raises(EncryptionError, match="age ended successfully, and printed nothing"):
        encryption.end()
    assert taken == []


def test_what_becomes_of_a_store_is_heard_by_who_gives(begin: Begin, taken: list[bytes]) -> None:
    """A store that takes nothing drops out, and nobody waits for the program."""
    encryption = begin(f"{MAGIC}; exec cat")

    def stalled(_: bytes) -> None:
        raise StalledError

    encryption._take = stalled
    with pytest.raises(StalledError):
        give_much(encryption)
    assert taken == []


def test_it_can_be_broken_off(begin: Begin) -> None:
    """The program ends, and so does whoever gives."""
    encryption = begin("exec sleep 100")
    encryption.abort()
    with pytest.raises(EncryptionError, match="age ended with code -9"):
        give_much(encryption)


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(EncryptionError, match="age cannot be started: No such file"):
        ProgramEncryption(str(tmp_path / "age"), [], lambda _: None, stall_seconds=5.0)


def test_the_library_encrypts_where_the_program_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[bytes]
) -> None:
    """It is found, and is no program of this machine."""
    program = tmp_path / "age"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(stat.S_IRWXU)
    monkeypatch.setattr("daemon.copies.age_program.PROGRAM", str(program))
    run("age-keygen", "-o", tmp_path / "key.txt")
    public = run("age-keygen", "-y", tmp_path / "key.txt").decode().strip()
    encryption = encryption_for([public], taken.append, stall_seconds=5.0)
    assert isinstance(encryption, Encryption)
    encryption.end()


@pytest.mark.timeout(20)
def test_one_that_takes_nothing_is_killed(begin: Begin) -> None:
    """It would hold up the copies to all stores."""
    encryption = begin("exec sleep 100", stall_seconds=0.2)
    with pytest.raises(StalledError):
        give_much(encryption)
    assert encryption._process.wait() == -9


@pytest.mark.timeout(20)
def test_one_that_does_not_end_is_killed(begin: Begin) -> None:
    """Though it took all."""
    encryption = begin(f"{MAGIC}; cat; exec sleep 100", stall_seconds=0.5)
    encryption.give(PIECE)
    with pytest.raises(StalledError):
        encryption.end()
    assert encryption._process.wait() == -9
