"""`copies` and `stores`: from a panel into stores, and back without it."""

import asyncio
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from daemon.__main__ import main
from daemon.config.load import load
from daemon.copies.shelves import Shelves
from daemon.core.copies_queue import CopyQueue
from daemon.core.proof import Level, Proof
from daemon.errors import StateError
from daemon.sandbox.records import State
from daemon.state import CopyEvent, CopyRecord, ProofRecord, engine_for
from daemon.state.alone import Alone
from daemon.state.local.locks import server_lock
from daemon.stores.directory.store import DirectoryStore
from daemon.stores.errors import StorePermissionError
from tests.cli.conftest import Cli, Panel, interrupt, screen_for
from tests.copies.support import run
from tests.fakes import FakeClock

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
STORES = """copies = ["nas", "offsite"]
[stores.nas]
url = "file://{folder}/nas"
[stores.offsite]
url = "file://{folder}/offsite"
keep = {{ last = 2 }}
encrypt_to = ["{public}"]
"""


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """A private key, as age's own program makes it."""
    run("age-keygen", "-o", tmp_path / "key.txt")
    return tmp_path / "key.txt"


@pytest.fixture
def config(panel: Panel, tmp_path: Path, identity: Path) -> Path:
    """Two stores in folders: one takes all that is good, the other the two newest, encrypted."""
    for name in ("nas", "offsite"):
        (tmp_path / name).mkdir()
    public = run("age-keygen", "-y", identity).decode().strip()
    return panel.configure(extra=STORES.format(folder=tmp_path, public=public))


def test_what_is_good_is_copied_and_nothing_twice(cli: Cli, panel: Panel, config: Path) -> None:
    """Each store has what its own rules keep; a second run finds nothing to do."""
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 0, ran.err
    (server,) = ran.json["servers"]
    assert [(one["store"], one["result"]) for one in server["copies"]].count(("nas", "done")) == 6
    assert [one["store"] for one in server["copies"]].count("offsite") == 2
    assert server["error"] is None
    again = cli("--config", config, "copies", "run", "survival", "--json")
    assert (again.code, again.json["servers"][0]["copies"]) == (0, [])


