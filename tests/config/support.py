"""A configuration that is right, to be made wrong in one place at a time."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.config.errors import ConfigError, ConfigIssue
from daemon.config.load import load
from daemon.config.values import Config

KEY = "ptlc_EXAMPLE0000000000000000000000000000000000000"
ENVIRONMENT = {"HOME": "/home/operator", "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
UUID = "1a7ce997-259b-452e-8b4e-cecc464142ca"
RIGHT = """
[panels.main]
url = "https://panel.example.com"
[policies.standard]
schedule = "0 4 * * *"
scope = "own"
keep = { last = 3, daily = 7 }
[servers.survival]
id = "1a7ce997"
"""
SIDECAR = {
    "HOME": "/home/operator",
    "PTERO_BACKUPD_PANELS__MAIN__URL": "https://panel.example.com",
    "PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY,
    "PTERO_BACKUPD_POLICIES__STANDARD__SCHEDULE": "every 6h",
    "PTERO_BACKUPD_POLICIES__STANDARD__SCOPE": "own",
    "PTERO_BACKUPD_POLICIES__STANDARD__KEEP": '{"last": 3}',
    "PTERO_BACKUPD_SERVERS__MY_SERVER__ID": UUID.upper(),
}


def write(folder: Path, text: str = RIGHT, name: str = "config.toml") -> Path:
    """Put a file into the folder, making the folders above it."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def loaded(folder: Path, text: str = RIGHT, environ: Mapping[str, str] = ENVIRONMENT) -> Config:
    """Load one file's text."""
    return load(write(folder, text), environ)


def problems(path: Path | None, environ: Mapping[str, str] = ENVIRONMENT) -> tuple[ConfigIssue, ...]:
    """The problems for which a configuration is refused."""
    with pytest.raises(ConfigError) as refusal:
        load(path, environ)
    return refusal.value.problems
