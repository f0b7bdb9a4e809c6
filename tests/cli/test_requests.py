"""What commands by hand cost the panel: each asks for its server once, and looks at what it was told then."""

import re
from pathlib import Path

import pytest

from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from tests.cli.conftest import Cli, Panel


@pytest.mark.parametrize(
    "words",
    [
        "plan survival",
        "rotate survival",
        "rotate survival --dry-run",
        "prove survival",
        "backups list survival",
        "backups show survival latest",
        "backups create survival --wait",
        "backups lock survival latest",
        "backups unlock survival latest",
        "backups delete survival latest --yes",
        "backups delete survival --beyond-retention --yes",
        "backups download survival latest",
        "backups verify survival latest",
    ],
)
def test_a_command_asks_for_its_server_once(
    cli: Cli, panel: Panel, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests by hand are taken from what the daemon may ask for."""
    monkeypatch.chdir(tmp_path)
    seen = faults.slow(0.001)
    panel.world.faults.order(seen, on=Call.SERVER, times=None)
    assert cli("--config", panel.config, *words.split()).code == 0
    assert panel.world.faults.happened[seen.name] == 1


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("words", ["plan survival", "backups list survival", "rotate survival"])
def test_who_waits_for_the_api_limit_is_told(cli: Cli, panel: Panel, words: str) -> None:
    """Half a minute of silence looks like a program that hangs."""
    panel.world.faults.order(faults.api_limit("35"), on=Call.LIST)
    ran = cli("--config", panel.config, *words.split())
    assert ran.code == 0
    assert re.search(r"^panel main: waiting 3[5-7] s for room below its API limit$", ran.err, re.MULTILINE)