def test_a_manifest_whose_data_is_gone_is_replaced_at_the_second_look(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """A store that lost an object: until two looks 48 hours apart agree, that is told, and nothing is copied."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    data = max((tmp_path / "nas").rglob("*.tar.gz"))
    whole = data.read_bytes()
    data.unlink()
    first = cli("--config", config, "copies", "run", "survival")
    assert (first.code, data.exists(), data.with_name(f"{data.name}.json").exists()) == (3, False, True)
    assert "its data is gone" in first.err
    clock.elapsed += timedelta(hours=49).total_seconds()
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 0, ran.err
    assert [(one["store"], one["result"]) for one in ran.json["servers"][0]["copies"]] == [("nas", "done")]
    assert data.read_bytes() == whole
    assert "its data is gone" not in cli("--config", config, "copies", "list", "survival").out


@pytest.mark.parametrize("damage", ["cut", "garbage", "a later version's manifest"])
def test_a_damaged_copy_whose_data_stands_is_told_and_stays(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock, damage: str
) -> None:
    """It may be the last one; only a person can know, however often it is seen."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    data = max((tmp_path / "nas").rglob("*.tar.gz"))
    manifest = data.with_name(f"{data.name}.json")
    if damage == "cut":
        data.write_bytes(data.read_bytes()[:-1])
    else:
        told = manifest.read_text()
        manifest.write_text("{}" if damage == "garbage" else told.replace('"schema": 1', '"schema": 2'))
    before = data.read_bytes(), manifest.read_bytes()
    for _ in range(2):
        ran = cli("--config", config, "copies", "run", "survival", "--json")
        (server,) = ran.json["servers"]
        assert (ran.code, server["copies"], server["stores"][0]["error"]["code"]) == (3, [], "copy")
        assert "cannot be read, or tells another size" in ran.err
        assert "by hand" in ran.err
        assert (data.read_bytes(), manifest.read_bytes()) == before
        clock.elapsed += timedelta(hours=49).total_seconds()


def test_manifests_that_somebody_took_away_are_written_back(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """All of them, by the catalogue; that is told, and in the history. Nothing of it is taken for what a crash left."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    before = {file: file.read_bytes() for file in (tmp_path / "nas").rglob("*.json")}
    for file in before:
        file.unlink()
    listed = cli("--config", config, "copies", "rescan", "--json")
    assert listed.json["stores"][0]["copies"] == 0
    shown = cli("--config", config, "copies", "list", "survival").out
    assert shown.count("its manifest is gone") == len(before) == 6
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    (server,) = ran.json["servers"]
    assert (ran.code, server["copies"], len(server["mended"])) == (0, [], 6)
    assert {file: file.read_bytes() for file in (tmp_path / "nas").rglob("*.json")} == before
    told = [one for one in asyncio.run(copy_records(config)) if one.event is CopyEvent.MENDED]
    assert {one.text for one in told} == {one["text"] for one in server["mended"]}
    assert "was gone, and was written back" in cli("--config", config, "history").out
    assert "6 copied" not in cli("--config", config, "copies", "run", "survival").out


def test_copies_whose_manifests_cannot_be_written_back_stay_for_ever(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `copies run` and `copies prune`, however often they look: exit 3, with why."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    for file in (tmp_path / "nas").rglob("*.json"):
        file.unlink()

    async def refuses(*_words: object, **_options: object) -> None:
        raise StorePermissionError("read-only")

    monkeypatch.setattr(DirectoryStore, "put", refuses)
    for _ in range(3):
        ran = cli("--config", config, "copies", "run", "survival")
        assert (ran.code, ran.err.count("could not be written back: read-only")) == (3, 1)
        assert "its manifest is gone, and 5 more" in ran.err
        assert cli("--config", config, "copies", "prune", "survival", "--max-deletions", "-1").code == 0
        assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 6
        clock.elapsed += timedelta(hours=49).total_seconds()


def test_another_installation_s_manifest_stays_though_its_data_is_gone(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """Nothing is touched that somebody else wrote."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    (tmp_path / ".local").rename(tmp_path / "old")
    data = max((tmp_path / "nas").rglob("*.tar.gz"))
    data.unlink()
    for _ in range(2):
        assert cli("--config", config, "copies", "run", "survival").code == 3
        assert data.with_name(f"{data.name}.json").exists()
        clock.elapsed += timedelta(hours=49).total_seconds()


def test_a_damaged_copy_stays_where_the_panel_has_its_backup_no_more(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """It may be the last of it."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    data = min((tmp_path / "nas").rglob("*.tar.gz"))
    data.write_bytes(data.read_bytes()[:-1])
    panel.survival.backups.clear()
    assert cli("--config", config, "copies", "run", "survival").code == 3
    assert data.exists()
    assert "tells another size" in cli("--config", config, "copies", "list", "survival").out


def test_after_the_panel_is_lost_a_new_machine_has_every_copy(
    cli: Cli, panel: Panel, config: Path, identity: Path, tmp_path: Path
) -> None:
    """Only the configuration, the stores and the private key are left; what comes has the checksum the panel said."""
    assert cli("--config", config, "copies", "run").code == 0
    newest = max(
        (one for one in panel.survival.backups.values() if one.state is State.GOOD), key=lambda b: b.created_at
    )
    said = newest.archive.digest("sha1")
    panel.survival.backups.clear()
    (tmp_path / "new").mkdir()
    fresh = tmp_path / "new" / "config.toml"
    fresh.write_text(config.read_text())
    (tmp_path / "new" / "main.key").write_bytes(config.with_name("main.key").read_bytes())
    (tmp_path / "new" / "main.key").chmod(0o600)
    home = ("--config", fresh)
    state = tmp_path / ".local"
    state.rename(tmp_path / "lost")

    assert "no copies were seen" in cli(*home, "copies", "list", "survival").out
    assert cli(*home, "copies", "rescan").code == 0
    listed = cli(*home, "copies", "list", "survival", "--json").json["servers"][0]["stores"]
    assert {one["store"]: len(one["copies"]) for one in listed} == {"nas": 6, "offsite": 2}

    plain = cli(*home, "copies", "fetch", "survival", "latest", "--output", tmp_path / "a.tar.gz")
    assert plain.code == 0, plain.err
    assert hashlib.sha1((tmp_path / "a.tar.gz").read_bytes()).hexdigest() == said  # noqa: S324 — the panel's own
    secret = ("copies", "fetch", "survival", "latest", "--store", "offsite", "--identity", identity)
    opened = cli(*home, *secret, "--output", tmp_path / "b.tar.gz")
    assert opened.code == 0, opened.err
    assert (tmp_path / "b.tar.gz").read_bytes() == (tmp_path / "a.tar.gz").read_bytes()


def test_a_copy_goes_to_stdout_as_bytes_and_nothing_else_does(
    panel: Panel, config: Path, identity: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """As it is stored, or decrypted; the exit code tells that what came is not whole."""
    assert main(["--config", str(config), "copies", "run", "survival"]) == 0
    good = [one for one in panel.survival.backups.values() if one.state is State.GOOD]
    world = b"".join(max(good, key=lambda one: one.created_at).archive.pieces())

    def raw(*words: str) -> tuple[int, bytes, bytes]:
        capsysbinary.readouterr()
        code = main(["--config", str(config), "copies", "fetch", "survival", "latest", "--output", "-", *words])
        written = capsysbinary.readouterr()
        return code, written.out, written.err

    code, out, err = raw()
    assert (code, out == world) == (0, True)
    assert b"the sha1 that the panel gave" in err
    code, out, _ = raw("--store", "offsite", "--identity", str(identity))
    assert (code, out == world) == (0, True)
    code, out, _ = raw("--store", "offsite")
    assert (code, out.startswith(b"age-encryption.org/v1\n")) == (0, True)
    stored = max((config.parent / "nas").rglob("*.tar.gz"))
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    code, _, err = raw("--store", "nas")
    assert (code, b"another SHA-256" in err) == (4, True)


def test_what_is_decrypted_is_kept_beside_its_target_and_room_for_both_is_asked_for_first(
    cli: Cli, config: Path, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the system's own folder, which is often memory."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    fetch = ("copies", "fetch", "survival", "latest", "--store", "offsite", "--identity", identity, "--output")
    assert cli("--config", config, *fetch, tmp_path / "a.tar.gz").code == 0
    assert cli("--config", config, "copies", "verify", "--store", "offsite", "--identity", identity).code == 0
    stored = max((tmp_path / "offsite").rglob("*.age")).stat().st_size
    monkeypatch.setattr("daemon.transfer.files.room", lambda _folder: (stored + 1000, 0))
    ran = cli("--config", config, *fetch, tmp_path / "b.tar.gz")
    assert (ran.code, list(tmp_path.glob("b.tar.gz*"))) == (4, [])
    assert "do not fit" in ran.err
    monkeypatch.setattr("daemon.transfer.files.room", lambda _folder: (stored - 1, 0))
    ran = cli("--config", config, "copies", "verify", "--store", "offsite", "--identity", identity)
    assert ran.code == 4
    assert "do not fit" in ran.err


def test_the_guide_s_recipe_reads_an_encrypted_copy_without_us(
    cli: Cli, config: Path, identity: Path, tmp_path: Path
) -> None:
    """With age, tar and sha256sum alone, as docs/stores.md has it."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    page = (Path(__file__).parents[2] / "docs/stores.md").read_text()
    (recipe,) = re.findall(r"^```sh\n(age .*?)^```$", page, re.MULTILINE | re.DOTALL)
    stored = max((tmp_path / "offsite").rglob("*.tar.gz.age"))
    folder = tmp_path / "by-hand"
    folder.mkdir()
    script = f"cd {folder}; cp {identity} key.txt; copy={str(stored).removesuffix('.age')}; {recipe}"
    checksum, told, summed = run("bash", "-euc", script).decode().splitlines()
    assert hashlib.sha1((folder / "world.tar.gz").read_bytes()).hexdigest() in checksum  # noqa: S324 — the panel's
    assert summed.split()[0] in told
    assert any(file.is_file() for file in (folder / "world").rglob("*"))


def test_a_copy_that_was_tampered_with_is_not_fetched(cli: Cli, config: Path, tmp_path: Path) -> None:
    """No file is left, and the reason is told."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    data = max((tmp_path / "nas").rglob("*.tar.gz"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    ran = cli("--config", config, "copies", "fetch", "survival", "latest", "--output", tmp_path / "a.tar.gz")
    assert ran.code == 4
    assert "another SHA-256" in ran.err
    assert not list(tmp_path.glob("a.tar.gz*"))


def test_a_store_that_cannot_be_used_is_told_and_the_other_has_its_copies(
    cli: Cli, config: Path, tmp_path: Path
) -> None:
    """Some failed: exit 3."""
    (tmp_path / "nas").rmdir()
    (tmp_path / "nas").write_text("a file where a folder should be")
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 3
    (server,) = ran.json["servers"]
    assert [one["store"] for one in server["stores"]] == ["nas"]
    assert [one["result"] for one in server["copies"]] == ["done", "done"]


@pytest.mark.usefixtures("no_ctrl_c")
def test_ctrl_c_leaves_no_copy_that_looks_whole(cli: Cli, panel: Panel, config: Path, tmp_path: Path) -> None:
    """What was copied before stays; what was begun is cleared away; the next run goes on."""
    interrupt(panel, "download", skip=2)
    ran = cli("--config", config, "copies", "run", "survival")
    assert ran.code == 130
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == len(list((tmp_path / "nas").rglob("*.json"))) < 6
    assert not list(tmp_path.rglob("*.part"))
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 6


def test_a_state_that_cannot_be_written_is_told_and_every_store_has_its_copies(
    cli: Cli, config: Path, tmp_path: Path
) -> None:
    """What is remembered is a cache: exit 3, once a store."""
    state = tmp_path / ".local/state/ptero-backupd"
    (state / "copies.sqlite3").mkdir(parents=True)  # a folder where a file should be
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert ran.code == 3, ran.err
    (server,) = ran.json["servers"]
    assert [one["result"] for one in server["copies"]] == ["done"] * 8
    assert [(one["store"], one["error"]["code"]) for one in server["stores"]] == [
        ("nas", "state"),
        ("offsite", "state"),
    ]
    assert "the catalogue of copies cannot be used" in ran.err


@pytest.mark.parametrize("words", [("rescan",), ("prune", "--dry-run")])
def test_a_look_into_a_whole_store_shows_on_a_terminal_how_far_it_is(
    cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """It may take minutes; elsewhere nothing is said of it."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert cli("--config", config, "copies", *words).err == ""
    screen = screen_for(monkeypatch)
    assert main(["--config", str(config), "copies", *words]) == 0
    for part in ("looking into nas, servers", "looking into offsite, servers", "1/1"):
        assert part in screen.getvalue()


def test_stores_are_listed_with_what_they_hold(cli: Cli, config: Path, tmp_path: Path) -> None:
    """As it was last seen."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    seen = {one["store"]: one for one in cli("--config", config, "stores", "--json").json["stores"]}
    assert (seen["nas"]["copies"], seen["nas"]["servers"], seen["offsite"]["copies"]) == (6, 1, 2)
    assert seen["nas"]["bytes"] == sum(file.stat().st_size for file in (tmp_path / "nas").rglob("*.gz"))
    assert seen["nas"]["url"] == f"file://{tmp_path}/nas"
    assert (seen["nas"]["waiting"], seen["nas"]["trouble"]) == (0, None)
    assert seen["nas"]["newest"] == seen["offsite"]["newest"] is not None


def test_stores_tell_what_waits_and_what_is_wrong(cli: Cli, config: Path) -> None:
    """As the daemon left it in the journal: the store that is in trouble, by name, and why."""
    queue = CopyQueue().asked("survival", ["nas", "offsite"], NOW, fresh=True).asked("lobby", ["nas"], NOW, fresh=True)
    queue = queue.failed("lobby", ["nas"], NOW, "the file is gone").store_failed("offsite", NOW, "it is full")
    asyncio.run(left_in_journal(load(config, os.environ).state_dir, queue))
    ran = cli("--config", config, "stores")
    assert ran.code == 0
    assert "2 servers, 1 after a failure" in ran.out
    assert "offsite: in trouble since 2026-04-01 12:00 UTC: it is full" in ran.out


async def proofs_in(config: Path) -> list[ProofRecord]:
    """What is recorded of readings."""
    journal = await engine_for(load(config, os.environ).state).open()
    found = await journal.proofs()
    await journal.close()
    return found


async def left_in_journal(state_dir: Path | None, queue: CopyQueue) -> None:
    """Leave the queue as a daemon would."""
    journal = await engine_for(state_dir).open()
    await journal.requeue_copies(CopyQueue(), queue)
    await journal.close()


def test_a_store_is_pruned_by_its_own_rules_whatever_the_panel_has(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """First shown, then done; the manifest and the data of a copy go together."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    panel.survival.backups.clear()
    before = sorted((tmp_path / "nas").rglob("*.tar.gz"))
    shown = cli("--config", config, "copies", "prune", "survival", "--dry-run", "--store", "nas", "--json").json
    assert [one["verdict"] for one in shown["servers"][0]["copies"]].count("delete") == 2
    assert sorted((tmp_path / "nas").rglob("*.tar.gz")) == before
    done = cli("--config", config, "copies", "prune", "--json")
    assert done.code == 0, done.err
    (nas,) = [one for one in done.json["servers"] if one["store"] == "nas"]
    assert [tmp_path / "nas" / key for key in nas["deleted"]] == before[:2]
    assert sorted((tmp_path / "nas").rglob("*.tar.gz")) == before[2:]
    assert sorted((tmp_path / "nas").rglob("*.json")) == [path.with_name(f"{path.name}.json") for path in before[2:]]
    pruned = [one for one in asyncio.run(copy_records(config)) if one.event is CopyEvent.PRUNED]
    assert [(one.server, one.store, one.text) for one in pruned] == [
        ("survival", "nas", "beyond the 4 newest backups")
    ] * 2
    assert [before[number].name.split("_")[1].split(".")[0] for number in (1, 0)] == [one.backup_uuid for one in pruned]
    assert all(one.bytes for one in pruned)


def test_the_list_says_what_the_rules_of_the_store_say(cli: Cli, panel: Panel, config: Path, tmp_path: Path) -> None:
    """What the next prune deletes and why, as a dry run does, without a look into the store; and what it waits for."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert cli("--config", config, "copies", "prune").code == 0
    text = config.read_text()
    config.write_text(text.replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    (tmp_path / "nas").rename(tmp_path / "away")
    shown = cli("--config", config, "copies", "list", "survival", "--store", "nas", "--json").json
    (tmp_path / "away").rename(tmp_path / "nas")
    dry = cli("--config", config, "copies", "prune", "--dry-run", "--store", "nas", "--json").json
    (nas,), (pruned,) = shown["servers"][0]["stores"], dry["servers"]
    for told in (nas, pruned):
        told["copies"] = [(one["key"], one["verdict"], one["reasons"]) for one in told["copies"]]
    assert all(nas[key] == pruned[key] for key in ("copies", "waits", "refused"))
    ran = cli("--config", config, "copies", "list", "survival", "--store", "nas")
    assert ran.out.count(" of the 4 newest backups") == 4
    assert ran.out.count("; then: beyond the 4 newest backups") == 2
    assert "survival in nas: 2 backups that the retention last applied keeps are held until" in ran.out
    config.write_text(text.replace('copies = ["nas", "offsite"]', 'copies = ["offsite"]'))
    shown = cli("--config", config, "copies", "list", "survival", "--store", "nas", "--json").json
    assert {(one["verdict"], *one["reasons"]) for one in shown["servers"][0]["stores"][0]["copies"]} == {(None,)}


def test_the_list_says_how_each_copy_was_proven_last_and_until_when_it_is_locked(
    cli: Cli, panel: Panel, config: Path
) -> None:
    """What was found wrong since it was copied comes first: it is not to be restored."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    uuids = asyncio.run(read_since(config, panel.survival.uuid))
    shown = cli("--config", config, "copies", "list", "survival", "--store", "nas", "--json").json
    copies = {one["uuid"]: one for one in shown["servers"][0]["stores"][0]["copies"]}
    assert [copies[uuid]["last_proof"]["reached"] for uuid in uuids] == [None, "sane"]
    assert [one["last_proof"] for uuid, one in copies.items() if uuid not in uuids] == [None] * 4
    assert copies[uuids[0]]["locked_until"] == "2026-05-01T12:00:00Z"
    ran = cli("--config", config, "copies", "list", "survival", "--store", "nas")
    assert [line.split("walked")[0] == line for line in ran.out.splitlines()[1:]].count(True) == 2
    assert "sane failed: r.0.0.mca is torn" in ran.out
    assert ran.out.count("locked in the store until 2026-05-01 12:00 UTC") == 1


def test_a_journal_that_cannot_be_read_costs_the_list_only_what_is_in_it(
    cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which copies there are stands in the catalogue."""
    assert cli("--config", config, "copies", "run", "survival").code == 0

    def torn(*_: object) -> None:
        raise StateError("the journal is torn")

    monkeypatch.setattr("daemon.state.local.journal.SqliteJournal.proofs", torn)
    ran = cli("--config", config, "copies", "list", "survival", "--json")
    assert ran.code == 0
    (nas, _) = ran.json["servers"][0]["stores"]
    assert [one["verdict"] for one in nas["copies"]] == [None] * 6
    assert "survival, nas: the journal is torn" in ran.err


async def read_since(config: Path, server: str) -> list[str]:
    """Let a proof have found the newest copy in `nas` wrong, and the one before it right; lock the first."""
    engine = engine_for(load(config, os.environ).state)
    shelves = Shelves(engine.catalogue, FakeClock(NOW))
    ((_, shelf),) = await shelves.known(["nas"], "main", server)
    (key, newest), (_, older) = sorted(shelf.manifests.items(), reverse=True)[:2]
    await shelves.remember("nas", "main", server, replace(shelf, locks={key: NOW + timedelta(days=30)}))
    journal = await engine.open()
    for manifest, reached, problems in ((newest, None, ("r.0.0.mca is torn",)), (older, Level.SANE, ())):
        told = manifest.backup
        proof = Proof(told.uuid, told.name, told.created_at, NOW, Level.SANE, reached, "nas", problems)
        await journal.record_proof(ProofRecord("survival", server, proof))
    await journal.close()
    return [newest.backup.uuid, older.backup.uuid]


async def copy_records(config: Path) -> Sequence[CopyRecord]:
    """What the journal holds of copies, newest first."""
    journal = await engine_for(load(config, os.environ).state).open()
    try:
        return await journal.copy_records()
    finally:
        await journal.close()


def test_a_server_whose_copies_another_run_makes_or_prunes_is_left_out(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """Exit 3, with what to do; a rotation is another matter, and a dry run changes nothing."""
    state = tmp_path / ".local/state/ptero-backupd"
    with server_lock(state, panel.survival.uuid):
        assert cli("--config", config, "copies", "run", "survival").code == 0
    before = sorted((tmp_path / "nas").rglob("*"))
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    with server_lock(state, f"copies-{panel.survival.uuid}"):
        for words in (("copies", "run", "survival"), ("copies", "prune", "--store", "nas")):
            ran = cli("--config", config, *words)
            assert ran.code == 3
            assert "made or pruned already by another run" in ran.err
        assert cli("--config", config, "copies", "prune", "--dry-run").code == 0
    assert sorted((tmp_path / "nas").rglob("*")) == before


def test_the_brake_holds_a_prune_that_would_delete_too_much(cli: Cli, config: Path, tmp_path: Path) -> None:
    """Refused: exit 5, and nothing is gone."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 1 }\n'))
    ran = cli("--config", config, "copies", "prune")
    assert ran.code == 5
    assert "would delete 5 of 6 good backups, more than max_share = 0.5" in ran.out
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 6


UNTIL = "nothing is deleted until a newer one in nas is proven or this one is accepted"


@pytest.mark.parametrize("extra", ["", 'prove = { level = "walked", expect = ["*"], keep_proven = 0 }'])
def test_the_command_that_is_told_ends_a_freeze_by_a_copy_once_a_newer_one_is_there(
    cli: Cli, panel: Panel, config: Path, extra: str
) -> None:
    """A proof of a backup on the panel does not: nobody would know that the store has a good copy."""
    if extra:
        config.write_text(config.read_text().replace("keep =", f"{extra}\nkeep =", 1))
    assert cli("--config", config, "copies", "run", "survival").code == 0
    asyncio.run(read_since(config, panel.survival.uuid))
    refused = cli("--config", config, "rotate", "survival")
    assert (refused.code, UNTIL in refused.out) == (5, True)
    (told,) = re.findall("`ptero-backupd (copies verify [^`]*)`", refused.out)
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert cli("--config", config, "prove", "survival").code == 0
    assert UNTIL in cli("--config", config, "plan", "survival").out
    status = cli("--config", config, "status").out
    assert "Nothing is deleted until a newer copy in nas is proven." in status
    assert f"`ptero-backupd {told}`" in status
    assert cli("--config", config, *told.split()).code == 0
    assert "nothing is deleted" not in cli("--config", config, "plan", "survival").out


def test_a_failed_proof_holds_a_prune(cli: Cli, panel: Panel, config: Path, tmp_path: Path) -> None:
    """Refused, by hand as by the daemon, until it is accepted: exit 5, and the way out is said."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    bad, _ = asyncio.run(read_since(config, panel.survival.uuid))
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    for words in ((), ("--dry-run",)):
        ran = cli("--config", config, "copies", "prune", *words)
        assert (ran.code, ran.err.count(f"r.0.0.mca is torn; {UNTIL}")) == (5, 2)
        assert f"`ptero-backupd prove accept survival {bad[:8]}`" in ran.err
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 6
    assert cli("--config", config, "prove", "accept", "survival", bad).code == 0
    assert cli("--config", config, "copies", "prune").code == 0
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 4


def test_a_proof_that_fails_during_a_prune_by_hand_saves_what_is_left(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon has found it meanwhile: exit 5, and no more goes than the copy that was just being deleted."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    delete = DirectoryStore.delete

    async def found_meanwhile(store: DirectoryStore, key: str) -> None:
        if key.endswith(".json"):
            await read_since(config, panel.survival.uuid)
        await delete(store, key)

    monkeypatch.setattr(DirectoryStore, "delete", found_meanwhile)
    ran = cli("--config", config, "copies", "prune", "survival", "--store", "nas")
    assert (ran.code, ran.err.count(f"r.0.0.mca is torn; {UNTIL}")) == (5, 1)
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 5


def test_a_narrowed_keep_is_held_for_a_day_after_it_was_told(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """A dry run tells nobody, and begins no day; `--max-deletions` lifts the brake for servers that are named."""

    def keeping(number: int) -> None:
        rule = f'/nas"\nkeep = {{ last = {number} }}\n'
        config.write_text(re.sub(r'/nas"\n(keep = .*\n)?', rule, config.read_text()))

    assert cli("--config", config, "copies", "run", "survival").code == 0
    keeping(6)
    assert cli("--config", config, "copies", "prune").code == 0
    keeping(5)
    dry = cli("--config", config, "copies", "prune", "--dry-run")
    assert (dry.code, "is held until" in dry.out) == (5, True)
    clock.elapsed += timedelta(hours=25).total_seconds()
    told = cli("--config", config, "copies", "prune", "--json")
    assert (told.code, told.json["servers"][0]["deleted"], told.json["servers"][0]["refused"]) == (5, [], None)
    assert "is held until" in told.json["servers"][0]["waits"]
    clock.elapsed += timedelta(hours=23).total_seconds()
    assert "is held until" in cli("--config", config, "copies", "prune").out
    clock.elapsed += timedelta(hours=1).total_seconds()
    assert cli("--config", config, "copies", "prune").code == 0
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 5
    keeping(1)
    assert cli("--config", config, "copies", "prune", "--max-deletions", "4").code == 2
    assert cli("--config", config, "copies", "prune", "survival", "--max-deletions", "3").code == 5
    assert cli("--config", config, "copies", "prune", "survival", "--max-deletions", "4").code == 0
    assert len(list((tmp_path / "nas").rglob("*.tar.gz"))) == 1


def test_another_installation_s_copies_are_not_pruned(cli: Cli, config: Path, tmp_path: Path) -> None:
    """A new machine has another id."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    (tmp_path / ".local").rename(tmp_path / "old")
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    ran = cli("--config", config, "copies", "prune", "--json")
    assert ran.code == 0
    assert all(one["deleted"] == [] for one in ran.json["servers"])
    assert {copy["verdict"] for one in ran.json["servers"] for copy in one["copies"]} == {"ignore"}


def test_that_copies_are_another_installation_s_is_said_with_what_to_do(cli: Cli, config: Path, tmp_path: Path) -> None:
    """By a look into the stores, and where they stay for that; nothing of it once they were adopted."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    own = cli("--config", config, "copies", "rescan")
    assert "installation" not in own.out + own.err
    (tmp_path / ".local").rename(tmp_path / "old")
    hint = "hint: once the other one is gone for good, `copies rescan --adopt` takes them over: see docs/stores.md\n"
    seen = cli("--config", config, "copies", "rescan")
    assert seen.code == 0
    assert (
        "nas: 6 copies belong to another installation\noffsite: 2 copies belong to another installation\n" in seen.out
    )
    assert seen.err == hint
    rehearsed = cli("--config", config, "copies", "prune", "survival", "--dry-run")
    assert rehearsed.code == 0
    assert "survival in nas: would delete 0, keeps 0, leaves 6 of another installation alone\n" in rehearsed.out
    assert rehearsed.err == hint
    adopted = cli("--config", config, "copies", "rescan", "--adopt")
    assert ("another installation" in adopted.out, adopted.err) == (False, "")
    after = cli("--config", config, "copies", "prune", "survival", "--dry-run")
    assert "survival in nas: would delete 0, keeps 6\n" in after.out
    assert after.err == ""


def test_a_new_machine_that_adopts_the_copies_of_the_old_one_prunes_them(
    cli: Cli, config: Path, tmp_path: Path
) -> None:
    """What the old one goes on writing stays its own; nothing in the store is changed."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "nas").rglob("*.json")}
    (tmp_path / ".local").rename(tmp_path / "old")
    adopted = cli("--config", config, "copies", "rescan", "--adopt", "--json").json["stores"]
    assert {one["store"]: one["adopted"] for one in adopted} == {"nas": 6, "offsite": 2}
    again = cli("--config", config, "copies", "rescan", "--adopt")
    assert (again.code, "are this installation's" in again.out) == (0, False)
    assert {path: path.read_bytes() for path in (tmp_path / "nas").rglob("*.json")} == before
    data = max((tmp_path / "nas").rglob("*.tar.gz"))
    manifest = data.with_name(f"{data.name}.json")
    manifest.write_text(manifest.read_text() + "\n")  # the old machine writes it anew
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    ran = cli("--config", config, "copies", "prune", "--store", "nas", "--json")
    assert ran.code == 0, ran.err
    (server,) = ran.json["servers"]
    assert [copy["verdict"] for copy in server["copies"]] == ["ignore", *["keep"] * 4, "delete"]
    assert len(server["deleted"]) == 1


def test_what_another_run_is_about_is_not_adopted_meanwhile(cli: Cli, panel: Panel, config: Path) -> None:
    """It would write what it knows over it."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    state_dir = load(config, os.environ).state_dir
    assert state_dir is not None
    with server_lock(state_dir, f"copies-{panel.survival.uuid}"):
        ran = cli("--config", config, "copies", "rescan", "--adopt", "--json")
    assert ran.code != 0
    assert "already by another run" in ran.err


def test_what_was_fetched_is_told_as_json(cli: Cli, config: Path, tmp_path: Path) -> None:
    """Where it is, and what its sums are."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    words = ("copies", "fetch", "survival", "latest", "--json", "--output")
    ran = cli("--config", config, *words, tmp_path / "a.tar.gz")
    assert (ran.code, ran.json["path"], ran.json["store"]) == (0, str(tmp_path / "a.tar.gz"), "nas")
    content = (tmp_path / "a.tar.gz").read_bytes()
    assert (ran.json["bytes"], ran.json["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    refused = cli("--config", config, *words, "-")
    assert (refused.code, refused.out) == (2, "")


def test_nothing_is_copied_of_a_suspended_server_and_that_is_no_failure(cli: Cli, panel: Panel, config: Path) -> None:
    """Exit 0, and 3 for a state that passes, as of `plan`."""
    panel.lobby.status = "suspended"
    run_all = cli("--config", config, "copies", "run")
    assert run_all.code == 0
    assert "survival: 8 copied" in run_all.out
    ran = cli("--config", config, "copies", "run", "lobby")
    said = "note: lobby: the server is suspended\nhint: only an administrator can end that\n"
    assert (ran.code, ran.out, ran.err) == (0, "lobby: skipped\n", said)
    panel.lobby.status = "installing"
    assert cli("--config", config, "copies", "run", "lobby").code == 3
    panel.lobby.status = "install_failed"
    assert cli("--config", config, "copies", "run", "lobby").code == 4


def test_what_has_the_name_of_the_file_is_looked_at_before_the_store_is_read(
    cli: Cli, config: Path, identity: Path, tmp_path: Path
) -> None:
    """The right file counts as done, though the store is broken by now; another one is replaced with --force alone."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    file = tmp_path / "a.tar.gz"
    plain = ("--config", config, "copies", "fetch", "survival", "latest", "--output", file, "--store", "nas")
    sealed = ("--config", config, "copies", "fetch", "survival", "latest", "--output", file, "--store", "offsite")
    assert cli(*plain).code == 0
    stored = max((tmp_path / "nas").rglob("*.tar.gz"))
    stored.rename(tmp_path / "elsewhere")
    again = cli(*plain)
    assert (again.code, again.out) == (0, f"{file}\n")
    assert "already there, its SHA-256 is right" in again.err
    assert cli(*sealed, "--identity", identity).code == 0

    refused = cli(*sealed)
    assert refused.code == 4
    assert f"{file} is there and is another file: it is " in refused.err
    assert "the copy's manifest says" in refused.err
    assert "--force to replace it" in refused.err
    assert file.read_bytes() == (tmp_path / "elsewhere").read_bytes()
    assert cli(*sealed, "--force").code == 0
    assert file.read_bytes().startswith(b"age-encryption.org")


def test_a_copy_that_its_store_does_not_delete_is_told(
    cli: Cli, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some failed, exit 3; the other one that is beyond the rule goes."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { last = 4 }\n'))
    oldest, delete = min((tmp_path / "nas").rglob("*.tar.gz.json")), DirectoryStore.delete

    async def deletes(store: DirectoryStore, key: str) -> None:
        if key.endswith(oldest.name):
            raise StorePermissionError("it stays")
        await delete(store, key)

    monkeypatch.setattr(DirectoryStore, "delete", deletes)
    ran = cli("--config", config, "copies", "prune", "survival", "--json")
    assert ran.code == 3
    told = {one["store"]: (len(one["deleted"]), one["error"] and one["error"]["text"]) for one in ran.json["servers"]}
    assert told == {"nas": (1, "a copy could not be deleted: it stays"), "offsite": (0, None)}
    assert "a copy could not be deleted: it stays" in ran.err


def left_in(tmp_path: Path) -> Path:
    """Leave data without a manifest in a store, as a crash does."""
    (folder,) = (tmp_path / "nas" / "main").iterdir()
    left = folder / f"20260101T000000Z_{UUID(int=1)}.tar.gz"
    left.write_bytes(b"half of a backup")
    return left


def test_what_a_crash_left_is_cleared_by_the_second_look(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """Two days after the first one; what went is told, and in the history."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    left = left_in(tmp_path)
    assert cli("--config", config, "copies", "prune").code == 0
    assert left.exists()
    clock.elapsed += timedelta(hours=49).total_seconds()
    ran = cli("--config", config, "copies", "prune")
    assert "data without a manifest, unchanged since" in ran.out
    assert not left.exists()
    (told,) = [one for one in asyncio.run(copy_records(config)) if one.event is CopyEvent.CLEARED]
    assert (told.server, told.store, told.backup.rpartition("/")[2]) == ("survival", "nas", left.name)
    assert "data without a manifest, unchanged since" in cli("--config", config, "history").out


def test_a_run_clears_nothing_away_while_a_proof_freezes_the_server(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """It clears what is left, and tells of it, once nothing hinders it."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    left = left_in(tmp_path)
    assert cli("--config", config, "copies", "run", "survival").code == 0
    clock.elapsed += timedelta(hours=49).total_seconds()
    bad, _ = asyncio.run(read_since(config, panel.survival.uuid))
    held = cli("--config", config, "copies", "run", "survival", "--json")
    assert (left.exists(), held.json["servers"][0]["cleared"]) == (True, [])
    assert cli("--config", config, "prove", "accept", "survival", bad).code == 0
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    (gone,) = ran.json["servers"][0]["cleared"]
    assert (gone["store"], gone["key"].rpartition("/")[2], left.exists()) == ("nas", left.name, False)
    assert gone["text"].startswith("data without a manifest, unchanged since ")
    (told,) = [one for one in asyncio.run(copy_records(config)) if one.event is CopyEvent.CLEARED]
    assert told.text == gone["text"]


def test_a_run_clears_nothing_away_once_its_lease_ended_while_the_journal_was_asked(
    cli: Cli, config: Path, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal may take long to say whether a proof has failed: the lease is looked at after that."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    left, lost = left_in(tmp_path), [""]
    assert cli("--config", config, "copies", "run", "survival").code == 0
    clock.elapsed += timedelta(hours=49).total_seconds()

    async def frozen(*_: object) -> None:
        lost[0] = "another member has taken over"

    monkeypatch.setattr("daemon.cli.copies.run.frozen", frozen)
    monkeypatch.setattr(Alone, "hindrance", lambda _, *, creates: "" if creates else lost[0])
    ran = cli("--config", config, "copies", "run", "survival", "--json")
    assert (left.exists(), ran.json["servers"][0]["cleared"]) == (True, [])


def test_copies_are_read_back_and_walked(cli: Cli, config: Path, identity: Path, tmp_path: Path) -> None:
    """The newest in each store, or all; what is encrypted needs the private key to be walked."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    sealed = cli("--config", config, "copies", "verify", "--json")
    assert sealed.code == 0, sealed.err
    assert {one["store"]: one["level"] for one in sealed.json["copies"]} == {"nas": "walked", "offsite": "read"}
    opened = cli("--config", config, "copies", "verify", "--all", "--identity", identity, "--json")
    assert [one["level"] for one in opened.json["copies"]] == ["walked"] * 8
    assert {one.proof.reached for one in asyncio.run(proofs_in(config))} == {Level.WALKED}
    assert all(one["files"] > 0 for one in opened.json["copies"])


def test_the_private_key_may_come_through_a_pipe(cli: Cli, config: Path, identity: Path) -> None:
    """As a shell's `<(…)` is one, so that the key lies on no disk."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    reading, writing = os.pipe()
    os.write(writing, identity.read_bytes())
    os.close(writing)
    ran = cli(
        "--config", config, "copies", "verify", "--store", "offsite", "--identity", f"/dev/fd/{reading}", "--json"
    )
    os.close(reading)
    assert [one["level"] for one in ran.json["copies"]] == ["walked"]


def test_a_copy_that_was_tampered_with_is_found_when_it_is_read_back(cli: Cli, config: Path, tmp_path: Path) -> None:
    """The plain one and the encrypted one."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    for data in (max((tmp_path / "nas").rglob("*.tar.gz")), max((tmp_path / "offsite").rglob("*.age"))):
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    ran = cli("--config", config, "copies", "verify", "--json")
    assert ran.code == 4
    assert [one["result"] for one in ran.json["copies"]] == ["bad", "bad"]
    assert all("another SHA-256" in one["problems"][0]["text"] for one in ran.json["copies"])
    found = [one.proof for one in asyncio.run(proofs_in(config))]
    assert [(one.store, one.problems != ()) for one in found] == [("nas", True), ("offsite", True)]
    held = cli("--config", config, "copies", "prune")
    assert (held.code, "is not sound" in held.err) == (5, True)


def test_check_writes_lists_reads_and_deletes_in_each_store(cli: Cli, config: Path, tmp_path: Path) -> None:
    """And leaves nothing behind; of a store that cannot be used it says what it could not."""
    ran = cli("--config", config, "check")
    assert ran.code == 0, ran.out
    assert "store nas: can write, list, read, delete" in ran.out
    assert not [file for file in (tmp_path / "nas").rglob("*") if file.is_file()]
    (tmp_path / "nas").rename(tmp_path / "gone")
    (tmp_path / "nas").write_text("a file where a folder should be")
    ran = cli("--config", config, "check")
    assert ran.code == 3
    assert "store nas: cannot write" in ran.out
    assert "store offsite: can write, list, read, delete" in ran.out


def test_check_finds_folders_that_are_the_same_by_a_link(cli: Cli, config: Path, tmp_path: Path) -> None:
    """Also by a mount, which no address shows either: they have one number on one disk."""
    (tmp_path / "offsite").rmdir()
    (tmp_path / "offsite").symlink_to(tmp_path / "nas")
    ran = cli("--config", config, "check", "--json")
    (found,) = [one for one in ran.json["findings"] if one["level"] == "error"]
    assert (ran.code, found["code"]) == (3, "store")
    assert found["text"] == f"store offsite: {tmp_path / 'offsite'} is the folder of store nas"
    assert found["hint"].startswith("give each store a folder of its own")


@pytest.mark.parametrize("words", [("copies", "run"), ("copies", "list"), ("copies", "rescan"), ("stores",)])
def test_without_stores_the_commands_say_what_to_write(cli: Cli, panel: Panel, words: tuple[str, ...]) -> None:
    """A mistake of usage."""
    ran = cli("--config", panel.configure(), *words)
    assert ran.code == 2
    assert "no stores are configured" in ran.err
    assert "[stores.NAME]" in ran.err


def test_an_unknown_store_is_asked_back(cli: Cli, config: Path) -> None:
    """Did you mean."""
    ran = cli("--config", config, "copies", "list", "--store", "nsa")
    assert ran.code == 2
    assert "nas" in ran.err


def test_plan_history_and_status_tell_of_copies(cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which stores have each backup, what became of each copy, and what is not copied and why."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    queue = CopyQueue().asked("lobby", ["nas"], NOW - timedelta(days=9), fresh=True)
    queue = queue.failed("lobby", ["nas"], NOW, "the file is gone")
    state_dir = load(config, os.environ).state_dir
    asyncio.run(left_in_journal(state_dir, queue))
    record = CopyRecord(CopyEvent.FAILED, NOW, "lobby", "u", "nas", "b", "the-backup", None, "the file is gone")
    asyncio.run(recorded(state_dir, record))
    plan = cli("--config", config, "plan", "survival", "--json").json["servers"][0]["backups"]
    assert [one["stores"] for one in plan if one["own"] and one["state"] == "good"][:3] == [["nas", "offsite"]] * 2 + [
        ["nas"]
    ]
    assert "nas, offsite" in cli("--config", config, "plan", "survival").out
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "copied to nas" in " ".join(cli("--config", config, "plan", "survival").out.split())
    monkeypatch.delenv("FORCE_COLOR")
    history = cli("--config", config, "history", "lobby", "--json").json["copies"]
    assert history == [
        {
            "event": "failed",
            "at": "2026-04-01T12:00:00Z",
            "server": "lobby",
            "store": "nas",
            "backup": {"uuid": "b", "name": "the-backup"},
            "bytes": None,
            "text": "the file is gone",
        }
    ]
    assert "the-backup; the file is gone" in cli("--config", config, "history").out
    status = {one["server"]: one for one in cli("--config", config, "status", "--json").json["servers"]}
    nas = status["lobby"]["copies"][0]
    assert list(nas) == [
        "store", "state", "newest", "copies", "bytes", "waiting_since", "next_try", "error", "late",
    ]  # fmt: skip
    assert (nas["store"], nas["state"], nas["error"]) == ("nas", None, "the file is gone")
    assert status["survival"]["copies"][0]["copies"] == 6


async def recorded(state_dir: Path | None, record: CopyRecord) -> None:
    """Leave a record of a copy as a daemon would."""
    journal = await engine_for(state_dir).open()
    await journal.record_copies([record])
    await journal.close()


def test_the_status_tells_of_stores_in_trouble_and_of_damaged_copies(cli: Cli, panel: Panel, config: Path) -> None:
    """A line each; a copy is damaged that the store has lost, or that was read and found so."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert "damaged" not in cli("--config", config, "status").out
    asyncio.run(left_in_journal(load(config, os.environ).state_dir, CopyQueue().store_failed("nas", NOW, "it is full")))
    asyncio.run(read_since(config, panel.survival.uuid))
    data = min((config.parent / "offsite").rglob("*.age"))
    data.unlink()
    assert cli("--config", config, "copies", "rescan", "--store", "offsite").code == 0
    out = " ".join(cli("--config", config, "status").out.split())
    assert "nas: in trouble since 2026-04-01 12:00 UTC: it is full" in out
    assert ": r.0.0.mca is torn. hint: `copies list survival` shows them" in out
    assert out.count("survival: A copy in nas is damaged: auto-survival-") == 1
    assert f"survival: A copy in offsite is damaged: {data.name}: its data is gone" in out


def test_check_notes_a_store_that_grows_for_ever_and_what_it_holds(cli: Cli, config: Path) -> None:
    """It may be meant, so that nothing is wrong; a store with rules of its own is not spoken of."""
    told = "store nas: its keep has no bound, so that it grows for ever"

    def notes() -> list[tuple[str, str]]:
        found = cli("--config", config, "check", "--offline", "--json").json["findings"]
        return [(one["level"], one["text"]) for one in found if "for ever" in one["text"]]

    assert notes() == [("ok", told)]
    assert cli("--config", config, "copies", "run", "survival").code == 0
    ((_, text),) = notes()
    assert text.startswith(f"{told}; it holds 6 copies, ")
    config.write_text(config.read_text().replace('/nas"\n', '/nas"\nkeep = { daily = 3, yearly = -1 }\n'))
    assert len(notes()) == 1
    config.write_text(config.read_text().replace("yearly = -1", 'within = "1y"'))
    assert notes() == []


def test_the_list_says_how_old_it_is(cli: Cli, config: Path, clock: FakeClock) -> None:
    """Where that is longer than an hour, or the store is in trouble."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert "last seen" not in cli("--config", config, "copies", "list").out
    clock.elapsed += timedelta(minutes=40).total_seconds()
    asyncio.run(left_in_journal(load(config, os.environ).state_dir, CopyQueue().store_failed("nas", NOW, "it is full")))
    out = cli("--config", config, "copies", "list").out
    assert "nas: last seen 40 min ago; in trouble since 2026-04-01 12:00 UTC: it is full" in out
    assert "offsite: last seen" not in out
    clock.elapsed += timedelta(hours=3).total_seconds()
    assert "offsite: last seen 3 h 40 min ago" in cli("--config", config, "copies", "list", "survival").out


def test_a_rescan_counts_what_is_damaged(cli: Cli, config: Path, tmp_path: Path) -> None:
    """It does not count as a copy."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    assert "damaged" not in cli("--config", config, "copies", "rescan").out
    max((tmp_path / "nas").rglob("*.tar.gz")).unlink()
    assert "nas: 1 damaged: `copies list` shows which" in cli("--config", config, "copies", "rescan").out


def test_in_place_of_a_damaged_newest_copy_the_next_good_one_is_named(
    cli: Cli, panel: Panel, config: Path, tmp_path: Path
) -> None:
    """Of the same backup in another store, else an older one; once that is known, latest is the older one at once."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    newest, older, *_ = sorted((tmp_path / "nas").rglob("*.tar.gz"), reverse=True)
    uuids = [file.name.partition("_")[2].removesuffix(".tar.gz") for file in (newest, older)]
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    fetch = ("--config", config, "copies", "fetch", "survival")
    ran = cli(*fetch, "latest")
    assert (ran.code, f"`copies fetch survival {uuids[0]} --store offsite` fetches" in ran.err) == (4, True)
    ran = cli(*fetch, "latest", "--store", "nas")
    assert (ran.code, f"`copies fetch survival {uuids[1]} --store nas` fetches" in ran.err) == (4, True)
    assert cli("--config", config, "copies", "verify", "survival", "--store", "nas").code == 4
    ran = cli(*fetch, "latest", "--store", "nas", "--output", tmp_path / "a.tar.gz")
    assert ran.code == 0, ran.err
    assert (tmp_path / "a.tar.gz").read_bytes() == older.read_bytes()
    assert "it is newer, and passed over" in ran.err
    newest.unlink()
    assert cli("--config", config, "copies", "rescan").code == 0
    ran = cli(*fetch, "latest", "--store", "nas", "--output", tmp_path / "b.tar.gz")
    assert (ran.code, f"a newer copy in nas is damaged: {newest.name}: its data is gone" in ran.err) == (0, True)


def test_a_date_names_the_newest_copy_made_then(cli: Cli, config: Path, tmp_path: Path) -> None:
    """As `copies list` shows it, in the policy's zone."""
    assert cli("--config", config, "copies", "run", "survival").code == 0
    older = sorted((tmp_path / "nas").rglob("*.tar.gz"))[1]
    moment = datetime.strptime(older.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    for number, word in enumerate((f"{moment:%Y-%m-%d}", f"{moment:%Y-%m-%dT%H}", f"{moment:%Y-%m-%d %H:%M}")):
        ran = cli("--config", config, "copies", "fetch", "survival", word, "--output", tmp_path / f"{number}.tar.gz")
        assert ran.code == 0, ran.err
        assert (tmp_path / f"{number}.tar.gz").read_bytes() == older.read_bytes()
    ran = cli("--config", config, "copies", "fetch", "survival", "2020-01-01")
    assert (ran.code, "no backup was made on 2020-01-01 (UTC)" in ran.err) == (2, True)
