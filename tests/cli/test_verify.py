"""`backups verify` as a person and a script use it, against a panel over real HTTP."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.sandbox import faults
from daemon.sandbox.archive import Flavour
from daemon.sandbox.records import Backup, State
from daemon.sandbox.settings import Digest
from daemon.state.local.journal import SqliteJournal
from tests.cli.conftest import Cli, Panel, Ran

BAD = {
    "cut": (Flavour.CUT, "the gzip stream ends in the middle"),
    "cut tar": (Flavour.CUT_TAR, "the tar ends in the middle"),
    "crc": (Flavour.BAD_CRC, "the gzip stream is damaged (incorrect data check)"),
    "escaping": (Flavour.ESCAPING, "1 name leads out of the folder: ../../outside.dat"),
}


def look(cli: Cli, panel: Panel, *words: str) -> Ran:
    """Run the command; the panel's key, and any link, is seen nowhere."""
    ran = cli("--config", panel.config, "backups", "verify", "survival", *words)
    for secret in ("ptlc_", "token=", "eyJ"):
        assert secret not in ran.out + ran.err
    return ran


def add(panel: Panel, name: str, flavour: Flavour = Flavour.WHOLE) -> Backup:
    """One more backup."""
    backup = panel.world.add_backup(panel.survival, name, size=40_000)
    backup.flavour = flavour
    return backup


def test_a_sound_backup_is_good(cli: Cli, panel: Panel) -> None:
    """How many files and bytes, in one row."""
    ran = look(cli, panel, "by hand")
    assert ran.code == 0
    header, row = ran.out.splitlines()
    assert header.split() == ["uuid", "name", "size", "files", "unpacked", "result"]
    assert row.split()[1:] == ["by", "hand", "19.5", "KiB", "2", "17", "KiB", "good"]
    assert ran.err == "by hand: reading 19.5 KiB\n"


def test_the_json_has_these_keys(cli: Cli, panel: Panel) -> None:
    """Scripts rely on them."""
    backup = add(panel, "crc", Flavour.BAD_CRC)
    document = look(cli, panel, "crc", "--json").json
    assert document == {
        "server": "survival",
        "panel": "main",
        "id": panel.survival.identifier,
        "backups": [
            {
                "uuid": backup.uuid,
                "name": "crc",
                "bytes": 40_000,
                "result": "bad",
                "received": 40_000,
                "checksum": f"sha1:{backup.archive.digest('sha1')}",
                "sha1": backup.archive.digest("sha1"),
                "files": None,
                "unpacked": None,
                "level": None,
                "games": None,
                "problems": [{"code": "archive", "text": "the gzip stream is damaged (incorrect data check)"}],
                "warnings": [],
                "error": None,
            }
        ],
    }


def test_level_sane_looks_into_the_files(cli: Cli, panel: Panel) -> None:
    """A torn region makes a backup bad that is whole in every other way; which file and which chunk is told."""
    add(panel, "torn", Flavour.TORN)
    assert look(cli, panel, "torn").code == 0
    ran = look(cli, panel, "torn", "--level", "sane")
    assert ran.code == 4
    assert ran.out.splitlines()[-1] == "torn: world/region/r.0.0.mca: chunk 0,0 is past the end of the file"
    (found,) = look(cli, panel, "torn", "--level", "sane", "--json").json["backups"]
    assert (found["result"], found["level"], found["games"]) == ("bad", None, ["Minecraft Java"])
    assert [problem["code"] for problem in found["problems"]] == ["not-sane"]


def test_what_was_looked_into_is_said(cli: Cli, panel: Panel) -> None:
    """A game that is known is sane then; of one that is not, the archive is only read to its end."""
    add(panel, "world")
    panel.world.add_backup(panel.survival, "other", size=3_000)
    ran = look(cli, panel, "world", "other", "--level", "sane")
    assert ran.out.splitlines()[-2:] == [
        "world: looked into: Minecraft Java",
        "other: of no known game, so only read to its end",
    ]
    found = look(cli, panel, "world", "other", "--level", "sane", "--json").json["backups"]
    assert [(one["level"], one["games"]) for one in found] == [("sane", ["Minecraft Java"]), ("walked", [])]
    (found,) = look(cli, panel, "world", "--json").json["backups"]
    assert (found["level"], found["games"]) == ("walked", None)


def test_a_sha256_is_checked_as_a_sha1_is(cli: Cli, panel: Panel) -> None:
    """The key `sha1` is for a sha1 alone; what the panel says is in `checksum`."""
    panel.world.settings.checksum = Digest.SHA256
    backup = add(panel, "large sum", Flavour.WHOLE)
    (found,) = look(cli, panel, "large sum", "--json").json["backups"]
    assert (found["checksum"], found["sha1"]) == (f"sha256:{backup.archive.digest('sha256')}", None)
    assert (found["result"], found["problems"], found["warnings"]) == ("good", [], [])
    backup.claimed_checksum = "sha256:" + "ab" * 32
    (found,) = look(cli, panel, "large sum", "--json").json["backups"]
    assert (found["result"], found["problems"][0]["code"]) == ("bad", "checksum")


@pytest.mark.parametrize("name", BAD)
def test_one_that_is_bad_is_named(cli: Cli, panel: Panel, name: str) -> None:
    """Exit 4 for it alone, 3 beside good ones; the words stand below the table."""
    flavour, words = BAD[name]
    add(panel, name, flavour)
    ran = look(cli, panel, name)
    assert (ran.code, ran.out.splitlines()[-1]) == (4, f"{name}: {words}")
    assert look(cli, panel, name, "by hand").code == 3


