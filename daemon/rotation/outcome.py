"""The outcome of a rotation, and the exit code that many outcomes give."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from daemon.core.model import Backup, Server, State, Verdict
from daemon.core.proof import Level, Proof
from daemon.errors import Exit, ProblemCode
from daemon.state import Step


class Result(StrEnum):
    """How a rotation ended; the words of the contract."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    REFUSED = "refused"


class Retry(Enum):
    """Whether the daemon tries again before the next start."""

    NO = "no"
    ONCE = "once"
    UNTIL_NEXT_START = "until the next start"
    ELSEWHERE = "by another member of the cluster, within seconds"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the operator should know. `code` is for scripts, `text` for people."""

    code: ProblemCode
    text: str
    hint: str = ""


NO_BACKUPS = Problem(
    ProblemCode.LIMIT, "the panel allows this server no backups at all", "raise the server's backup limit in the panel"
)


NO_RIGHT_TO_DELETE = Problem(
    ProblemCode.PERMISSION_LACKING,
    "the key lacks backup.delete on this server, so no rotation can delete its backups",
    "give the key's user backup.delete on this server; until then its backups pile up to the panel's limit",
)

NO_RIGHT_TO_CREATE = Problem(
    ProblemCode.PERMISSION_LACKING,
    "the key lacks backup.create on this server, so no rotation can back it up",
    "give the key's user backup.read, backup.create and backup.delete on this server",
)

LOOK_INTO_IT = "look into it; if it is good after all, run `ptero-backupd backups accept`"
"""The hint for a suspicious backup."""

UNDELETED_HINT = "each rotation tries again; the panel's own log says why it fails"

LOOKED_AT_NEXT = "this may have been done or not; the server's next rotation looks, and goes on from there"
"""The hint for an unknown outcome in a rotation: nobody has to do anything."""


def thawing(server: str, bad: Proof | None) -> str:
    """Return the commands that end the freeze by a failed proof; with none, that which proves a backup at all."""
    if bad is None:
        return f"`ptero-backupd prove {server}` proves the newest one now"
    accept = f"if the bad one will do: `ptero-backupd prove accept {server} {bad.backup[:8]}`"
    if not bad.store:
        return f"{thawing(server, None)}; {accept}"
    level = f" --level {Level.SANE}" if bad.asked.depth > Level.WALKED.depth else ""
    verify = f"`ptero-backupd copies verify {server} --store {bad.store}{level}`"
    return f"{verify} proves the newest copy there now; {accept}"


def refusal(
    server: str,
    code: ProblemCode | None,
    text: str,
    *,
    again: str = "rotate {server}",
    seen: int | None = None,
    frozen: Proof | None = None,
) -> Problem:
    """Return the problem of a refused plan, with a hint on what to do about it.

    `again` is the command that lifts the brake with --max-deletions; `seen` how many good backups would go, where the
    operator has them before their eyes; `frozen` the failed proof that stops the deletions.
    """
    look, lift = f"`ptero-backupd plan {server}`", f"`ptero-backupd {again.format(server=server)} --max-deletions N`"
    lift = f"if that is what you want: {lift}"
    hints = {
        ProblemCode.MAX_DELETIONS: f"{lift}, with N a little over {seen}, since the new backup counts too"
        if seen
        else f"look at {look}; {lift}",
        ProblemCode.UNPROVEN: thawing(server, frozen),
        ProblemCode.DISPUTED: "`ptero-backupd cluster status` shows who differs: bring all members to one version and"
        " one configuration; the next rotation then deletes",
        ProblemCode.CLOCK: "let both clocks follow NTP; if you corrected one of them meanwhile, restart the daemon",
    }
    code = code or ProblemCode.ERROR  # never: a plan that is refused has a code
    return Problem(code, text, hints.get(code, ""))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report of one rotation of one server.

    `created` is the backup that this rotation made or adopted, as last seen; `deleted` what it deleted, in order
    (in a dry run: what it would delete), and `undeleted` what it was to delete and the panel did not; `kept` how many
    of the backups that the last plan saw are still there (None where no plan was made). `passing` says that a skip was
    for a state that ends by itself. `retry_at` is when the daemon tries again, if it does so before the next start.
    `seen` is the panel's server and `verdicts` its backups with the last plan's verdicts, newest first, without those
    that were deleted; None and empty where the rotation did not come that far. `good_seen_at` is when the newest good
    backup was made that the rotation saw, besides its own. `steps` are those that it took, oldest first, whether they
    could be journalled or not. `handed_over` says that it is another member's of the cluster to make, and that nothing
    was asked for here.
    """

    server: str
    panel: str
    policy: str
    result: Result
    created: Backup | None = None
    deleted: tuple[Backup, ...] = ()
    undeleted: tuple[Backup, ...] = ()
    kept: int | None = None
    problems: tuple[Problem, ...] = ()
    passing: bool = False
    retry_at: datetime | None = None
    seen: Server | None = None
    verdicts: tuple[Verdict, ...] = ()
    good_seen_at: datetime | None = None
    steps: tuple[Step, ...] = ()
    handed_over: bool = False

    @property
    def held(self) -> bool:
        """Whether all went well, except that the brake let nothing be deleted."""
        made = self.created.uuid if self.created else None
        good = any(one.backup.uuid == made and one.state is State.GOOD for one in self.verdicts)
        braked = bool(self.problems) and self.problems[-1].code == ProblemCode.MAX_DELETIONS
        return good and braked and self.result is Result.REFUSED

    @property
    def made_a_failed_one(self) -> bool:
        """Whether a backup was made and failed."""
        return any(problem.code == ProblemCode.BACKUP_FAILED for problem in self.problems)


def exit_code(outcomes: Sequence[Outcome]) -> Exit:
    """Return the exit code: 5 wins, then 4 if all failed, then 3 if any failed or was skipped for a passing state."""
    results = [outcome.result for outcome in outcomes]
    if Result.REFUSED in results:
        return Exit.REFUSED
    if results and all(result is Result.FAILED for result in results):
        return Exit.FAILED
    if any(o.result is Result.FAILED or (o.result is Result.SKIPPED and o.passing) for o in outcomes):
        return Exit.SOME_FAILED
    return Exit.DONE
