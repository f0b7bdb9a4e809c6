"""What one run plays: its servers, policies, panel and length, all drawn from the seed.

Every kind of trouble has a random stream of its own, so that switching one kind off leaves the others as they were;
that is what makes a failing seed easy to cut down. `Random` is seeded with text, which does not depend on
PYTHONHASHSEED.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from daemon.sandbox.settings import Digest, Kind
from tests.simulation.proofs.scenario import Proofs, draw_kinds, draw_proofs
from tests.simulation.stores.scenario import Stores, draw_stores

HOUR = 3600.0
DAY = 24 * HOUR
PELICANS = 0.4
"""How many of the panels are Pelicans."""

SCHEDULES: tuple[tuple[str, float], ...] = (
    ("0 4 * * *", 25 * HOUR),
    ("30 2 * * *", 26 * HOUR),
    ("every 6h", 6 * HOUR),
    ("every 12h", 12 * HOUR),
    ("15 */8 * * *", 9 * HOUR),
    ("0 3,15 * * *", 13 * HOUR),
    ("@daily", 25 * HOUR),
)
"""With the longest time between two starts."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
BEGINNINGS = (
    datetime(2026, 3, 27, 1, 17, tzinfo=UTC),  # clocks go forward in Europe
    datetime(2026, 10, 23, 9, 40, tzinfo=UTC),  # and back
    datetime(2026, 3, 6, 22, 5, tzinfo=UTC),  # the same in America
    datetime(2026, 10, 30, 0, 3, tzinfo=UTC),
    datetime(2026, 12, 29, 12, 0, tzinfo=UTC),  # the year of the calendar and that of the weeks part
    datetime(2026, 6, 15, 3, 30, tzinfo=UTC),
)
KEEPS: tuple[Any, ...] = (
    {"last": 1},
    {"last": 2},
    {"last": 3, "daily": 2},
    {"last": 1, "daily": 3, "weekly": 2},
    {"hourly": 4, "daily": 2},
    {"within": "2d", "weekly": 2},
    {"within_daily": "4d", "last": 2},
    {"within": "36h", "monthly": 1},
    {"daily": 4},
    {"yearly": 1, "last": 2},
    {"last": 4, "within_hourly": "1d"},
    "all",
)
NAMES = ("auto-{server}-{time}-{id}", "auto-{server}-{time}-{id}", "b {time}", "nightly_{time}.{id} of {server}")
NODE_HOLDS = {"20m": 1200.0, "1h": HOUR}
TIMEOUTS = {"1h": HOUR, "3h": 3 * HOUR, "6h": 6 * HOUR}
SPLAYS = {"0s": 0.0, "20m": 1200.0, "1h": HOUR}


@dataclass(slots=True)
class Spec:
    """One server as the run begins, and the policy it follows."""

    name: str
    node: int
    limit: int
    policy: dict[str, Any]
    longest_interval: float
    work_seconds: float
    size: int
    history: int


ALTERING_SHARE = 0.1
WITHOUT_JOURNAL = ("disk full", "journal unreadable")


@dataclass(slots=True)
class Scenario:
    """One run. `kinds` are the troubles that it holds, with how often each comes (0 to 1).

    `tick` is how often the daemon looks at its clock; seldom, so that days pass quickly.
    """

    seed: int
    begins: datetime
    servers: list[Spec]
    nodes: int
    chaos_seconds: float
    panel: dict[str, Any]
    page_cap: int
    backups_per_node: int
    reserve: float
    tick: float
    kinds: dict[str, float] = field(default_factory=dict)
    stores: Stores = field(default_factory=Stores)
    proofs: Proofs = field(default_factory=Proofs)

    def stream(self, purpose: str) -> random.Random:
        """The random stream of one purpose."""
        return random.Random(f"{self.seed}/{purpose}")


def draw(
    seed: int,
    kinds: Iterable[str],
    *,
    without: Iterable[str] = (),
    length: float = 1.0,
    store_kinds: Iterable[str] = (),
    proof_kinds: Iterable[str] = (),
) -> Scenario:
    """The scenario of a seed; `without` switches kinds off, `length` shortens the troubled time.

    `store_kinds` are those that a world without stores does not know, `proof_kinds` those without proofs.
    """
    rng = random.Random(f"{seed}/scenario")
    schedules = rng.choice((SCHEDULES, SCHEDULES[2:6]))
    servers = [draw_server(rng, number, schedules) for number in range(rng.choice((1, 1, 2, 2, 3, 4)))]
    longest = max(spec.longest_interval for spec in servers)
    scenario = Scenario(
        seed=seed,
        begins=rng.choice(BEGINNINGS) + timedelta(minutes=rng.randrange(0, 1440)),
        servers=servers,
        nodes=rng.choice((1, 1, 2)),
        chaos_seconds=longest * rng.uniform(1, 4) * length,
        panel=_panel(rng) | _pelican(random.Random(f"{seed}/pelican")),
        page_cap=rng.choice((50, 50, 7, 4)),
        backups_per_node=rng.choice((1, 1, 2)),
        reserve=rng.choice((0.0, 0.2, 0.5)),
        tick=rng.choice((60.0, 900.0, 900.0, 900.0, 1800.0, 1800.0, 1800.0, 1800.0)),
        stores=draw_stores(seed, len(servers)),
        proofs=draw_proofs(seed, len(servers)),
    )
    for spec in servers:
        spec.policy |= {**scenario.stores.of(spec.name), **scenario.proofs.of(spec.name)}
    unknown = (set() if scenario.stores else set(store_kinds)) | set(proof_kinds)
    scenario.kinds = _kinds(seed, kinds, set(without) | unknown)
    if scenario.proofs:
        scenario.kinds |= draw_kinds(seed, [kind for kind in proof_kinds if kind not in set(without)])
    if altering := _altering(seed):
        scenario.panel |= altering
        # What was asked for while the journal could not be written is known by its name alone.
        scenario.kinds = {kind: rate for kind, rate in scenario.kinds.items() if kind not in WITHOUT_JOURNAL}
    return scenario


