"""The process that copies: real jobs in a real process, what it is told, and what becomes of the daemon if it dies."""
# ruff: noqa: F811 — fixtures of tests/stores

import asyncio
import os
import pickle
import signal
import sys
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from daemon.config.values import StoreConfig
from daemon.copies.errors import WorkerError
from daemon.copies.jobs import PruneInputs, ToFetch, ToProve
from daemon.copies.results import Fetched, ProofFound
from daemon.copies.shelf import read_shelf
from daemon.copying.process import SILENT_SECONDS, ChildProcess, environment
from daemon.copying.proofs import proven_on_the_way
from daemon.core.proof import Level
from daemon.errors import ProblemCode
from daemon.panel.errors import NotFoundError
from daemon.sandbox.archive import Flavour
from daemon.sandbox.records import Backup
from daemon.sandbox.scenes import KEY
from daemon.state import ShelfRecord
from daemon.stores.values import BucketLocation, Credentials, StoreSettings
from tests.copying.conftest import Listener, Rig
from tests.stores.conftest import rclone, s3, s3_service, sftp, sftp_service  # noqa: F401 — fixtures
from tests.stores.places import Place

pytestmark = pytest.mark.anyio

STORE_SECRET = "a-secret-of-the-store"


@pytest.fixture
async def worker() -> AsyncIterator[ChildProcess]:
    """One process, ended at the end."""
    worker = ChildProcess()
    yield worker
    await worker.close()


def by(code: str, silent_seconds: float = SILENT_SECONDS) -> ChildProcess:
    """Another process in its place, which runs this."""
    return ChildProcess([sys.executable, "-c", code], silent_seconds=silent_seconds)


def visible(process: int | None) -> bytes:
    """What anybody on the machine may see of a process."""
    return b"".join(Path(f"/proc/{process}/{file}").read_bytes() for file in ("cmdline", "environ"))


async def link(rig: Rig, backup: str) -> SecretStr:
    """A link, as the daemon asks the panel for it."""
    return await rig.client.download_link(rig.server.identifier, backup)


async def test_what_the_stores_want_is_copied_by_another_process(rig: Rig, worker: ChildProcess) -> None:
    """The newest first; what came of it, and what is now in the stores, is told."""
    job = await rig.job()
    looked = await worker.look(job)
    assert [one.stores for one in looked.wanted] == [("nas", "usb")] * 3
    newest = looked.wanted[0].backup
    copied = await worker.copy(job, newest, lambda: link(rig, newest), Listener())
    assert {(one.store, one.failure) for one in copied.copies} == {("nas", None), ("usb", None)}
    assert [(one.holding.store, one.holding.copies) for one in copied.remembered] == [("nas", 1), ("usb", 1)]
    assert [newest in file for file in rig.files("nas")] == [True, True]
    assert newest not in [one.backup for one in (await worker.look(job)).wanted]


async def test_one_process_does_many_jobs_and_another_begins_after_it_was_ended(rig: Rig, worker: ChildProcess) -> None:
    """So a daemon at rest has none."""
    job = await rig.job()
    pids = [worker.pid]
    for ends in (False, True, False):
        await worker.look(job)
        pids.append(worker.pid)
        if ends:
            await worker.close()
            pids.append(worker.pid)
    none, first, same, ended, other = pids
    assert (none, ended) == (None, None)
    assert first == same != other
    with pytest.raises(ProcessLookupError):
        os.kill(first or 0, 0)


async def test_the_stream_of_a_copy_proves_the_copy_and_what_was_downloaded(rig: Rig, worker: ChildProcess) -> None:
    """To the archive's end and no deeper."""
    job = await rig.job()
    damaged, *_, newest = sorted(job.listing.backups, key=lambda one: str(one.created_at))
    rig.server.backups[damaged.uuid].flavour = Flavour.BAD_CRC
    job = await rig.job()
    for backup, problems in ((newest, 0), (damaged, 1)):
        copied = await worker.copy(job, backup.uuid, partial(link, rig, backup.uuid), Listener())
        job = replace(job, remembered=copied.remembered)
        found = list(proven_on_the_way(backup.uuid, copied.remembered, {"nas"}))
        assert [(one.store, one.asked, len(one.problems)) for one in found] == [
            ("nas", Level.WALKED, problems),
            ("", Level.WALKED, problems),
        ]
        assert {one.reached for one in found} == {None if problems else Level.WALKED}
        assert list(proven_on_the_way(backup.uuid, copied.remembered, ())) == []


