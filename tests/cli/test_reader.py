"""Archives that a person has read: by a process of its own, as small and as bounded as the daemon's."""

from pathlib import Path

import pytest

from daemon.copying.process import ChildProcess
from daemon.sandbox.archive import Flavour
from daemon.sandbox.files import Packed
from daemon.sandbox.records import Change
from tests.cli.conftest import Cli, Panel, Ran, interrupt
from tests.cli.test_writes import did, own
from tests.copying.test_hostile import MEMORY, REAL, peak
from tests.copying.test_process import by
from tests.transfer.hostile import HOSTILE

DIES = "import os; os._exit(71)"
WORDS = "its archive cannot be read: the process that copies needed more memory than it may have"


class Seen(ChildProcess):
    """Tells which processes there were, and how many bytes of memory each had at most."""

    pids: list[int] = []  # noqa: RUF012 — of one test, which empties it
    peaks: list[int] = []  # noqa: RUF012 — likewise

    async def close(self) -> None:
        """Note it before it ends."""
        if self.pid is not None:
            self.pids.append(self.pid)
            self.peaks.append(peak(self.pid))
        await super().close()


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that read."""
    monkeypatch.setattr(Seen, "pids", [])
    monkeypatch.setattr(Seen, "peaks", [])
    monkeypatch.setattr("daemon.cli.reader.ChildProcess", Seen)
    return Seen.pids


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read ends its reader."""
    monkeypatch.setattr("daemon.cli.reader.ChildProcess", lambda: by(DIES))


def verify(cli: Cli, panel: Panel, *words: str) -> Ran:
    """Run the command; neither the panel's key nor a link is seen."""
    ran = cli("--config", panel.config, "backups", "verify", "survival", *words)
    assert not [secret for secret in ("ptlc_", "token=", "eyJ") if secret in ran.out + ran.err]
    return ran


def test_one_process_reads_all_that_is_verified_and_is_gone_afterwards(cli: Cli, panel: Panel, pids: list[int]) -> None:
    """What it found is told as if it had been read here; the panel's refusal too, in its own words."""
    torn, gone = (panel.world.add_backup(panel.survival, name, size=40_000) for name in ("torn", "gone"))
    torn.flavour, gone.file_gone = Flavour.TORN, True
    ran = verify(cli, panel, "by hand", "torn", "gone", "--level", "sane", "--json")
    assert ran.code == 3
    right, bad, lost = ran.json["backups"]
    assert (right["result"], right["level"], right["received"], right["files"]) == ("good", "sane", 20_000, 2)
    assert bad["problems"][0]["code"] == "not-sane"
    assert (lost["result"], lost["error"]["code"]) == ("failed", "link-refused")
    assert len(set(pids)) == 1
    assert not Path(f"/proc/{pids[0]}").exists()


@pytest.mark.timeout(120)
def test_hostile_archives_are_told_as_bad_within_the_readers_bounds(cli: Cli, panel: Panel, pids: list[int]) -> None:
    """Bombs, a negative size and endless pax records that lie on the node; the process that reads them stays small."""
    names = ("zeros by the TiB", "a chunk that is a bomb", "a negative size", "pax records of a gigabyte")
    for name in names:
        data = b"".join(HOSTILE[name].stream(REAL))
        panel.world.add_backup(panel.survival, name).packed = Packed(data)
    ran = verify(cli, panel, *names, "by hand", "--level", "sane", "--json")
    assert ran.code == 3
    *bad, sound = ran.json["backups"]
    for name, one in zip(names, bad, strict=True):
        assert (one["name"], one["result"]) == (name, "bad")
        assert HOSTILE[name].words in one["problems"][0]["text"]
    assert (sound["result"], sound["level"]) == ("good", "sane")
    assert len(set(pids)) == 1
    assert max(Seen.peaks) <= MEMORY


@pytest.mark.usefixtures("deadly")
def test_an_archive_that_ends_its_reader_is_bad(cli: Cli, panel: Panel) -> None:
    """And the next one is read all the same."""
    panel.world.add_backup(panel.survival, "second", size=40_000)
    ran = verify(cli, panel, "by hand", "second", "--json")
    assert ran.code == 4
    for one in ran.json["backups"]:
        assert (one["result"], one["problems"]) == ("bad", [{"code": "archive", "text": WORDS}])


@pytest.mark.usefixtures("deadly")
def test_a_proof_that_ends_its_reader_has_failed_and_freezes_nothing(cli: Cli, panel: Panel) -> None:
    """The daemon lets an archive end several readers before that is a failed proof."""
    ran = cli("--config", panel.config, "prove", "survival", "--json")
    assert ran.code == 4
    (one,) = ran.json["servers"][0]["proofs"]
    assert (one["result"], one["error"]["code"], one["error"]["text"]) == ("failed", "copy-process", WORDS)
    assert cli("--config", panel.config, "prove", "--plan", "survival", "--json").json["servers"][0]["frozen"] is None


@pytest.mark.usefixtures("deadly")
def test_no_file_of_a_server_is_deleted_for_an_archive_that_ends_its_reader(cli: Cli, panel: Panel) -> None:
    """It is no backup to go back to."""
    words = ("restore", "survival", "latest", "--truncate", "--no-safety-backup", "--yes")
    ran = cli("--config", panel.config, "backups", *words)
    assert ran.code == 5
    assert f"nothing was restored, since {own(panel, 6).name} is damaged: {WORDS}" in ran.err
    assert did(panel, Change.RESTORING) == []
    assert cli("--config", panel.config, "prove", "--plan", "survival", "--json").json["servers"][0]["frozen"] is None


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_ends_the_process_that_reads(cli: Cli, panel: Panel, pids: list[int]) -> None:
    """As it asks for its link."""
    interrupt(panel, "download")
    ran = verify(cli, panel, "by hand")
    assert (ran.code, ran.err.splitlines()[-1]) == (130, "interrupted")
    assert pids
    assert not Path(f"/proc/{pids[0]}").exists()
