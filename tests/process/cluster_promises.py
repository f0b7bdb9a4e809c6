"""What must never happen in `cluster_rounds`: the panel's ledger, and what left the members, held against the promises.

The numbers are those of docs/design.md. Who held which server, and what was announced, is recorded by triggers in the
database; what left a member, and when, is seen on its way to the panel.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.clock import SystemClock
from daemon.sandbox.records import Change, Entry, Server, State
from tests.process.cluster_audit import Audit, Held, Journalled
from tests.process.cluster_member import LEASE_SECONDS, Member, Request
from tests.process.cluster_trouble import AT_DATABASE, EVICTS, LONGEST, Met, Trouble
from tests.process.ledger import hold_deletions
from tests.process.support import Event

SETTLE_SECONDS = 120.0
"""So long is looked for what may have been asked for."""

FRESH_SECONDS = 60.0
"""So long a listing, or a look at a backup, counts."""

WRITE_SECONDS = 70.0
"""So long a write may take."""

MOMENT_SECONDS = 1.0
"""For the machine's own lateness."""

GIVEN_UP_SECONDS = 60.0
"""So long after the database did not answer a member's rotation may still do without it."""

LOOK_SECONDS = 5.0
"""So long after a clock was set a DELETE may still leave that was let go before."""

TRUSTED_SECONDS = 3600.0
"""By so many seconds clocks may differ."""

_DELETE = ("delete", "room")


