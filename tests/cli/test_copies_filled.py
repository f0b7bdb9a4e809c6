"""A store that lacks a copy is filled from another store that has it, before the node or the panel is troubled."""
# ruff: noqa: F811 — the fixtures are those of test_copies

from pathlib import Path

import pytest

from daemon.sandbox import faults
from tests.cli.conftest import Cli, Panel
from tests.cli.test_copies import config, identity  # noqa: F401 — fixtures
from tests.copies.support import run


def add_store(config: Path, name: str, more: str = "", *, before: str = "") -> Path:
    """One more store in a folder, which the policy names; `before` stands where the first was named."""
    folder = config.parent / name
    folder.mkdir()
    text = config.read_text().replace('copies = ["nas", "offsite"]', f'copies = [{before}"{name}", "offsite"]')
    config.write_text(f'{text}\n[stores.{name}]\nurl = "{folder.as_uri()}"\n{more}\n')
    return folder


def files(folder: Path, pattern: str = "*.gz*") -> dict[str, bytes]:
    """What lies in a store, but manifests."""
    return {path.name: path.read_bytes() for path in folder.rglob(pattern) if not path.name.endswith(".json")}


def no_download(panel: Panel) -> None:
    """From now on nothing comes from a node."""
    panel.world.faults.order(faults.node_error(), on="download", times=None)


def test_a_new_store_is_filled_from_a_folder_and_the_node_is_not_asked(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """Each copy is whole, told with where it came from, and journalled so."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    usb = add_store(config, "usb", before='"nas", ')
    no_download(panel)
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 0, ran.err
    copies = ran.json["servers"][0]["copies"]
    assert [(one["store"], one["result"], one["source"]) for one in copies] == [("usb", "done", "nas")] * 6
    assert files(usb) == files(tmp_path / "nas")
    verified = cli("--config", config, "copies", "verify", "--store", "usb", "--all", "--json")
    assert [one["result"] for one in verified.json["copies"]] == ["good"] * 6
    told = cli("--config", config, "history", "survival", "--json").json["copies"]
    assert [one["text"] for one in told if one["store"] == "usb"] == ["from nas"] * 6
    assert [one["text"] for one in told if one["store"] == "nas"] == [""] * 6


def test_what_the_panel_has_no_more_is_filled_from_a_store_as_far_as_the_rules_keep_it(
    cli: Cli, panel: Panel, config: Path
) -> None:
    """The panel is lost, and the new store gets its share of what is left."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    panel.survival.backups.clear()
    usb = add_store(config, "usb", "keep = { last = 3 }", before='"nas", ')
    ran = cli("--config", config, "copies", "run", "survival")
    assert ran.code == 0, ran.err
    assert ran.out.count(", from nas") == 3
    assert len(files(usb)) == 3
    assert "0 copied" in cli("--config", config, "copies", "run", "survival").out
    pruned = cli("--config", config, "copies", "prune", "survival", "--store", "usb", "--json").json["servers"][0]
    assert pruned["deleted"] == []


def test_an_encrypted_copy_is_carried_over_as_it_is_to_the_same_recipients(
    cli: Cli, panel: Panel, config: Path, identity: Path, tmp_path: Path
) -> None:
    """Byte by byte, and it is opened by the same key."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    panel.survival.backups.clear()
    public = run("age-keygen", "-y", identity).decode().strip()
    sealed = add_store(config, "sealed", f'encrypt_to = ["{public}"]')  # the plain copies count no more
    lost = tmp_path / "nas"
    lost.rename(tmp_path / "was-nas")
    config.write_text(config.read_text().replace(f'[stores.nas]\nurl = "{lost.as_uri()}"', ""))
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 0, ran.err
    copies = ran.json["servers"][0]["copies"]
    assert [(one["store"], one["source"]) for one in copies] == [("sealed", "offsite")] * 2
    assert files(sealed) == files(tmp_path / "offsite")
    verify = ("copies", "verify", "--store", "sealed", "--all", "--identity", identity, "--json")
    assert [one["result"] for one in cli("--config", config, *verify).json["copies"]] == ["good"] * 2


def test_what_is_encrypted_for_others_is_of_no_use(cli: Cli, panel: Panel, config: Path, tmp_path: Path) -> None:
    """Nobody here can read it: while the panel has the backup it comes from there, and then from nowhere."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    text = config.read_text()
    config.write_text(text.replace(f'[stores.nas]\nurl = "{(tmp_path / "nas").as_uri()}"', ""))
    plain = add_store(config, "plain")
    newest = max(panel.survival.backups.values(), key=lambda one: one.created_at)
    panel.survival.backups = {newest.uuid: newest}
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert [(one["store"], one["source"]) for one in ran.json["servers"][0]["copies"]] == [("plain", None)]
    assert len(files(plain)) == 1


def test_a_damaged_copy_fills_no_store_and_is_told(cli: Cli, panel: Panel, config: Path, tmp_path: Path) -> None:
    """The node has the backup still; nobody would have seen the damage otherwise."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    data = max((tmp_path / "nas").rglob("*.tar.gz"))
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    usb = add_store(config, "usb", "keep = { last = 1 }", before='"nas", ')
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    server = ran.json["servers"][0]
    assert (ran.code, [(one["store"], one["source"]) for one in server["copies"]]) == (3, [("usb", None)])
    assert "another SHA-256" in server["stores"][0]["error"]["text"]
    assert files(usb) == {data.name: whole}
    data.unlink()  # a copy that went since it was seen is no damage
    no_download(panel)
    (usb / data.relative_to(tmp_path / "nas")).unlink()
    Path(f"{usb / data.relative_to(tmp_path / 'nas')}.json").unlink()
    assert cli("--config", config, "copies", "run", "survival").code != 0
    assert files(usb) == {}


def test_a_copy_that_is_not_what_the_panel_says_fills_no_store(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """The node has the true one."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    usb = add_store(config, "usb", "keep = { last = 1 }", before='"nas", ')
    newest = max((one for one in panel.survival.backups.values() if one.completed_at), key=lambda one: one.created_at)
    newest.claimed_checksum = newest.archive.digest("sha256")
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert [(one["store"], one["source"]) for one in ran.json["servers"][0]["copies"]] == [("usb", None)]
    assert len(files(usb)) == 1


def test_another_installation_s_copies_fill_no_store(cli: Cli, panel: Panel, config: Path, tmp_path: Path) -> None:
    """What they hold is known from their manifests alone."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    (tmp_path / ".local").rename(tmp_path / "old")
    panel.survival.backups.clear()
    usb = add_store(config, "usb", before='"nas", ')
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert files(usb) == {}


@pytest.mark.parametrize("failures", [1, 2])
def test_a_node_that_fails_is_made_up_for_by_a_store_behind_a_network(
    cli: Cli, panel: Panel, config: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """It may cost, so the node is asked first."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    add_store(config, "usb", "keep = { last = 1 }", before='"nas", ')
    monkeypatch.setattr("daemon.copies.elsewhere.DirectoryLocation", type(None))
    if failures == 2:
        no_download(panel)
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 0, ran.err
    assert [one["source"] for one in ran.json["servers"][0]["copies"]] == [None if failures == 1 else "nas"]
