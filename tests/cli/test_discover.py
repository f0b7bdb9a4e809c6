"""The commands with servers that nobody configured: they look at the panel first, and only where they must."""

import pytest

from daemon.sandbox.faults import web_page
from daemon.sandbox.orders import Call
from tests.cli.conftest import Cli, Panel

DISCOVER = '\n[panels.main.discover]\nmatch = "*"\n'


@pytest.fixture
def discovering(panel: Panel) -> Panel:
    """`survival` is configured by hand, `lobby` is discovered; a third server may not be backed up."""
    panel.world.add_server("showroom", owner=panel.lobby.owner, node=panel.lobby.node, limit=None)
    write(panel)
    return panel


def write(panel: Panel, more: str = DISCOVER) -> None:
    """The configuration with that at its end."""
    panel.configure(servers={"survival": panel.survival.identifier})
    with panel.config.open("a") as file:
        file.write(more)


def test_servers_shows_what_is_covered_and_why_the_rest_is_not(cli: Cli, discovering: Panel) -> None:
    """By hand, discovered, skipped; or not selected."""
    lines = cli("--config", discovering.config, "servers").out.splitlines()
    covered = [line.partition(" ok ")[2].strip() for line in lines[1:]]
    assert covered == [
        "as survival, policy standard",
        "discovered, policy standard",
        "no: the panel allows it no backups",
    ]
    found = cli("--config", discovering.config, "servers", "--json").json["servers"]
    by = {"server": discovering.lobby.identifier, "policy": "standard"}
    assert [(one["configured"] is not None, one["discovered"], one["skipped"]) for one in found] == [
        (True, None, None),
        (False, by, None),
        (False, None, "the panel allows it no backups"),
    ]
    write(discovering, DISCOVER.replace('"*"', '"show*"'))
    assert cli("--config", discovering.config, "servers").out.splitlines()[2].endswith(" no")


def test_commands_for_all_servers_hold_for_discovered_ones(cli: Cli, discovering: Panel) -> None:
    """plan, schedule, rotate, and then status, which asks no panel."""
    both = ["survival", discovering.lobby.identifier]
    for words in (["plan"], ["schedule"], ["rotate", "--dry-run"], ["rotate"]):
        ran = cli("--config", discovering.config, *words, "--json")
        assert ([one["server"] for one in ran.json["servers"]], ran.code) == (both, 0), ran.err
    discovering.world.faults.order(web_page(502), times=None)
    status = cli("--config", discovering.config, "status", "--json")
    assert [one["server"] for one in status.json["servers"]] == both
    assert status.json["servers"][1]["newest_good"] is not None


def test_a_discovered_server_is_named_by_its_identifier(cli: Cli, discovering: Panel) -> None:
    """By every command, those that write too."""
    lobby = discovering.lobby.identifier
    assert cli("--config", discovering.config, "rotate", lobby).code == 0
    assert cli("--config", discovering.config, "plan", lobby).out.startswith(lobby)
    assert cli("--config", discovering.config, "backups", "list", lobby, "--json").json["total"] == 1
    assert cli("--config", discovering.config, "backups", "lock", lobby, "latest").code == 0
    assert cli("--config", discovering.config, "plan", "nobody").code == 2


@pytest.mark.parametrize("words", [["plan"], ["schedule"], ["rotate", "--dry-run"]])
def test_who_names_servers_of_the_configuration_asks_no_panel_for_more(
    cli: Cli, discovering: Panel, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No list of servers is read for them."""

    def unwanted(*_: object) -> object:
        raise AssertionError("nobody needs to look")

    monkeypatch.setattr("daemon.fleet.discovery.look", unwanted)
    assert cli("--config", discovering.config, *words, "survival").code == 0


def broken(panel: Panel, times: int = 4) -> None:
    """The panel does not list its servers this time."""
    panel.world.faults.order(web_page(502), on=Call.SERVERS, times=times)


def test_a_panel_that_cannot_be_looked_at_hinders_nothing_that_is_configured(cli: Cli, discovering: Panel) -> None:
    """It is said, and the exit code is not 0."""
    broken(discovering)
    ran = cli("--config", discovering.config, "schedule", "--json")
    assert ([one["server"] for one in ran.json["servers"]], ran.code) == (["survival"], 3)
    assert "main, where servers are discovered" in ran.err
    broken(discovering)
    unknown = cli("--config", discovering.config, "plan", discovering.lobby.identifier)
    assert (unknown.code, "did you mean" in unknown.err) == (4, False)


def test_a_configuration_without_servers_and_a_panel_that_is_down_is_a_failure(cli: Cli, panel: Panel) -> None:
    """Nothing is covered at all."""
    panel.configure(servers={})
    with panel.config.open("a") as file:
        file.write(DISCOVER)
    broken(panel)
    assert cli("--config", panel.config, "schedule").code == 4


def test_check_looks_at_discovered_servers_and_tells_of_those_skipped(cli: Cli, discovering: Panel) -> None:
    """Their permissions and limits as those of any other; what is skipped is a warning."""
    ran = cli("--config", discovering.config, "check", "--json")
    findings = ran.json["findings"]
    assert {one["server"] for one in findings} >= {"survival", discovering.lobby.identifier}
    (skipped,) = [one for one in findings if one["code"] == "skipped"]
    assert (skipped["level"], "the panel allows it no backups" in skipped["text"]) == ("warning", True)
    broken(discovering, times=8)
    assert cli("--config", discovering.config, "check").code == 4
