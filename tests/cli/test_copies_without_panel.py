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
    assert (ran.code, f"{lacking}survival ({short})" in ran.err) == (0, True)
    for number, word in enumerate((short, copied.survival.uuid, "survival")):
        ran = cli(*home, "copies", "fetch", word, "latest", "--output", tmp_path / f"{number}.tar.gz")
        assert ran.code == 0, ran.err
        assert "are of servers of panel `main` that this configuration lacks" in ran.err
    listed = cli(*home, "copies", "list", "survival", "--json").json["servers"]
    assert [(one["id"], len(one["stores"][0]["copies"])) for one in listed] == [(copied.survival.uuid, 6)]


def test_copies_of_a_panel_under_its_former_name_are_told_and_found(cli: Cli, copied: Panel, tmp_path: Path) -> None:
    """A configuration that was written anew: by the server's id, or where that is another, by its name."""
    short = copied.survival.uuid[:8]
    told = f"6 copies in nas are of panel `main`, which this configuration lacks; servers: survival ({short})"
    for identifier in (short, "0123abcd"):
        write(copied, name="renamed", survival=identifier)
        home = ("--config", copied.config)
        for words in (("rescan",), ("list",), ("rescan", "--json"), ("verify",)):
            ran = cli(*home, "copies", *words)
            assert (ran.code, told in ran.err) == (0, True), words
        ran = cli(*home, "copies", "fetch", "survival", "latest", "--output", tmp_path / f"{identifier}.gz")
        assert ran.code == 0, ran.err
        assert "are of panel `main`, which this configuration lacks" in ran.err
        nothing = cli(*home, "copies", "fetch", "nobody", "latest")
        assert (nothing.code, told in nothing.err) == (2, True)


def test_a_word_that_could_mean_two_servers_means_none(cli: Cli, copied: Panel, tmp_path: Path) -> None:
    """The store has another panel's server of that name; with its panel before it, it is one."""
    other = tmp_path / "nas" / "other"
    other.mkdir()
    uuid = copied.survival.uuid
    for file in (tmp_path / "nas" / "main" / uuid).iterdir():
        to = other / uuid.replace(uuid[:8], "0123abcd") / file.name
        to.parent.mkdir(exist_ok=True)
        to.write_bytes(file.read_bytes())
        if file.suffix == ".json":
            text = file.read_text().replace('"panel": "main"', '"panel": "other"').replace('"main/', '"other/')
            to.write_text(text.replace(uuid, uuid.replace(uuid[:8], "0123abcd")))
    write(copied, name="renamed", lobby=copied.lobby.identifier)
    assert cli("--config", copied.config, "copies", "rescan").code == 0
    fetch = ("--config", copied.config, "copies", "fetch")
    ran = cli(*fetch, "survival", "latest")
    assert (ran.code, f"main/{uuid}" in ran.err, "other/0123abcd" in ran.err) == (2, True, True)
    for word in ("other/0123abcd", f"main/{uuid}", uuid[:6], "0123"):
        assert cli(*fetch, word, "latest", "--output", tmp_path / word.replace("/", "_")).code == 0


def test_a_server_without_copies_is_told_what_the_stores_have_instead(cli: Cli, copied: Panel) -> None:
    """The hint leads somewhere."""
    write(copied, name="renamed", lobby=copied.lobby.identifier)
    ran = cli("--config", copied.config, "copies", "fetch", "lobby", "latest")
    assert (ran.code, "6 copies in nas are of panel `main`" in ran.err) == (4, True)


def test_what_only_looks_into_stores_needs_no_secret_but_theirs(cli: Cli, copied: Panel, tmp_path: Path) -> None:
    """Without the panel's key, and those of HTTP and alerts; without any panel, policy and server."""
    (tmp_path / "main.key").unlink()
    with copied.config.open("a") as file:
        file.write('[http]\nlisten = "127.0.0.1:8808"\ntoken_file = "lost"\n[alerts.us]\ntype = "webhook"\n')
    looks = [("stores",), *(("copies", word) for word in ("rescan", "list", "verify"))]
    for number in range(2):
        for words in looks:
            ran = cli("--config", copied.config, *words)
            assert ran.code == 0, ran.err
        fetch = ("copies", "fetch", "survival", "latest", "--output", tmp_path / f"{number}.tar.gz")
        assert cli("--config", copied.config, *fetch).code == 0
        assert cli("--config", copied.config, "plan").code == 2
        copied.config.write_text(f'[stores.nas]\nurl = "file://{tmp_path}/nas"\n')
