"""Change nothing: find what retention says now (`plan`), and what a rotation would do (`rotate --dry-run`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.clock import Clock
from daemon.config.values import ServerConfig
from daemon.core.adoption import Adoption, adopt
from daemon.core.backlog import Backlog, backlog
from daemon.core.brake import Brake
from daemon.core.copied import Copied
from daemon.core.model import Backup, Completeness, Listing, Server, Verdict
from daemon.core.names import Ownership
from daemon.core.plan import Plan, Refusal, plan
from daemon.core.proven import NOTHING_KNOWN, Proven
from daemon.core.room import make_room
from daemon.errors import ProblemCode
from daemon.panel.client import PanelClient
from daemon.panel.errors import BackupLimitError, ServerStateError
from daemon.rotation.brake import brake_of, recall
from daemon.rotation.copied import copied_before
from daemon.rotation.outcome import NO_BACKUPS, NO_RIGHT_TO_DELETE, Problem, refusal
from daemon.rotation.proven import proven_of
from daemon.state import Catalogue, Journal

ROUNDING = timedelta(seconds=2)
"""The panel rounds its dates down, and its clock is known to a second."""


def by_panel(moment: datetime, ahead: timedelta) -> datetime:
    """Return a moment of ours as the panel, whose clock is `ahead`, would date it, or a little before."""
    return moment + ahead - ROUNDING


@dataclass(frozen=True, slots=True)
class Preview:
    """One server as it stands: the panel's view, the listing, and the plan by the configuration.

    Operators `accepted` some backups as good; the deletion of others was `asked` for and not completed. `copied` is
    what the stores hold that must have a backup before it is deleted, `proven` what is known of proofs. The panel's
    clock is `panel_ahead` of ours.
    """

    config: ServerConfig
    server: Server
    listing: Listing
    accepted: frozenset[str]
    asked: frozenset[str]
    brake: Brake
    ownership: Ownership
    plan: Plan
    copied: tuple[Copied, ...] = ()
    proven: Proven = NOTHING_KNOWN
    panel_ahead: timedelta = timedelta(0)

    def by_panel(self, moment: datetime) -> datetime:
        """Return a moment of ours as the panel would date it, or a little before."""
        return by_panel(moment, self.panel_ahead)

    @property
    def backlog(self) -> Backlog | None:
        """What waits for copies, and when that fills the panel's limit; None if nothing waits."""
        return backlog(self.plan.verdicts, self.server.backup_limit, self.config.starts, self.listing.taken_at)


async def preview(
    config: ServerConfig,
    client: PanelClient,
    journal: Journal,
    clock: Clock,
    *,
    max_deletions: int | None = None,
    server: Server | None = None,
    catalogue: Catalogue | None = None,
) -> Preview:
    """Read the server and all its backups and judge them; change nothing. Raises PanelError and StateError.

    The journal tells which backups an operator accepted as good, what was last applied, and which names the panel gave
    to our backups; the catalogue which copies the stores have, and without it nothing counts as copied.
    `max_deletions` lifts the brake as a rotation with it would; `server` is the panel's view, if it was just read.
    """
    server = server or await client.server(config.id)
    must_be_free(server)
    listing = await client.backups(config.id)
    if listing.completeness is not Completeness.COMPLETE:
        listing = replace(listing, earlier=await journal.last_listing(server.uuid))
    marks, known = await journal.marks(server.uuid), await recall(journal, server.uuid)
    accepted, asked, ownership = marks.accepted, marks.asked, config.ownership.knowing(marks.altered)
    ahead = listing.taken_at - clock.now()
    brake = brake_of(config, known, once=max_deletions, panel_ahead=ahead)
    copied = await copied_before(
        config,
        server.uuid,
        listing,
        catalogue,
        ownership=ownership,
        accepted=accepted,
        asked=asked,
        panel_ahead=ahead,
    )
    proven = await proven_of(config.policy, server.uuid, journal)
    decided = judged(
        config,
        listing,
        ownership=ownership,
        accepted=accepted,
        asked=asked,
        brake=brake,
        copied=copied,
        proven=proven,
    )
    return Preview(config, server, listing, accepted, asked, brake, ownership, decided, copied, proven, ahead)


