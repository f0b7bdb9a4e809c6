"""Bring an archive onto a server by the client API alone, whatever server it was made of.

What must hold: nothing of the server is touched before the archive was read whole and is right, unless that was waived
(invariant 19); nothing is written into a folder that holds files, unless these were to be deleted; what is there is
safe, in a locked backup, and the archive lies on the node, before any of it is deleted; the server's process does not
run meanwhile. All this is looked at again right before anything is deleted or unpacked: hours may lie between, and what
came since is in no backup. In the end the server's files are compared with the archive's. Whatever ends it in the
middle is told with how to go on.
"""

from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from daemon.core.files import ArchiveIndex, FileEntry
from daemon.core.model import State
from daemon.errors import BackupdError, ProblemCode
from daemon.operations.archive import Archive
from daemon.operations.onto_options import OntoOptions
from daemon.operations.onto_room import ways_with_room
from daemon.operations.operation import Operation
from daemon.operations.restore_errors import RestoreError
from daemon.operations.result import OperationResult, ended_by
from daemon.operations.safety import make_safe
from daemon.operations.target import DRILL_MARK, Compared, TargetFiles, few, marked
from daemon.operations.ways import ByHandError, Way, WayClosedError, WayName
from daemon.panel.errors import PermissionLackingError
from daemon.rotation.order import Halt
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.preview import Preview, lacks

NEEDED = frozenset({"file.read", "file.create", "file.delete"})
"""The permissions on the server that the archive goes onto."""
_UNPROVEN = "with --unproven it is not read first"


@dataclass(frozen=True, slots=True)
class Brought:
    """How it ended. `safety` is the result of the safety backup, None if none was made; `way` is how the archive came;
    `compared` says how many of its files are there, None if that was not looked at.
    """

    outcome: OperationResult
    safety: OperationResult | None = None
    way: WayName | None = None
    compared: Compared | None = None


