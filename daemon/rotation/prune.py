"""Delete what is beyond retention, once the new backup was seen to be good.

What must hold: a rotation whose new backup did not turn good deletes nothing afterwards (invariant 3), and every
deletion is decided on a listing taken after the last wait (invariant 4).
"""

from daemon.config.values import ServerConfig
from daemon.core.model import Completeness, Listing, State, Verdict
from daemon.core.plan import Plan
from daemon.errors import ProblemCode
from daemon.rotation.delete import delete_decided, must_be_agreed, undeleted
from daemon.rotation.gather import DatedListing, say_incomplete
from daemon.rotation.judging import judge, let_through, tell_held
from daemon.rotation.order import Halt
from daemon.rotation.outcome import LOOK_INTO_IT, NO_RIGHT_TO_DELETE, Problem, Result, Retry, refusal
from daemon.rotation.run import Run
from daemon.state import StepName


async def prune(run: Run, dated: DatedListing) -> None:
    """Judge the listing taken after the wait, and delete what is beyond retention."""
    say_incomplete(run, dated.listing)
    held: Problem | None = None

    async def decide(config: ServerConfig, listing: Listing) -> tuple[Verdict, ...]:
        nonlocal held
        if listing.completeness is Completeness.COMPLETE:
            await run.remember(listing)
        decided = await judge(run, config, listing)
        run.verdicts = decided.verdicts
        await _look_at_created(run, decided)
        run.planned, going = True, len(decided.deletions)
        keep = len(decided.verdicts) - going
        await run.step(StepName.PLANNED, keep=keep, delete=going, refused=decided.refused)
        if decided.refused is not None:
            await tell_held(run, config, listing, decided.held)
            if decided.code == ProblemCode.UNPROVEN:  # the brake let it through: it is not counted again later
                await let_through(run, config, listing, decided)
            raise Halt(Result.REFUSED, refusal(config.name, decided.code, decided.refused, frozen=decided.frozen))
        if decided.deletions:
            must_be_agreed(run, config)
        if decided.deletions and not run.may_delete:
            raise Halt(Result.FAILED, NO_RIGHT_TO_DELETE)
        await let_through(run, config, listing, decided)
        held = None
        if decided.waits is not None:  # told before anything goes: its day has begun, whatever then becomes of the rest
            held = refusal(config.name, ProblemCode.MAX_DELETIONS, decided.waits)
            run.problem(held.code, held.text, held.hint)
        return decided.deletions

    await delete_decided(run, dated, decide)
    if run.undeleted:
        raise undeleted(run)
    if held is not None:
        raise Halt(Result.REFUSED, held)


async def _look_at_created(run: Run, decided: Plan) -> None:
    """Halt if the new backup did not turn good: such a rotation deletes nothing (invariant 3)."""
    created = run.known_created
    verdict = next((verdict for verdict in decided.verdicts if verdict.backup.uuid == created.uuid), None)
    if verdict is None:
        if decided.code == ProblemCode.PARTIAL_LISTING:
            return  # the listing is known not to be whole, and nothing will be deleted by it
        raise Halt(
            Result.FAILED, Problem(ProblemCode.VANISHED, f"{created.name} is not in the listing that followed it")
        )
    run.created = verdict.backup
    if verdict.state is not State.GOOD:
        raise _not_good(verdict)
    if run.good:
        return
    run.good = True
    await run.step(StepName.TURNED_GOOD, uuid=created.uuid, bytes=verdict.backup.bytes)
    if verdict.backup.locked:
        run.problem(
            ProblemCode.LOCKED, f"{created.name} is locked, though that was not asked for: retention never deletes it"
        )
    asked, understood = run.config.policy.ignored, verdict.backup.ignored
    if understood != asked:
        run.problem(
            ProblemCode.IGNORED, f"the panel understood the ignore list as {list(understood)}, not {list(asked)}"
        )


def _not_good(verdict: Verdict) -> Halt:
    """Return the Halt for a new backup that is not good; one that failed is worth one more try."""
    failed = verdict.state is State.FAILED
    # Of its reasons those for its state, which say until when a failed one is kept; that it was locked says nothing.
    reasons = [reason.text for reason in verdict.reasons if reason.rule == verdict.state] or [verdict.because]
    hint = "look at the node's log" if failed else LOOK_INTO_IT
    return Halt(
        Result.FAILED,
        Problem(
            ProblemCode(f"backup-{verdict.state}"),
            f"the new backup {verdict.backup.name} did not turn good: {'; '.join(reasons)}",
            hint,
        ),
        retry=Retry.ONCE if failed else Retry.NO,
    )
