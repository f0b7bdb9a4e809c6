"""The panel and this machine are lost: the configuration and the stores' keys are enough, whatever kind they are."""
# ruff: noqa: F811 — the fixtures are those of other tests

import hashlib
from pathlib import Path

import pytest

from daemon.sandbox.records import State
from daemon.stores.values import BucketLocation, SftpLocation, StoreSettings
from tests.cli.conftest import Cli, Panel
from tests.cli.test_copies import identity  # noqa: F401 — a fixture
from tests.copies.support import run
from tests.stores.conftest import rclone, s3, s3_service, sftp, sftp_service  # noqa: F401 — fixtures
from tests.stores.places import Place


def private(file: Path, text: str) -> str:
    """A file for the configuration's owner alone."""
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def lines(name: str, settings: StoreSettings, folder: Path) -> list[str]:
    """A store as an operator writes it, its secrets in files."""
    keys = {"url": str(settings.location)}
    given = settings.credentials
    if isinstance(settings.location, BucketLocation):
        assert given.access_key_id is not None
        assert given.secret_access_key is not None
        keys["endpoint"] = settings.endpoint or ""
        keys["access_key_id_file"] = private(folder / "id", given.access_key_id.get_secret_value())
        keys["secret_access_key_file"] = private(folder / "secret", given.secret_access_key.get_secret_value())
    elif isinstance(settings.location, SftpLocation):
        assert given.private_key is not None
        keys["private_key_file"] = private(folder / "private", given.private_key.get_secret_value())
        keys["known_hosts_file"] = private(folder / "known_hosts", settings.known_hosts or "")
    else:
        keys["rclone_config_file"] = str(settings.rclone_config)
    return [f"[stores.{name}]", *(f'{key} = "{value}"' for key, value in keys.items())]


@pytest.fixture
def places(s3: Place, sftp: Place, rclone: Place) -> tuple[Place, ...]:
    """Real services of three kinds."""
    return s3, sftp, rclone


@pytest.mark.timeout(180)
def test_every_kind_of_store_gives_back_what_the_panel_had(
    cli: Cli, panel: Panel, identity: Path, tmp_path: Path, places: tuple[Place, ...]
) -> None:
    """A fresh machine looks into them and fetches, plain and encrypted, what has the checksum that the panel said."""
    public = run("age-keygen", "-y", identity).decode().strip()
    tables = []
    for place in places:
        tables += [*lines(place.kind, place.settings, tmp_path), "keep = { last = 1 }", ""]
    (tmp_path / "sealed").mkdir()
    for name, url in (
        ("s3-sealed", f"{places[0].settings.location}-sealed"),
        ("sealed", (tmp_path / "sealed").as_uri()),
    ):
        table = lines(name, places[0].settings, tmp_path) if name == "s3-sealed" else [f"[stores.{name}]", "url = x"]
        table[1] = f'url = "{url}"'
        tables += [*table, f'encrypt_to = ["{public}"]', "keep = { last = 1 }", ""]
    names = ["s3", "sftp", "rclone", "s3-sealed", "sealed"]
    stores = f"copies = {names}\n".replace("'", '"') + "\n".join(tables)
    config = panel.configure(keep="{ last = 1 }", extra=stores)
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 0, ran.err

    good = [one for one in panel.survival.backups.values() if one.state is State.GOOD]
    said = max(good, key=lambda one: one.created_at).archive.digest("sha1")
    panel.survival.backups.clear()
    new = tmp_path / "new"
    new.mkdir()
    private(new / "main.key", (tmp_path / "main.key").read_text())
    fresh = new / "config.toml"
    fresh.write_text(config.read_text())
    (tmp_path / ".local").rename(tmp_path / "lost")

    assert cli("--config", fresh, "copies", "rescan").code == 0
    listed = cli("--config", fresh, "copies", "list", "survival", "--json").json["servers"][0]["stores"]
    assert {one["store"] for one in listed} == set(names)
    for name in names:
        words = ["--identity", identity] if "sealed" in name else []
        file = tmp_path / f"{name}.tar.gz"
        ran = cli("--config", fresh, "copies", "fetch", "survival", "latest", "--store", name, *words, "-o", file)
        assert ran.code == 0, ran.err
        assert hashlib.sha1(file.read_bytes()).hexdigest() == said  # noqa: S324 — the panel's own
