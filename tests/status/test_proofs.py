"""How a server's proofs are shown: one value for page, metrics, `status` and alerts."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.alerts.proofs import about_proofs
from daemon.core.alerting import AlertState, Event
from daemon.core.model import Action, Backup, State, Verdict
from daemon.core.proof import Level, Proof
from daemon.core.proof_due import ProofRules
from daemon.state import ProofAsked
from daemon.status.history import Good, ServerHistory
from daemon.status.proofs import by_key, proof_status
from daemon.status.server_status import status_of
from daemon.status.snapshot import Snapshot
from daemon.status.troubles import Kind
from tests.alerts.build import NOON, server

DAY = timedelta(days=1)
RULES = ProofRules(newest_within=2 * DAY)


def read(days: float, *problems: str, asked: Level = Level.SANE, store: str = "") -> Proof:
    """The reading of a backup that was made so many days ago, an hour later."""
    made = NOON - days * DAY
    at = made + timedelta(hours=1)
    return Proof(f"b{days}", f"auto-{days}", made, at, asked, None if problems else asked, store, problems)


def history(days: float) -> ServerHistory:
    """A server whose newest good backup was made so many days ago."""
    return replace(ServerHistory.begun(NOON - 9 * DAY), good=Good(NOON - days * DAY, f"b{days}"))


def test_nothing_is_told_of_what_is_not_to_be_proven(tmp_path: Path) -> None:
    """Whatever was read by hand, and was found right; nothing is late, however long ago that was."""
    proof = proof_status(server(tmp_path), [read(9)], history(1), {})
    assert not proof.late(NOON + timedelta(days=99))
    status = status_of(server(tmp_path), history(1), NOON, proof=proof)
    assert (status.proof, [one for one in status.troubles if one.kind is Kind.UNPROVEN]) == (None, [])


def test_a_freeze_is_told_though_no_proof_was_asked_for(tmp_path: Path) -> None:
    """A drill, or the reading before a restore, may begin one: rotations refuse to delete all the same."""
    status = status_of(
        server(tmp_path), history(1), NOON, proof=proof_status(server(tmp_path), [read(1, "torn")], history(1), {})
    )
    (trouble,) = [one for one in status.troubles if one.kind is Kind.UNPROVEN]
    assert trouble.text.startswith("auto-1 is not sound: torn.")
    assert status.proof
    assert status.proof.words(NOON) == "not sound"


def test_the_newest_proven_one_and_the_last_reading_of_each_level_are_told(tmp_path: Path) -> None:
    """Copies prove nothing of the panel's backups."""
    config = replace(server(tmp_path), policy=replace(server(tmp_path).policy, prove=RULES))
    walked, copy = read(2, asked=Level.WALKED), read(1, store="nas")
    proof = proof_status(config, [read(5), read(4), walked, copy], history(1), {})
    assert (proof.proven, proof.frozen) == (read(4), None)
    assert proof.read_at == {Level.SANE: read(4).at, Level.WALKED: walked.at}


@pytest.mark.parametrize(("days", "late"), [(2.4, False), (4, True)])
def test_a_newest_one_that_is_not_proven_in_time_is_trouble(tmp_path: Path, days: float, late: bool) -> None:
    """Counted from the first one after the last that was read, however new the newest is; until that is read."""
    config = replace(server(tmp_path), policy=replace(server(tmp_path).policy, prove=RULES))
    proof = proof_status(config, [read(days)], history(0.6), {})
    troubles = [one for one in status_of(config, history(0.6), NOON, proof=proof).troubles if one.kind is Kind.UNPROVEN]
    assert [one.text.split(" (")[0] for one in troubles] == [f"No backup newer than auto-{days}"] * late
    assert "prove --plan" in "".join(one.hint for one in troubles) or not late
    known = proof_status(config, [read(days), read(0.6)], history(0.6), {})
    assert (known.late_at, known.late(NOON)) == (None, False)


def test_those_that_were_last_seen_and_wait_count_too(tmp_path: Path) -> None:
    """They may be older than the next start after the last that was read."""
    config = replace(server(tmp_path), policy=replace(server(tmp_path).policy, prove=RULES))
    made = [NOON - days * DAY for days in (0.9, 1.2, 1.5)]
    backups = (Backup(f"b{at}", "auto", True, False, 1, at, at) for at in made)
    good = tuple(Verdict(one, State.GOOD, True, Action.KEEP, ()) for one in backups)
    seen = replace(history(0.9), snapshot=Snapshot.of(NOON, "u", "n1", 9, good))
    proof = proof_status(config, [read(1.5)], seen, {})
    assert (proof.unproven, proof.late_at) == (3, NOON + 0.8 * DAY)