@dataclass(slots=True)
class _Restore:
    """One restore under way."""

    operation: Operation
    archive: Archive
    options: OntoOptions
    target: TargetFiles = field(init=False)
    done: Brought = field(init=False)
    begun: bool = False
    """Whether anything was unpacked: then no other way is tried."""
    left_open: bool = False
    """Whether only the comparison in the end can tell that some part was unpacked."""
    left: str = ""
    """How the server is left if we stop now; empty while it is as it was."""
    there: tuple[FileEntry, ...] = ()
    """What lay in the folder right before it was backed up."""

    def __post_init__(self) -> None:
        spare, backup = self.operation.run.known_server.uuid if self.options.spare_only else None, self.archive.backup
        self.target = TargetFiles(self.operation, self.options.into, backup=backup.uuid, spare=spare)
        self.done = Brought(OperationResult(self.archive.backup, Result.DONE, State.GOOD))

    async def run(self) -> None:
        """Do all of it; raises BackupdError, and Halt where it is refused."""
        await self._check(await self.operation.look())
        index = await self._read() if self.options.read else None
        seen = await self.operation.look()  # what was seen before is old by now
        await self._check(seen)
        holds_files = bool(await TargetFiles(self.operation, backup=self.archive.backup.uuid).others())
        ways = await ways_with_room(
            self.operation,
            self.archive,
            self.options.ways,
            seen,
            index,
            holds_files=holds_files,
            emptied=self.options.truncate,
        )
        if self.options.stop and await self.target.runs():
            self._changed("was asked to stop; start it in the panel")
            await self.target.stop()
        self.there = await self._lies_there()
        if self.options.safety and holds_files:
            await self._make_safe(seen)
        await self.target.delete(await self.target.leftovers())
        await self._bring(ways, seen, index)
        await self._compare(index)
        await self.options.stages.ends(self.target)
        self.operation.going_on = ""

    async def _check(self, seen: Preview) -> None:
        """Refuse what is known to prevent the restore, before anything is asked for."""
        name, needed = self.operation.config.name, self.options.stages.needs | NEEDED
        if lacking := sorted(one for one in needed if lacks(seen.server, one)):
            raise PermissionLackingError(f"the key's user lacks {', '.join(lacking)} on server {seen.server.name}")
        if self.options.spare_only and not marked(seen.server.description):
            text = f"the description of {name} does not carry {DRILL_MARK}, so nothing on it is touched"
            raise _refusal(ProblemCode.NOT_A_DRILL, text, f"write {DRILL_MARK} into it in the panel")
        others = [] if self.options.truncate else await self.target.others()
        if others:
            where = name if self.options.into == "/" else f"{self.options.into} of {name}"
            text = f"{where} is not empty: {few(others)}"
            hint = "--truncate deletes everything on the server first; --into FOLDER leaves it, and takes a new folder"
            raise _refusal(ProblemCode.NOT_EMPTY, text, hint)
        if self.options.stop or self.options.into != "/":
            return
        if await self.target.runs():
            text = f"{name} runs, and would write over what is restored"
            raise _refusal(ProblemCode.RUNNING, text, "stop it in the panel, or let --stop do so")

    async def _read(self) -> ArchiveIndex:
        """Read the archive whole, and refuse one that is not right."""
        backup, name = self.archive.backup, self.operation.config.name
        self.operation.tell(f"reading {backup.name} to its end, before anything is done to {name}")
        try:
            found = await self.archive.read()
        except BackupdError as error:
            text = f"nothing was restored, since {backup.name} could not be read to its end: {error.text}"
            raise _refusal(error.code, text, f"{error.hint}; {_UNPROVEN}".lstrip("; ")) from error
        if (why := found.unrecorded) is not None:
            self._note(ProblemCode.JOURNAL, f"what was read of {backup.name} is not recorded: {why.text}", why.hint)
        if found.problems:
            problem = found.problems[0]
            text = f"nothing was restored, since {backup.name} is damaged: {problem.text}"
            raise _refusal(problem.code, text, f"restore another backup, or {_UNPROVEN}")
        await self.options.stages.reads(found)
        return found.index

    async def _make_safe(self, seen: Preview) -> None:
        safety = await make_safe(self.operation, seen)
        outcome = self.done.outcome
        outcome = replace(outcome, changed=outcome.changed or safety.made.changed)
        self.done = replace(self.done, safety=safety.made, outcome=outcome)
        self.operation.going_on = self._left_so()
        if safety.refusal is not None:
            raise Halt(Result.REFUSED, safety.refusal)
        self.done = replace(self.done, outcome=replace(outcome, problems=(*outcome.problems, *safety.made.problems)))

    async def _empty(self, seen: Preview) -> None:
        """Delete everything but the archive, which is there by now, on the very server that was looked at."""
        await self.target.must_be_spare()
        still = await self.operation.client.server(self.operation.config.id)
        if still.uuid != seen.server.uuid:
            raise RestoreError(f"{self.operation.config.name} is not the server any more that was looked at")
        self.operation.tell(f"deleting all files of {self.operation.config.name}")
        self._changed("is emptied; the same command goes on")
        await self.target.empty()

    async def _bring(self, ways: Sequence[Way], seen: Preview, index: ArchiveIndex | None) -> None:
        """Bring the archive by the first way that is open, and unpack it."""
        closed: list[str] = []
        for way in ways:
            try:
                await self._by(way, seen, index)
            except WayClosedError as error:
                if self.begun or isinstance(error, ByHandError):
                    raise
                closed.append(f"{way.name}: {error.text}")
                self.operation.tell(f"not by {closed[-1]}")
            else:
                self.done = replace(self.done, way=way.name)
                return
        text = "the archive could not come onto the server's node; " + "; ".join(closed)
        raise WayClosedError(text, hint="--via chooses the way; docs/by-hand.md says what each needs")

    async def _by(self, way: Way, seen: Preview, index: ArchiveIndex | None) -> None:
        self.operation.tell(f"bringing {self.archive.backup.name} by {way.name}")
        size = self.archive.backup.bytes
        async with aclosing(way.pieces(self.archive, self.target)) as pieces:
            async for name in pieces:
                await self._look_again()
                if not self.begun:
                    await self._make_room(seen, index)
                self.begun = True
                self._changed(f"has half of the archive; {self._begins_again()}")
                self.operation.tell(f"unpacking {name}")
                known = await self.target.unpack(name, index, part=way.largest(size) < size)
                self.left_open = self.left_open or not known
                await self.target.delete([name])

    async def _look_again(self) -> None:
        """Refuse to delete or unpack anything where the server was started since, or has got other files."""
        try:
            await self._is_as_it_was()
        except Halt:
            with suppress(BackupdError):  # what refuses it is to be told
                await self.target.delete(await self.target.leftovers())
            raise

    async def _is_as_it_was(self) -> None:
        name, spare = self.operation.config.name, self.options.spare_only
        if self.options.into == "/" and await self.target.runs():
            if not spare:
                self.left = self.left if self.begun else ""  # it was stopped, and is not any more
                self.operation.going_on = self._left_so()
                text = f"{name} was started meanwhile, and what changed on it since is in no backup"
                raise _refusal(ProblemCode.RUNNING, text, "keep it stopped, and run the command again")
            await self.target.stop()
        if spare or self.begun or (now := await self._lies_there()) == self.there:
            return
        new = [one.name for one in now if one not in self.there] or [one.name for one in self.there if one not in now]
        text = f"other files are on {name} than before: {few(new)}; what came meanwhile is in no backup"
        raise _refusal(ProblemCode.NOT_EMPTY, text, "see who changes them, and run the command again")

    async def _lies_there(self) -> tuple[FileEntry, ...]:
        """List the folder. What a node says of a folder's size depends on when it looks, and is left out."""
        found = (one if one.is_file else replace(one, size=0) for one in await self.target.foreign())
        return tuple(sorted(found, key=lambda one: one.name))

    def _begins_again(self) -> str:
        """Say how to go on after an end in the midst of it. What lies beside a folder of its own is never emptied."""
        if self.options.spare_only:
            return "the daemon, or the next drill, deletes it"
        if self.options.into == "/":
            return "the same command with --truncate begins again"
        return f"delete {self.options.into} there; then the same command begins again"

    async def _make_room(self, seen: Preview, index: ArchiveIndex | None) -> None:
        if self.options.truncate:
            await self._empty(seen)
        await self.options.stages.puts(index)

    async def _compare(self, index: ArchiveIndex | None) -> None:
        await self.target.delete(await self.target.leftovers())
        if index is None:
            text = "the archive was not read, so the server's files could not be compared with it"
            self._note(ProblemCode.NOT_LOOKED_AT, text, "look at the server's files before starting it")
            return
        self.operation.tell("comparing the server's files with the archive")
        compared = await self.target.compare(index)
        self.done = replace(self.done, compared=compared)
        if compared.unseen and self.left_open:
            text = f"{compared.unseen} of {index.count} files were not looked at, and the panel did not say of a part"
            raise RestoreError(f"{text} whether it was unpacked")
        if compared.unseen:
            self._note(ProblemCode.NOT_LOOKED_AT, f"{compared.unseen} of {index.count} files were not looked at")

    def _note(self, code: ProblemCode, text: str, hint: str = "") -> None:
        self.done = replace(self.done, outcome=self.done.outcome.with_problem(code, text, hint))

    def _changed(self, what: str) -> None:
        """Note that the server has been changed, and what the operator is to do if we stop now."""
        self.done = replace(self.done, outcome=replace(self.done.outcome, changed=True))
        self.left = what
        self.operation.going_on = self._left_so()

    def _left_so(self) -> str:
        safety = self.done.safety.backup if self.done.safety else None
        kept = f"; what was there is in {safety.name}, locked" if safety else ""
        return f"{self.operation.config.name} {self.left}{kept}" if self.left else ""