def test_all_are_looked_at_though_some_are_bad(cli: Cli, panel: Panel) -> None:
    """Failed and pending ones have nothing to look at, and that is said."""
    for name, (flavour, _) in BAD.items():
        add(panel, name, flavour)
    panel.world.add_backup(panel.survival, "running", state=State.PENDING)
    ran = look(cli, panel, "--all", "--json")
    results = {one["name"]: one["result"] for one in ran.json["backups"]}
    assert ran.code == 3
    assert {name for name, result in results.items() if result == "bad"} == set(BAD)
    assert len(results) == 11
    assert "left out: 1 pending, 1 failed" in ran.err


def test_wrong_size_wrong_checksum_and_no_file_are_told_apart(cli: Cli, panel: Panel) -> None:
    """Each by its code."""
    add(panel, "size").claimed_bytes = 39_999
    add(panel, "sum").claimed_checksum = "sha1:" + "0" * 40
    add(panel, "gone").file_gone = True
    ran = look(cli, panel, "size", "sum", "gone", "--json")
    size, checksum, gone = ran.json["backups"]
    assert ran.code == 4
    assert (size["result"], size["error"]["code"]) == ("failed", "wrong-file")
    assert (checksum["result"], checksum["problems"][0]["code"]) == ("bad", "checksum")
    assert (checksum["files"], gone["result"]) == (2, "failed")


def test_an_unknown_checksum_is_a_warning(cli: Cli, panel: Panel) -> None:
    """The archive's own CRC still counts."""
    add(panel, "odd").claimed_checksum = "blake3:00"
    ran = look(cli, panel, "odd")
    assert ran.code == 0
    assert 'unknown kind "blake3"' in ran.out


def test_a_used_up_link_and_a_broken_transfer_are_gone_over(cli: Cli, panel: Panel) -> None:
    """With new links."""
    panel.world.faults.order(faults.web_page(404), on="file")
    panel.world.faults.order(faults.reset(), on="file", times=2)
    ran = look(cli, panel, "by hand")
    assert ran.code == 0
    assert ran.err.count("trying again with a new link") == 3


def test_nothing_named_is_refused(cli: Cli, panel: Panel) -> None:
    """Exit 2; an unknown one too, with the candidates."""
    assert look(cli, panel).code == 2
    ran = look(cli, panel, "by hant")
    assert (ran.code, "did you mean" in ran.err) == (2, True)


def test_a_server_without_a_good_backup_has_nothing_to_look_at(cli: Cli, panel: Panel) -> None:
    """All of none are good."""
    panel.survival.backups.clear()
    ran = look(cli, panel, "--all", "--json")
    assert (ran.code, ran.json["backups"]) == (0, [])


def test_ctrl_c_ends_it(cli: Cli, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 130."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daemon.cli.ui.progress.Lines.moved", press)
    assert look(cli, panel, "by hand").code == 130


def test_nothing_is_written(cli: Cli, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor elsewhere."""
    monkeypatch.chdir(tmp_path)
    assert look(cli, panel, "latest").code == 0
    assert [path for path in tmp_path.rglob("*") if path.suffix in {".gz", ".part"}] == []


def test_one_whose_deletion_was_not_completed_counts_again_once_it_was_read_whole(cli: Cli, panel: Panel) -> None:
    """Its row may have had no file; rotations count it as one that has none until then. It need not be a proof."""
    panel.configure(extra='prove = { expect = ["world/level.dat"] }')
    bad, sound = add(panel, "crc", Flavour.BAD_CRC), add(panel, "sound")
    config = load(Path(panel.config), os.environ)
    assert config.state_dir is not None
    with SqliteJournal.open(config.state_dir) as journal:
        for backup in (bad, sound):
            journal.ask(panel.survival.uuid, backup.uuid, datetime(2026, 4, 1, tzinfo=UTC))
        look(cli, panel, "crc", "sound")
        assert journal.asked(panel.survival.uuid) == {bad.uuid}


def recorded(panel: Panel) -> dict[str, bool]:
    """Of which backups a proof is recorded, by name, and whether each was found right."""
    config = load(Path(panel.config), os.environ)
    assert config.state_dir is not None
    with SqliteJournal.open(config.state_dir) as journal:
        return {one.proof.name: not one.proof.problems for one in journal.proofs(panel.survival.uuid)}


def test_what_was_read_is_a_proof_so_that_damage_freezes_the_server(cli: Cli, panel: Panel) -> None:
    """As after every reading: the last sound backup would else be deleted though somebody has seen the damage."""
    for name, flavour in (("sound", Flavour.WHOLE), ("torn", Flavour.TORN), ("crc", Flavour.BAD_CRC)):
        add(panel, name, flavour)
    look(cli, panel, "sound", "torn", "crc", "--level", "sane")
    assert recorded(panel) == {"sound": True, "torn": False, "crc": False}
    ran = cli("--config", panel.config, "rotate", "survival")
    assert (ran.code, "is not sound" in ran.err) == (5, True)


def test_a_file_that_is_not_what_the_panel_says_is_a_failed_proof(cli: Cli, panel: Panel) -> None:
    """By its size or checksum; one that cannot be had says nothing of the backup."""
    add(panel, "size").claimed_bytes = 39_999
    add(panel, "sum").claimed_checksum = "sha1:" + "0" * 40
    add(panel, "gone").file_gone = True
    look(cli, panel, "size", "sum", "gone")
    assert recorded(panel) == {"size": False, "sum": False}


def test_what_is_right_is_no_proof_if_the_policy_expects_files(cli: Cli, panel: Panel) -> None:
    """Nobody looked for them."""
    panel.configure(extra='prove = { expect = ["world/level.dat"] }')
    add(panel, "sound")
    add(panel, "torn", Flavour.TORN)
    look(cli, panel, "sound", "torn", "--level", "sane")
    assert recorded(panel) == {"torn": False}
