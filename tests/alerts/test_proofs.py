"""Alerts about proofs: a backup that is not sound is told once, and so is the end of the freeze."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.core.proof import Level, Proof
from daemon.core.proof_due import ProofRules
from daemon.errors import StateError
from daemon.state import ProofAsked, ProofRecord
from daemon.state.local.journal import SqliteJournal
from daemon.status.history import Good, ServerHistory
from daemon.status.proofs import ProofsTracker
from tests.alerts.build import alert, tracking
from tests.alerts.test_copies import BEGIN, HOOK, HOUR, UUID, Stage, unreadable
from tests.virtual import BACKEND, VirtualClock
from tests.web.gallery import configured

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("rare_looks")]


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A server that is to be proven, and all is well."""
    config = configured(tmp_path, ["survival"], timezone="UTC")
    policy = replace(config.servers["survival"].policy, prove=ProofRules())
    servers = {"survival": replace(config.servers["survival"], policy=policy)}
    with closing(SqliteJournal.memory()) as journal:
        yield Stage(replace(config, servers=servers, alerts={"ops": alert(HOOK)}), journal, VirtualClock(BEGIN))


def read(stage: Stage, backup: str, *problems: str) -> None:
    """Let a backup that was just made be read."""
    now = stage.clock.now()
    proof = Proof(backup, f"auto-{backup}", now, now, Level.SANE, None if problems else Level.SANE, problems=problems)
    stage.journal.record_proof(ProofRecord("survival", UUID, proof))


async def test_a_backup_that_is_not_sound_is_told_once_and_the_end_of_the_freeze_too(stage: Stage) -> None:
    """With what is wrong and where; however many fail, and not again after a restart."""
    async with stage.running():
        await stage.clock.sleep(HOUR)
        read(stage, "one", "world/region/r.0.0.mca: torn")
        await stage.clock.sleep(HOUR)
        read(stage, "two", "world/region/r.0.0.mca: torn")
        await stage.clock.sleep(HOUR)
        assert stage.said == ["survival: a backup is not sound"]
        assert "auto-one is not sound: world/region/r.0.0.mca: torn; nothing is deleted" in stage.messages[0]["text"]
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        read(stage, "three")
        await stage.clock.sleep(HOUR)
        assert stage.said[1:] == ["survival: deletion goes on"]


async def test_a_freeze_is_told_of_a_server_of_which_no_proof_is_asked_for(stage: Stage) -> None:
    """A drill or a restore read the backup, or `prove` was taken out of the policy; and so is its end."""
    servers = {name: replace(one, policy=replace(one.policy, prove=None)) for name, one in stage.config.servers.items()}
    stage.config = replace(stage.config, servers=servers)
    async with stage.running():
        await stage.clock.sleep(HOUR)
        read(stage, "one", "world/region/r.0.0.mca: torn")
        await stage.clock.sleep(HOUR)
        assert stage.said == ["survival: a backup is not sound"]
        status = await stage.tracker.status("survival")
        assert status
        assert (status.word, status.proof is not None) == ("unproven", True)
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert len(stage.said) == 1
        stage.journal.accept_proof(UUID, "one", stage.clock.now())
        await stage.clock.sleep(HOUR)
        assert stage.said[1:] == ["survival: deletion goes on"]
        status = await stage.tracker.status("survival")
        assert status
        assert (status.troubles, status.proof) == ((), None)


async def test_a_proof_that_is_late_is_told_once_and_its_end_too(stage: Stage) -> None:
    """Though a new backup is made each day; and not again after a restart."""
    async with stage.running():
        read(stage, "one")
        for _ in range(5):
            await stage.clock.sleep(24 * HOUR)
            stage.backed_up()
        assert stage.said == ["survival: the proof is late"]
        (message,) = stage.messages
        assert message["event"] == "proof_late"
        assert message["text"].startswith(
            "No backup newer than auto-one (2026-04-16 05:00 UTC) is proven; that was due"
        )
        assert "prove --plan survival" in message["hint"]
    async with stage.running():
        await stage.clock.sleep(24 * HOUR)
        assert len(stage.said) == 1
        read(stage, "two")
        await stage.clock.sleep(HOUR)
    assert stage.said[1:] == ["survival: no proof is late any more"]
    assert (stage.messages[1]["event"], stage.messages[1]["after"]) == ("proven", ["proof_late"])
    assert stage.messages[1]["text"].startswith("auto-two was read")


