"""The rules of deletions: what may be asked for, on what grounds, in which order, and what the panel then deleted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from daemon.sandbox.records import Change, Entry, State
from tests.simulation import oracle
from tests.simulation.brake import Brake, makes_room
from tests.simulation.checker import Checker
from tests.simulation.creates import SETTLE_SECONDS, errors_of
from tests.simulation.doubts import Doubts
from tests.simulation.oracle import Row
from tests.simulation.proofs.known import Way
from tests.simulation.reading import last_passes, last_read, merged, total
from tests.simulation.recorder import Exchange, Rotation

FRESH_SECONDS = 60.0
AT_ONCE = 6.0
"""Seconds that a process may take from a look at one backup to its DELETE: as long as the API limit may hold it back,
and the answer's own way."""

Policy = Mapping[str, Any]


class Deletions:
    """Holds every DELETE, when it leaves and when it is done."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._recorder = checker.recorder
        self._hold = checker.hold
        self._deleting: dict[str, Exchange] = {}
        self.brake = Brake(checker)
        self._doubts = Doubts(checker)
        self._last_of_listing: dict[int, Row] = {}
        self._room_made: dict[str, Exchange] = {}
        self._room_asked: dict[str, Exchange] = {}

    # When it is done -------------------------------------------------------------------------------------------------

    def done(self, entry: Entry, exchange: Exchange) -> None:
        """The panel has deleted a backup that the daemon asked for, or its node the file alone."""
        server, rotation = entry.server, exchange.rotation
        if rotation is None:
            self._hold("4", False, f"{entry.name} was deleted outside of any rotation", server)
            return
        row = self._recorder.mirror[server][entry.backup]
        self._hold("1", not entry.locked or self._under_way(exchange), f"{entry.name} was locked", server)
        self._hold("2", entry.state is not State.PENDING, f"{entry.name} was pending", server)
        now = self._recorder.world.now()
        # A DELETE knows nothing of a clock that was set back after the panel gave the last answer before it.
        answered = (one.sent for one in rotation.exchanges if one.received is not None and one.received < exchange.sent)
        heard = max(answered, default=exchange.sent)
        ahead = row.created > now + oracle.TOO_FAR_AHEAD and not self._checker.a_clock_was_set_since(heard)
        self._hold("2", not ahead, f"{entry.name} was dated in the future", server)
        mine = any(
            policy["scope"] == "all" or oracle.owns(policy, rotation.server, row.name)
            for policy in self._policies(rotation, rotation.began, exchange.sent)
        ) or self._renamed_since_read(exchange)
        self._hold("2", mine, f"{entry.name} was not made by the policy", server)
        if entry.change is Change.DELETED and makes_room(exchange):
            self._room_made[server] = exchange

    def _under_way(self, exchange: Exchange) -> bool:
        """Whether it was locked when the DELETE was on its way, on what was the truth when it was last read."""
        read, locked_at = last_read(exchange), self._recorder.locked_at.get(exchange.backup or "", -1.0)
        if read is None or read.done is None or read.received is None or locked_at < read.done:
            return False
        return locked_at >= exchange.sent or exchange.sent - read.received <= AT_ONCE

    def _renamed_since_read(self, exchange: Exchange) -> bool:
        """Whether a person gave it another name since the list was read, which no look at a single backup compares."""
        assert exchange.rotation is not None
        passes = last_passes(exchange.rotation, exchange)
        renamed_at = self._recorder.renamed_at.get(exchange.backup or "", -1.0)
        return bool(passes) and renamed_at >= passes[-1][0].sent

    # When it leaves --------------------------------------------------------------------------------------------------

    def sent(self, exchange: Exchange) -> None:
        """A rotation asks for a deletion."""
        rotation, server, uuid = exchange.rotation, exchange.server or "", exchange.backup or ""
        assert rotation is not None
        before = self._deleting.get(server)
        self._hold("4", before is None or not self._under_way_elsewhere(before), "two deletions at once", server)
        self._deleting[server] = exchange
        self._hold("4", not rotation.unwritten, "a deletion without a journal", server)
        passes = last_passes(rotation, exchange)
        if not passes:
            self._hold("4", False, "a deletion without a listing", server)
            return
        self._hold("9", not self._doubts.surely(passes[-1][0]), "a deletion by a clock that nobody can trust", server)
        self._held_together(passes, server)
        row = merged(passes[-1]).get(uuid)
        self._hold("4", row is not None, f"{self._recorder.short(uuid)} was not in the listing", server)
        if row is None:
            return
        self._fresh(exchange, passes[-1][0], row)
        policies = self._in_force(exchange, passes[-1])
        if makes_room(exchange):
            self._no_room_again(exchange, passes[-1], row, policies)
        else:
            self._in_order(exchange, passes[-1][0], row)
            self._new_one_is_good(exchange, passes[-1])
            self._within_bound(exchange, passes[-1], policies)
        self._deletable(exchange, passes[-1], row, policies)
        self._not_held(exchange, passes[-1], row, policies)
        self._copied_first(exchange, passes[-1], row, policies)
        self._proven_first(exchange, passes[-1], row, policies)
        if makes_room(exchange):
            self._room_asked[server] = exchange
        if row.successful:
            rotation.good_deleted.add(uuid)

    def _under_way_elsewhere(self, before: Exchange) -> bool:
        """Whether a deletion still waits for its answer, in a process that is not dead."""
        return before.received is None and before.given_up is None and self._checker.at_work(before.process)

    def _held_together(self, passes: Sequence[Sequence[Exchange]], server: str) -> None:
        last = passes[-1]
        steady = len(passes) > 1 and set(merged(last)) == set(merged(passes[-2]))
        text = f"deleting by a listing of {len(merged(last))} rows of {total(last[-1])}"
        self._hold("5", steady or _complete(last), text, server)

    def _fresh(self, exchange: Exchange, page: Exchange, row: Row) -> None:
        """Failed ones, and what was listed more than a minute ago, are read again just before."""
        assert exchange.rotation is not None
        views = [
            view
            for view in exchange.rotation.delivered("view")
            if view.backup == exchange.backup and page.number < view.number < exchange.number
        ]
        age = exchange.sent - (views[0].received or 0.0) if views else exchange.sent - page.sent
        needs_view = row.completed is not None and not row.successful
        self._hold(
            "4",
            age <= FRESH_SECONDS + 1 and (bool(views) or not needs_view),
            f"{row.name} is deleted {age:.0f} s after it was last read" + ("" if views else ", which was in the list"),
            exchange.server,
        )

    def _in_order(self, exchange: Exchange, page: Exchange, row: Row) -> None:
        """Oldest first; one whose deletion was asked for in vain before may come after the others."""
        before = self._last_of_listing.get(page.number)
        older = before is None or (before.created, before.uuid) <= (row.created, row.uuid)
        _, asked = self._recorder.half_deleted(exchange.server or "", page.sent)
        self._hold("4", older or row.uuid in asked, f"{row.name} is deleted after a newer one", exchange.server)
        self._last_of_listing[page.number] = row

    def room_taken(self, server: str) -> bool:
        """Whether room was made there, and somebody else took the place: no create was accepted since."""
        made = self._room_made.get(server)
        return made is not None and not self._recorder.accepted_since(server, made.sent)

    def forget_room(self, since: float) -> None:
        """What was written down since then is lost: nobody knows that room was made meanwhile."""
        self._room_made = {server: made for server, made in self._room_made.items() if made.sent < since}

    def _no_room_again(
        self, exchange: Exchange, listing: Sequence[Exchange], row: Row, policies: Sequence[Policy]
    ) -> None:
        """Room is made once until a backup turned good, and by small ones alone until one was completed at least; again
        after a day if no create was accepted since. After a clock was set nobody can tell what was made since.
        """
        server, rotation = exchange.server or "", exchange.rotation
        made = self._room_made.get(server)
        if made is None or rotation is None or self._checker.a_clock_was_set_since(made.sent):
            return
        if self.room_taken(server) and not self.brake.lately(made, exchange.sent):
            return
        completed = self._recorder.completed_at.get(server, -1.0) >= made.sent
        self._hold("3", completed, "room is made again, and no backup was completed since the last time", server)
        before = self._recorder.truths(server, made.sent)[0]
        whole = {uuid for uuid, earlier in before.items() if earlier.successful}
        judged = [self._judged(listing, policy, rotation) for policy in policies]
        small = any(row.uuid in one.spare for one in judged)
        if any(page.falsified for page in listing):  # which may hide the new one, that the daemon saw before
            now = self._now_of(listing[0])
            judged += [
                oracle.judge(list(truth.values()), policy, rotation.server, now, complete=True)
                for policy in policies
                for truth in self._recorder.truths(server, listing[0].sent)
            ]
        new_one = any(state == "good" for one in judged for uuid, state in one.states.items() if uuid not in whole)
        self._hold("3", small or new_one, f"{row.name} makes room again, and no backup turned good since", server)

    def _new_one_is_good(self, exchange: Exchange, listing: Sequence[Exchange]) -> None:
        """Nothing is deleted after a new backup that is not good."""
        uuid, rows = exchange.created_by_then, merged(listing)
        truths = self._recorder.truths(exchange.server or "", listing[0].sent)
        good = uuid is not None and any(uuid in truth and truth[uuid].successful for truth in truths)
        self._hold(
            "3",
            good and uuid in rows and rows[uuid].successful,
            f"a deletion, and the new backup {self._recorder.short(uuid)} is not good",
            exchange.server,
        )

    def _within_bound(self, exchange: Exchange, listing: Sequence[Exchange], policies: Sequence[Policy]) -> None:
        """All the good ones that the listing gives up, and those that went before it, are no more than the bound."""
        rotation = exchange.rotation
        assert rotation is not None
        already = rotation.good_deleted - merged(listing).keys()
        half_deleted = self._recorder.half_deleted(exchange.server or "", listing[0].sent)
        judged = [
            (self._judged(listing, policy, rotation, proven, asked), policy)
            for policy in policies
            for proven in self._proven_sets(exchange, listing, policy)
            for asked in (set(), *half_deleted)
        ]
        within = any(self.brake.within(one, policy, rotation, already=already) for one, policy in judged)
        said = [
            (len(already) + len(one.good_deletions()), len(one.candidates), _bounds(policy)) for one, policy in judged
        ]
        self._hold("7", within, f"a deletion, of so many good ones of so many by such bounds: {said}", exchange.server)

    def _not_held(self, exchange: Exchange, listing: Sequence[Exchange], row: Row, policies: Sequence[Policy]) -> None:
        """It does not go within a day of a change that it goes by."""
        rotation, rows = exchange.rotation, list(merged(listing).values())
        assert rotation is not None
        room, now = makes_room(exchange), self._now_of(listing[0])
        free = any(row.uuid not in self.brake.held(rows, policy, rotation, now, room=room) for policy in policies)
        self._hold("7", free, f"{row.name} goes at once, since the policy was changed", exchange.server)

    def _copied_first(
        self, exchange: Exchange, listing: Sequence[Exchange], row: Row, policies: Sequence[Policy]
    ) -> None:
        """A good backup goes only while the stores that must have it do, as far as anybody can know (invariant 14)."""
        first, rotation, server = self._checker.copies_first, exchange.rotation, exchange.server or ""
        _, asked = self._recorder.half_deleted(server, exchange.sent)
        if rotation is None or not any(map(first.named, policies)) or row.uuid in asked:
            return
        since, now = _turned_to(exchange, listing), self._now_of(listing[0])
        rows = list(merged(listing).values())
        lacking: list[str] = []
        for policy in policies:
            judged = self._judged(listing, policy, rotation)
            lacking = first.lack(rotation, row, policy, rows=rows, now=now, since=since)
            may_do_without = makes_room(exchange) and self._none_is_copied(exchange, listing, policy)
            if not lacking or judged.states[row.uuid] != "good" or may_do_without:
                lacking = []
                break
        self._hold("14", not lacking, f"{row.name} goes, and {', '.join(lacking)} may have no copy of it", server)

    def _proven_first(
        self, exchange: Exchange, listing: Sequence[Exchange], row: Row, policies: Sequence[Policy]
    ) -> None:
        """Nothing goes from a frozen server, but one for room; the newest proven ones stay (invariant 17)."""
        proofs, rotation, server = self._checker.proofs, exchange.rotation, exchange.server or ""
        if rotation is None or not any("prove" in policy for policy in policies):
            return
        room, frozen = makes_room(exchange), proofs.frozen_ever_since(server, _turned_to(exchange, listing))
        self._hold("17", room or not frozen, f"{row.name} goes, though {frozen} froze the server", server)
        text = f"{row.name} goes, and is one of the newest proven, or there are too few of these"
        ways = (way for policy in policies for way in self._ways(exchange, listing, policy))
        if room:
            allowed = any(row.uuid not in way.newest and way.one_stays(row.uuid, frozen) for way in ways)
        else:
            allowed = any(row.uuid not in way.newest and (way.enough or not row.successful) for way in ways)
        self._hold("17", allowed, text, server)

    def _ways(self, exchange: Exchange, listing: Sequence[Exchange], policy: Policy) -> Iterator[Way]:
        """What of a list is proven, by each that may be known of proofs, and of what may be half deleted."""
        proofs, rotation, server = self._checker.proofs, exchange.rotation, exchange.server or ""
        assert rotation is not None
        good = self._judged(listing, policy, rotation).candidates
        for known in self._recorder.half_deleted(server, exchange.sent):
            whole = [uuid for uuid in good if uuid not in known]
            yield from proofs.ways(server, policy, whole, listing[0].sent)

    def _proven_sets(self, exchange: Exchange, listing: Sequence[Exchange], policy: Policy) -> Sequence[frozenset[str]]:
        """What is proven by all that was known since the list was read."""
        return self._checker.proofs.proven_sets(exchange.server or "", policy, listing[0].sent)

    def _none_is_copied(self, exchange: Exchange, listing: Sequence[Exchange], policy: Policy) -> bool:
        """Whether room may be made by an uncopied one, since no other that might make it is surely copied.

        Copied or not, one makes no room that stays for its proof, or that may be held since the policy was changed.
        """
        first, rotation = self._checker.copies_first, exchange.rotation
        if rotation is None or policy.get("copy_before_delete_when_full") != "make-room":
            return False
        rows, server, now = merged(listing), exchange.server or "", self._now_of(listing[0])
        asked, tried = self._recorder.half_deleted(server, exchange.sent)
        apart = tried | _looked_for_in_vain(exchange) | {exchange.backup}
        apart |= self.brake.perhaps_held(list(rows.values()), policy, rotation, now, asked=asked)

        good = self._judged(listing, policy, rotation).candidates
        frozen = self._checker.proofs.ever_frozen(server, listing[0].sent)

        def others(proven: Collection[str]) -> set[str]:
            room = self._to_go(rows, policy, exchange, now=now, complete=True, asked=asked, proven=proven)
            newest = [uuid for uuid in good if uuid in proven and uuid not in asked][:1]
            return set(room) - apart - set(newest if frozen else ())

        return any(
            all(first.may_wait(server, uuid, policy, listing[0].sent) for uuid in others(proven))
            for proven in self._proven_sets(exchange, listing, policy)
        )

    def _in_force(self, exchange: Exchange, listing: Sequence[Exchange]) -> list[Policy]:
        """The policies by which it may be decided on: in force when it leaves, or when it was about to."""
        rotation, server = exchange.rotation, exchange.server
        assert rotation is not None
        if rotation.trigger == "manual":
            return [rotation.policy]
        policies = self._policies(rotation, _turned_to(exchange, listing), exchange.sent)
        self._hold("4", bool(policies), "something is deleted though the server is gone from the configuration", server)
        same = [p for p in policies if all(_same(p, rotation.policy, key) for key in ("scope", "name", "url"))]
        self._hold("4", bool(same), "something is deleted though scope, name or panel were changed", server)
        return same

    def _policies(self, rotation: Rotation, since: float, until: float) -> list[Policy]:
        """Those of its server that were in force then; by hand it is the one that was read at its beginning."""
        if rotation.trigger == "manual":
            return [rotation.policy]
        return [policy for policy in self._checker.policies_between(rotation.server, since, until) if policy]

    def _deletable(self, exchange: Exchange, listing: Sequence[Exchange], row: Row, policies: Sequence[Policy]) -> None:
        """The backup is one that the naive rules delete, from what was read and from what was true."""
        assert exchange.rotation is not None
        server, rows, now = exchange.server or "", merged(listing), self._now_of(listing[0])
        half_deleted = self._recorder.half_deleted(server, listing[0].sent)  # what was written down may not have left

        def deletes(there: Mapping[str, Row], complete: bool) -> bool:
            return any(
                row.uuid in self._to_go(there, policy, exchange, now=now, complete=complete, asked=asked, proven=proven)
                for policy in policies
                for proven in self._proven_sets(exchange, listing, policy)
                for asked in half_deleted
            )

        why = "to make room" if makes_room(exchange) else "by the rules"
        self._hold("3", deletes(rows, _complete(listing)), f"{row.name} is not to be deleted {why}", server)
        for policy in policies[:1]:
            newest = self._judged(listing, policy, exchange.rotation).candidates[: oracle.setting(policy, "min_good")]
            self._hold("3", row.uuid not in newest, f"{row.name} is among the newest min_good", server)
        truths = self._recorder.truths(server, listing[0].sent)
        if len(truths) == 1 and not any(page.falsified for page in listing):
            self._hold("5", deletes(truths[0], True), f"the whole list does not delete {row.name} {why}", server)

    def _to_go(
        self,
        rows: Mapping[str, Row],
        policy: Policy,
        exchange: Exchange,
        *,
        now: datetime,
        complete: bool,
        asked: Collection[str],
        proven: Collection[str],
    ) -> Sequence[str]:
        assert exchange.rotation is not None
        there, name = list(rows.values()), exchange.rotation.server
        if not makes_room(exchange):
            return oracle.judge(there, policy, name, now, complete=complete, asked=asked, proven=proven).deletions
        lately = "lifted" not in policy and self.brake.lately(self._room_made.get(exchange.server or ""), exchange.sent)
        _, tried = self._recorder.half_deleted(exchange.server or "", exchange.sent)
        named = self.brake.surely_named_before(policy, exchange.rotation)
        by: dict[str, Any] = {"complete": complete, "named": named, "lately": lately, "proven": proven}
        to_go: list[str] = []
        for open_still in self._open_still(exchange):
            tried_before = set(asked) - open_still
            passed_over = tried | _looked_for_in_vain(exchange)
            passed_over |= self.brake.perhaps_held(there, policy, exchange.rotation, now, asked=tried_before)
            passed_over |= self._perhaps_waiting(exchange, policy, rows) | set(proven)
            for again in (False, True):
                room = oracle.room(there, policy, name, now, again=again, asked=tried_before, **by)
                to_go += [uuid for place, uuid in enumerate(room) if passed_over >= set(room[:place])]
        return to_go

    def _perhaps_waiting(self, exchange: Exchange, policy: Policy, rows: Collection[str]) -> set[str]:
        """The backups that may wait for a copy, so that room is made by another one."""
        first, rotation = self._checker.copies_first, exchange.rotation
        if rotation is None or not first.named(policy):
            return set()
        return {uuid for uuid in rows if first.may_wait(rotation.uuid, uuid, policy, rotation.began)}

    def _open_still(self, exchange: Exchange) -> list[set[str]]:
        """The backup whose deletion was to make room so lately that it may still be done, or none: what may be known.

        It alone may be asked for again at once, as if nobody had: another one would be one too many. Where the panel
        itself told of an error, and a look showed the backup, its deletion is over; a kill may have come before that.
        What the API limit held back is asked for again, or decided anew.
        """
        before = self._room_asked.get(exchange.server or "")
        if before is None or exchange.sent - before.sent > SETTLE_SECONDS + self._checker.clocks_set_by(before.sent):
            return [set()]
        one = {before.backup or ""}
        refused = 400 <= before.status < 500
        if before.received is None or not (refused or errors_of(before)):
            return [one]
        over = refused and before.status != HTTPStatus.TOO_MANY_REQUESTS and self._checker.at_work(before.process)
        return [set()] if over else [set(), one]

    def _judged(
        self,
        listing: Sequence[Exchange],
        policy: Policy,
        rotation: Rotation,
        proven: Collection[str] = (),
        asked: Collection[str] = (),
    ) -> oracle.Judgement:
        rows, now, complete = list(merged(listing).values()), self._now_of(listing[0]), _complete(listing)
        return oracle.judge(rows, policy, rotation.server, now, complete=complete, asked=asked, proven=proven)

    def _now_of(self, page: Exchange) -> datetime:
        """The panel's now, as an answer says it."""
        return page.date or self._recorder.world.now()


