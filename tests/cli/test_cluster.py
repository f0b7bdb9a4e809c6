"""The commands below `cluster`, and `state copy`, with a real database."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.opinion import opinion_of
from daemon.config.values import ClusterConfig
from daemon.core.agreement import DECISIONS, Opinion
from daemon.errors import StateError
from daemon.state import Engine, Journal, engine_for
from daemon.state import Snapshot as StoredSnapshot
from daemon.state.local.catalogue import FILE_NAME as CATALOGUE
from daemon.state.local.installation import FILE_NAME as INSTALLATION
from daemon.state.local.store import FILE_NAME as JOURNAL
from daemon.state.postgres.journal import PostgresJournal
from daemon.status.packed import write_detail
from tests.cli.conftest import Cli, Panel
from tests.fakes import FakeClock
from tests.postgres import PASSWORD, Postgres
from tests.state.engines import membership
from tests.state.test_move import dump


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


def test_the_status_shows_which_member_acts_for_each_server(
    cli: Cli, panel: Panel, cluster: ClusterConfig, clock: FakeClock, postgres_server: Postgres
) -> None:
    """By the node on which it was seen last; of one that was never seen it is not known. One that is dead acts no more,
    though nobody has replaced it yet.
    """
    survival, node = panel.survival, panel.survival.node.name

    def rows(out: str) -> list[list[str]]:
        return [line.split() for line in out.splitlines()[:3]]

    async def look() -> None:
        status = ("--config", panel.config, "status")
        async with opened(cluster) as journal:
            await journal.snapshot(StoredSnapshot(survival.uuid, "main", clock.now(), write_detail(node, 9, ())), 0)
        head, first, second = rows((await asyncio.to_thread(cli, *status)).out)
        assert (head[-1], first[-1], second[-1]) == ("member", "nobody", "-")
        async with acting(cluster, OTHER, node), acting(cluster, "backup-3"):
            _, first, second = rows((await asyncio.to_thread(cli, *status)).out)
            assert (first[-1], second[-1]) == (OTHER, "-")
            told = (await asyncio.to_thread(cli, *status, "--json")).json
            assert [one["member"] for one in told["servers"]] == [OTHER, None]
            assert told["members"] == [
                {"member": OTHER, "nodes": [{"panel": "main", "node": node}]},
                {"member": "backup-3", "nodes": [{"panel": "main", "node": "of-backup-3"}]},
            ]
            over = f"UPDATE member SET until = clock_timestamp() WHERE name = '{OTHER}'"  # noqa: S608 — a name of ours
            await asyncio.to_thread(postgres_server.sql, cluster, over)
            _, first, second = rows((await asyncio.to_thread(cli, *status)).out)
            assert (first[-1], second[-1]) == ("nobody", "-")

    asyncio.run(look())


@asynccontextmanager
async def opened(cluster: ClusterConfig) -> AsyncIterator[Journal]:
    """The journal of a cluster."""
    engine = engine_for(cluster)
    journal = await engine.open()
    try:
        yield journal
    finally:
        await journal.close()
        engine.close()


OTHER = "backup-2"


@asynccontextmanager
async def acting(cluster: ClusterConfig, name: str, node: str | None = None) -> AsyncIterator[Engine]:
    """A daemon of that name, which holds a node."""
    engine = engine_for(replace(cluster, member=name))
    await engine.leadership.join()
    assert engine.leadership.shares is not None
    try:
        assert await engine.leadership.shares.take(f"node main/{node or f'of-{name}'}")
        yield engine
    finally:
        await engine.leadership.give_up()
        engine.close()


def test_a_member_leaves_once_it_has_handed_over_and_comes_back(cli: Cli, panel: Panel, cluster: ClusterConfig) -> None:
    """This host's without a name; what it still holds is told, and who is out is shown."""
    words = ("--config", panel.config, "cluster")

    async def look() -> None:
        async with acting(cluster, cluster.member) as own, acting(cluster, OTHER):
            left = await asyncio.to_thread(cli, *words, "leave", "--wait", "0", "--json")
            part = f"node main/of-{cluster.member}"
            assert (left.code, left.json) == (3, {"member": cluster.member, "holds": [part]})
            assert own.leadership.shares is not None
            await own.leadership.shares.give(part)
            left = await asyncio.to_thread(cli, *words, "leave")
            assert (left.code, "has handed over" in left.out) == (0, True)
            shown = await asyncio.to_thread(cli, *words, "status", "--json")
            assert [(one["name"], one["by"], one["evicted"]) for one in shown.json["out"]] == [
                (cluster.member, cluster.member, False)
            ]
            shown = await asyncio.to_thread(cli, *words, "status")
            assert f"{cluster.member} was sent out" in shown.out
            joined = await asyncio.to_thread(cli, *words, "join", "--json")
            assert (joined.code, joined.json) == (0, {"member": cluster.member, "was_out": True})
            joined = await asyncio.to_thread(cli, *words, "join")
            assert (joined.code, "was not out" in joined.out) == (0, True)

    asyncio.run(look())


