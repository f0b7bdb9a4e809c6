"""Copies whose panel is gone, or has another name by now, or is asked for by another: the stores know enough."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Panel

DISCOVER = '\n[panels.main.discover]\nmatch = "*"\n'
STORE = 'also_own = ["auto-survival-{{time}}-{{id}}"]\ncopies = ["nas"]\n[stores.nas]\nurl = "file://{folder}/nas"\n'


@pytest.fixture
def copied(cli: Cli, panel: Panel, tmp_path: Path) -> Panel:
    """Six copies of `survival`, which is discovered; then the panel answers no more, and the state is lost."""
    (tmp_path / "nas").mkdir()
    write(panel, discover=True)
    assert cli("--config", panel.config, "copies", "run").code == 0
    (tmp_path / ".local").rename(tmp_path / "lost")
    panel.url = "http://127.0.0.1:1"
    write(panel, discover=True)
    assert cli("--config", panel.config, "copies", "rescan").code == 0
    return panel


def write(panel: Panel, *, discover: bool = False, name: str = "main", **servers: str) -> None:
    """The configuration, with these servers by their ids, and discovery or not; its panel has that name."""
    panel.configure(servers=servers, extra=STORE.format(folder=panel.config.parent))
    text = panel.config.read_text() + (DISCOVER if discover else "")
    panel.config.write_text(text.replace("[panels.main", f"[panels.{name}"))


def test_discovered_servers_are_listed_and_fetched_though_the_panel_is_gone(
    cli: Cli, copied: Panel, tmp_path: Path
) -> None:
    """By their identifier, the beginning of their uuid, and what the panel called them; the rules of discovery hold."""
    home = ("--config", copied.config)
    uuid = copied.survival.uuid
    listed = cli(*home, "copies", "list", "--json")
    assert listed.code == 0, listed.err
    (server,) = listed.json["servers"]
    assert (server["server"], server["panel"], len(server["stores"][0]["copies"])) == (uuid[:8], "main", 6)
    assert server["stores"][0]["copies"][0]["verdict"] == "ignore"  # another installation made it
    for number, word in enumerate((uuid[:8], uuid, uuid[:5], "survival", "Survival")):
        ran = cli(*home, "copies", "fetch", word, "latest", "--output", tmp_path / f"{number}.tar.gz")
        assert ran.code == 0, ran.err
    assert cli(*home, "copies", "verify").code == 0
    unknown = cli(*home, "copies", "fetch", "lobby", "latest")
    assert (unknown.code, "no copy of one was seen" in unknown.err) == (2, True)


def test_a_server_that_the_configuration_lacks_is_fetched_and_told(cli: Cli, copied: Panel, tmp_path: Path) -> None:
    """One that was removed from it: by name, identifier or uuid."""
    write(copied, lobby=copied.lobby.identifier)
    home = ("--config", copied.config)
    ran = cli(*home, "copies", "list")
    short = copied.survival.uuid[:8]
    lacking = "6 copies in nas are of servers of panel `main` that this configuration lacks; servers: "
    assert (ran.code, f"{lacking}{short} ({short})" in ran.err) == (0, True)
    for number, word in enumerate((short, copied.survival.uuid, "survival")):
        ran = cli(*home, "copies", "fetch", word, "latest", "--output", tmp_path / f"{number}.tar.gz")
        assert ran.code == 0, ran.err
        assert "are of servers of panel `main` that this configuration lacks" in ran.err
    listed = cli(*home, "copies", "list", "survival", "--json").json["servers"]
    assert [(one["id"], len(one["stores"][0]["copies"])) for one in listed] == [(copied.survival.uuid, 6)]
