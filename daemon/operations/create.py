"""Create one backup by hand: ask once, find it by its name if the answer is lost, and check it once it is completed.

What must hold: no other backup of the server has its name, so that a lost answer can be settled; by default no policy
could have made the name, so that no retention of scope "own" ever deletes it. No room is made for it. The server's lock
is held while the panel is asked, not while the node works, so waiting by hand never makes a rotation miss its start.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

from daemon.core.model import Backup, Scope, State
from daemon.core.names import LONGEST_NAME
from daemon.core.units import format_duration, to_zone
from daemon.core.waiting import first_look
from daemon.errors import BackupdError, ProblemCode, UsageError
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult, ended_by
from daemon.panel.errors import BackupLimitError, CreationThrottledError, OutcomeUnknownError, PanelError
from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.rotation.gather import gather
from daemon.rotation.judging import judge
from daemon.rotation.order import Halt
from daemon.rotation.outcome import LOOK_INTO_IT, NO_BACKUPS, Problem, Result
from daemon.rotation.preview import Preview
from daemon.rotation.wait import expected, wait

PATIENCE = timedelta(hours=1)
"""How long the panel's creation throttle is waited out; by default it lasts ten minutes."""

UNTOLD = 10.0  # seconds, where the panel does not say how long its throttle lasts


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """Options for the backup. If `ignored` is None, the policy's list is used; `prefix` begins a generated name;
    `patience` is how many seconds to wait out the creation throttle.
    """

    name: str | None = None
    ignored: tuple[str, ...] | None = None
    locked: bool = False
    wait: bool = False
    patience: timedelta = timedelta(0)
    prefix: str = "by hand"


async def create(operation: Operation, options: CreateOptions) -> OperationResult:
    """Create the backup, and wait for it if asked to; raises UsageError for a name that is not possible."""
    try:
        check(options)
        seen, backup = await _begin(operation, options)
    except UsageError:
        raise
    except (BackupdError, Halt) as error:
        return ended_by(error)
    return await finish(operation, options, seen, backup)


async def _begin(operation: Operation, options: CreateOptions) -> tuple[Preview, Backup]:
    """Ask for the backup, after waiting out the creation throttle if `patience` allows it."""
    deadline = operation.clock.monotonic() + options.patience.total_seconds()
    while True:
        try:
            async with operation.alone():
                seen = await operation.look()
                return seen, await ask(operation, options, seen)
        except CreationThrottledError as error:
            pause = error.retry_after or UNTOLD
            if operation.clock.monotonic() + pause > deadline:
                raise
            operation.tell(f"the panel's creation throttle lasts {_seconds(pause)}; trying again then")
        await operation.clock.sleep(pause)


async def ask(operation: Operation, options: CreateOptions, seen: Preview) -> Backup:
    """Ask once, with the server's lock held and the server just viewed; raises PanelError, or Halt if the server cannot
    be backed up.
    """
    name, ignored = _name(operation, options, seen), _ignored(operation, options)
    if seen.server.backup_limit == 0:
        raise Halt(Result.REFUSED, NO_BACKUPS)
    operation.tell(f"asking for {name}")
    operation.going_on = (
        f"the panel may have begun {name}; `ptero-backupd backups list {operation.config.name}` shows it"
    )
    try:
        backup = await operation.client.create(operation.config.id, name=name, ignored=ignored, locked=options.locked)
    except OutcomeUnknownError as error:
        backup = await _settle(operation, name, error)
    except BackupLimitError as error:
        raise _at_limit(operation, seen, error) from error
    except PanelError:
        operation.going_on = ""
        raise
    operation.going_on = (
        f"{backup.name} goes on at the panel; "
        f"`ptero-backupd backups show {operation.config.name} {backup.uuid}` follows it"
    )
    return backup


