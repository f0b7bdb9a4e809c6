"""Every rule has been seen to fail: daemons that are broken on purpose, and the simulation finds each of them.

A break is a patch of one function, as a careless change would make it. The seeds are tried in their order until one
shows the break; that none does within `MOST` of them is the failure.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from unittest import mock

import pytest

import daemon.core.plan
import daemon.core.retention
import daemon.core.states
import daemon.fleet
import daemon.notify.alerts
import daemon.panel.client
import daemon.panel.pages
import daemon.panel.requests
import daemon.panel.results
import daemon.panel.wire
import daemon.rotation.create
import daemon.rotation.delete
import daemon.rotation.report
import daemon.rotation.rotate
import daemon.rotation.run
import daemon.rotation.wait
import daemon.watch.watcher
from daemon.config.errors import ConfigError
from daemon.core.model import Backup, State, Verdict
from daemon.core.names import Ownership
from daemon.core.retention import Retention
from daemon.core.watch import Report
from daemon.fleet import Fleet
from daemon.history import Journal
from daemon.panel.answers import Answer, Call
from daemon.panel.client import PanelClient
from daemon.panel.errors import (
    ApiLimitError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    PanelTroubleError,
    PanelUnreachableError,
)
from daemon.panel.requests import Requests
from daemon.rotation.gather import Gathered
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import Halt, Order, Run
from daemon.rotation.slots import NodeSlots, Slot
from tests.simulation.court import TITLES
from tests.simulation.run import Simulation, simulate

pytestmark = pytest.mark.timeout(300)

MOST = 60
PATCH = mock.patch.object

Break = Callable[[], AbstractContextManager[Any]]
BREAKS: dict[str, tuple[Break, set[str], Mapping[str, float]]] = {}


def broken(title: str, *rules: str, insist: Mapping[str, float] = MappingProxyType({})) -> Callable[[Break], Break]:
    """Register a break, the rules that may catch it, and the trouble that it takes, where that is rare."""

    def register(make: Break) -> Break:
        BREAKS[title] = make, set(rules), insist
        return make

    return register


@broken("a failed one's lock is ignored", "1")
def _ignores_locks_of_failed_ones() -> AbstractContextManager[Any]:
    real = daemon.core.retention._settled

    def settled(backup: Backup, finding: Any, *rest: Any) -> Any:
        unlocked = replace(backup, locked=False) if finding.state is State.FAILED else backup
        return real(unlocked, finding, *rest)

    return PATCH(daemon.core.retention, "_settled", settled)


@broken("a failed one is not read again before it is deleted", "1", "4")
def _does_not_look_again() -> AbstractContextManager[Any]:
    async def look(client: PanelClient, clock: Any, *_: Any) -> float:
        return float(clock.monotonic())

    return PATCH(daemon.rotation.delete, "_look_again", look)


@broken("locks are looked at by the panel alone", "1")
def _leaves_locks_to_the_panel() -> AbstractContextManager[Any]:
    stack = ExitStack()
    stack.enter_context(_ignores_locks_of_failed_ones())
    stack.enter_context(_does_not_look_again())
    return stack


@broken("a pending one passes for failed", "2", insist={"backup never ends": 0.5})
def _pending_is_failed() -> AbstractContextManager[Any]:
    real = daemon.core.retention._settled

    def settled(backup: Backup, finding: Any, *rest: Any) -> Any:
        if finding.state is State.PENDING:
            failed = replace(backup, completed_at=backup.created_at)
            return real(failed, finding._replace(state=State.FAILED), *rest)
        return real(backup, finding, *rest)

    async def look(client: PanelClient, clock: Any, server_id: str, listed: Backup) -> float:
        await client.backup(server_id, listed.uuid, urgent=True)
        return float(clock.monotonic())

    stack = ExitStack()
    stack.enter_context(PATCH(daemon.core.retention, "_settled", settled))
    stack.enter_context(PATCH(daemon.rotation.delete, "_look_again", look))
    return stack


@broken("everything is its own", "2", "3")
def _owns_everything() -> AbstractContextManager[Any]:
    return PATCH(Ownership, "owns", lambda self, name: True)


@broken("suspicious ones count as good", "3", "5")
def _trusts_small_ones() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.states, "too_small", lambda *_, **__: {})


@broken("a new backup that is not good is followed by deletions", "3", insist={"backup fails": 0.7})
def _deletes_whatever_became_of_the_new_one() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.rotate, "_look_at_created", lambda run, decided: None)


@broken("total_size spares nobody", "3", "5")
def _total_size_without_min_good() -> AbstractContextManager[Any]:
    real = daemon.core.retention._too_much
    return PATCH(daemon.core.retention, "_too_much", lambda candidates, kept, size, _: real(candidates, kept, size, 0))


@broken("the oldest of a rule that is not filled is not kept", "3", "5", "live")
def _forgets_the_oldest() -> AbstractContextManager[Any]:
    real = daemon.core.retention.opinions

    def opinions(keep: Any, candidates: Any) -> Any:
        last = len(candidates) - 1
        return [
            replace(said, keeps={place: why for place, why in said.keeps.items() if place != last or last == 0})
            for said in real(keep, candidates)
        ]

    return PATCH(daemon.core.retention, "opinions", opinions)


@broken("room is made though nothing is beyond retention", "3", insist={"limit lowered": 0.8})
def _makes_room_by_the_oldest() -> AbstractContextManager[Any]:
    real = daemon.rotation.create.make_room

    def room(listing: Any, retention: Retention, **options: Any) -> Any:
        bold = replace(retention, keep=replace(retention.keep, last=1, daily=0, weekly=0, hourly=0, within=None))
        return real(listing, bold, **options)

    return PATCH(daemon.rotation.create, "make_room", room)


@broken("the listing from before the wait is used", "3", "4", "5")
def _skips_the_second_listing() -> AbstractContextManager[Any]:
    real, real_gather = daemon.rotation.rotate.wait, daemon.rotation.rotate.gather
    listings: dict[int, Any] = {}

    async def gather(run: Run) -> Gathered:
        gathered = await real_gather(run)
        listings[id(run)] = gathered.listing
        return gathered

    async def wait(run: Run, backup: Backup, expectation: Any) -> Any:
        seen, _ = await real(run, backup, expectation)
        before = listings[id(run)]
        backups = (*before.backups, seen)
        return seen, Gathered(replace(before, backups=backups), run.tools.clock.monotonic())

    stack = ExitStack()
    stack.enter_context(PATCH(daemon.rotation.rotate, "gather", gather))
    stack.enter_context(PATCH(daemon.rotation.rotate, "wait", wait))
    return stack


@broken("the newest goes first", "4")
def _newest_first() -> AbstractContextManager[Any]:
    real = daemon.core.plan._deletions

    def deletions(verdicts: Any) -> tuple[Verdict, ...]:
        return tuple(reversed(real(verdicts)))

    return PATCH(daemon.core.plan, "_deletions", deletions)


@broken("a server that is gone from the configuration is still pruned", "3", "4", insist={"configuration reloaded": 3})
def _obeys_the_old_configuration() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.delete, "in_force", lambda run: run.config)


@broken(
    "a listing that did not hold together is judged",
    "5",
    insist={"a backup appears between pages": 2.4, "a backup vanishes between pages": 1.6},
)
def _judges_a_part() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.plan, "_partial", lambda listing: None)


@broken("only the first page is read", "5")
def _reads_one_page() -> AbstractContextManager[Any]:
    real = daemon.panel.pages.read_pass

    async def read_pass(fetch: Any) -> Any:
        async def first(number: int) -> Any:
            page = await fetch(number)
            return replace(page, total=len(page.rows))

        return await real(first)

    return PATCH(daemon.panel.pages, "read_pass", read_pass)


@broken("a create is repeated when its answer is lost", "6")
def _repeats_creates() -> AbstractContextManager[Any]:
    passing = (PanelUnreachableError, PanelTroubleError, ApiLimitError, OutcomeUnknownError)

    async def write(self: Requests, call: Call) -> Answer:
        return await self._persist(call, passing)

    return PATCH(Requests, "write", write)


@broken("a lost create is taken for none", "6", insist={"answer lost after the deed": 1})
def _does_not_settle() -> AbstractContextManager[Any]:
    async def settle(self: PanelClient, server_id: str, name: str, *, until: float = 120.0) -> None:
        return None

    stack = ExitStack()
    stack.enter_context(PATCH(PanelClient, "settle_create", settle))
    stack.enter_context(_does_not_look_what_was_made())  # which would find it in the list, at the next try
    return stack


@broken("what was asked for before a kill is forgotten", "6", insist={"killed at a step": 0.7})
def _forgets_what_it_asked() -> AbstractContextManager[Any]:
    stack = ExitStack()
    stack.enter_context(PATCH(daemon.rotation.create, "asked_for", lambda rows: None))
    stack.enter_context(PATCH(daemon.rotation.create, "_adoptable", lambda *_: None))
    stack.enter_context(_does_not_look_what_was_made())  # which would find it in the list
    return stack


@broken("a lock is toggled blindly", "6", insist={"locked by hand": 0.7, "answer lost after the deed": 0.7})
def _toggles_blindly() -> AbstractContextManager[Any]:
    async def set_lock(self: PanelClient, server_id: str, uuid: str, locked: bool) -> None:
        call = self._call("POST", "toggling", server_id, "backups", uuid, "lock")
        for _ in range(3):
            try:
                await self._requests.write(call)
            except OutcomeUnknownError:
                continue
            return

    return PATCH(PanelClient, "set_lock", set_lock)


@broken(
    "what the journal does not know of is made again",
    "6",
    insist={"disk full": 1, "500 of the panel after the deed": 1, "panel goes down at a create": 1},
)
def _does_not_look_what_was_made() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.create, "_made_already", lambda *_: None)


@broken("max_deletions is not looked at", "7")
def _no_brake() -> AbstractContextManager[Any]:
    return PATCH(daemon.core.plan, "_too_many", lambda *_: None)


@broken("a verdict gives no reason", "8")
def _gives_no_reason() -> AbstractContextManager[Any]:
    real = daemon.core.retention._settled
    return PATCH(daemon.core.retention, "_settled", lambda *given: (real(*given)[0], ()))


@broken("the key stands in an error", "10")
def _tells_the_key() -> AbstractContextManager[Any]:
    return _telling(lambda key: key)


@broken("the key stands in an error, in another code", "10")
def _tells_the_coded_key() -> AbstractContextManager[Any]:
    return _telling(lambda key: b64encode(f"user:{key}".encode()).decode())


def _telling(write: Callable[[str], str]) -> AbstractContextManager[Any]:
    """Let what is said of a lost answer hold the key, so written."""
    real = daemon.panel.requests.lost

    def lost(error: Exception, call: Call, key: Any) -> PanelError:
        told = real(error, call, key)
        told.text += f" (sent with {write(key.get_secret_value())})"
        return told

    return PATCH(daemon.panel.requests, "lost", lost)


@broken("a bad configuration is obeyed as far as it can be read", "11")
def _obeys_half_a_configuration() -> AbstractContextManager[Any]:
    real = Simulation.read

    def read(self: Simulation) -> Any:
        try:
            self.last_read = real(self)
        except ConfigError:
            return replace(self.last_read, servers={})
        return self.last_read

    return PATCH(Simulation, "read", read)


@broken(
    "one server that cannot be backed up ends the starts of all", "12", insist={"one victim": 1, "backup fails": 0.7}
)
def _stops_after_a_failure() -> AbstractContextManager[Any]:
    real = Fleet._ended

    def ended(self: Fleet, order: Any, client: PanelClient, task: asyncio.Task[Any]) -> None:
        real(self, order, client, task)
        if not task.cancelled() and task.exception() is None and task.result().result.value == "failed":
            for name in self.config.servers:
                self._scheduler.remove(name)

    return PATCH(Fleet, "_ended", ended)


@broken("a stuck backup keeps its node's place", "live")
def _holds_the_node() -> AbstractContextManager[Any]:
    return PATCH(Slot, "release", lambda self: None)


@broken("whatever was made is told as good news", "told")
def _tells_good_news() -> AbstractContextManager[Any]:
    return PATCH(daemon.notify.alerts, "report_of", lambda order, outcome: Report(good=outcome.created is not None))


@broken("the metrics show when was looked, and not when the newest good one was made", "told")
def _shows_another_moment() -> AbstractContextManager[Any]:
    return PATCH(daemon.watch.watcher, "_good_at", lambda snapshot: snapshot.at)


@broken("the panel is asked without a pause", "calm")
def _asks_all_the_time() -> AbstractContextManager[Any]:
    async def sleep(run: Run, delay: Any) -> None:
        await run.tools.clock.sleep(4.0)

    return PATCH(daemon.rotation.wait, "_sleep", sleep)


@broken("what is due to be deleted is refused", "live")
def _refuses_to_delete() -> AbstractContextManager[Any]:
    async def delete_decided(run: Run, gathered: Gathered, decide: Any, **_: Any) -> bool:
        if decide(run.config, gathered.listing):
            raise Halt(Result.REFUSED, Problem("refused", "better not"))
        return True

    return PATCH(daemon.rotation.rotate, "delete_decided", delete_decided)


@broken("as many are deleted as max_deletions allows, and not none", "7")
def _deletes_as_many_as_allowed() -> AbstractContextManager[Any]:
    real = daemon.rotation.run.plan

    def plan(*given: Any, max_deletions: int, **options: Any) -> Any:
        decided = real(*given, max_deletions=max_deletions, **options)
        if decided.code != "max_deletions":
            return decided
        doomed = real(*given, max_deletions=-1, **options).deletions
        return replace(decided, deletions=doomed[:max_deletions], refused=None, code=None)

    return PATCH(daemon.rotation.run, "plan", plan)


@broken("a resume is a start of its own", "6", insist={"killed at a step": 0.7})
def _resumes_for_another_start() -> AbstractContextManager[Any]:
    real = daemon.fleet.pick_up

    def pick_up(rows: Any, starts: Any, now: Any, **options: Any) -> Any:
        found = real(rows, starts, now, **options)
        return replace(found, start_at=now) if found is not None and found.trigger == "resume" else found

    return PATCH(daemon.fleet, "pick_up", pick_up)


@broken(
    "a retry is a start of its own",
    "6",
    insist={"500 of the panel after the deed": 1, "panel goes down at a create": 1},
)
def _retries_for_another_start() -> AbstractContextManager[Any]:
    real = Fleet._again
    return PATCH(Fleet, "_again", lambda self, order, moment: real(self, replace(order, start_at=moment), moment))


@broken("every look at the clock is a start", "6")
def _starts_all_the_time() -> AbstractContextManager[Any]:
    def notice_jump(self: Fleet, expected: Any) -> None:
        for server in self.config.servers.values():
            self._launch(Order(server, "schedule", self._clock.now()))

    return PATCH(Fleet, "_notice_jump", notice_jump)


@broken("a retry waits for some seconds", "calm", insist={"502 page": 1.6})
def _retries_at_once() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.report, "retry_delay", lambda attempt: timedelta(seconds=20))


@broken("a retry obeys the configuration of the first try", "6", insist={"configuration reloaded": 2, "503": 2})
def _retries_by_the_old_configuration() -> AbstractContextManager[Any]:
    def again(self: Fleet, order: Order, moment: Any) -> None:
        name = order.server.name
        self._scheduler.once(name, moment, lambda: self._launch(order))

    return PATCH(Fleet, "_again", again)


@broken(
    "a server that is gone from the configuration is still backed up",
    "6",
    insist={"server leaves while it queues": 1},
)
def _creates_for_a_server_that_is_gone() -> AbstractContextManager[Any]:
    real = daemon.rotation.rotate._take_slot

    async def take_slot(run: Run) -> None:
        tools, run.tools = run.tools, replace(run.tools, in_force=lambda _: run.config)
        await real(run)
        run.tools = tools

    return PATCH(daemon.rotation.rotate, "_take_slot", take_slot)


@broken("nothing is picked up and no start caught up", "live")
def _picks_up_nothing() -> AbstractContextManager[Any]:
    return PATCH(daemon.fleet, "pick_up", lambda *_, **__: None)


@broken("a node has room for any number of backups", "turn")
def _counts_no_places() -> AbstractContextManager[Any]:
    real = NodeSlots.take

    async def take(self: NodeSlots, panel: str, node: str, *, places: int, hold: float) -> Slot:
        return await real(self, panel, node, places=1000, hold=hold)

    return PATCH(NodeSlots, "take", take)


@broken("a server's lock is no lock", "turn", insist={"rotated by hand": 0.5})
def _locks_nothing() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.rotate, "server_lock", lambda *_: nullcontext())


@broken("room is made again and again", "3", insist={"limit lowered": 1, "backup never ends": 0.9})
def _makes_room_again() -> AbstractContextManager[Any]:
    return PATCH(Journal, "last_step", lambda *_: None)


@broken("what cannot be journalled is deleted all the same", "4", insist={"disk full": 0.7})
def _deletes_without_a_journal() -> AbstractContextManager[Any]:
    return PATCH(Run, "journal_failed", lambda self, error: None)


@broken("a reload amid deletions is not obeyed", "3", insist={"reload races with a DELETE": 1})
def _ends_its_list_by_the_old_configuration() -> AbstractContextManager[Any]:
    real = daemon.rotation.delete._expect
    return PATCH(daemon.rotation.delete, "_expect", lambda holds, text: "configuration" in text or real(holds, text))


@broken("whoever answers 404 means that the backup is gone", "told", insist={"404 page": 0.6, "error of the node": 0.3})
def _believes_every_404() -> AbstractContextManager[Any]:
    real = daemon.panel.requests.refusal

    def refusal(answer: Any, *given: Any) -> PanelError:
        told = real(answer, *given)
        return NotFoundError(told.text, status=404) if answer.status == 404 else told

    return PATCH(daemon.panel.requests, "refusal", refusal)


@pytest.mark.parametrize("title", BREAKS)
def test_the_simulation_finds_a_broken_daemon(title: str) -> None:
    """Within a few seeds, by the rule that says so."""
    make, rules, insist = BREAKS[title]
    met = []
    with make():
        for seed in range(MOST):
            report = simulate(seed, insist=insist)
            if report.broken & rules:
                return
            met.append(report.violation)
    pytest.fail(f"{MOST} seeds do not show it; they show {[violation for violation in met if violation]}")


def test_every_rule_has_a_daemon_that_breaks_it() -> None:
    """One that no other rule may find in its stead: none of the rules is there for show."""
    assert {rule for _, rules, _ in BREAKS.values() for rule in rules if len(rules) == 1} == set(TITLES)
