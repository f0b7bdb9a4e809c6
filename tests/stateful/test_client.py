"""The client and the panel in memory, driven together by hypothesis: calls, faults and other people in any order.

The panel's ledger is the truth; it is folded here into what each backup is, without the sandbox's own records. After
every call the client must have told the truth by it: what it listed, locked, deleted and settled, how often it asked,
and that no create left twice under one name. Time is virtual.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import SecretStr

from daemon.core.model import Completeness
from daemon.panel.client import PanelClient
from daemon.panel.errors import (
    BackupLimitError,
    BackupLockedError,
    CreationThrottledError,
    NotFoundError,
    OutcomeUnknownError,
    PanelError,
    RefusedRequestError,
)
from daemon.sandbox import faults
from daemon.sandbox.app import PanelApp
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import BackupEnding, Change, State, Work
from daemon.sandbox.scenes import KEY, empty
from daemon.sandbox.settings import Settings
from tests.fuzz.support import examples
from tests.virtual import VirtualClock, VirtualLoop
from tests.whole.rig import InProcess

Value = TypeVar("Value")

HARMLESS = [faults.slow(20), faults.shuffled(3), faults.appears(), faults.vanishes(0), faults.vanishes(1)]
HARMFUL = [
    *(
        faults.lost_before(),
        faults.lost_after(),
        faults.cut(),
        faults.reset(),
        faults.half_json(),
        faults.odd({"x": 1}),
    ),
    *(faults.web_page(502), faults.web_page(503), faults.refused(500), faults.node_error(504), faults.api_limit("3")),
    *(faults.slow(100), faults.late(100), faults.wrong_total(1), faults.without("is_locked"), faults.job()),
    *(faults.without("uuid"), faults.without("name"), faults.creation_throttle("9"), faults.redirected()),
]
NEVER = "00000000-0000-4000-8000-000000000000"
LATEST = 120.0
"""So many seconds later even a late write is done."""


def troubles(*calls: Call) -> st.SearchStrategy[list[tuple[Fault, Call]]]:
    """What these calls meet; often nothing."""
    return st.lists(st.tuples(st.sampled_from(HARMLESS + HARMFUL), st.sampled_from(calls)), max_size=2)


class Watched(InProcess):
    """The way to the panel. What a 429 turns away at the door is no create, and may come again."""

    def __init__(self, app: PanelApp) -> None:
        super().__init__(app)
        self.sent = 0
        self.created: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        name = None
        if request.method == "POST" and request.url.path.endswith("/backups"):
            name = json.loads(await request.aread())["name"]
            self.created[name] += 1
        response = await super().handle_async_request(request)
        if name and response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.created[name] -= 1
        return response


class ClientAndPanel(RuleBasedStateMachine):
    """One server on a panel, one client, and everybody else."""

    @initialize(
        limit=st.integers(1, 4), throttle=st.sampled_from([0, 0, 2]), there=st.sampled_from([3, 0, 49, 51, 120])
    )
    def begin(self, limit: int, throttle: int, there: int) -> None:
        """A panel with as many backups, on up to three pages."""
        self.loop = VirtualLoop()
        self.names = 0
        self.during(self._begin(limit, throttle, there))

    async def _begin(self, limit: int, throttle: int, there: int) -> None:
        clock = VirtualClock()
        self.world, owner, node = empty(clock, settings=Settings(creation_limit=throttle, api_limit=10_000))
        self.owner = owner.name
        self.server = self.world.add_server("survival", owner=owner, node=node, limit=limit, work=Work(seconds=30))
        for number in range(there):
            self.world.add_backup(self.server, f"there-{number}", locked=number == 0)
        self.app = PanelApp(self.world)
        self.wire = Watched(self.app)
        self.client = PanelClient(
            "main", "https://panel.example.com", SecretStr(KEY), clock=clock, transport=self.wire, randomness=Random(1)
        )

    def during(self, work: Awaitable[Value]) -> Value:
        """Let it happen, on virtual time."""

        async def whole() -> Value:
            return await work

        return self.loop.run_until_complete(whole())

    def teardown(self) -> None:
        """Close what is open, and let nothing linger."""
        if hasattr(self, "client"):
            self.during(self.client.aclose())
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.during(asyncio.sleep(0))  # noqa: TID251 — the loop is virtual
            self.loop.close()

    # What the ledger says --------------------------------------------------------------------------------------------

    def ledger(self) -> dict[str, tuple[str, bool, State]]:
        """Name, lock and state of every backup that is there, by uuid, as the ledger's entries tell it."""
        there: dict[str, tuple[str, bool, State]] = {}
        for entry in self.world.ledger:
            name, locked, state = there.get(entry.backup, (entry.name, entry.locked, entry.state))
            match entry.change:
                case Change.DELETED:
                    del there[entry.backup]
                    continue
                case Change.RESTORING | Change.RESTORED:
                    continue  # it may be gone by the time that the server is restored
                case Change.LOCKED | Change.UNLOCKED:
                    locked = entry.change is Change.LOCKED
                case Change.COMPLETED:
                    state = State.GOOD
                case Change.FAILED:
                    state, locked = State.FAILED, locked and entry.by != "node"
            there[entry.backup] = (name, locked, state)
        return there

    def deleted_by_us(self, uuid: str) -> int:
        """How often the key's user deleted it."""
        return sum(e.change is Change.DELETED and e.backup == uuid and e.by == self.owner for e in self.world.ledger)

    def named(self, name: str) -> list[str]:
        """The uuids that the ledger says were ever made under that name by the key's user."""
        return [
            e.backup for e in self.world.ledger if e.change is Change.CREATED and (e.name, e.by) == (name, self.owner)
        ]

    def pick(self, data: st.DataObject) -> str:
        """A backup: one that is there, one that is gone, or one that never was."""
        known = sorted({entry.backup for entry in self.world.ledger} | {NEVER})
        return data.draw(st.sampled_from(known))

    def ask(
        self, work: Callable[[], Awaitable[Value]], met: list[tuple[Fault, Call]], *allowed: type[PanelError]
    ) -> Value:
        """What the work gives. Where it meets no trouble and the server is idle, only the allowed errors may come."""
        self.during(self._settle())
        idle = not met and self.server.status is None
        for fault, call in met:
            self.world.faults.order(fault, on=call)
        try:
            return self.during(work())
        except PanelError as error:
            if idle and not isinstance(error, allowed):
                raise AssertionError(f"nothing was wrong, and yet: {error.text}") from error
            raise
        finally:
            self.world.faults.clear()
            self.during(asyncio.sleep(LATEST if met else 0))  # noqa: TID251 — the loop is virtual
            self.during(self._settle())

    async def _settle(self) -> None:
        self.world.settle()

    # What the client is asked for ------------------------------------------------------------------------------------

    @rule(met=troubles(Call.LIST))
    def list_all(self, met: list[tuple[Fault, Call]]) -> None:
        """A list that calls itself complete is the ledger's, row by row."""
        self.during(self._settle())
        before = self.ledger()
        try:
            listing = self.ask(lambda: self.client.backups(self.server.identifier), met)
        except PanelError:
            return
        if listing.completeness is not Completeness.COMPLETE or before != self.ledger():
            return  # somebody acted while it was read
        told = {b.uuid: (b.name, b.locked) for b in listing.backups if b.unreadable is None}
        if len(told) == len(listing.backups):
            assert told == {uuid: (name, locked) for uuid, (name, locked, _) in before.items()}
            states = {b.uuid: (b.successful, b.completed_at is not None) for b in listing.backups}
            for uuid, (_, _, state) in before.items():
                assert states[uuid] == (state is State.GOOD, state is not State.PENDING)

    @rule(locked=st.booleans(), met=troubles(Call.CREATE, Call.CREATE, Call.LIST))
    def create(self, locked: bool, met: list[tuple[Fault, Call]]) -> None:
        """It is made once, and what became of it is told rightly, also where the answer was lost."""
        self.names += 1
        name, server = f"auto-{self.names:03}", self.server.identifier
        try:
            full = (BackupLimitError, CreationThrottledError)
            backup = self.ask(lambda: self.client.create(server, name=name, locked=locked), met, *full)
        except OutcomeUnknownError:
            self.settle(name, [(fault, call) for fault, call in met if call is Call.LIST])
        except (BackupLimitError, CreationThrottledError):
            assert self.named(name) == []
        except PanelError:
            pass
        else:
            assert self.named(name) == [backup.uuid]
        assert self.wire.created[name] <= 1
        assert len(self.named(name)) <= 1

    def settle(self, name: str, met: list[tuple[Fault, Call]]) -> None:
        """Found where it is, not found where it is not, or not known."""
        try:
            found = self.ask(lambda: self.client.settle_create(self.server.identifier, name), met)
        except PanelError:
            return
        made = self.named(name)
        if found is None:
            assert not [uuid for uuid in made if uuid in self.ledger()]
        else:
            assert made == [found.uuid]

    @rule(data=st.data(), locked=st.booleans(), met=troubles(Call.LOCK, Call.LOCK, Call.VIEW))
    def lock(self, data: st.DataObject, locked: bool, met: list[tuple[Fault, Call]]) -> None:
        """The lock that was asked for is the lock that is."""
        uuid = self.pick(data)
        toggles = self._toggles(uuid)
        try:
            backup = self.ask(lambda: self.client.set_lock(self.server.identifier, uuid, locked), met, NotFoundError)
        except NotFoundError:
            assert uuid not in self.ledger()
        except PanelError:
            pass
        else:
            assert backup.locked is locked
            if uuid in self.ledger():
                assert self.ledger()[uuid][1] is locked or self.ledger()[uuid][2] is State.FAILED
        assert self._toggles(uuid) - toggles <= 3

    def _toggles(self, uuid: str) -> int:
        return sum(e.backup == uuid and e.change in {Change.LOCKED, Change.UNLOCKED} for e in self.world.ledger)

    @rule(data=st.data(), met=troubles(Call.DELETE, Call.DELETE, Call.VIEW))
    def delete(self, data: st.DataObject, met: list[tuple[Fault, Call]]) -> None:
        """True: it was there, and is gone. False: it was gone, and not by this call. Else nobody claims anything."""
        uuid = self.pick(data)
        self.during(self._settle())
        there, ours = uuid in self.ledger(), self.deleted_by_us(uuid)
        try:
            done = self.ask(lambda: self.client.delete(self.server.identifier, uuid), met, BackupLockedError)
        except BackupLockedError:
            assert self.ledger()[uuid][1:] == (True, State.GOOD)
        except PanelError:
            pass
        else:
            assert uuid not in self.ledger()
            assert self.deleted_by_us(uuid) == ours + (done and there) or (
                done and met
            )  # another may have been quicker
            assert not done or there or met

    @rule(data=st.data(), met=troubles(Call.VIEW))
    def look(self, data: st.DataObject, met: list[tuple[Fault, Call]]) -> None:
        """One backup is told as the ledger has it, and one that is gone is not found."""
        uuid = self.pick(data)
        try:
            backup = self.ask(lambda: self.client.backup(self.server.identifier, uuid), met, NotFoundError)
        except NotFoundError:
            assert uuid not in self.ledger()
        except PanelError:
            pass
        else:
            assert backup.uuid == uuid

    @rule(data=st.data(), met=troubles(Call.DOWNLOAD))
    def link(self, data: st.DataObject, met: list[tuple[Fault, Call]]) -> None:
        """A download link is for the backup that was asked for, or there is none."""
        uuid = self.pick(data)
        try:
            url = self.ask(lambda: self.client.download_link(self.server.identifier, uuid), met, NotFoundError)
        except PanelError:
            return
        assert url.get_secret_value().startswith("http")

    @rule(data=st.data(), met=troubles(Call.RESTORE))
    def restore(self, data: st.DataObject, met: list[tuple[Fault, Call]]) -> None:
        """Never twice for one wish."""
        uuid = self.pick(data)
        before = self._restores()
        try:
            restore = lambda: self.client.restore(self.server.identifier, uuid, truncate=False)  # noqa: E731
            self.ask(restore, met, NotFoundError, RefusedRequestError)
        except PanelError:
            pass
        else:
            assert self._restores() == before + 1
        assert self._restores() <= before + 1

    def _restores(self) -> int:
        return sum(entry.change is Change.RESTORING for entry in self.world.ledger)

    # What others do, and what goes wrong -----------------------------------------------------------------------------

    @rule(data=st.data(), action=st.sampled_from(["create", "delete", "toggle", "finish", "fail"]))
    def somebody_else(self, data: st.DataObject, action: str) -> None:
        """Another client of the same panel, or the node."""
        backups = list(self.server.backups.values())
        backup = data.draw(st.sampled_from(backups)) if backups else None

        async def act() -> None:
            self.world.settle()
            if backup is None or action == "create":
                self.world.add_backup(self.server, "by hand", state=data.draw(st.sampled_from(State)))
            elif backup.uuid not in self.server.backups:
                return
            elif action == "delete":
                self.world.remove(self.server, backup, by="somebody else")
            elif action == "toggle":
                self.world.toggle_lock(self.server, backup, by="somebody else")
            else:
                self.world.report(self.server, backup, success=action == "finish")

        self.during(act())

    @rule(seconds=st.sampled_from([1, 30, 700]))
    def time_passes(self, seconds: float) -> None:
        """Backups end, restores end, the throttle forgets."""
        self.during(asyncio.sleep(seconds))  # noqa: TID251 — the loop is virtual
        self.during(self._settle())

    @rule(outcome=st.sampled_from(BackupEnding), seconds=st.sampled_from([0, 5, 300]))
    def the_next_backup(self, outcome: BackupEnding, seconds: float) -> None:
        """Will end so, after so long."""
        self.server.coming.append(Work(seconds=seconds, outcome=outcome))

    @rule(limit=st.integers(0, 9))
    def an_administrator(self, limit: int) -> None:
        """Changes the limit."""
        self.server.limit = limit

    # What always holds -----------------------------------------------------------------------------------------------

    @invariant()
    def nobody_counts_wrongly(self) -> None:
        """The client's counter is what left; all that met no one's death in between arrived."""
        if hasattr(self, "client"):
            assert self.client.requests == self.wire.sent
            assert sum(self.client.answers.values()) == self.wire.sent

    @invariant()
    def no_create_leaves_twice(self) -> None:
        """Whatever became of it."""
        if hasattr(self, "client"):
            assert all(times <= 1 for times in self.wire.created.values())

    @invariant()
    def the_ledger_is_the_world(self) -> None:
        """What is folded from the entries is what the sandbox holds."""
        if hasattr(self, "client"):
            held = {b.uuid: (b.name, b.locked, b.state) for b in self.server.backups.values()}
            assert self.ledger() == held


TestClientAndPanel: Any = ClientAndPanel.TestCase
TestClientAndPanel.settings = examples(40)
