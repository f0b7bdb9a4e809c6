"""Orders of trouble: which call is to meet what, and how often.

    world.faults.order(web_page(502), on=Call.CREATE, times=3)
    world.faults.order(lost_after(), on=Call.DELETE, server="1a7ce997", skip=1)

An order waits for calls that it fits; a call takes the first order that fits it and has nothing left to skip, and
`happened` counts what was really met. `skip` lets that many fitting calls pass first; `times=None` never ends. The
faults themselves are made in `faults`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from daemon.sandbox.answers import SandboxAnswer


class Call(StrEnum):
    """The kinds of calls; FILE, UPLOAD and CONSOLE are the download, the upload and the websocket themselves, at the
    node.
    """

    SERVERS = "servers"
    SERVER = "server"
    LIST = "list"
    ACTIVITY = "activity"
    VIEW = "view"
    CREATE = "create"
    LOCK = "lock"
    RESTORE = "restore"
    RENAME = "rename"
    DELETE = "delete"
    DOWNLOAD = "download"
    FILE = "file"
    FILES = "files"
    PULL = "pull"
    DECOMPRESS = "decompress"
    DELETE_FILES = "delete-files"
    UPLOAD_LINK = "upload-link"
    UPLOAD = "upload"
    POWER = "power"
    RESOURCES = "resources"
    WEBSOCKET = "websocket"
    CONSOLE = "console"


class Loss(StrEnum):
    """How an answer is lost: never begun, ended in the middle of the body, or reset in the middle of it."""

    SILENT = "silent"
    CUT = "cut"
    RESET = "reset"


class ConnectionLostError(Exception):
    """Raised out of the app if the connection is to break; over real HTTP the server breaks it.

    A test that drives the app in-process must translate it into what its HTTP client would raise.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__(f"the sandbox breaks the connection: {loss}")
        self.loss = loss


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call.

    First `meanwhile` is called with the world and the server's identifier. After `before` seconds the call is
    processed, unless `processed` is False. `after` seconds later comes the answer: `answer` replaces the panel's own,
    `change` changes it, `loss` loses it. With `forgetful`, the panel fails after the node has done a deletion: the file
    is gone, and the row stays.
    """

    name: str
    before: float = 0.0
    after: float = 0.0
    processed: bool = True
    meanwhile: Callable[[Any, str | None], None] | None = None
    answer: SandboxAnswer | None = None
    change: Callable[[SandboxAnswer], SandboxAnswer] | None = None
    loss: Loss | None = None
    forgetful: bool = False


@dataclass(slots=True)
class _Order:
    fault: Fault
    on: Call | None
    server: str | None
    backup: str | None
    skip: int
    times: int | None

    def fits(self, call: Call, server: str | None, backup: str | None) -> bool:
        if self.on not in {None, call} or self.backup not in {None, backup}:
            return False
        return self.server is None or (server is not None and server.lower().startswith(self.server.lower()))


class Faults:
    """The orders that wait, in the order they were given."""

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self.happened: Counter[str] = Counter()

    def order(
        self,
        fault: Fault,
        *,
        on: Call | str | None = None,
        server: str | None = None,
        backup: str | None = None,
        skip: int = 0,
        times: int | None = 1,
    ) -> None:
        """Let `fault` happen to the next calls of the kind `on` (any if None) for that server (its identifier).

        With `backup`, a uuid, only to calls for that one.
        """
        call = None if on is None else Call(on)
        self._orders.append(_Order(fault, call, server and server[:8], backup, skip, times))

    def take(self, call: Call, server: str | None, backup: str | None = None) -> Fault | None:
        """Return the fault for this call, if one was ordered; each matching order that still skips counts it."""
        for order in self._orders:
            if not order.fits(call, server, backup):
                continue
            if order.skip:
                order.skip -= 1
                continue
            self._count_off(order)
            self.happened[order.fault.name] += 1
            return order.fault
        return None

    def clear(self) -> None:
        """Forget every order."""
        self._orders.clear()

    def waiting(self) -> list[dict[str, object]]:
        """Return the orders that are not used up."""
        return [
            {
                "fault": order.fault.name,
                "on": order.on,
                "server": order.server,
                "backup": order.backup,
                "skip": order.skip,
                "times": order.times,
            }
            for order in self._orders
        ]

    def _count_off(self, order: _Order) -> None:
        if order.times is None:
            return
        order.times -= 1
        if order.times <= 0:
            self._orders.remove(order)