async def test_a_backup_is_read_by_another_process_and_what_is_torn_is_told(rig: Rig, worker: ChildProcess) -> None:
    """And its copy, out of a store; the process has no panel's key, and asks for each link."""
    job = await rig.job()
    backups = sorted(rig.server.backups.values(), key=lambda one: one.created_at)
    sound, torn, gone = backups
    torn.flavour, gone.file_gone = Flavour.TORN, True
    job = await rig.job()

    async def found(backup: Backup, store: str = "", level: Level = Level.SANE) -> ProofFound:
        asked = ToProve(backup.uuid, level, 1, store)
        return await worker.prove(job, asked, partial(link, rig, backup.uuid), Listener())

    right = await found(sound)
    assert (right.reached, right.problems, right.failure, right.index) == (Level.SANE, (), None, None)
    asked = ToProve(sound.uuid, Level.SANE, 1, indexed=1000)
    indexed = await worker.prove(job, asked, partial(link, rig, sound.uuid), Listener())
    assert indexed.index is not None
    assert indexed.index.outermost >= {"world"}
    assert (indexed.index.count, "r.0.0.mca" in indexed.index.folders["world/region"]) == (right.files, True)
    bad = await found(torn)
    assert (bad.reached, bad.problems) == (None, ("world/region/r.0.0.mca: chunk 0,0 is past the end of the file",))
    assert (await found(torn, level=Level.WALKED)).reached is Level.WALKED
    lost = await found(gone)
    assert (lost.problems, lost.failure is not None) == ((), True)
    copied = await worker.copy(job, sound.uuid, partial(link, rig, sound.uuid), Listener())
    job = replace(job, remembered=copied.remembered)
    assert (await found(sound, "nas")).reached is Level.SANE
    data = next(file for file in rig.place("nas").rglob("*.tar.gz"))
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    (problem, *_) = (await found(sound, "nas")).problems
    assert "SHA-256" in problem
    assert (await found(torn, "nas")).failure is not None


async def test_a_store_is_pruned_by_its_own_rules(rig: Rig, worker: ChildProcess) -> None:
    """What went is told with its reasons."""
    job = await rig.job()
    for one in (await worker.look(job)).wanted:
        await worker.copy(job, one.backup, partial(link, rig, one.backup), Listener())
    narrowed = await rig.job(rig.config({"nas": "keep = { last = 2 }"}))
    pruned = await worker.prune(narrowed, "nas", PruneInputs())
    assert (len(pruned.deleted), pruned.refused, pruned.failure) == (1, "", None)
    assert "2" in pruned.deleted[0].text
    assert len(rig.files("nas")) == 4
    assert pruned.applied is not None
    narrower = await rig.job(rig.config({"nas": "keep = { last = 1 }"}))
    held = await worker.prune(narrower, "nas", PruneInputs(applied=pruned.applied))
    assert held.deleted == ()
    assert "a backup that the retention last applied keeps is held until" in held.refused
    assert len(rig.files("nas")) == 4


async def test_a_process_deletes_nothing_once_its_daemon_has_lost_the_lease(rig: Rig, worker: ChildProcess) -> None:
    """It asks right before each deletion: the daemon may have stood still, and another member may prune by now."""
    job = await rig.job()
    for one in (await worker.look(job)).wanted:
        await worker.copy(job, one.backup, partial(link, rig, one.backup), Listener())
    answers = ["", "another member of the cluster has taken over"]
    fenced = ChildProcess(hindrance=lambda *, creates: "" if creates else answers.pop(0))
    narrowed = await rig.job(rig.config({"nas": "keep = { last = 1 }\nmax_deletions = -1"}))
    pruned = await fenced.prune(narrowed, "nas", PruneInputs())
    await fenced.close()
    assert len(pruned.deleted) == 1
    assert pruned.failure is not None
    assert "has taken over; nothing more is deleted" in pruned.failure.text
    assert (pruned.trouble, len(rig.files("nas"))) == (False, 4)