def must_be_free(server: Server) -> None:
    """Raise ServerStateError if the panel would answer every backup call with 409, and not say why."""
    if server.obstacle is not None:
        raise ServerStateError(f"the server is {server.obstacle}", obstacle=server.obstacle)


def judged(
    config: ServerConfig,
    listing: Listing,
    *,
    ownership: Ownership,
    accepted: frozenset[str],
    brake: Brake,
    asked: frozenset[str] = frozenset(),
    already_deleted: int = 0,
    copied: Collection[Copied] = (),
    proven: Proven = NOTHING_KNOWN,
) -> Plan:
    """Return the plan for that listing by the configuration; what a rotation `already_deleted` counts in the brake."""
    return plan(
        listing,
        config.policy.retention,
        ownership=ownership,
        brake=brake,
        accepted=accepted,
        asked=asked,
        already_deleted=already_deleted,
        copied=copied,
        proven=proven,
    )


def lacks(server: Server, permission: str) -> bool:
    """Return whether the key is known to lack a permission on a server that was viewed."""
    held = server.permissions
    return held is not None and held.isdisjoint({permission, "*"})


def room_at_limit(seen: Preview) -> Backup | Problem | None:
    """Return which backup a rotation deletes to make room, or why the panel's limit stops it; None if there is room."""
    limit = seen.server.backup_limit
    if limit == 0:
        return NO_BACKUPS
    holding = sum(backup.successful or backup.completed_at is None for backup in seen.listing.backups)
    if holding < limit:
        return None
    reached = f"the limit of {limit} backups is reached"
    if lacks(seen.server, "backup.delete"):
        return Problem(ProblemCode.LIMIT, f"{reached}; {NO_RIGHT_TO_DELETE.text}", NO_RIGHT_TO_DELETE.hint)
    policy = seen.config.policy
    room = make_room(
        seen.listing,
        policy.retention,
        ownership=seen.ownership,
        coming_name=policy.template.render(seen.config.name, seen.listing.taken_at, "0" * 8),
        brake=seen.brake,
        accepted=seen.accepted,
        asked=seen.asked,
        copied=seen.copied,
        uncopied_may_go=policy.uncopied_may_go,
        proven=seen.proven,
    )
    if not isinstance(room, Refusal):
        return room.backup
    hint = refusal(seen.config.name, room.code, room.text, frozen=room.frozen).hint or BackupLimitError.default_hint
    return Problem(ProblemCode.LIMIT, f"{reached}; {room.text}", hint)


def adoption(
    config: ServerConfig, verdicts: Sequence[Verdict], *, start_at: datetime, ahead: timedelta, now: datetime
) -> Adoption:
    """Return which pending backup of ours a rotation for that start adopts, and which are stuck.

    `now` is the listing's moment by the panel's clock, which is `ahead` of ours.
    """
    since = by_panel(config.starts.latest(start_at - timedelta(seconds=1)), ahead)
    return adopt(verdicts, since=since, timeout=config.policy.timeout, now=now)


def stuck_problem(stuck: Backup) -> Problem:
    """Return the problem to report for a pending backup that no rotation waits for any more."""
    return Problem(
        ProblemCode.STUCK,
        f"{stuck.name} is pending since {stuck.created_at:%Y-%m-%d %H:%M %Z}; it is left alone and not counted",
        "look at the node's log; once the panel has marked it failed, failed_after applies",
    )


def without(listing: Listing, gone: Collection[Backup]) -> Listing:
    """Return the listing as it will be once these are deleted."""
    there = tuple(backup for backup in listing.backups if backup not in gone)
    return replace(listing, backups=there, total=listing.total - len(gone))


def with_coming(config: ServerConfig, listing: Listing, adopted: Backup | None) -> Listing:
    """Return the listing as it will be once a rotation's new or adopted backup has turned good."""
    now = listing.taken_at
    newest = max((b.bytes for b in listing.backups if b.successful), default=1)
    if adopted is not None:
        good = replace(adopted, successful=True, bytes=newest, completed_at=now)
        return replace(listing, backups=tuple(good if backup is adopted else backup for backup in listing.backups))
    name = config.policy.template.render(config.name, now, "0" * 8)
    coming = Backup("", name, successful=True, locked=False, bytes=newest, created_at=now, completed_at=now)
    return replace(listing, backups=(*listing.backups, coming), total=listing.total + 1)