def test_the_last_member_leaves_or_is_evicted_only_if_that_is_meant(
    cli: Cli, panel: Panel, cluster: ClusterConfig
) -> None:
    """One that is out already counts for nobody."""
    words = ("--config", panel.config, "cluster")

    async def look() -> None:
        async with acting(cluster, cluster.member), acting(cluster, OTHER):
            assert (await asyncio.to_thread(cli, *words, "leave", OTHER, "--wait", "0")).code == 3
            refused = await asyncio.to_thread(cli, *words, "leave", "--wait", "0")
            assert (refused.code, "give --yes" in refused.err) == (2, True)
            left = await asyncio.to_thread(cli, *words, "leave", "--wait", "0", "--yes")
            assert left.code == 3
            assert "no member acts" in (await asyncio.to_thread(cli, *words, "status")).out

    asyncio.run(look())


def test_a_rotation_by_hand_deletes_nothing_where_a_daemon_would_decide_differently(
    cli: Cli, panel: Panel, cluster: ClusterConfig
) -> None:
    """It makes its backup, and says why; once they agree it deletes."""
    words = ("--config", panel.config, "rotate", "survival", "--json")
    config = load(panel.configure(keep="{ last = 4 }"), os.environ)

    async def look() -> None:
        async with acting(cluster, OTHER) as other:
            assert other.leadership.shares is not None
            for policy, disputed in ({}, True), (opinion_of(config).rules, False):
                await other.leadership.shares.publish(Opinion.of(policy))
                ran = await asyncio.to_thread(cli, *words)
                (outcome,) = ran.json["servers"]
                assert (ran.code, bool(outcome["deleted"])) == ((5, False) if disputed else (0, True))
                assert [one["code"] for one in outcome["problems"]] == ["disputed"] * disputed

    asyncio.run(look())


def test_nothing_beyond_retention_is_deleted_by_hand_where_a_daemon_would_decide_differently(
    cli: Cli, panel: Panel, cluster: ClusterConfig
) -> None:
    """Nor does the brake count as let through what was not."""
    config = load(panel.configure(keep="{ last = 4 }"), os.environ)
    words = ("--config", panel.config, "backups", "delete", "survival", "--beyond-retention", "--yes", "--json")

    async def look() -> None:
        async with acting(cluster, OTHER) as other:
            assert other.leadership.shares is not None
            journal, uuid = await other.open(), panel.survival.uuid
            for policy, disputed in ({}, True), (opinion_of(config).rules, False):
                await other.leadership.shares.publish(Opinion.of(policy))
                ran = await asyncio.to_thread(cli, *words)
                assert (ran.code, "disputed" in ran.out) == ((5, True) if disputed else (0, False))
                assert (await journal.applied(uuid) is None) == disputed

    asyncio.run(look())