async def _settle(operation: Operation, name: str, lost: OutcomeUnknownError) -> Backup:
    operation.tell(f"the panel does not say whether it was done; looking for {name}")
    try:
        found = await operation.client.settle_create(operation.config.id, name)
        if found is not None:
            return found
        operation.going_on = ""
        text, hint = f"{name} did not appear within {SETTLE_SECONDS:.0f} s", lost.hint
    except OutcomeUnknownError as error:
        text, hint = error.text, error.hint
    raise Halt(Result.FAILED, Problem(ProblemCode.CREATE_UNKNOWN, f"{lost.text}; {text}", hint)) from lost


def _at_limit(operation: Operation, seen: Preview, error: BackupLimitError) -> Halt:
    """Return the error of a panel at its limit with what would make room; by hand, none is made."""
    operation.going_on = ""
    beyond = sum(verdict.state is not State.FAILED for verdict in seen.plan.deletions)
    rotate = f"`ptero-backupd backups delete {operation.config.name} --beyond-retention`"
    hint = f"{rotate} would free {beyond}; or " if beyond else ""
    hint += "delete one by hand, or raise the server's backup limit in the panel"
    text = f"{error.text}; by hand no room is made"
    return Halt(Result.REFUSED, Problem(ProblemCode.LIMIT, text, hint))


# Name and ignore list ------------------------------------------------------------------------------------------------


def check(options: CreateOptions) -> None:
    """Raise UsageError for a name that the panel would not take, or a policy would take for its own."""
    if options.name is not None:
        if not options.name.strip() or not options.name.isprintable():
            raise UsageError(f"--name: {options.name!r} is empty, or has a character that cannot be seen")
        if len(options.name.strip()) > LONGEST_NAME:
            length = len(options.name.strip())
            raise UsageError(f"--name: {length} characters are too many", hint=f"a name has {LONGEST_NAME} at most")
    for pattern in options.ignored or ():
        if not pattern.isprintable():
            raise UsageError(f"--ignored: {pattern!r} is not one pattern", hint="write --ignored once for each")


def _name(operation: Operation, options: CreateOptions, seen: Preview) -> str:
    """Return the name that was asked for, or a generated one; raises UsageError if a backup of the server has it
    already.
    """
    taken = {backup.name for backup in seen.listing.backups}
    if options.name is None:
        return _own_name(operation, options.prefix, taken)
    name = options.name.strip()  # as the panel does
    if name in taken:
        raise UsageError(
            f"--name: there is a backup {name} already",
            hint="with a second one, a lost answer could not be told from one that was never sent",
        )
    return name


def _own_name(operation: Operation, prefix: str, taken: set[str]) -> str:
    """Return a name such as "by hand 2026-11-23 08:25:07", by the panel's clock in the policy's zone.

    Every template holds a {time} of another form, so no policy can take it for its own.
    """
    made = to_zone(operation.run.panel_now(), operation.config.policy.zone)
    name = f"{prefix} {made.date()} {made:%H:%M:%S}"
    names = (name if number == 1 else f"{name} ({number})" for number in count(1))
    return next(name for name in names if name not in taken)


def _ignored(operation: Operation, options: CreateOptions) -> tuple[str, ...]:
    ignored = operation.config.policy.ignored if options.ignored is None else options.ignored
    return tuple(pattern for pattern in ignored if pattern)


# Afterwards ----------------------------------------------------------------------------------------------------------


async def finish(operation: Operation, options: CreateOptions, seen: Preview, backup: Backup) -> OperationResult:
    """Report how the panel took the request; if asked to, wait, check the state, and check the lock."""
    problems = _misunderstood(operation, options, seen, backup)
    outcome = OperationResult(backup, Result.DONE, State.PENDING, changed=True, problems=problems)
    if options.wait:
        outcome = await _await(operation, seen, outcome)
        operation.going_on = ""
    return await _see_to_lock(operation, options, outcome)


