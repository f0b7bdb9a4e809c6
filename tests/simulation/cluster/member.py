"""A member of a cluster as a process: the daemon's whole life, with the model in place of its database."""

import asyncio
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import daemon.core.calendar
import daemon.fleet.agreeing
import daemon.fleet.placement
import daemon.fleet.reaching
import daemon.fleet.sharing
import daemon.service.assembly
import daemon.service.events
import daemon.service.gc_policy
import daemon.service.life
import daemon.service.standby
import daemon.state.postgres.members
from daemon.alerts import Alerts
from daemon.config.values import Config
from daemon.core.calendar import HAND_OVERS
from daemon.core.cut_off import Patience
from daemon.fleet.share import Share
from daemon.rotation.run import RotationContext, Run
from daemon.rotation.setup import open_context
from daemon.service.assembly import Assembly, assembled
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.state import Engine
from daemon.state.runner import Inline
from daemon.status.tracker import StatusTracker
from tests.simulation.cluster.engine import ModelEngine
from tests.simulation.cluster.stopping import Stoppable
from tests.simulation.cluster.telling import MemberMailbox
from tests.simulation.process import PROCESS, Ends
from tests.simulation.scenario import DAY, HOUR

if TYPE_CHECKING:
    from tests.simulation.cluster.world import Cluster, Machine

Result = TypeVar("Result")


class Member(Stoppable):
    """One life of a member, on a machine that lives on."""

    simulation: "Cluster"
    engine: ModelEngine
    parts: Assembly | None = None
    died_in: int | None = None
    """The epoch under which it was when it was killed."""

    def __init__(self, simulation: "Cluster", machine: "Machine") -> None:
        super().__init__(simulation, f"{machine.name}.{machine.lives}")
        self.machine = machine
        self.clock = machine.clock_of(self)
        notifier = Notifier({}, self.clock)
        self.service = Service(simulation.read, self.clock, notifier, aside=_at_once, runner=Inline())

    async def live(self) -> None:
        """Run until killed or told to stop."""
        PROCESS.set(self)
        if not self.alive:
            return
        self.simulation.recorder.tell(f"{self.name} starts")
        life = asyncio.create_task(self.service.run())
        end = asyncio.create_task(self.over.wait())
        await asyncio.wait({life, end}, return_when=asyncio.FIRST_COMPLETED)
        if not life.done() and self.alive:
            self._signal(signal.SIGTERM)
            await asyncio.wait({life})
        if self.alive:
            self.simulation.recorder.tell(f"{self.name} has stopped")
            life.result()
        self.alive = False
        if self.parts is not None:
            self.parts.fleet._scheduler.stop()
        with suppress(asyncio.CancelledError):
            await self.bury()
        self.simulation.forget(self.name)

    def die(self, where: str) -> None:
        """Be killed, now; the database goes on with what is under way to it."""
        self.died_in = self.simulation.epoch_of(self.name)
        super().die(where)

    def reload(self) -> None:
        """Be sent SIGHUP."""
        self._signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        self.service._events.put(number)

    def announced(self) -> None:
        """Stand still, now and then, between what is announced and what is then asked for."""
        self.simulation.announced(self)

    # What the service is made of -------------------------------------------------------------------------------------

    def make_engine(self) -> Engine:
        """Its engine, over its way to the database."""
        self.engine = self.simulation.engine_of(self, self.machine)
        return self.engine

    async def open(self, engine: Engine, current_config: Callable[[str], Any]) -> RotationContext:
        """What its rotations share."""
        context = await open_context(engine, self.clock, current_config, self.names())
        self.simulation.context[self.name] = context
        return context

    def assemble(self, config: Config, context: RotationContext) -> Assembly:
        """Its parts, and the recorder among those that hear of rotations, first and last."""
        self.simulation.forget(self.name)  # what ran before its lease was lost
        parts = self.parts = assembled(config, context)
        parts.fleet._rotations._listeners.insert(0, Ends(self))
        parts.fleet.listen(self)
        left_by = context.on_abandoned

        def left(run: Run) -> None:
            """It goes on with it no more, and soon joins anew."""
            if rotation := self.simulation.recorder.running.pop((self.name, run.config.name), None):
                rotation.left = True
            left_by(run)

        context.on_abandoned = left
        return parts


async def _at_once(work: Callable[[], Result]) -> Result:
    return work()


def _ours() -> Member:
    process = PROCESS.get()
    assert isinstance(process, Member)
    return process


async def _open_context(engine: Engine, _: Any, current_config: Any, __: random.Random) -> RotationContext:
    return await _ours().open(engine, current_config)


def _alerts(config: Config, tracker: StatusTracker, *, share: Share) -> Alerts:
    return Alerts(config, tracker, MemberMailbox(_ours()), share)


@contextmanager
def members_in_place(lease: float, look: float) -> Iterator[None]:
    """Let the service be made of what the simulation has. Members look at each other so often; all that is short beside
    a real lease is as short beside this one, and nothing is done often for its own sake.
    """
    moment = lease / 30
    with ExitStack() as placed:
        for module, name, instead in (
            (daemon.service.life, "engine_for", lambda *_: _ours().make_engine()),
            (daemon.service.life, "open_context", _open_context),
            (daemon.service.life, "assembled", lambda config, context: _ours().assemble(config, context)),
            (daemon.service.gc_policy, "settled", nullcontext),
            (daemon.service.assembly, "open_client", lambda panel, _, **how: _ours().open_client(panel, **how)),
            (daemon.service.assembly, "Alerts", _alerts),
            (daemon.service.life, "STATUS_SECONDS", HOUR),
            (daemon.service.events.Events, "listen", lambda _: None),  # the kernel's signals are all processes'
            (daemon.fleet.placement, "PLACE_SECONDS", DAY),
            (daemon.service.standby, "LOOK_SECONDS", look),
            (daemon.state.postgres.members, "LOOK_SECONDS", moment),
            (daemon.fleet.sharing, "LOOK_SECONDS", look),
            (daemon.fleet.agreeing, "HEARD_SECONDS", 30 * moment),
            (daemon.fleet.reaching, "PATIENCE", Patience(alone=3 * look)),
            (daemon.fleet.sharing, "FREE_SECONDS", 15 * moment),
            (daemon.core.calendar, "HAND_OVERS", replace(HAND_OVERS, first=HAND_OVERS.first * moment)),
        ):
            placed.enter_context(mock.patch.object(module, name, instead))
        yield