def _looked_for_in_vain(exchange: Exchange) -> set[str]:
    """The backups that the rotation was shown no answer of when it looked at them, so that it goes on without them."""
    assert exchange.rotation is not None
    views = (earlier for earlier in exchange.rotation.exchanges if earlier.call == "view")
    return {view.backup for view in views if view.backup and not (view.delivered and isinstance(view.document, dict))}


def _complete(listing: Sequence[Exchange]) -> bool:
    """Whether the distinct rows are as many as every page says that there are."""
    return {total(page) for page in listing} == {len(merged(listing))}


def _turned_to(exchange: Exchange, listing: Sequence[Exchange]) -> float:
    """When the rotation turned to this backup: the last that it had heard of another one, or of the list."""
    assert exchange.rotation is not None
    heard = [
        earlier.received or earlier.given_up or earlier.sent
        for earlier in exchange.rotation.exchanges
        if listing[-1].number < earlier.number < exchange.number and earlier.backup != exchange.backup
    ]
    return max(heard, default=listing[-1].received or 0.0)


def _bounds(policy: Policy) -> tuple[Any, Any]:
    return oracle.setting(policy, "max_deletions"), oracle.setting(policy, "max_share")


def _same(one: Policy, other: Policy, key: str) -> bool:
    return bool(oracle.setting(one, key) == oracle.setting(other, key))
