"""What is asked for twice, or not at all: broken creates, locks and retries."""

from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import daemon.alerts.dispatcher
import daemon.core.plan
import daemon.core.retention
import daemon.core.states
import daemon.fleet.attempts
import daemon.fleet.fleet
import daemon.panel.client
import daemon.panel.decode
import daemon.panel.listing
import daemon.panel.transport
import daemon.panel.wire
import daemon.rotation.create
import daemon.rotation.delete
import daemon.rotation.report
import daemon.rotation.rotate
import daemon.rotation.run
import daemon.rotation.wait
from daemon.fleet.fleet import Fleet
from daemon.panel.answers import Answer, ApiCall
from daemon.panel.client import PanelClient
from daemon.panel.errors import (
    ApiLimitError,
    OutcomeUnknownError,
    PanelTroubleError,
    PanelUnreachableError,
)
from daemon.panel.transport import Transport
from daemon.rotation.order import Order
from daemon.rotation.run import Run
from tests.simulation.builds.registry import PATCH, broken, original, together


@broken("a create is repeated when its answer is lost", "6")
def _repeats_creates() -> AbstractContextManager[Any]:
    passing = (PanelUnreachableError, PanelTroubleError, ApiLimitError, OutcomeUnknownError)

    real = Transport.write

    async def write(self: Transport, call: ApiCall) -> Answer:
        for _ in range(3):
            with suppress(*passing):
                return await real(self, call)
            await self._clock.sleep(1.0)
        return await real(self, call)

    return PATCH(Transport, "write", write)


@broken("a lost create is taken for none", "6", insist={"answer lost after the deed": 1})
def _does_not_settle() -> AbstractContextManager[Any]:
    async def settle(self: PanelClient, server_id: str, name: str, *, until: float = 120.0) -> None:
        return None

    return together(
        PATCH(PanelClient, "settle_create", settle),
        _does_not_look_what_was_made(),  # which would find it in the list, at the next try
    )


@broken("what was asked for before a kill is forgotten", "6", insist={"killed at a step": 0.7}, first=1)
def _forgets_what_it_asked() -> AbstractContextManager[Any]:
    return together(
        PATCH(daemon.rotation.create, "asked_for", lambda rows: None),
        PATCH(daemon.rotation.create, "_adoptable", lambda *_: None),
        _does_not_look_what_was_made(),  # which would find it in the list
    )


@broken("a lock is toggled blindly", "6", insist={"locked by hand": 0.7, "answer lost after the deed": 0.7})
def _toggles_blindly() -> AbstractContextManager[Any]:
    async def set_lock(self: PanelClient, server_id: str, uuid: str, locked: bool) -> None:
        call = self._endpoints.toggle_lock(server_id, uuid, locked=locked)
        for _ in range(3):
            try:
                await self._transport.write(call)
            except OutcomeUnknownError:
                continue
            return

    return PATCH(PanelClient, "set_lock", set_lock)


@broken(
    "a member makes again what the list shows that another one has made",
    "6",
    insist={"answers of the database lost": 0.6, "member killed at a step": 0.6, "backup ends late": 0.6},
    first=14,
    cluster=True,
)
@broken(
    "what the journal does not know of is made again",
    "6",
    insist={"disk full": 1, "500 of the panel after the deed": 1, "panel goes down at a create": 1},
    first=14,
)
def _does_not_look_what_was_made() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.create, "_made_already", lambda *_: None)


@broken("a resume is a start of its own", "6", insist={"killed at a step": 0.7}, first=5)
def _resumes_for_another_start() -> AbstractContextManager[Any]:
    real = original(daemon.fleet.attempts, "recover")

    def recover(rows: Any, starts: Any, now: Any, **options: Any) -> Any:
        found = real(rows, starts, now, **options)
        return replace(found, start_at=now) if found is not None and found.trigger == "resume" else found

    return PATCH(daemon.fleet.attempts, "recover", recover)


@broken(
    "a retry is a start of its own",
    "6",
    insist={"500 of the panel after the deed": 1, "panel goes down at a create": 1},
    first=5,
)
def _retries_for_another_start() -> AbstractContextManager[Any]:
    real = Fleet._again
    return PATCH(Fleet, "_again", lambda self, order, moment: real(self, replace(order, start_at=moment), moment))


@broken("a retry waits for some seconds", "calm", insist={"502 page": 1.6}, first=5)
def _retries_at_once() -> AbstractContextManager[Any]:
    return PATCH(daemon.rotation.report, "retry_delay", lambda attempt: timedelta(seconds=20))


@broken(
    "a retry obeys the configuration of the first try", "6", insist={"configuration reloaded": 2, "503": 2}, first=4
)
def _retries_by_the_old_configuration() -> AbstractContextManager[Any]:
    def again(self: Fleet, order: Order, moment: Any) -> None:
        name = order.server.name
        self._scheduler.once(name, moment, lambda: self._rotations.launch(order))

    return PATCH(Fleet, "_again", again)


@broken(
    "a server that is gone from the configuration is still backed up",
    "6",
    insist={"server leaves while it queues": 1},
    first=14,
)
def _creates_for_a_server_that_is_gone() -> AbstractContextManager[Any]:
    real = daemon.rotation.rotate._take_slot

    async def take_slot(run: Run) -> None:
        context, run.context = run.context, replace(run.context, current_config=lambda _: run.config)
        await real(run)
        run.context = context

    return PATCH(daemon.rotation.rotate, "_take_slot", take_slot)