def test_a_backup_goes_by_hand_only_once_the_other_members_can_know_of_it(
    cli: Cli, panel: Panel, cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its DELETE may still land when one of them takes the backup for the newest good one."""

    async def away(*_: object) -> None:
        raise StateError("the database does not answer")

    (newest, *_) = sorted(panel.survival.backups.values(), key=lambda backup: backup.created_at, reverse=True)
    words = ("--config", panel.configure(), "backups", "delete", "survival", newest.uuid, "--yes")
    with monkeypatch.context() as patched:
        patched.setattr(PostgresJournal, "ask", away)
        ran = cli(*words)
    assert (ran.code, newest.uuid in panel.survival.backups) == (4, True)
    assert "the database does not answer" in ran.err
    assert (cli(*words).code, newest.uuid in panel.survival.backups) == (0, False)


def test_copies_are_not_pruned_by_hand_where_a_daemon_would_decide_differently(
    cli: Cli, panel: Panel, cluster: ClusterConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the store's rules; a dry run, which deletes nothing, shows what it would do."""
    (tmp_path / "nas").mkdir()
    monkeypatch.setenv("PTERO_BACKUPD_STORES__NAS__URL", f"file://{tmp_path / 'nas'}")
    panel.configure(extra='copies = ["nas"]')
    words = ("--config", panel.config, "copies", "prune", "survival")
    rules = dict(opinion_of(load(panel.config, os.environ)).rules)

    async def look() -> None:
        async with acting(cluster, OTHER) as other:
            assert other.leadership.shares is not None
            for store, code in (rules["store nas"], 0), ("another", 4):
                await other.leadership.shares.publish(Opinion.of({**rules, "store nas": store}))
                ran = await asyncio.to_thread(cli, *words)
                assert (ran.code, "different configurations of it" in ran.err) == (code, code == 4)
                assert (await asyncio.to_thread(cli, *words, "--dry-run")).code == 0

    asyncio.run(look())


def test_where_daemons_differ_is_shown_and_found_by_check(
    cli: Cli, panel: Panel, cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """By the servers' names; and so is a configuration that no daemon goes by yet, and a promotion."""
    words = ("--config", panel.config)
    rules = dict(opinion_of(load(panel.config, os.environ)).rules)
    changed = {key: "another" if key.endswith(panel.lobby.identifier) else said for key, said in rules.items()}
    promoted = "UPDATE home SET promoted_at = clock_timestamp()"

    async def found() -> list[str]:
        ran = await asyncio.to_thread(cli, *words, "check", "--offline", "--json")
        assert ran.code == 0
        return [one["text"] for one in ran.json["findings"] if one["level"] == "warning"]

    async def look() -> None:
        async with acting(cluster, "one") as one, acting(cluster, "two") as two:
            assert one.leadership.shares is not None
            assert two.leadership.shares is not None
            await one.leadership.shares.publish(Opinion.of(rules))
            await two.leadership.shares.publish(Opinion.of(changed))
            shown = await asyncio.to_thread(cli, *words, "cluster", "status", "--json")
            assert shown.json["differ"] == {"versions": False, "on": ["lobby"]}
            assert [member["decisions"] for member in shown.json["members"]] == [DECISIONS] * 2
            said = "members of the cluster have different configurations of lobby"
            assert said in (await asyncio.to_thread(cli, *words, "cluster", "status")).out
            assert await found() == [f"{said}, so nothing is deleted there"]
            await one.leadership.shares.publish(Opinion.of(changed))
            assert await found() == ["the daemons of the cluster have another configuration of lobby than this machine"]
            await one.leadership.shares.publish(Opinion.of(rules, DECISIONS + 1))
            assert "versions that decide differently" in (await found())[0]
            await asyncio.to_thread(postgres_server.sql, cluster, promoted)
            assert "promoted or restored" in (await found())[0]
            assert "promoted or restored last at" in (await asyncio.to_thread(cli, *words, "cluster", "status")).out

    asyncio.run(look())


def test_a_member_that_cannot_reach_a_panel_is_shown(cli: Cli, panel: Panel, cluster: ClusterConfig) -> None:
    """Only as long as it says so."""
    words = ("--config", panel.config, "cluster", "status")

    async def look() -> None:
        async with acting(cluster, "one"), acting(cluster, "two") as two:
            assert two.leadership.shares is not None
            assert "does not reach" not in (await asyncio.to_thread(cli, *words)).out
            await two.leadership.shares.tell_cut_off({"main"})
            assert "member two does not reach panel main" in (await asyncio.to_thread(cli, *words)).out
            shown = await asyncio.to_thread(cli, *words, "--json")
            assert {one["name"]: one["cut_off"] for one in shown.json["members"]} == {"one": [], "two": ["main"]}

    asyncio.run(look())


def test_a_live_member_is_evicted_only_if_that_is_meant(cli: Cli, panel: Panel, cluster: ClusterConfig) -> None:
    """Its work is cut short; it holds nothing from then on."""
    words = ("--config", panel.config, "cluster")

    async def look() -> None:
        async with acting(cluster, cluster.member) as own, acting(cluster, OTHER):
            refused = await asyncio.to_thread(cli, *words, "evict", OTHER)
            assert (refused.code, "give --yes" in refused.err) == (2, True)
            assert [one.name for one in (await membership(own).seen()).members] == [cluster.member, OTHER]
            evicted = await asyncio.to_thread(cli, *words, "evict", OTHER, "--yes", "--json")
            assert (evicted.code, evicted.json["member"], len(evicted.json["epochs"])) == (0, OTHER, 1)
            assert [one.name for one in (await membership(own).seen()).members] == [cluster.member]
            assert f"{OTHER} was evicted" in (await asyncio.to_thread(cli, *words, "status")).out
            for command in ("leave", "evict"):
                unknown = await asyncio.to_thread(cli, *words, command, "nobody", "--yes")
                assert (unknown.code, "has no member 'nobody'" in unknown.err) == (2, True)

    asyncio.run(look())


def test_one_whose_lease_is_over_is_evicted_without_a_question(
    cli: Cli, panel: Panel, cluster: ClusterConfig, postgres_server: Postgres
) -> None:
    """It has lost all that it held to whoever takes it."""
    over = "UPDATE member SET until = clock_timestamp() - interval '1 second' WHERE name = 'backup-2'"

    async def look() -> None:
        async with acting(cluster, cluster.member), acting(cluster, OTHER):
            await asyncio.to_thread(postgres_server.sql, cluster, over)
            evicted = await asyncio.to_thread(cli, "--config", panel.config, "cluster", "evict", OTHER)
            assert (evicted.code, "is evicted" in evicted.out) == (0, True)

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


def test_what_a_daemon_alone_has_kept_moves_to_the_cluster_and_back(
    cli: Cli, panel: Panel, cluster: ClusterConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was seen in its stores, to the letter; in between commands find it in the database."""
    (tmp_path / "nas").mkdir()
    monkeypatch.setenv("PTERO_BACKUPD_STORES__NAS__URL", f"file://{tmp_path / 'nas'}")
    panel.configure(extra='copies = ["nas"]')
    words = ("--config", panel.config)
    alone, back = tmp_path / "alone", tmp_path / "back"
    with monkeypatch.context() as before:
        for name in ("URL", "MEMBER"):
            before.delenv(f"PTERO_BACKUPD_CLUSTER__{name}")
        before.setenv("PTERO_BACKUPD_STATE_DIR", str(alone))
        for command in ("rotate", "survival"), ("copies", "run", "survival"):
            assert cli(*words, *command).code == 0
        shown = cli(*words, "history", "--json").json
    there = cli(*words, "state", "copy", "--from", str(alone), "--to", "cluster", "--json")
    assert there.code == 0
    assert min(there.json["tables"][table] for table in ("rotation", "step", "copy_record", "shelf")) > 0
    assert cli(*words, "history", "--json").json == shown
    returned = cli(*words, "state", "copy", "--from", "cluster", "--to", str(back))
    assert (returned.code, "as it was in cluster" in returned.out) == (0, True)
    for file in (JOURNAL, CATALOGUE):
        assert dump(back, file) == dump(alone, file)
    assert (back / INSTALLATION).read_text() == (alone / INSTALLATION).read_text()


def test_status_tells_what_daemons_do_whose_file_was_broken_meanwhile(
    cli: Cli, panel: Panel, cluster: ClusterConfig
) -> None:
    """They go on with the configuration before, so the database is asked; without a daemon the file is what matters."""
    cli("--config", panel.config, "rotate", "survival")
    panel.config.write_text(f"{panel.config.read_text()}\nnonsense = 1\n")

    async def look() -> None:
        words = "--config", panel.config, "status"
        refused = await asyncio.to_thread(cli, *words)
        assert (refused.code, refused.out) == (2, "")
        async with acting(cluster, OTHER) as daemon, daemon.presence.known():
            ran = await asyncio.to_thread(cli, *words)
        assert ran.code == 0
        assert "the configuration is refused" in ran.err
        assert ran.out.splitlines()[1].split()[0] == "survival"

    asyncio.run(look())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cluster", "status"), "no cluster is configured"),
        (("cluster", "leave"), "no cluster is configured"),
        (("cluster", "join"), "no cluster is configured"),
        (("cluster", "evict", "one"), "no cluster is configured"),
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
