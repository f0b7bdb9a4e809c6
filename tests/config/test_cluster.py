"""The cluster's database: from three places, never shown, and never half configured."""

import re
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from tests.config.support import ENVIRONMENT, RIGHT, problems, write

URL = "postgresql://backupd:hunter2@db.example.com/backupd"
FROM_ENVIRONMENT = {**ENVIRONMENT, "PTERO_BACKUPD_CLUSTER__URL": URL}


def test_without_the_table_a_daemon_is_alone(tmp_path: Path) -> None:
    """Its state is in its folder."""
    for text in (RIGHT, f"{RIGHT}[cluster]\n"):
        config = load(write(tmp_path, text), ENVIRONMENT)
        assert config.cluster is None
        assert config.state == config.state_dir


def test_an_address_makes_it_a_member(tmp_path: Path) -> None:
    """By the host's name, with a lease of half a minute."""
    cluster = load(write(tmp_path, RIGHT), FROM_ENVIRONMENT).cluster
    assert cluster
    assert cluster.url.get_secret_value() == URL
    assert (cluster.member, cluster.lease) == (socket.gethostname(), timedelta(seconds=30))
    assert "hunter2" not in repr(cluster)


def test_a_file_or_a_credential_holds_the_address(tmp_path: Path) -> None:
    """As with every secret, the credential comes first."""
    write(tmp_path, f"{URL}\n", "url").chmod(0o600)
    text = f'{RIGHT}[cluster]\nurl_file = "url"\nmember = "backup-1"\nlease = "1m"'
    cluster = load(write(tmp_path, text), ENVIRONMENT).cluster
    assert cluster
    assert (cluster.url.get_secret_value(), cluster.member, cluster.lease) == (URL, "backup-1", timedelta(minutes=1))
    write(tmp_path, f"{URL}-2\n", "credentials/cluster.url")
    environ = {**ENVIRONMENT, "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    cluster = load(write(tmp_path, RIGHT), environ).cluster
    assert cluster
    assert cluster.url.get_secret_value() == f"{URL}-2"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://x:hunter2@host/db", "must be an address of PostgreSQL"),
        ("postgresql://x:hunter2@host/a b", "must be an address of PostgreSQL"),
        ("postgresql://x:hunter2@[::1/db", "cannot be read"),
        ("postgresql:///hunter2", "names no host"),
    ],
)
def test_a_wrong_address_is_refused_and_not_shown(tmp_path: Path, url: str, reason: str) -> None:
    """It holds a password."""
    (problem,) = problems(write(tmp_path, RIGHT), {**ENVIRONMENT, "PTERO_BACKUPD_CLUSTER__URL": url})
    assert problem.key == "cluster.url"
    assert reason in problem.reason
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ('member = "backup-1"', "cluster.url_file", "no address of a database, so this daemon would act independently"),
        ('lease = "4s"', "cluster.lease", "must be between 5s and 10m"),
        ('lease = "11m"', "cluster.lease", "must be between 5s and 10m"),
        ('member = "a b"', "cluster.member", "must be the name of a machine"),
        (f'url = "{URL}"', "cluster.url", "file"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, line: str, key: str, reason: str) -> None:
    """Half a cluster is none, and would be two daemons that act."""
    environ = ENVIRONMENT if 'member = "backup' in line else FROM_ENVIRONMENT
    (problem,) = problems(write(tmp_path, f"{RIGHT}[cluster]\n{line}\n"), environ)
    assert problem.key == key
    assert reason in problem.reason
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        (f"{URL}?sslmode=require", True),
        (f"{URL}?sslmode=verify-full", False),
        (URL, False),
        ("postgresql://backupd:hunter2@127.0.0.1,[::1]:5433/backupd?sslmode=disable", False),
    ],
)
def test_others_on_the_way_are_warned_of(tmp_path: Path, address: str, warned: bool) -> None:
    """Only who asks for it gets a connection on which nothing proves who answers."""
    warnings = load(write(tmp_path, RIGHT), {**ENVIRONMENT, "PTERO_BACKUPD_CLUSTER__URL": address}).warnings
    assert [("cluster.url" in one, "hunter2" in one) for one in warnings] == ([(True, False)] if warned else [])


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is an extra."""
    monkeypatch.setattr("daemon.config.cluster.find_spec", lambda _: None)
    (problem,) = problems(write(tmp_path, RIGHT), FROM_ENVIRONMENT)
    assert (problem.reason, problem.suggestion) == ("asyncpg is not installed", "pip install 'ptero-backupd[postgres]'")


def test_nobody_takes_the_folder_for_where_the_state_is() -> None:
    """A command that did so would see another journal than the daemons, and other locks."""
    root = Path(__file__).parents[2] / "daemon"
    opened = [re.findall(r"engine_for\([^)]*\)", file.read_text()) for file in root.rglob("*.py")]
    assert sorted({call for calls in opened for call in calls if "state_dir" in call}) == []