def _refusal(code: ProblemCode, text: str, hint: str) -> Halt:
    return Halt(Result.REFUSED, Problem(code, text, hint))


async def bring_onto(operation: Operation, archive: Archive, options: OntoOptions) -> Brought:
    """Bring the archive onto the operation's server; the server's lock is held, so that no rotation runs meanwhile."""
    try:
        async with operation.alone():
            return await bring_alone(operation, archive, options)
    except (BackupdError, Halt) as error:  # somebody else holds it
        return Brought(ended_by(error, archive.backup))


async def bring_alone(operation: Operation, archive: Archive, options: OntoOptions) -> Brought:
    """Bring the archive onto the operation's server; the caller holds the server's lock."""
    restore = _Restore(operation, archive, options)
    try:
        await restore.run()
    except (BackupdError, Halt) as error:
        ended = ended_by(error, archive.backup)
        before = restore.done.outcome
        ended = replace(ended, changed=before.changed, problems=(*before.problems, *ended.problems))
        if isinstance(error, ByHandError):
            ended = replace(ended, result=Result.SKIPPED, passing=True)
        restore.done = replace(restore.done, outcome=ended)
    return _with_the_rest(restore.done, operation.going_on)


def _with_the_rest(done: Brought, going_on: str) -> Brought:
    """Add to the problems of a restore that was not done what it leaves, and how to go on."""
    if done.outcome.result is Result.DONE:
        return done
    left = []
    if done.safety is not None and done.safety.backup is not None:
        left.append(Problem(ProblemCode.SAFETY_BACKUP, f"{done.safety.backup.name}, the safety backup, stays, locked"))
    if done.outcome.changed and going_on:
        left.append(Problem(ProblemCode.HALF_RESTORED, going_on))
    return replace(done, outcome=replace(done.outcome, problems=(*left, *done.outcome.problems)))
