"""Judge a listing by everything that one rotation knows: brake, ownership, proofs, copies, and the journal.

What cannot be read counts as not known, and then nothing is deleted (`Run.journal_failed`).
"""

from dataclasses import replace

from daemon.config.values import ServerConfig
from daemon.core.applied import AppliedRetention
from daemon.core.brake import Brake
from daemon.core.copied import Copied, held_by
from daemon.core.model import Listing, Verdict
from daemon.core.plan import Plan, plan
from daemon.core.proven import Proven
from daemon.rotation import brake
from daemon.rotation.brake import Remembered
from daemon.rotation.copied import copied_before
from daemon.rotation.proven import proven_of, proven_rule
from daemon.rotation.run import Run
from daemon.state import Marks


async def judge(run: Run, config: ServerConfig, listing: Listing) -> Plan:
    """Return the plan for that listing by that configuration, with this rotation's own deletions taken into account."""
    braking, marks = await brake_of(run, config), await run.marks()
    return plan(
        listing,
        config.policy.retention,
        ownership=config.ownership.knowing(marks.altered),
        brake=braking,
        accepted=marks.accepted,
        asked=marks.asked,
        already_deleted=sum(one.successful and one.uuid not in braking.excused for one in run.deleted),
        copied=await copies(run, config, listing, marks),
        proven=await proofs(run, config),
    )


async def brake_of(run: Run, config: ServerConfig) -> Brake:
    """Return the brake by that configuration, with what waits since it was changed."""
    known = await _recalled(run)
    return brake.brake_of(config, known, once=run.order.max_deletions, panel_ahead=run.panel_ahead())


async def proofs(run: Run, config: ServerConfig) -> Proven:
    """Return what is known of the proofs of the server's backups."""
    return await run.from_journal(
        lambda journal: proven_of(config.policy, run.known_server.uuid, journal), Proven(proven_rule(config.policy))
    )


async def copies(run: Run, config: ServerConfig, listing: Listing, marks: Marks) -> tuple[Copied, ...]:
    """Return what is in each store that must have a copy of a backup before that is deleted."""
    return await copied_before(
        config,
        run.known_server.uuid,
        listing,
        run.context.engine.catalogue,
        ownership=config.ownership.knowing(marks.altered),
        accepted=marks.accepted,
        asked=marks.asked,
        panel_ahead=run.panel_ahead(),
    )


async def held_back(run: Run, config: ServerConfig, listing: Listing, verdict: Verdict) -> bool:
    """Return whether a store that must have a backup is not known to have it at this moment (invariant 14)."""
    if not config.policy.copy_before_delete:
        return False
    copied = await copies(run, config, listing, await run.marks())
    return bool(held_by(verdict, copied, run.panel_now()))


async def tell_held(run: Run, config: ServerConfig, listing: Listing, held: tuple[Verdict, ...]) -> None:
    """Record that the operator is told of what waits since the retention changed; the 24 hours begin with the first
    time.
    """
    await _record(run, brake.told((await _recalled(run)).row, config, held, listing.taken_at))


async def let_through(run: Run, config: ServerConfig, listing: Listing, decided: Plan) -> None:
    """Record a plan that is about to be carried out, or that waits in part."""
    await tell_held(run, config, listing, decided.held)
    await _record(run, brake.let_through((await _recalled(run)).row, config, decided))


async def _recalled(run: Run) -> Remembered:
    """Return what the journal knew before this rotation decided anything, and what was recorded since."""
    if run.remembered is None:
        known = await run.from_journal(lambda journal: brake.recall(journal, run.known_server.uuid), None)
        if known is None:
            return Remembered()
        run.remembered = known
    return run.remembered


async def _record(run: Run, row: AppliedRetention) -> None:
    known = await _recalled(run)
    if row == known.row:
        return
    run.remembered = replace(known, row=row)
    with run.telling_failure():
        await run.context.journal.apply(run.known_server.uuid, row)
