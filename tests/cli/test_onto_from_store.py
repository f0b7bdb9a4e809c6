"""`copies restore --onto` from a real S3 service: the other server's node fetches the copy by a link that is signed."""
# ruff: noqa: F811 — the fixtures are those of other tests

from pathlib import Path

import pytest

from daemon.sandbox.records import Change
from daemon.stores.s3.client import S3Client
from tests.cli.conftest import Cli, Panel, Ran, one_clock
from tests.cli.test_copies import identity  # noqa: F401 — a fixture
from tests.cli.test_copies_after_a_loss import lines
from tests.cli.test_onto import made  # noqa: F401 — a fixture
from tests.copies.support import run
from tests.fakes import FakeClock
from tests.operations.onto import FILES, tree
from tests.stores.conftest import s3, s3_service  # noqa: F401 — fixtures
from tests.stores.places import Place, now

pytestmark = pytest.mark.usefixtures("made")

BY_PULL = "restored with files onto lobby by pull, 4 files are there as in the archive\n"
BY_UPLOAD = "restored with files onto lobby by upload, 4 files are there as in the archive\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The service goes by its own clock, which is this machine's."""
    return one_clock(monkeypatch, now())


def copied(cli: Cli, panel: Panel, store: Place, folder: Path, *more: str) -> Path:
    """The configuration of a server whose only backup is in the store, and nowhere else any more."""
    table = [*lines("offsite", store.settings, folder), *more]
    config = panel.configure(scope="all", extra='copies = ["offsite"]\n' + "\n".join(table))
    assert cli("--config", config, "copies", "run", "survival").code == 0
    panel.survival.backups.clear()
    return config


def restore(cli: Cli, config: Path, *more: str | Path) -> Ran:
    """Bring the copy onto the other server; no part of a link, and no key, is ever seen."""
    words = ("copies", "restore", "survival", "latest", "--onto", "lobby", "--yes")
    ran = cli("--config", config, *words, *more)
    assert not [secret for secret in ("X-Amz", "AKIAEXAMPLE", "ptlc_") if secret in ran.out + ran.err]
    return ran


def changes(panel: Panel) -> list[str]:
    """What happened on the other server."""
    return [entry.change for entry in panel.world.ledger if entry.server == panel.lobby.uuid]


def test_a_node_fetches_a_copy_from_the_store_by_a_signed_link(
    cli: Cli, panel: Panel, s3: Place, tmp_path: Path
) -> None:
    """File for file the same, from a copy whose backup the panel has no more; nothing else is left there."""
    config = copied(cli, panel, s3, tmp_path)
    ran = restore(cli, config)
    assert (ran.code, ran.out) == (0, BY_PULL), ran.err
    assert tree(panel.lobby) == FILES
    assert changes(panel) == [Change.PULLING, Change.UNPACKED, Change.FILES_DELETED]


def test_a_link_that_the_store_refuses_is_no_way(
    cli: Cli, panel: Panel, s3: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has ended before the node asks, as where this machine's clock is wrong: then the copy is uploaded."""
    config = copied(cli, panel, s3, tmp_path)
    signed = S3Client.link
    monkeypatch.setattr(S3Client, "link", lambda client, key, _seconds: signed(client, key, -60))
    ran = restore(cli, config)
    assert (ran.code, ran.out) == (0, BY_UPLOAD), ran.err
    assert "not by pull: the node does not fetch it: 0 of " in ran.err
    assert tree(panel.lobby) == FILES


def test_an_encrypted_copy_is_never_fetched_by_the_node(
    cli: Cli, panel: Panel, s3: Place, tmp_path: Path, identity: Path
) -> None:
    """It could not read it."""
    public = run("age-keygen", "-y", identity).decode().strip()
    config = copied(cli, panel, s3, tmp_path, f'encrypt_to = ["{public}"]')
    ran = restore(cli, config, "--identity", identity)
    assert (ran.code, ran.out) == (0, BY_UPLOAD), ran.err
    assert tree(panel.lobby) == FILES
    assert Change.PULLING not in changes(panel)