async def test_a_server_that_was_never_read_is_late_so_long_after_proofs_are_configured(stage: Stage) -> None:
    """Though it has backups from long before. Once it has none, none is late."""
    async with stage.running():
        before = ServerHistory(stage.clock.now() - timedelta(days=99), stage.clock.now() + timedelta(days=9))
        stage.tracker.histories["survival"] = replace(before, good=Good(stage.clock.now() - timedelta(days=9)))
        await stage.clock.sleep(47 * HOUR)
        assert stage.said == []
        await stage.clock.sleep(2 * HOUR)
        assert stage.said == ["survival: the proof is late"]
        assert stage.messages[0]["text"].startswith("No backup is proven; that was due at 2026-04-18 05:00")
        stage.tracker.histories["survival"] = before
        await stage.clock.sleep(HOUR)
    assert stage.messages[1]["text"] == "no backup waits for a proof"


def never_read(stage: Stage) -> None:
    """Let the server have a good backup from long ago, of which no proof is known."""
    before = ServerHistory(BEGIN - timedelta(days=99), BEGIN + timedelta(days=99))
    stage.tracker.histories["survival"] = replace(before, good=Good(BEGIN - timedelta(days=9)))


async def late_at(stage: Stage) -> datetime | None:
    """From when on a proof of the server is late."""
    never_read(stage)
    proof = await stage.tracker.proof_of("survival")
    assert proof
    return proof.late_at


async def test_no_restart_begins_the_wait_of_a_server_that_was_never_read_anew(stage: Stage) -> None:
    """Nor does a reload; so a daemon that starts each day tells it all the same."""
    for hours, told in ((30, 0), (17, 0), (2, 1)):
        async with stage.running():
            assert await late_at(stage) == BEGIN + timedelta(days=2)
            await stage.clock.sleep(hours * HOUR / 2)
            stage.tracker.follow(stage.config)
            await stage.clock.sleep(hours * HOUR / 2)
            assert stage.said == ["survival: the proof is late"] * told


@pytest.mark.parametrize("rules", [None, ProofRules(level=Level.WALKED)], ids=["none", "another level"])
async def test_the_wait_begins_anew_where_no_proof_so_deep_was_asked_for_meanwhile(
    stage: Stage, rules: ProofRules | None
) -> None:
    """Whether a reload told the daemon of that, or a start."""
    before, survival = stage.config, stage.config.servers["survival"]
    changed = replace(before, servers={"survival": replace(survival, policy=replace(survival.policy, prove=rules))})
    async with stage.running():
        for config in (before, changed, before):
            stage.tracker.follow(config)
            await stage.clock.sleep(HOUR)
        assert await late_at(stage) == BEGIN + timedelta(days=2, hours=2)
    for config in (changed, before):
        stage.config = config
        async with stage.running():
            await stage.clock.sleep(HOUR)
    async with stage.running():
        assert await late_at(stage) == BEGIN + timedelta(days=2, hours=4)


@pytest.mark.parametrize("rules", [None, ProofRules(level=Level.WALKED)], ids=["none", "another level"])
async def test_what_another_member_may_still_ask_for_is_replaced_once_all_agree(
    stage: Stage, rules: ProofRules | None
) -> None:
    """A member that was configured anew before the others takes nothing from them."""
    asked = ProofAsked("main", stage.config.servers["survival"].identifier, Level.SANE, BEGIN - timedelta(days=9))
    stage.journal.ask_proofs([asked])
    survival = stage.config.servers["survival"]
    config = replace(
        stage.config, servers={"survival": replace(survival, policy=replace(survival.policy, prove=rules))}
    )
    tracker, differing = tracking(config, stage.clock, stage.journal), ["other members differ"]
    tracker.context.disputed = lambda _config, *_stores: "".join(differing)
    tracker.follow(config)
    for _ in range(2):
        await tracker.proofs.agree()
        assert stage.journal.proofs_asked() == [asked]
    differing.clear()
    await tracker.proofs.agree()
    own = [] if rules is None else [replace(asked, level=rules.level, since=BEGIN)]
    assert stage.journal.proofs_asked() == own