def test_a_server_that_was_never_read_waits_since_a_proof_so_deep_is_asked_for_of_it(tmp_path: Path) -> None:
    """However long it is watched; it is not late while nobody has asked, or for another level, or another server."""
    config = replace(server(tmp_path), policy=replace(server(tmp_path).policy, prove=RULES))
    name, identifier = config.panel.name, config.id[:8]
    asked = ProofAsked(name, identifier, Level.SANE, NOON - DAY)
    others = ProofAsked(name, "ffffffff", Level.SANE, NOON - 9 * DAY), replace(asked, level=Level.READ)

    def late_at(*known: ProofAsked) -> datetime | None:
        proof = proof_status(config, [], history(1), by_key(known))
        return proof.late_at

    assert late_at(asked) == NOON + DAY
    assert [late_at(), *map(late_at, others)] == [None] * 3


def test_each_backup_is_told_with_what_is_known_of_it(tmp_path: Path) -> None:
    """What was walked on its way to a store was right when it was downloaded, which says less than a reading."""
    config = replace(server(tmp_path), policy=replace(server(tmp_path).policy, prove=RULES, copies=("nas",)))
    on_its_way = [read(2, asked=Level.WALKED), read(2, asked=Level.WALKED, store="nas")]
    walked, torn = read(3, asked=Level.WALKED), [read(4), replace(read(4, "torn"), at=NOON)]
    drilled = [read(5), replace(read(5, asked=Level.RESTORED), at=NOON - DAY)]

    def words(*known: Proof) -> str:
        proof = proof_status(config, known, history(1), {})
        return proof.words_of(known[0].backup, NOON) if known else proof.words_of("b1", NOON)

    assert words() == words(*torn) == words(read(1, store="nas")) == ""
    assert words(*on_its_way) == "contents proven at download, 1 d 23 h ago"
    assert words(*on_its_way, read(2)) == "proven sane, 1 d 23 h ago"
    assert words(*on_its_way, read(2, asked=Level.READ, store="nas")) == "contents proven at download, 1 d 23 h ago"
    assert words(walked) == "proven walked, 2 d 23 h ago"
    assert words(*drilled) == "proven restored, 1 d ago"


def test_what_was_read_in_a_store_counts_while_the_server_is_copied_there(tmp_path: Path) -> None:
    """Rotations freeze for nothing else, so neither page nor `status` may say that they do."""
    policy, bad = replace(server(tmp_path).policy, prove=RULES), read(1, "torn", store="nas")
    for copies, frozen in ((("nas",), bad), (("offsite",), None)):
        config = replace(server(tmp_path), policy=replace(policy, copies=copies))
        proof = proof_status(config, [read(2), bad], history(1), {})
        assert proof.frozen == frozen


def test_a_freeze_is_told_with_what_is_wrong_where_and_how_to_go_on(tmp_path: Path) -> None:
    """On the page and in the alert; once, and its end."""
    config = replace(server(tmp_path), policy=replace(server(tmp_path).policy, prove=RULES))
    torn = read(1, "world/region/r.0.0.mca: torn")
    proof = proof_status(config, [read(3), torn], history(1), {})
    (trouble,) = [one for one in status_of(config, history(1), NOON, proof=proof).troubles if one.kind is Kind.UNPROVEN]
    assert trouble.text.startswith("auto-1 is not sound: world/region/r.0.0.mca: torn.")
    assert f"prove accept {config.name} b1" in trouble.hint
    state, (told,) = about_proofs(AlertState(), config, proof, None, NOON)
    assert told.news.event is Event.UNPROVEN
    assert "r.0.0.mca: torn; nothing is deleted; the newest proven one was made at" in told.text
    assert about_proofs(state, config, proof, None, NOON)[1] == []
    fine = replace(proof, frozen=None)
    ended, (over,) = about_proofs(state, config, fine, None, NOON)
    assert (ended, over.news.event, over.hint) == (AlertState(), Event.PROVEN, "")
