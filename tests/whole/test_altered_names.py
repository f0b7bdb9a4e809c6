"""Panels that keep a backup's name otherwise than it was asked for: what was ours stays ours, and nothing else does."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.model import Action
from daemon.operations.rotations import dry_run_outcome
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.preview import preview
from daemon.sandbox import faults
from daemon.sandbox.alterations import ALTERATIONS
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import Change, Work
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

TEMPLATES = {
    "strip": "[auto] {time}-{id}",
    "escape": "auto & {time}-{id}",
    "cut": "auto {time}-{id} 🔥 nightly",
    "lower": "Auto-{server}-{time}-{id}",
    "nfd": "nächtlich {time}-{id}",
}


@pytest.fixture(params=[(how, echo) for how in TEMPLATES for echo in (False, True)], ids=str)
async def altering(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """A panel that alters names, and either says so in its answer to the create or only in its list."""
    how, echo = request.param
    rig.world.settings.alter, rig.world.settings.echo = ALTERATIONS[how], echo
    rig.configure(name=TEMPLATES[how], keep={"last": 2}, max_deletions=10)
    return rig


async def night(rig: Rig, **more: Any) -> Outcome:
    """A rotation, and the day after it."""
    outcome = await rig.rotate(**more)
    await rig.clock.sleep(86_400)
    return outcome


async def test_what_was_made_under_an_altered_name_stays_ours(altering: Rig) -> None:
    """Retention holds: two are kept, night after night, and each rotation says what the panel does."""
    for number in range(1, 6):
        outcome = await night(altering)
        assert outcome.result is Result.DONE
        assert [problem.code for problem in outcome.problems] == ["name-altered"]
        assert outcome.kept == min(number, 2)
    assert len(altering.names()) == 2


async def test_it_is_ours_in_a_new_process_and_to_a_command_by_hand(altering: Rig) -> None:
    """The journal remembers it."""
    for _ in range(3):
        await night(altering)
    await altering.context.journal.close()
    altering.context = altering.open_context()
    seen = await preview(altering.config, altering.client, altering.context.journal, altering.clock)
    assert [(verdict.own, verdict.action) for verdict in seen.plan.verdicts] == [(True, Action.KEEP)] * 2
    assert len(dry_run_outcome(seen).deleted) == 1


async def test_a_person_who_renames_it_takes_it_out_of_ours(altering: Rig) -> None:
    """As Pelican lets him: whatever name it had before."""
    for _ in range(2):
        await night(altering)
    oldest = next(iter(altering.server.backups.values()))
    oldest.name = "before the update"
    for _ in range(3):
        await night(altering)
    assert "before the update" in altering.names()
    assert len(altering.names()) == 3


@pytest.mark.parametrize("done", [faults.lost_after(), faults.cut(), faults.error_after(500)], ids=str)
async def test_a_lost_create_is_found_under_its_altered_name(altering: Rig, done: Fault) -> None:
    """Two minutes of looking for the name to the letter would end in a second backup."""
    altering.world.faults.order(done, on=Call.CREATE)
    outcome = await night(altering)
    assert outcome.result is Result.DONE
    assert altering.requests(Call.CREATE) == 1
    await night(altering)
    assert (await night(altering)).kept == 2


async def test_one_that_was_made_though_nobody_heard_of_it_is_ours_too(altering: Rig) -> None:
    """A fork's answer told no uuid; the next listing shows what can only be the name that was asked for."""
    altering.world.faults.order(faults.job(), on=Call.CREATE)
    assert (await night(altering)).result is Result.FAILED
    assert len(altering.names()) == 1
    *_, last = [await night(altering) for _ in range(3)]
    assert (last.result, last.kept, len(altering.names())) == (Result.DONE, 2, 2)


async def test_a_person_who_renames_it_while_it_is_made_is_not_taken_for_the_panel(rig: Rig) -> None:
    """Only what panels are known to make of a name is theirs; his backup is never deleted, though he left the time."""
    rig.configure(keep={"last": 1})
    rig.server.work = Work(seconds=60)

    def rename(_world: object, _server: object) -> None:
        renamed = next(reversed(rig.server.backups.values()))
        renamed.name = f"the day we won {renamed.name}"

    rig.world.faults.order(faults.meanwhile(rename), on=Call.LIST, skip=1)
    first = await night(rig)
    assert first.problems == ()
    for _ in range(3):
        await night(rig)
    assert any(name.startswith("the day we won auto-survival-") for name in rig.names())


async def test_an_answer_tells_of_an_alteration_that_nobody_knew(rig: Rig) -> None:
    """Nobody can have renamed a backup before the panel answered that it is there."""
    rig.world.settings.alter = lambda name: f"backup of survival {name[-8:]}"
    rig.configure(keep={"last": 2})
    for _ in range(4):
        assert [problem.code for problem in (await night(rig)).problems] == ["name-altered"]
    assert len(rig.names()) == 2


async def test_a_foreign_one_with_a_name_like_ours_is_not_taken_for_ours(rig: Rig) -> None:
    """Lower case, and made by somebody else: nobody asked for it."""
    rig.world.settings.alter = str.lower
    made = rig.world.now() - timedelta(days=20)
    theirs = rig.world.add_backup(rig.server, f"auto-survival-{made:%Y%m%dt%H%M%Sz}-0000000a", created_at=made)
    rig.configure(keep={"last": 1})
    for _ in range(3):
        await night(rig)
    assert theirs.uuid in rig.server.backups
    assert sum(entry.change is Change.DELETED for entry in rig.world.ledger) == 2


async def test_a_template_that_no_panel_alters_says_what_the_ownership_hangs_on(rig: Rig) -> None:
    """There is nothing better to write, where a panel lower-cases the time."""
    rig.world.settings.alter = str.lower
    (problem,) = (await rig.rotate()).problems
    assert problem.text.startswith('the panel keeps the name "auto-survival-20260401T0359')
    assert problem.hint == "do not lose the state folder"
    rig.configure(name="[auto] {time}")
    (problem,) = (await rig.rotate()).problems
    assert problem.hint == "write the policy's name without [ ]"
