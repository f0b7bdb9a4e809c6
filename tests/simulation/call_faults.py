"""Trouble that meets single requests: which there is, which calls it can meet, and how often it does.

And that which meets every request for one backup: see `RandomFaults.undeletable`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.sandbox import faults
from daemon.sandbox.answers import html_answer
from daemon.sandbox.orders import Call, Fault, Faults
from tests.simulation.recorder import DAEMON, ORIGIN

if TYPE_CHECKING:
    from daemon.sandbox.world import World

Maker = Callable[[random.Random], Fault]

WRITES = (Call.CREATE, Call.DELETE, Call.LOCK)
ROWS = (Call.LIST, Call.VIEW, Call.CREATE)
RETRY_AFTERS = ("1", "30", "59", "60")
WRONG_RETRY_AFTERS = ("0", "3600", "86400", "-5", "soon", "Wed, 01 Apr 2026 04:00:00 GMT")
NODE_STATUSES = (500, 502, 504, 403, 404, 429)
ODD_DOCUMENTS: tuple[object, ...] = (None, [], {}, "text", 7, {"object": "list"}, {"object": "list", "data": {}})
FIELDS = ("is_locked", "is_successful", "bytes", "created_at", "completed_at", "name", "uuid")
WRONG_VALUES: tuple[Mapping[str, object], ...] = (
    {"bytes": -1},
    {"bytes": "12"},
    {"bytes": 10**30},
    {"created_at": "yesterday"},
    {"created_at": "2026-02-30T00:00:00+00:00"},
    {"completed_at": 12},
    {"is_locked": "false"},
    {"is_successful": 1},
    {"name": None},
    {"uuid": "../.."},
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trouble. `calls` None means any; `falsifies` says that rows are not told as they are,
    `dateless` that the answer has no `Date`.
    """

    make: Maker
    calls: tuple[Call, ...] | None = None
    falsifies: bool = False
    dateless: bool = False


UNDELETABLE = "backup cannot be deleted"
MET = "a DELETE meets a backup that cannot be deleted"
MET_IN_CALM = "a DELETE meets one that can never be deleted"
REFUSALS: tuple[Fault, ...] = (
    faults.refused(500, "QueryException", "An unexpected error was encountered."),
    faults.node_error(500),
    faults.web_page(502),
    faults.web_page(504),
    faults.refused(400),
    faults.refused(403),
    faults.refused(409),
    faults.refused(422, "ValidationException"),
)
"""What a panel answers to each DELETE of a backup that it cannot delete."""


def _late(rng: random.Random) -> Fault:
    return faults.late(rng.uniform(2, 90))


def _impatient(rng: random.Random) -> Fault:
    """A proxy answers for the panel, whose node deletes the file and is done some seconds later."""
    seconds = rng.uniform(1, 15)

    def go_on(world: "World", server_uuid: str | None) -> None:
        server, exchange = world.servers.get(server_uuid or ""), ORIGIN.get()
        backup = server.backups.get(exchange.backup or "") if server is not None and exchange is not None else None
        if server is None or backup is None or (backup.locked and backup.successful):
            return
        asyncio.get_running_loop().call_later(seconds, lambda: world.remove(server, backup, by=DAEMON))

    page = faults.web_page(504)
    return Fault("504 before it was done", processed=False, meanwhile=go_on, answer=page.answer)


FAILED = faults.refused(500, "QueryException", "An unexpected error was encountered.")
KEY_ECHO = "the header Authorization: Bearer {key} was refused"

