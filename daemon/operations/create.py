"""One backup by hand: asked for once, settled by its name where the answer was lost, looked at once it is completed.

What must hold: its name is nobody else's, so that a lost answer can be settled, and by default none that a policy could
have made, so that no retention of scope "own" ever deletes it. No room is made for it. The server's lock is held while
the panel is asked, not while the node works: waiting by hand costs no rotation its start.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

from daemon.core.model import Backup, Scope, State
from daemon.core.names import LONGEST_NAME
from daemon.core.units import format_duration, to_zone
from daemon.core.waiting import first_look
from daemon.errors import BackupdError, UsageError
from daemon.operations.operation import Errand
from daemon.operations.result import Handled, ended_by
from daemon.panel.errors import BackupLimitError, CreationThrottledError, OutcomeUnknownError, PanelError
from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.rotation.gather import gather
from daemon.rotation.outcome import NO_BACKUPS, Problem, Result
from daemon.rotation.run import Halt
from daemon.rotation.survey import Survey
from daemon.rotation.wait import expected, wait

PATIENCE = timedelta(hours=1)
"""How long the panel's creation throttle is waited out; by default it lasts ten minutes."""

UNTOLD = 10.0  # seconds, where the panel does not say how long its throttle lasts


@dataclass(frozen=True, slots=True)
class Wish:
    """The backup that is wanted. `ignored` None is what the server's policy ignores; `prefix` begins a name that is
    made; `patience` is how long the creation throttle may be waited out.
    """

    name: str | None = None
    ignored: tuple[str, ...] | None = None
    locked: bool = False
    wait: bool = False
    patience: timedelta = timedelta(0)
    prefix: str = "by hand"


async def create(errand: Errand, wish: Wish) -> Handled:
    """Make the backup, and wait for it where that is wished; raises UsageError for a name that cannot be."""
    try:
        check(wish)
        seen, backup = await _begin(errand, wish)
    except UsageError:
        raise
    except (BackupdError, Halt) as error:
        return ended_by(error)
    return await finish(errand, wish, seen, backup)


async def _begin(errand: Errand, wish: Wish) -> tuple[Survey, Backup]:
    """Ask for it, after the creation throttle where there is the patience for that."""
    deadline = errand.clock.monotonic() + wish.patience.total_seconds()
    while True:
        try:
            async with errand.alone():
                seen = await errand.look()
                return seen, await ask(errand, wish, seen)
        except CreationThrottledError as error:
            pause = error.retry_after or UNTOLD
            if errand.clock.monotonic() + pause > deadline:
                raise
            errand.tell(f"the panel's creation throttle lasts {_seconds(pause)}; trying again then")
        await errand.clock.sleep(pause)


async def ask(errand: Errand, wish: Wish, seen: Survey) -> Backup:
    """Ask once, with the server's lock held and the server just seen; raises PanelError, or Halt where it cannot be."""
    name, ignored = _name(errand, wish, seen), _ignored(errand, wish)
    if seen.server.backup_limit == 0:
        raise Halt(Result.REFUSED, NO_BACKUPS)
    errand.tell(f"asking for {name}")
    errand.going_on = f"the panel may have begun {name}; `ptero-backupd backups list {errand.config.name}` shows it"
    try:
        backup = await errand.client.create(errand.config.id, name=name, ignored=ignored, locked=wish.locked)
    except OutcomeUnknownError as error:
        backup = await _settle(errand, name, error)
    except BackupLimitError as error:
        raise _at_limit(errand, seen, error) from error
    except PanelError:
        errand.going_on = ""
        raise
    errand.going_on = (
        f"{backup.name} goes on at the panel; "
        f"`ptero-backupd backups show {errand.config.name} {backup.uuid}` follows it"
    )
    return backup


async def _settle(errand: Errand, name: str, lost: OutcomeUnknownError) -> Backup:
    errand.tell(f"the panel does not say whether it was done; looking for {name}")
    try:
        found = await errand.client.settle_create(errand.config.id, name)
        if found is not None:
            return found
        errand.going_on = ""
        text, hint = f"{name} did not appear within {SETTLE_SECONDS:.0f} s", lost.hint
    except OutcomeUnknownError as error:
        text, hint = error.text, error.hint
    raise Halt(Result.FAILED, Problem("create_unknown", f"{lost.text}; {text}", hint)) from lost


def _at_limit(errand: Errand, seen: Survey, error: BackupLimitError) -> Halt:
    """By hand no room is made; say what would make some."""
    errand.going_on = ""
    beyond = sum(verdict.state is not State.FAILED for verdict in seen.plan.deletions)
    rotate = f"`ptero-backupd backups delete {errand.config.name} --beyond-retention`"
    hint = f"{rotate} would free {beyond}; or " if beyond else ""
    hint += "delete one by hand, or raise the server's backup limit in the panel"
    text = f"{error.text}; by hand no room is made"
    return Halt(Result.REFUSED, Problem("limit", text, hint))


# Name and ignore list ------------------------------------------------------------------------------------------------


def check(wish: Wish) -> None:
    """Refuse what the panel would not take, or would take for something else; raises UsageError."""
    if wish.name is not None:
        if not wish.name.strip() or not wish.name.isprintable():
            raise UsageError(f"--name: {wish.name!r} is empty, or has a character that cannot be seen")
        if len(wish.name.strip()) > LONGEST_NAME:
            length = len(wish.name.strip())
            raise UsageError(f"--name: {length} characters are too many", hint=f"a name has {LONGEST_NAME} at most")
    for pattern in wish.ignored or ():
        if not pattern.isprintable():
            raise UsageError(f"--ignored: {pattern!r} is not one pattern", hint="write --ignored once for each")


