"""`cluster status` and `state copy`, with a real database."""

import asyncio
import os
from pathlib import Path

import pytest

from daemon.config.values import ClusterConfig
from daemon.state import engine_for
from tests.cli.conftest import Cli, Panel
from tests.postgres import PASSWORD, Postgres


@pytest.fixture
def cluster(postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> ClusterConfig:
    """A cluster that is configured by the environment."""
    made = postgres_server.new()
    monkeypatch.setenv("PTERO_BACKUPD_CLUSTER__URL", made.url.get_secret_value())
    monkeypatch.setenv("PTERO_BACKUPD_CLUSTER__MEMBER", made.member)
    return made


def test_the_members_are_shown_with_what_they_do(cli: Cli, panel: Panel, cluster: ClusterConfig) -> None:
    """Before the first one too; and nothing shows the password."""
    ran = cli("--config", panel.config, "cluster", "status")
    assert ran.code == 0
    assert "no member acts" in ran.out

    async def look() -> None:
        acting, holding = engine_for(cluster), engine_for(cluster)
        await acting.leadership.join()
        assert acting.leadership.shares is not None
        async with acting.presence.known(), holding.locks.held("a server"):
            for part in ("node main/first", "fleet", "panel main"):
                assert await acting.leadership.shares.take(part)
            shown = await asyncio.to_thread(cli, "--config", panel.config, "cluster", "status", "--json")
            told = [(one["name"], one["process"], one["role"], one["holds"]) for one in shown.json["members"]]
            me = (cluster.member, os.getpid())
            assert told == [(*me, "acts", ["fleet", "node main/first", "panel main"]), (*me, "command", [])]
            assert [0 < one["lease"] <= 30 for one in shown.json["members"]] == [True] * 2
            shown = await asyncio.to_thread(cli, "--config", panel.config, "cluster", "status")
            assert "main/first" in shown.out
            assert PASSWORD not in shown.out + shown.err
        await acting.leadership.give_up()
        acting.close()
        holding.close()

    asyncio.run(look())


def test_a_rotation_by_hand_is_remembered_in_the_database_and_moves_to_a_folder(
    cli: Cli, panel: Panel, cluster: ClusterConfig, tmp_path: Path
) -> None:
    """And back it goes only into an empty place."""
    assert cli("--config", panel.config, "rotate", "survival").code == 0
    before = cli("--config", panel.config, "history", "--json").json
    assert [row["server"] for row in before["rotations"]] == ["survival"]
    words = ("--config", panel.config, "state", "copy", "--from", "cluster", "--to", str(tmp_path / "moved"))
    ran = cli(*words, "--json")
    assert (ran.code, ran.json["tables"]["rotation"]) == (0, 1)
    ran = cli(*words)
    assert ran.code == 4
    assert "is not empty" in ran.err
    ran = cli("--config", panel.config, "check", "--offline")
    assert "the cluster's database can be used" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cluster", "status"), "no cluster is configured"),
        (("state", "copy", "--from", "state", "--to", "cluster"), "no cluster is configured"),
        (("state", "copy", "--from", "state", "--to", "other"), "one of --from and --to is a folder"),
        (("state", "copy", "--from", "cluster", "--to", "cluster"), "one of --from and --to is a folder"),
    ],
)
def test_without_a_cluster_there_is_nothing_to_show_or_to_move(
    cli: Cli, panel: Panel, words: tuple[str, ...], said: str
) -> None:
    """It is a mistake of usage."""
    ran = cli("--config", panel.config, *words)
    assert ran.code == 2
    assert said in ran.err