async def test_a_clock_that_was_not_set_begins_no_wait(stage: Stage) -> None:
    """It begins as it is set: nothing is late before, nor is anything remembered of 1970."""
    ahead, server = BEGIN - datetime(1970, 1, 1, tzinfo=UTC), stage.config.servers["survival"]
    stage.clock.start -= ahead
    async with stage.running():
        await stage.clock.sleep(HOUR)
        assert await late_at(stage) is None
        assert stage.journal.proofs_asked() == []
        stage.clock.start += ahead
        await stage.clock.sleep(HOUR)
        begun = stage.journal.proofs_asked()[0].since
        assert BEGIN < begun <= stage.clock.now()
        assert await late_at(stage) == begun + timedelta(days=2)
    wrong = ProofAsked("main", server.identifier, Level.SANE, BEGIN - ahead)
    stage.journal.ask_proofs([wrong])
    now = stage.clock.now()
    async with stage.running():
        assert await late_at(stage) == now + timedelta(days=2), "an earlier version wrote down what it was told"
    (asked,) = stage.journal.proofs_asked()
    assert asked.since == now


@pytest.mark.parametrize("call", ["proofs_asked", "ask_proofs"])
async def test_a_reload_while_the_state_is_read_or_written_is_obeyed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The state says in the end what was configured last."""
    survival, plain = stage.config.servers["survival"], getattr(SqliteJournal, call)
    without = replace(
        stage.config, servers={"survival": replace(survival, policy=replace(survival.policy, prove=None))}
    )
    reloads = iter([without])

    def slow(*words: object) -> object:
        for config in reloads:
            stage.tracker.follow(config)
        return plain(*words)

    monkeypatch.setattr(SqliteJournal, call, slow)
    async with stage.running():
        await stage.clock.sleep(HOUR)
    assert stage.journal.proofs_asked() == []


async def test_a_state_that_takes_nothing_hides_neither_proofs_nor_since_when_they_are_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the daemon knows is written once that is possible again; and once, not at each look."""
    written: list[object] = []

    def broken(*_: object) -> None:
        written.append(None)
        raise StateError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteJournal, "ask_proofs", broken)
        async with stage.running():
            await stage.clock.sleep(HOUR)
            assert await late_at(stage) == BEGIN + timedelta(days=2)
            assert len(written) > 1
            assert stage.journal.proofs_asked() == []
            patched.undo()
            await stage.clock.sleep(HOUR)
    (asked,) = stage.journal.proofs_asked()
    assert asked.since == BEGIN
    monkeypatch.setattr(SqliteJournal, "ask_proofs", broken)
    written.clear()
    async with stage.running():
        assert await late_at(stage) == BEGIN + timedelta(days=2)
        monkeypatch.setattr(SqliteJournal, "proofs_asked", broken)
        await stage.clock.sleep(24 * HOUR)
    assert written == []


async def test_a_state_that_cannot_be_read_ends_no_freeze(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after a reload meanwhile either; the page shows what is known, and nothing of what was never read."""
    read(stage, "one", "world/region/r.0.0.mca: torn")
    async with stage.running():
        await stage.clock.sleep(HOUR)
        monkeypatch.setattr(ProofsTracker, "_look", unreadable)
        stage.tracker.follow(stage.config)
        await stage.clock.sleep(HOUR)
        proof = await stage.tracker.proof_of("survival")
        assert proof
        assert proof.frozen
    async with stage.running():
        stage.tracker.follow(stage.config)
        await stage.clock.sleep(HOUR)
        assert await stage.tracker.proof_of("survival") is None
    assert stage.said == ["survival: a backup is not sound"]
