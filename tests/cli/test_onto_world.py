"""A backup of A is brought onto B by each way, and every file there is the same: whole worlds, a real sshd."""

import getpass
from pathlib import Path

import pytest

from daemon.operations import sent
from daemon.sandbox.records import Backup, Change, Power
from tests.cli.conftest import Cli, Panel
from tests.operations.onto import tree
from tests.proof.worlds import BEDROCK, JAVA, chunk, packed, region
from tests.stores.conftest import sftp_service
from tests.stores.services import SftpService

__all__ = ["sftp_service"]

PART = 450_000
WORLD = {
    **{path.removeprefix("./"): data for path, data in {**JAVA, **BEDROCK}.items()},
    "world/region/r.1.0.mca": bytes(region({index: packed(chunk(index + 100), 2) for index in range(40)})),
    "world/region/r.2.0.mca": bytes(region({index: packed(chunk(index + 200), 2) for index in range(40)})),
    f"plugins/{'deep/' * 30}☃ é ü.yml": b"a: 1\n",
    "plugins/empty.yml": b"",
    "-starts with a dash": b"\0\xff",
}


@pytest.fixture
def made(panel: Panel, tmp_path: Path) -> Backup:
    """A backup of both worlds, made on A; B is stopped and empty."""
    for server in (panel.survival, panel.lobby):
        server.folder = tmp_path / server.name
        server.folder.mkdir()
    for path, data in WORLD.items():
        panel.survival.files.write(path, data)
    panel.lobby.power = Power.OFFLINE
    panel.survival.backups.clear()
    return panel.world.add_backup(panel.survival, "worlds")


@pytest.fixture
def sftp_words(panel: Panel, sftp_service: SftpService, tmp_path: Path) -> list[str]:
    """How the node's sshd is reached: the server's folder is the host's, as it is on a node."""
    key, hosts = tmp_path / "key", tmp_path / "hosts"
    key.write_text(sftp_service.private_keys["all"])
    hosts.write_text(f"[127.0.0.1]:{sftp_service.port} {sftp_service.host_key}\n")
    url = f"sftp://{getpass.getuser()}@127.0.0.1:{sftp_service.port}{tmp_path}/lobby"
    return ["--sftp", url, "--sftp-key", str(key), "--sftp-known-hosts", str(hosts)]


WAYS = {
    "pull": [Change.PULLING, Change.UNPACKED, Change.FILES_DELETED],
    "upload": [Change.UPLOADED, Change.UNPACKED, Change.FILES_DELETED],
    "sftp": [Change.UNPACKED, Change.FILES_DELETED],
}


def bring(cli: Cli, panel: Panel, way: str, more: list[str]) -> list[str]:
    """Bring the backup onto B by this way, and see that every file is there; return what happened on B."""
    words = ("backups", "restore", "survival", "worlds", "--onto", "lobby", "--via", way, "--yes")
    ran = cli("--config", panel.config, *words, *more)
    told = f"restored worlds onto lobby by {way}, {len(WORLD)} files are there as in the archive\n"
    assert (ran.code, ran.out) == (0, told), ran.err
    assert tree(panel.lobby) == tree(panel.survival) == WORLD
    return [entry.change for entry in panel.world.ledger if entry.server == panel.lobby.uuid]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("way", WAYS)
def test_every_file_of_a_is_on_b_whichever_way_it_came(cli: Cli, panel: Panel, way: str, sftp_words: list[str]) -> None:
    """Deep, empty and oddly named ones too; A keeps its own, and of the archive nothing stays on B."""
    assert bring(cli, panel, way, sftp_words if way == "sftp" else []) == WAYS[way]


@pytest.mark.usefixtures("made")
def test_every_file_is_there_where_it_came_in_parts(cli: Cli, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of which is larger than the node takes."""
    monkeypatch.setattr(sent, "PART_BYTES", PART)
    panel.lobby.node.upload_limit = PART
    changes = bring(cli, panel, "upload", [])
    assert len(changes) > len(WAYS["upload"])
    assert set(changes) == set(WAYS["upload"])