def _misunderstood(operation: Operation, options: CreateOptions, seen: Preview, backup: Backup) -> tuple[Problem, ...]:
    """Return what the panel stored otherwise than asked for, and whether retention may delete the backup."""
    problems, asked = [], _ignored(operation, options)
    if backup.ignored != asked:
        text = f"the panel understood the ignore list as {list(backup.ignored)}, not {list(asked)}"
        problems.append(Problem(ProblemCode.IGNORED, text))
    policy = seen.config.policy
    if seen.config.ownership.owns(backup.name):
        text = f"{backup.name} is a name of policy {policy.name}, so its retention may delete this backup"
        problems.append(Problem(ProblemCode.OWN_NAME, text, "lock it, or choose another name"))
    elif policy.scope is Scope.ALL and not options.locked:
        text = f'policy {policy.name} has scope "all", so its retention may delete this backup'
        problems.append(Problem(ProblemCode.SCOPE_ALL, text, "lock it"))
    return tuple(problems)


async def _await(operation: Operation, seen: Preview, outcome: OperationResult) -> OperationResult:
    """Wait as a rotation does, and look at the backup in a list that is read afterwards."""
    backup = _there(outcome)
    expectation = expected(seen.listing, seen.plan.verdicts)
    usual = expectation.durations
    about = f"; earlier ones took about {format_duration(first_look(usual))}" if usual else ""
    operation.tell(f"waiting for {backup.name}{about}")
    try:
        backup, fresh = await wait(operation.run, backup, expectation)
        listing = (fresh or await gather(operation.run)).listing
    except (BackupdError, Halt) as error:
        ended = ended_by(error, backup)
        return replace(ended, state=outcome.state, changed=True, problems=(*outcome.problems, *ended.problems))
    for verdict in (await judge(operation.run, operation.config, listing)).verdicts:
        if verdict.backup.uuid == backup.uuid:
            outcome = replace(outcome, backup=verdict.backup, state=verdict.state)
            # Not the verdict's reasons: that it is locked or not this policy's says nothing of what is wrong with it.
            return outcome if verdict.state is State.GOOD else _not_good(outcome, verdict.because)
    return outcome.with_problem(ProblemCode.VANISHED, f"{backup.name} vanished from the panel", result=Result.FAILED)


def _not_good(outcome: OperationResult, because: str) -> OperationResult:
    """Return the result for a backup that is not good; a failed one is not counted as a change."""
    backup, state = _there(outcome), outcome.state
    failed = state is State.FAILED
    text = f"{backup.name} is {state}" if because == state else f"{backup.name} is {state}: {because}"
    hint = "look at the node's log" if failed else LOOK_INTO_IT
    return replace(outcome, changed=not failed).with_problem(
        ProblemCode(f"backup-{state}"), text, hint, result=Result.FAILED
    )


async def _see_to_lock(operation: Operation, options: CreateOptions, outcome: OperationResult) -> OperationResult:
    """Report a lock that was asked for and is missing; set it again if the backup is completed and good."""
    backup = _there(outcome)
    if not options.locked or backup.locked:
        return outcome
    if outcome.state is State.FAILED:
        lost = Problem(ProblemCode.LOCK_DROPPED, "a backup that fails loses its lock; it was not set again")
        return replace(outcome, problems=(lost, *outcome.problems))
    if not backup.successful:
        text = "the panel dropped the lock"
        hint = "the key's user needs backup.delete on this server to lock backups"
        return outcome.with_problem(ProblemCode.LOCK_DROPPED, text, hint, result=Result.FAILED)
    operation.tell(f"locking {backup.name}")
    try:
        return replace(outcome, backup=await operation.client.set_lock(operation.config.id, backup.uuid, True))
    except PanelError as error:
        text = f"{backup.name} is not locked: {error.text}"
        return outcome.with_problem(ProblemCode.LOCK_DROPPED, text, error.hint, result=Result.FAILED)


def _there(outcome: OperationResult) -> Backup:
    if outcome.backup is None:
        raise AssertionError("there is no backup yet")
    return outcome.backup


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))
