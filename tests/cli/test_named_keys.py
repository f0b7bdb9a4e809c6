"""What goes wrong for a value of the configuration names its key and its value, and never a secret."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Panel

STORE = 'copies = ["nas"]\n[stores.nas]\nurl = "file://{folder}/nas"\n'


def test_a_panel_that_is_not_reached_is_named_with_its_url(cli: Cli, panel: Panel) -> None:
    """In the hint, by every command that asks it."""
    panel.url = "http://127.0.0.1:1"
    panel.configure()
    for words in ("plan", "check", "servers"):
        ran = cli("--config", panel.config, words)
        assert "panels.main.url is http://127.0.0.1:1" in ran.out + ran.err, words


def test_a_key_that_is_refused_is_named_by_its_place(
    cli: Cli, panel: Panel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file, the variable or the credential; never the key."""
    wrong = "ptlc_EXAMPLE_wrong"
    key = panel.config.with_name("main.key")
    key.write_text(wrong)
    (tmp_path / "panels.main.api_key").write_text(wrong)
    ran = cli("--config", panel.config, "plan")
    assert f"from panels.main.api_key_file, {key}" in ran.err
    assert wrong not in ran.err
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert f"from the credential {tmp_path}/panels.main.api_key" in cli("--config", panel.config, "plan").err
    monkeypatch.setenv("PTERO_BACKUPD_PANELS__MAIN__API_KEY", wrong)
    ran = cli("--config", panel.config, "plan")
    assert "from $PTERO_BACKUPD_PANELS__MAIN__API_KEY" in ran.err
    assert wrong not in ran.err


@pytest.mark.parametrize(
    ("place", "said"), [("nas", "nas is a file"), ("", "lies below a file"), ("nas/main", "Not a directory")]
)
def test_a_store_that_cannot_be_written_is_named_with_its_url(
    cli: Cli, panel: Panel, tmp_path: Path, place: str, said: str
) -> None:
    """Whether the folder is a file, lies below one, or holds what is in the way."""
    if place:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    folder = tmp_path if place else panel.config
    panel.configure(extra=STORE.format(folder=folder))
    ran = cli("--config", panel.config, "copies", "run", "survival")
    assert ran.code == 4
    assert said in ran.err
    assert f"stores.nas.url is file://{folder}/nas" in ran.err


def test_an_abbreviation_is_no_time_zone(cli: Cli, panel: Panel) -> None:
    """It is named as what it is."""
    panel.config.write_text(panel.config.read_text().replace("scope", 'timezone = "CEST"\nscope', 1))
    ran = cli("--config", panel.config, "check")
    assert ran.code == 2
    assert 'timezone = "CEST": is no IANA time zone; an abbreviation is none: name a city\'s zone' in ran.err