def _name(errand: Errand, wish: Wish, seen: Survey) -> str:
    """The wished name, or one of our own; UsageError where a backup has it already."""
    taken = {backup.name for backup in seen.listing.backups}
    if wish.name is None:
        return _own_name(errand, wish.prefix, taken)
    name = wish.name.strip()  # as the panel does
    if name in taken:
        raise UsageError(
            f"--name: there is a backup {name} already",
            hint="with a second one, a lost answer could not be told from one that was never sent",
        )
    return name


def _own_name(errand: Errand, prefix: str, taken: set[str]) -> str:
    """Such as "by hand 2026-11-23 08:25:07", by the panel's clock and the policy's zone.

    Every template holds a {time} of another form, so no policy can take it for its own.
    """
    made = to_zone(errand.run.panel_now(), errand.config.policy.zone)
    name = f"{prefix} {made.date()} {made:%H:%M:%S}"
    names = (name if number == 1 else f"{name} ({number})" for number in count(1))
    return next(name for name in names if name not in taken)


def _ignored(errand: Errand, wish: Wish) -> tuple[str, ...]:
    ignored = errand.config.policy.ignored if wish.ignored is None else wish.ignored
    return tuple(pattern for pattern in ignored if pattern)


# Afterwards ----------------------------------------------------------------------------------------------------------


async def finish(errand: Errand, wish: Wish, seen: Survey, backup: Backup) -> Handled:
    """Say what the panel made of the wish; where it is wished, wait, look at the state, and see to the lock."""
    problems = _misunderstood(errand, wish, seen, backup)
    handled = Handled(backup, Result.DONE, State.PENDING, changed=True, problems=problems)
    if wish.wait:
        handled = await _await(errand, seen, handled)
        errand.going_on = ""
    return await _see_to_lock(errand, wish, handled)


def _misunderstood(errand: Errand, wish: Wish, seen: Survey, backup: Backup) -> tuple[Problem, ...]:
    """What the panel took otherwise than it was meant, and whether retention may delete it."""
    problems, asked = [], _ignored(errand, wish)
    if backup.ignored != asked:
        text = f"the panel understood the ignore list as {list(backup.ignored)}, not {list(asked)}"
        problems.append(Problem("ignored", text))
    policy = seen.config.policy
    if seen.config.ownership.owns(backup.name):
        text = f"{backup.name} is a name of policy {policy.name}, so its retention may delete this backup"
        problems.append(Problem("own_name", text, "lock it, or choose another name"))
    elif policy.scope is Scope.ALL and not wish.locked:
        text = f'policy {policy.name} has scope "all", so its retention may delete this backup'
        problems.append(Problem("scope_all", text, "lock it"))
    return tuple(problems)


async def _await(errand: Errand, seen: Survey, handled: Handled) -> Handled:
    """Wait as a rotation does, and look at what came of it in a list read afterwards."""
    backup = _there(handled)
    expectation = expected(seen.listing, seen.plan.verdicts)
    usual = expectation.durations
    about = f"; earlier ones took about {format_duration(first_look(usual))}" if usual else ""
    errand.tell(f"waiting for {backup.name}{about}")
    try:
        backup, fresh = await wait(errand.run, backup, expectation)
        listing = (fresh or await gather(errand.run)).listing
    except (BackupdError, Halt) as error:
        ended = ended_by(error, backup)
        return replace(ended, state=handled.state, changed=True, problems=(*handled.problems, *ended.problems))
    for verdict in errand.run.judge(errand.config, listing).verdicts:
        if verdict.backup.uuid == backup.uuid:
            handled = replace(handled, backup=verdict.backup, state=verdict.state)
            # Not the verdict's reasons: that it is locked or not this policy's says nothing of what is wrong with it.
            return handled if verdict.state is State.GOOD else _not_good(handled, verdict.because)
    return handled.with_problem("vanished", f"{backup.name} vanished from the panel", result=Result.FAILED)


def _not_good(handled: Handled, because: str) -> Handled:
    """It is there and not good. One that failed is nothing that was asked for."""
    backup, state = _there(handled), handled.state
    failed = state is State.FAILED
    text = f"{backup.name} is {state}" if because == state else f"{backup.name} is {state}: {because}"
    hint = "look at the node's log" if failed else "look into it; `ptero-backupd backups accept` says that it is good"
    return replace(handled, changed=not failed).with_problem(f"backup_{state}", text, hint, result=Result.FAILED)


async def _see_to_lock(errand: Errand, wish: Wish, handled: Handled) -> Handled:
    """Where a lock was asked for and is not there, say so; set it again on one that is completed and whole."""
    backup = _there(handled)
    if not wish.locked or backup.locked:
        return handled
    if handled.state is State.FAILED:
        lost = Problem("lock_dropped", "a backup that fails loses its lock; it was not set again")
        return replace(handled, problems=(lost, *handled.problems))
    if not backup.successful:
        text = "the panel dropped the lock"
        hint = "the key's user needs backup.delete on this server to lock backups"
        return handled.with_problem("lock_dropped", text, hint, result=Result.FAILED)
    errand.tell(f"locking {backup.name}")
    try:
        return replace(handled, backup=await errand.client.set_lock(errand.config.id, backup.uuid, True))
    except PanelError as error:
        text = f"{backup.name} is not locked: {error.text}"
        return handled.with_problem("lock_dropped", text, error.hint, result=Result.FAILED)


def _there(handled: Handled) -> Backup:
    if handled.backup is None:
        raise AssertionError("there is no backup yet")
    return handled.backup


def _seconds(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))