async def test_a_process_deletes_nothing_if_the_lease_ends_while_the_daemon_asks_its_journal(
    rig: Rig, worker: ChildProcess
) -> None:
    """The journal may take long to say whether a proof has failed: the lease is looked at after that."""
    job = await rig.job()
    for one in (await worker.look(job)).wanted:
        await worker.copy(job, one.backup, partial(link, rig, one.backup), Listener())
    lost = [""]

    async def leave() -> str:
        lost[0] = "another member of the cluster has taken over"
        return ""

    fenced = ChildProcess(hindrance=lambda *, creates: "" if creates else lost[0])
    narrowed = await rig.job(rig.config({"nas": "keep = { last = 1 }\nmax_deletions = -1"}))
    pruned = await fenced.prune(narrowed, "nas", PruneInputs(), leave)
    await fenced.close()
    assert pruned.failure is not None
    assert "has taken over; nothing more is deleted" in pruned.failure.text
    assert (pruned.deleted, len(rig.files("nas"))) == ((), 6)


async def test_the_daemon_hears_what_is_going_before_it_gives_leave(rig: Rig, worker: ChildProcess) -> None:
    """So that whoever finds data without its manifest after a kill knows who took that away."""
    job = await rig.job()
    for one in (await worker.look(job)).wanted:
        await worker.copy(job, one.backup, partial(link, rig, one.backup), Listener())
    told: list[str] = []

    async def leave() -> str:
        told.append("leave")
        return ""

    async def going(seen: ShelfRecord) -> None:
        shelf = read_shelf(seen.detail)
        assert shelf is not None
        told.append(f"{len(shelf.going)} go")

    narrowed = await rig.job(rig.config({"nas": "keep = { last = 1 }\nmax_deletions = -1"}))
    pruned = await worker.prune(narrowed, "nas", PruneInputs(), leave, going)
    assert (len(pruned.deleted), told[:3]) == (2, ["2 go", "leave", "leave"])


async def test_a_process_deletes_nothing_more_once_a_proof_has_failed(rig: Rig, worker: ChildProcess) -> None:
    """The daemon looks right before each deletion, since a store of many copies may take hours."""
    job = await rig.job()
    for one in (await worker.look(job)).wanted:
        await worker.copy(job, one.backup, partial(link, rig, one.backup), Listener())
    answers = ["", "auto-1 is not sound: torn"]

    async def leave() -> str:
        return answers.pop(0)

    narrowed = await rig.job(rig.config({"nas": "keep = { last = 1 }\nmax_deletions = -1"}))
    pruned = await worker.prune(narrowed, "nas", PruneInputs(), leave)
    assert (len(pruned.deleted), pruned.trouble, len(rig.files("nas"))) == (1, False, 4)
    assert pruned.failure is not None
    assert pruned.failure.text == "auto-1 is not sound: torn; nothing more is deleted"


async def test_a_store_is_filled_from_another_one_though_the_panel_has_the_backup_no_more(
    rig: Rig, worker: ChildProcess
) -> None:
    """The process is told what that holds, and asks for no link."""
    job = await rig.job()
    looked = await worker.look(replace(job, stores={"nas": job.stores["nas"]}))
    newest = looked.wanted[0]
    nas = replace(job, stores={"nas": job.stores["nas"]})
    copied = await worker.copy(nas, newest.backup, partial(link, rig, newest.backup), Listener())
    rig.server.backups.clear()
    job = replace(await rig.job(), stores={"usb": job.stores["usb"]}, others=nas.stores, remembered=copied.remembered)
    (wanted,) = (await worker.look(job)).wanted
    assert (wanted.backup, wanted.name, wanted.stores) == (newest.backup, newest.name, ("usb",))
    filled = await worker.copy(job, wanted.backup, partial(link, rig, wanted.backup), Listener())
    assert [(one.store, one.failure, one.source) for one in filled.copies] == [("usb", None, "nas")]
    assert rig.files("usb") == rig.files("nas")


async def test_a_backup_that_is_nowhere_any_more_is_one_copy_that_failed(rig: Rig, worker: ChildProcess) -> None:
    """The server's others are copied all the same."""
    job = await rig.job()
    copied = await worker.copy(job, "00000000-0000-0000-0000-000000000000", partial(link, rig, ""), Listener())
    assert {one.store for one in copied.copies} == set(job.stores)
    assert {one.failure.text for one in copied.copies if one.failure} == {
        "neither the panel nor a store has it any more"
    }