def _altering(seed: int) -> dict[str, Any]:
    """What some panels make of names: of ours only the case is ever altered. The answer tells it, or only the list."""
    rng = random.Random(f"{seed}/names")
    return {"alter": str.lower, "echo": rng.random() < 0.5} if rng.random() < ALTERING_SHARE else {}


def _kinds(seed: int, kinds: Iterable[str], without: set[str]) -> dict[str, float]:
    """A random part of all kinds: a run with few of them goes deeper than one where nothing works.

    Each by a stream of its own, so that a new kind leaves every seed its others.
    """
    share = random.Random(f"{seed}/kinds").choice((0.1, 0.25, 0.5))
    chosen = {}
    for kind in kinds:
        rng = random.Random(f"{seed}/kinds/{kind}")
        present, rate = rng.random() < share, rng.choice((0.05, 0.15, 0.4))
        if present and kind not in without:
            chosen[kind] = rate
    return chosen


def _panel(rng: random.Random) -> dict[str, Any]:
    return {
        "api_limit": rng.choice((720, 240, 240, 60)),
        "creation_limit": rng.choice((0, 2)),
        "housekeeping": rng.choice((None, 6 * HOUR)),
        "skew": timedelta(seconds=rng.choice((0, 0, 90, -90, 900, -900, 2400, 7200))),
        "zone": ZoneInfo(rng.choice(("UTC", *ZONES))),
        "zulu": rng.random() < 0.3,
        "deleted_count": rng.random() < 0.7,
    }


def _pelican(rng: random.Random) -> dict[str, Any]:
    """What is otherwise where the panel is a Pelican; nothing where it is none. By a stream of its own."""
    if rng.random() >= PELICANS:
        return {}
    return {
        "kind": Kind.PELICAN,
        "deleted_count": False,
        "restore_limit": 3,
        "name_limit": 255,
        "checksum": rng.choice(list(Digest)),
        "locale": rng.choice(("en", "de")),
    }


def draw_server(rng: random.Random, number: int, schedules: tuple[tuple[str, float], ...]) -> Spec:
    """A server and its policy."""
    schedule, longest = rng.choice(schedules)
    return Spec(
        name=f"s{number}",
        node=rng.randrange(2),
        limit=rng.choice((3, 6, 30, 200)),
        policy=policy(rng, schedule),
        longest_interval=longest,
        work_seconds=rng.choice((1.0, 40.0, 300.0, 1500.0)),
        size=rng.randrange(250, 390),
        history=rng.choice((0, 4, 9, 16)),
    )


def policy(rng: random.Random, schedule: str) -> dict[str, Any]:
    """A policy's table."""
    table: dict[str, Any] = {
        "schedule": schedule,
        "timezone": rng.choice(ZONES),
        "splay": rng.choice(list(SPLAYS)),
        "scope": rng.choice(("own", "own", "all")),
        "name": rng.choice(NAMES),
        "keep": rng.choice(KEEPS),
        "min_good": rng.choice((1, 1, 2, 3)),
        "failed_after": rng.choice(("12h", "1d", "2d", "never")),
        "suspicious": rng.choice((0.5, 0.5, 0)),
        "max_deletions": rng.choice((-1, 1, 3, 10)),
        "timeout": rng.choice(list(TIMEOUTS)),
        "node_hold": rng.choice(list(NODE_HOLDS)),
    }
    table["suspicious_for"] = rng.choice(("3d", "1d", "6h"))
    if rng.random() < 0.25 and table["keep"] != "all":
        table["total_size"] = rng.choice((200, 700, 1500, 4000))  # the first is less than one backup
    if rng.random() < 0.3:
        table["ignored"] = ["logs/", "*.tmp"]
    return table


def toml(
    scenario: Scenario,
    policies: Mapping[str, Mapping[str, Any]],
    ids: Mapping[str, str],
    *,
    url: str,
    state: str,
    stores: Mapping[str, Mapping[str, Any]],
) -> str:
    """The configuration file: one policy a server, and the stores."""
    lines = [
        f'state_dir = "{state}"',
        "[panels.main]",
        f'url = "{url}"',
        f"backups_per_node = {scenario.backups_per_node}",
        f"api_reserve = {scenario.reserve}",
        "[alerts.people]",
        'type = "webhook"',
        'events = ["failed", "limit", "suspicious", "overdue", "uncopied", "unpruned", "store", "unproven",',
        '    "recovered", "done"]',
    ]
    for name, table in policies.items():
        lines += [f"[policies.of-{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
        lines += [f"[servers.{name}]", f'id = "{ids[name]}"', f'policy = "of-{name}"']
    if scenario.proofs:
        lines += ["[proof]", *(f"{key} = {_value(value)}" for key, value in scenario.proofs.table.items())]
    for name, table in stores.items():
        lines += [f"[stores.{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(held)}" for key, held in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