@dataclass(frozen=True, slots=True)
class Promises:
    """All that has happened so far, to be held.

    By the members' names, `sent` are the requests that left each, and `logged` the events that it told of. These are
    looked at before the ledger, and the audit last: what leaves meanwhile has been announced by then. `dated` says
    of the backups from before by their uuids when they were made, `moves` by how many seconds the database's clock was
    wrong from when on.
    """

    members: Sequence[Member]
    sent: Mapping[str, Sequence[Request]]
    logged: Mapping[str, Sequence[Event]]
    ledger: Sequence[Entry]
    audit: Audit
    met: Sequence[Met]
    moves: Sequence[tuple[datetime, float]]
    dated: Mapping[str, datetime]

    def hold(self, servers: Collection[Server], careful: Collection[Server]) -> None:
        """AssertionError for the first that is broken; every plan for the `careful` ones is over the brake."""
        for member in self.members:
            for one in member.lives:
                assert not one.events("bug"), one.output
                assert not one.events("rotation_bug"), one.output
        for server in servers:
            hold_deletions(server, self.ledger)
            self._hold_creates(server)
        for server in careful:
            self._hold_brake(server)
        for member in self.members:
            for request in self.sent[member.name]:
                if request.method == "DELETE":
                    self._hold_delete(member, request)
                    self._hold_quiet(member, request)
                    self._hold_clock(member, request)
            self._hold_told(member)
        self._hold_order()
        self._hold_reasons()

    # One start, one backup (6) --------------------------------------------------------------------------------------

    def _hold_creates(self, server: Server) -> None:
        """One start makes one backup; one more if its member went on without the database, or if what it had sent came
        later than it is looked for. What is asked for by hand is for no start.
        """
        made = [one for one in self.ledger if one.change is Change.CREATED and one.server == server.uuid]
        made = [one for one in made if any(one.name in member.sent.names for member in self.members)]
        counted = beside = 0
        for entry in made:
            member = next(one for one in self.members if entry.name in one.sent.names)
            sent = member.sent.names[entry.name]
            steps = (one for one in self._announced(member, server.identifier, sent) if one.name == "create")
            announced = next((one for one in steps if one.detail["backup"] == entry.name), None)
            if announced is None:
                self._hold_beside(member, entry, sent)
            by_hand = announced is not None and announced.trigger == "manual"
            late = (entry.at - sent).total_seconds() > SETTLE_SECONDS
            beside += announced is None or late
            counted += not (announced is None or late or by_hand)
        assert counted <= 1, f"6: {server.name} has {counted} backups for one start, all announced: {made}"
        assert counted + beside <= 2, f"20: {server.name} has more than one backup beside another: {made}"

    def _hold_beside(self, member: Member, asked: Entry, sent: datetime) -> None:
        """A member asks for a backup that it has not announced: only if it has not had the database."""
        excused = self._had(member, sent, AT_DATABASE | {Trouble.STOPPED}, GIVEN_UP_SECONDS)
        assert excused, (
            f"6, 20: {member.name} asks for {asked.name} at {sent}, and has the database, and not announced it"
        )

    # The brake (7) --------------------------------------------------------------------------------------------------

    def _hold_brake(self, server: Server) -> None:
        gone = [one for one in self.ledger if one.change is Change.DELETED and one.server == server.uuid]
        good = [one.name for one in gone if one.state is State.GOOD]
        assert not good, f"7: {server.name} loses {good}, though its plan is over max_share"

    # One member acts (20), on what it has just seen (4) -------------------------------------------------------------

    def _announced(self, member: Member, server: str, before: datetime) -> list[Journalled]:
        """What it had announced for a server by then, and committed."""
        steps = (one for one in self.audit.steps if one.server == server and one.member == member.name)
        return [one for one in steps if one.committed <= before]

    def _hold_delete(self, member: Member, sent: Request) -> None:
        """It was announced, and its member holds the server, or did a moment ago and could not know better."""
        by = f"{member.name} sends {sent}"
        steps = self._announced(member, sent.server, sent.at)
        announced = [one for one in steps if one.name in _DELETE and one.detail["uuid"] == sent.backup]
        assert announced, f"20: {by}, which it has not announced before"
        held = self.audit.held.get((member.name, sent.server), [])
        if not any(one.at(sent.at) for one in held):
            self._hold_late(member, sent, held)
        self._hold_fresh(member, sent, announced[-1])

    def _hold_late(self, member: Member, sent: Request, held: Sequence[Held]) -> None:
        """A DELETE leaves though the server is held no more: only if that was taken away before the lease was over."""
        freed = max((one.freed for one in held if one.freed and one.freed <= sent.at), default=None)
        by = f"20: {member.name} sends {sent}, and held the server {held}"
        assert freed is not None, by
        late = (sent.at - freed).total_seconds()
        stopped = self._had(member, sent.at, {Trouble.STOPPED}, MOMENT_SECONDS)
        early = self._had(member, sent.at, {*EVICTS, Trouble.PROMOTED, Trouble.CLOCK_MOVED}, 2 * LEASE_SECONDS)
        most = MOMENT_SECONDS + (LONGEST if stopped else LEASE_SECONDS if early else 0.0)
        assert late <= most, f"{by}: {late:.1f} s too late"

    def _hold_fresh(self, member: Member, sent: Request, announced: Journalled) -> None:
        """Its rotation has a good backup, and has asked for a listing since it knew of that one. It was looked at of
        late.
        """
        ours = (one for one in self.audit.steps if one.rotation == announced.rotation)
        known = [one for one in ours if one.name in ("created", "adopted")]
        good = {one.backup for one in self.ledger if one.change is Change.COMPLETED and one.at <= sent.at}
        assert good & {one.detail["uuid"] for one in known}, f"3: {member.name} sends {sent} without a good backup"
        looks = [one for one in self.sent[member.name] if one.server == sent.server and one.method == "GET"]
        looks = [one for one in looks if one.at <= sent.at and one.backup in ("", sent.backup)]
        listed = any(not one.backup and one.at >= known[-1].committed for one in looks)
        assert listed, f"4: {member.name} sends {sent}, and has not listed since {known[-1]}"
        ago = (sent.at - looks[-1].at).total_seconds()
        stopped = LONGEST if self._had(member, sent.at, {Trouble.STOPPED}, MOMENT_SECONDS) else 0.0
        most = FRESH_SECONDS + stopped + MOMENT_SECONDS
        assert ago <= most, f"4: {member.name} sends {sent}, and looked {ago:.0f} s ago"

    def _had(self, member: Member, at: datetime, troubles: Collection[Trouble], after: float) -> bool:
        mine = (one for one in self.met if one.trouble in troubles and one.is_of(member.name))
        return any(one.lasted_at(at, after) for one in mine)

    # The quiet after a promotion (20), and clocks (9) ---------------------------------------------------------------

    def _hold_quiet(self, member: Member, sent: Request) -> None:
        """After a promotion was noticed nothing is deleted for a lease, and as long as a write can take: but what was
        announced before, within a lease. The database's clock tells how long ago that was.
        """
        for promoted in (one for one in self.audit.promoted if one < sent.at):
            wrong = [by for at, by in self.moves if promoted <= at <= sent.at]
            then = [0.0, *(by for at, by in self.moves if at < promoted)][-1]
            ahead = max([then, *wrong]) - then
            quiet = timedelta(seconds=LEASE_SECONDS + WRITE_SECONDS - ahead - MOMENT_SECONDS)
            if sent.at >= promoted + quiet:
                continue
            steps = self._announced(member, sent.server, promoted)
            before = any(one.name in _DELETE and one.detail["uuid"] == sent.backup for one in steps)
            soon = (sent.at - promoted).total_seconds() <= LEASE_SECONDS
            assert before is soon is True, (
                f"20: {member.name} sends {sent}, and the database was promoted at {promoted}"
            )

    def _hold_told(self, member: Member) -> None:
        """Whatever a plan refuses is told as a problem of its rotation, which ends as refused (7, 9). By a clock
        that is wrong by more than an hour, each plan refuses.
        """
        events = self.logged[member.name]
        ended = {one.get("rotation"): one["result"] for one in events if one["event"] == "rotation_ended"}
        problems = {(one.get("rotation"), one["text"]) for one in events if one["event"] == "problem"}
        for one in (one for one in events if one["event"] == "planned"):
            number, why = one.get("rotation"), one["refused"]
            assert why or not self._is_by_wrong_clock(member, one), f"9: {member.name}: {one}"
            if why and number in ended:
                assert ended[number] == "refused", f"7, 9: {member.name}: {one}"
                assert (number, why) in problems, f"7, 9: {member.name} tells nobody of {one}"

    def _is_by_wrong_clock(self, member: Member, event: Event) -> bool:
        """Whether a member logged something by a clock that is not to be trusted, and was wrong a while ago already."""
        now = SystemClock().now()
        for one in self.met:
            if one.trouble is Trouble.CLOCK_WRONG and one.is_of(member.name) and abs(one.by) > TRUSTED_SECONDS:
                at = datetime.fromisoformat(event["timestamp"]) - timedelta(seconds=one.by)
                # By a clock that was right, it would be dated hours ahead of now where the wrong one is slow.
                if at <= now and one.lasted_at(at) and (at - one.since).total_seconds() > LOOK_SECONDS:
                    return True
        return False

    def _hold_clock(self, member: Member, sent: Request) -> None:
        """Nothing is deleted by who has a clock that differs from the panel's by more than an hour."""
        for one in self.met:
            if one.trouble is Trouble.CLOCK_WRONG and one.is_of(member.name) and abs(one.by) > TRUSTED_SECONDS:
                since = (sent.at - one.since).total_seconds()
                wrong = one.lasted_at(sent.at) and since > LOOK_SECONDS
                assert not wrong, f"9: {member.name} sends {sent} by a clock that is {one.by:.0f} s wrong"

    # In order (4), and with reasons (8) -----------------------------------------------------------------------------

    def _hold_order(self) -> None:
        """Each rotation deletes oldest first, but what it, or an earlier one, has asked for in vain."""
        made = {one.backup: one.at for one in self.ledger if one.change is Change.CREATED} | dict(self.dated)
        asked: set[str] = set()
        last: dict[int, datetime] = {}
        for step in (one for one in self.audit.steps if one.name == "delete"):
            backup = step.detail["uuid"]
            if backup not in asked:
                asked.add(backup)
                before = last.get(step.rotation, made[backup])
                assert before <= made[backup], f"4: {step} is older than what the rotation has deleted before"
                last[step.rotation] = made[backup]

    def _hold_reasons(self) -> None:
        """Each deletion has its reason in the journal, and the same in the log."""
        steps = (one for one in self.audit.steps if one.name in _DELETE)
        reasons = {(one.detail["uuid"], one.detail["because"]) for one in steps}
        assert all(because for _, because in reasons), f"8: {reasons}"
        for event in (
            event for events in self.logged.values() for event in events if event["event"] == "backup_deleted"
        ):
            assert (event["uuid"], event["because"]) in reasons, f"8: {event} has another reason than the journal"