@pytest.mark.timeout(120)
async def test_every_kind_of_store_is_filled_by_the_process(
    rig: Rig, worker: ChildProcess, s3: Place, sftp: Place, rclone: Place
) -> None:
    """It loads their engines and has their secrets; the one download goes to all, and they are listed and pruned."""
    job = await rig.job()
    rules = job.stores["nas"].rules
    places = {place.kind: StoreConfig(place.settings, replace(rules, name=place.kind)) for place in (s3, sftp, rclone)}
    job = replace(job, stores={"nas": job.stores["nas"], **places})
    newest = (await worker.look(job)).wanted[0]
    assert newest.stores == ("nas", "s3", "sftp", "rclone")
    listener = Listener()
    copied = await worker.copy(job, newest.backup, partial(link, rig, newest.backup), listener)
    assert [(one.store, one.failure) for one in copied.copies] == [(name, None) for name in newest.stores]
    assert sorted(listener.done, key=str) == sorted(copied.copies, key=str)
    assert {one.holding.store: one.holding.copies for one in listener.seen} == dict.fromkeys(newest.stores, 1)
    assert {one.holding.store: one.holding.copies for one in copied.remembered} == dict.fromkeys(newest.stores, 1)
    assert newest.backup not in [one.backup for one in (await worker.look(job)).wanted]
    for name in places:
        pruned = await worker.prune(job, name, PruneInputs())
        assert (pruned.failure, pruned.deleted) == (None, ())


async def test_a_store_in_trouble_is_told_as_such_and_the_other_gets_its_copy(rig: Rig, worker: ChildProcess) -> None:
    """A folder that is missing looks like a mount that is missing."""
    job = await rig.job()
    rig.place("usb").rmdir()
    looked = await worker.look(job)
    assert list(looked.troubles) == ["usb"]
    assert "usb" in looked.troubles["usb"].text
    assert [one.stores for one in looked.wanted] == [("nas",)] * 3


async def test_why_the_panel_gives_no_link_is_told(rig: Rig, worker: ChildProcess) -> None:
    """The process has no client of the panel; the daemon's error goes to it and comes back."""

    async def none() -> SecretStr:
        raise NotFoundError("the backup is gone")

    job = await rig.job()
    first = (await worker.look(job)).wanted[0]
    copied = await worker.copy(job, first.backup, none, Listener())
    assert [one.failure.text for one in copied.copies if one.failure] == ["the backup is gone"] * 2
    assert {one.failure.code for one in copied.copies if one.failure} == {ProblemCode.NOT_FOUND}
    assert copied.troubles == {}


async def test_neither_arguments_nor_environment_hold_a_secret(
    rig: Rig, worker: ChildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the stores', which the process is sent; nor is the panel's key among what it is sent."""
    monkeypatch.setenv("PTERO_BACKUPD_PANELS__MAIN__API_KEY", KEY)
    job = await rig.job()
    given = Credentials(access_key_id=SecretStr("AKIAEXAMPLE"), secret_access_key=SecretStr(STORE_SECRET))
    bucket = StoreSettings("off", BucketLocation("s3", "bucket", ""), credentials=given)
    job = replace(job, others={"off": replace(job.stores["nas"], settings=bucket)})
    await worker.look(job)
    told = visible(worker.pid)
    assert KEY.encode() not in told
    assert STORE_SECRET.encode() not in told
    assert STORE_SECRET.encode() in pickle.dumps(job.without_key())
    assert b"PTERO_BACKUPD" not in told
    assert KEY.encode() not in pickle.dumps(job.without_key())
    assert KEY.encode() in pickle.dumps(replace(job, stores={}))  # it would be seen


def test_what_is_not_ours_alone_is_handed_on() -> None:
    """rclone and proxies are configured by the environment; our keys, and systemd's way to us, are not for others."""
    given = {"HTTPS_PROXY": "p", "RCLONE_CONFIG": "r", "ptero_backupd_x": "k", "CREDENTIALS_DIRECTORY": "c"}
    assert environment({**given, "NOTIFY_SOCKET": "n", "WATCHDOG_USEC": "1"}) == {
        "HTTPS_PROXY": "p",
        "RCLONE_CONFIG": "r",
    }


async def test_a_process_that_is_killed_is_a_failed_try_and_the_next_job_gets_another(
    rig: Rig, worker: ChildProcess
) -> None:
    """As by the kernel, when there is no memory left."""
    job = await rig.job()
    first = (await worker.look(job)).wanted[0]

    async def killing() -> SecretStr:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        return await link(rig, first.backup)

    with pytest.raises(WorkerError, match="killed by SIGKILL"):
        await worker.copy(job, first.backup, killing, Listener())
    assert not [file for file in rig.files("nas") if file.endswith(".json")]
    assert (await worker.look(job)).wanted[0].backup == first.backup


async def test_leaving_a_copy_ends_the_process_and_clears_up_what_it_began(rig: Rig, worker: ChildProcess) -> None:
    """As when the daemon is told to stop."""
    job = await rig.job()
    first = (await worker.look(job)).wanted[0]
    asked = asyncio.Event()

    async def never() -> SecretStr:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    copying = asyncio.create_task(worker.copy(job, first.backup, never, Listener()))
    await asked.wait()
    copying.cancel()
    await asyncio.wait([copying])
    assert (copying.cancelled(), worker.pid) == (True, None)
    assert (rig.files("nas"), rig.files("usb")) == ([], [])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(3)", "ended with code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("import os; os.write(0, b'\\xff\\xff\\xff\\xff')", "a message of 4294967295 bytes"),
        ("import os; os.write(0, b'\\0\\0\\0\\1x')", "no message of ours"),
        ("import os; os.write(0, b'\\0\\0\\0\\x0d{\"result\": 1}')", "no LookResult"),
    ],
)
async def test_whatever_the_process_does_is_one_error(rig: Rig, code: str, words: str) -> None:
    """It reads what others wrote, so nothing that it says is believed.

    It takes what it is asked: a socket that is closed with that unread may lose what was written to it.
    """
    worker = by(f"{code}\nwhile os.read(0, 65536):\n    pass")
    with pytest.raises(WorkerError, match=words):
        await worker.look(await rig.job())
    assert worker.pid is None


