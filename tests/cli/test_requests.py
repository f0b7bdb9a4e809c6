"""What commands by hand cost the panel: each asks for its server once, and looks at what it was told then."""

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
