"""Trouble that meets single requests: which there is, which calls it can meet, and how often it does."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.sandbox import faults
from daemon.sandbox.answers import html_answer
from daemon.sandbox.orders import Call, Fault, Faults
from tests.simulation.recorder import ORIGIN

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


def _late(rng: random.Random) -> Fault:
    return faults.late(rng.uniform(2, 90))


FAILED = faults.refused(500, "QueryException", "An unexpected error was encountered.")
KEY_ECHO = "the header Authorization: Bearer {key} was refused"

KINDS: Mapping[str, Kind] = {
    "answer lost before the deed": Kind(lambda _: faults.lost_before()),
    "answer lost after the deed": Kind(lambda _: faults.lost_after()),
    "answer cut in the body": Kind(lambda _: faults.cut()),
    "connection reset in the body": Kind(lambda _: faults.reset()),
    "deed done late": Kind(_late),
    "answer late": Kind(lambda rng: faults.slow(rng.uniform(2, 90))),
    "500 of the panel": Kind(lambda _: FAILED),
    "500 of the panel after the deed": Kind(lambda _: Fault("500 after the deed", answer=FAILED.answer), WRITES),
    "502 page": Kind(lambda _: faults.web_page(502)),
    "502 page after the deed": Kind(lambda _: Fault("502 after the deed", answer=html_answer(502, "Bad Gateway"))),
    "503": Kind(lambda rng: rng.choice((faults.web_page(503), faults.refused(503)))),
    "503 page after the deed": Kind(
        lambda _: Fault("503 after the deed", answer=html_answer(503, "Service Unavailable")), WRITES
    ),
    "504 page": Kind(lambda _: faults.web_page(504)),
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


UNDELETABLE: Mapping[str, Maker] = {
    "500": lambda _: FAILED,
    "page": lambda rng: faults.web_page(rng.choice((502, 504))),
    "refused": lambda rng: faults.refused(rng.choice((400, 403, 409, 422))),
    "node": lambda rng: faults.node_error(rng.choice(NODE_STATUSES)),
}
"""What a panel answers each time that it is to delete one certain backup."""


class RandomFaults(Faults):
    """Decides for every call, by the dice of each kind, whether it meets trouble."""

    def __init__(
        self,
        rates: Mapping[str, float],
        stream: Callable[[str], random.Random],
        happened: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.on = True
        self.victim: str | None = None
        self.undeletable: dict[str, Fault] = {}
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
        if self.on and call is Call.DELETE and backup in self.undeletable:
            return self.undeletable[backup]
        if chosen is None or not self.on or exchange is None or (self.victim is not None and server != self.victim):
            return None
        name, fault = chosen
        self._happened(name)
        exchange.fault = name
        exchange.falsified, exchange.dateless = KINDS[name].falsifies, KINDS[name].dateless
        if name == "error that echoes the key":
            return faults.refused(500, "Exception", KEY_ECHO.format(key=exchange.key))
        return fault