async def test_a_process_that_says_nothing_is_ended(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs holds up the copies for a bounded time, and is killed if it does not end by itself."""
    monkeypatch.setattr("daemon.copying.process.STOP_SECONDS", 0.1)
    worker = by("import threading; threading.Event().wait(5)", silent_seconds=0.1)
    with pytest.raises(WorkerError, match="reported nothing"):
        await worker.look(await rig.job())
    assert worker.pid is None


async def test_a_process_that_cannot_be_started_is_the_same_error(rig: Rig) -> None:
    """The interpreter may have been replaced by an upgrade."""
    with pytest.raises(WorkerError, match="cannot be started"):
        await ChildProcess(["/nowhere/python"]).look(await rig.job())


# Fetching ------------------------------------------------------------------------------------------------------------


async def fetched(rig: Rig, worker: ChildProcess, *, most: int, name: str = "b", folder: str = "drill") -> Fetched:
    """What comes of a backup of the server that is fetched into a folder."""
    into = rig.folder / folder
    into.mkdir()
    backup = next(one for one in rig.server.backups.values() if one.name == name)
    what = ToFetch(backup.uuid, into, most, backup.bytes)
    return await worker.fetch(await rig.job(), what, partial(link, rig, backup.uuid), Listener())


async def test_a_backup_is_fetched_into_a_folder_and_split_there(rig: Rig, worker: ChildProcess) -> None:
    """In one piece where that is small enough, else in several, which hold the same files."""
    rig.server.folder = rig.folder / "world"
    rig.server.folder.mkdir()
    noise = Random(1)
    files = {f"world/{number}.bin": noise.randbytes(100_000) for number in range(5)}
    for path, data in files.items():
        rig.server.files.write(path, data)
    made = rig.sandbox.world.add_backup(rig.server, "b")
    whole = await fetched(rig, worker, most=2**20)
    assert (whole.parts, whole.failure) == (("archive.tar.gz",), None)
    assert (rig.folder / "drill/archive.tar.gz").read_bytes() == b"".join(made.archive.pieces())
    parts = await fetched(rig, worker, most=300_000, folder="in parts")
    assert parts.parts == ("part-1.tar.gz", "part-2.tar.gz", "part-3.tar.gz")
    assert sorted(path.name for path in (rig.folder / "in parts").iterdir()) == sorted(parts.parts)
    found: dict[str, bytes] = {}
    for name in parts.parts:
        with tarfile.open(rig.folder / "in parts" / name) as archive:
            found |= {one.name: _content(archive, one) for one in archive if one.isfile()}
    assert found == files
    cannot = await fetched(rig, worker, most=150_000, folder="too small")
    assert cannot.failure is not None
    assert (cannot.failure.code, cannot.parts) == (ProblemCode.WAY_CLOSED, ())
    made.claimed_checksum = "sha1:" + "0" * 40
    wrong = await fetched(rig, worker, most=2**20, folder="wrong")
    assert wrong.failure is not None
    assert (wrong.failure.code, list((rig.folder / "wrong").iterdir())) == (ProblemCode.WRONG_FILE, [])


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()