# The labels seed the streams of chance: another wording would deal every seed other faults.
KINDS: Mapping[str, Kind] = {
    "answer lost before the deed": Kind(lambda _: faults.lost_before()),
    "answer lost after the deed": Kind(lambda _: faults.lost_after()),
    "answer cut in the body": Kind(lambda _: faults.cut()),
    "connection reset in the body": Kind(lambda _: faults.reset()),
    "deed done late": Kind(_late),
    "answer late": Kind(lambda rng: faults.slow(rng.uniform(2, 90))),
    "500 of the panel": Kind(lambda _: FAILED),
    "500 of the panel after the deed": Kind(lambda _: Fault("500 after it was done", answer=FAILED.answer), WRITES),
    "502 page": Kind(lambda _: faults.web_page(502)),
    "502 page after the deed": Kind(lambda _: Fault("502 after it was done", answer=html_answer(502, "Bad Gateway"))),
    "503": Kind(lambda rng: rng.choice((faults.web_page(503), faults.refused(503)))),
    "503 page after the deed": Kind(
        lambda _: Fault("503 after it was done", answer=html_answer(503, "Service Unavailable")), WRITES
    ),
    "504 page": Kind(lambda _: faults.web_page(504)),
    "504 page, and the deletion is done later": Kind(_impatient, (Call.DELETE,)),
    "login page instead of an answer": Kind(
        lambda _: Fault("login", processed=False, answer=html_answer(200, "Login"))
    ),
    "404 page": Kind(lambda _: faults.web_page(404)),
    "429 of the API limit": Kind(lambda rng: faults.api_limit(rng.choice(RETRY_AFTERS))),
    "429 of the API limit, no Retry-After": Kind(lambda _: faults.api_limit(None)),
    "429 of the API limit, a wrong Retry-After": Kind(lambda rng: faults.api_limit(rng.choice(WRONG_RETRY_AFTERS))),
    "429 of the throttle": Kind(lambda rng: faults.creation_throttle(rng.choice(RETRY_AFTERS)), (Call.CREATE,)),
    "429 of the throttle, no Retry-After": Kind(lambda _: faults.creation_throttle(None), (Call.CREATE,)),
    "429 of the throttle, a wrong Retry-After": Kind(
        lambda rng: faults.creation_throttle(rng.choice(WRONG_RETRY_AFTERS)), (Call.CREATE,)
    ),
    "error of the node": Kind(lambda rng: faults.node_error(rng.choice(NODE_STATUSES)), WRITES),
    "error of the node, as a Pelican says it": Kind(
        lambda rng: faults.refused(500, rng.choice(("RequestException", "ConnectionException"))),
        (Call.CREATE, Call.DELETE),
    ),
    "a locked database once the file is gone": Kind(lambda _: faults.database_locked(), (Call.DELETE,)),
    "answer without a Date": Kind(lambda _: Fault("without a Date"), dateless=True),
    "redirect": Kind(lambda _: faults.redirected()),
    "truncated JSON": Kind(lambda _: faults.half_json()),
    "odd JSON": Kind(lambda rng: faults.odd(rng.choice(ODD_DOCUMENTS))),
    "answer of a fork": Kind(lambda _: faults.job(), WRITES),
    "unknown fields": Kind(lambda _: faults.with_values({"colour": {"of": ["money"]}, "upload_id": None})),
    "optional fields missing": Kind(lambda _: faults.without("checksum", "ignored_files")),
    "fields missing": Kind(lambda rng: faults.without(rng.choice(FIELDS)), ROWS, falsifies=True),
    "wrong values": Kind(lambda rng: faults.with_values(rng.choice(WRONG_VALUES)), ROWS, falsifies=True),
    "rows in another order": Kind(lambda rng: faults.shuffled(rng.randrange(100)), (Call.LIST,)),
    "wrong total": Kind(lambda rng: faults.wrong_total(rng.choice((-2, -1, 1, 3))), (Call.LIST,), falsifies=True),
    "a backup appears between pages": Kind(lambda _: faults.appears(), (Call.LIST,)),
    "a backup vanishes between pages": Kind(lambda rng: faults.vanishes(rng.randrange(4)), (Call.LIST,)),
    "error that echoes the key": Kind(lambda _: faults.refused(500, "Exception", KEY_ECHO)),
}


def _seldom(kind: Kind) -> float:
    """How many times less often than its rate it comes; writes are few, so what meets only them comes as often."""
    return 1.0 if kind.calls is not None and set(kind.calls) <= set(WRITES) else 4.0


class RandomFaults(Faults):
    """Decides for every call, by the dice of each kind, whether it meets trouble.

    `undeletable` are the backups that the panel does not delete, each with what it answers, and whether it answers so
    to who looks at that one as well.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        stream: Callable[[str], random.Random],
        happened: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.on = True
        self.victim: str | None = None
        self.undeletable: dict[str, tuple[Fault, bool]] = {}
        self._rates = {name: rate / _seldom(KINDS[name]) for name, rate in rates.items() if name in KINDS}
        self._streams = {name: stream(name) for name in self._rates}
        self._happened = happened

    def take(self, call: Call, server: str | None, backup: str | None = None) -> Fault | None:
        """The trouble for this call; every kind throws its dice each time, so that none depends on another."""
        chosen: tuple[str, Fault] | None = None
        for name, rate in self._rates.items():
            rng, kind = self._streams[name], KINDS[name]
            hit = rng.random() < rate and (kind.calls is None or call in kind.calls)
            if hit and chosen is None:
                chosen = name, kind.make(rng)
        exchange = ORIGIN.get()
        if exchange is not None and (always := self._always(call, backup)) is not None:
            exchange.fault = UNDELETABLE
            return always
        if chosen is None or not self.on or exchange is None or (self.victim is not None and server != self.victim):
            return None
        name, fault = chosen
        self._happened(name)
        exchange.fault = name
        exchange.falsified, exchange.dateless = KINDS[name].falsifies, KINDS[name].dateless
        if name == "error that echoes the key":
            return faults.refused(500, "Exception", KEY_ECHO.format(key=exchange.key))
        return fault

    def _always(self, call: Call, backup: str | None) -> Fault | None:
        """What every DELETE of that backup is answered, and every look at some."""
        fault, looks = self.undeletable.get(backup or "", (None, False))
        if fault is None or not (call is Call.DELETE or (looks and call is Call.VIEW)):
            return None
        self._happened(MET if self.on else MET_IN_CALM)
        return fault
