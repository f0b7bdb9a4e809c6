"""A fleet to look at: servers in every state that the pages show, made of plain values and the real judgement."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from daemon.config.load import load
from daemon.config.values import Config, DrillConfig, PanelConfig, ServerConfig, StoreConfig
from daemon.core.copies_queue import CopyQueue
from daemon.core.drills import DrillRecord, DrillResult
from daemon.core.keep import Keep
from daemon.core.model import Action, Backup, State, Verdict
from daemon.core.proof import Level, Proof
from daemon.core.proof_due import ProofRules
from daemon.core.retention import judge
from daemon.core.store_rules import StoreRules
from daemon.errors import ProblemCode
from daemon.fleet.fleet import Fleet
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order, Stage
from daemon.rotation.outcome import Problem, Result
from daemon.rotation.run import RotationContext, Run
from daemon.rotation.slots import NodeSlots
from daemon.state import CopyEvent, CopyRecord, Holding, ProofRecord, ShelfRecord, engine_for
from daemon.state import Snapshot as Stored
from daemon.state.local.journal import SqliteJournal
from daemon.status.fleet_status import FleetStatus
from daemon.status.history import Began, Ended, ServerHistory, good_in
from daemon.status.snapshot import Snapshot
from daemon.status.tracker import StatusTracker
from daemon.stores.values import DirectoryLocation, StoreSettings
from tests.at_once import at_once, awaited, sqlite
from tests.closed import closed_in_the_end
from tests.fakes import FakeClock

KEY = "ptlc_EXAMPLE0000000000000000000000000000000000000"
NOW = datetime(2026, 4, 16, 9, 40, tzinfo=UTC)
HOLDERS = {"backup-1": [("main", "fsn-03"), ("main", "hel-01")], "backup-2": []}
"""Which nodes the members of a cluster hold."""
DAY = timedelta(days=1)
GIB = 1 << 30
"""For sizes that look like worlds."""

POLICY = {
    "schedule": "0 4 * * *",
    "timezone": "Europe/Berlin",
    "splay": "20m",
    "scope": "own",
    "keep": "{ last = 3, daily = 7, weekly = 4, monthly = 6 }",
}


@dataclass
class Gallery:
    """A fleet and its status, and what is shown of them."""

    fleet_status: FleetStatus
    tracker: StatusTracker
    fleet: Fleet
    context: RotationContext
    clock: FakeClock

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.fleet.config

    def stand(self, name: str, **changes: Any) -> None:
        """Change how a server stands."""
        self.tracker.histories[name] = replace(at_once(self.tracker.history(name)), **changes)

    def run(self, name: str, stage: Stage, since: timedelta, backup: Backup | None = None) -> None:
        """Let a rotation of that server be under way."""
        server, client = self.config.servers[name], open_client(self.config.servers[name].panel, self.clock)
        run = Run(Order(server, "schedule"), client, self.context, structlog.get_logger(), stage=stage, created=backup)
        self.context.under_way[name] = run
        self.stand(name, began=Began("schedule", self.clock.now() - since))


def open_client(panel: PanelConfig, clock: FakeClock) -> PanelClient:
    """A client that is never asked anything."""
    return PanelClient(panel.name, panel.url, panel.api_key, clock=clock)


def configured(folder: Path, names: Iterable[str], more: str = "", **policy: str) -> Config:
    """A configuration of those servers."""
    rules = {**POLICY, **policy}
    lines = [
        f"{key} = {value if value[0] in '{[0123456789' and key == 'keep' else repr(value)}"
        for key, value in rules.items()
    ]
    servers = [f'[servers.{name}]\nid = "{number:08x}"' for number, name in enumerate(names, 1)]
    text = "\n".join(
        [
            'state_dir = "none"',
            more,
            "[panels.main]",
            'url = "https://panel.example.com"',
            "[policies.standard]",
            *lines,
            *servers,
        ]
    )
    file = folder / "config.toml"
    file.write_text(text)
    return load(file, {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY})


def empty(config: Config, now: datetime = NOW, journal: SqliteJournal | None = None) -> Gallery:
    """A fleet to which nothing has happened yet."""
    clock = FakeClock(now)
    opened = awaited(journal or closed_in_the_end(SqliteJournal.memory()))
    engine, slots = engine_for(config.state_dir), NodeSlots(clock)
    context = RotationContext(clock, engine, opened, slots, config.servers.get, random.Random(1))
    tracker = StatusTracker(context)
    tracker.follow(config)
    fleet = Fleet(config, context, tracker.opening(lambda panel: open_client(panel, clock)), listeners=[tracker])
    return Gallery(FleetStatus(fleet, tracker), tracker, fleet, context, clock)


def nightly(
    server: ServerConfig,
    now: datetime = NOW,
    *,
    days: int = 250,
    size: Callable[[int], int] | None = None,
    locked: Iterable[int] = (),
    failed: Iterable[int] = (),
    missing: Iterable[int] = (),
) -> list[Backup]:
    """What nightly rotations leave of a server's backups. The sets hold days ago, 0 being the last night."""
    sizes = (size(0), size(1)) if size else None
    key = (server.name, server.starts, now, days, sizes, tuple(locked), tuple(failed), tuple(missing))
    if key not in _KNOWN:
        start, left = server.starts.latest(now), list[Backup]()
        for ago in sorted(set(range(days)) - set(missing), reverse=True):
            made = start - ago * DAY
            bytes_now = size(ago) if size else 4 * GIB - ago * 2_000_000
            left.append(backup(server, made, bytes_now, failed=ago in failed, locked=ago in locked))
            verdicts = judged(server, left, made + timedelta(hours=1))
            left = [verdict.backup for verdict in verdicts if verdict.action is not Action.DELETE]
        _KNOWN[key] = tuple(left)
    return list(_KNOWN[key])


_KNOWN: dict[tuple[object, ...], tuple[Backup, ...]] = {}
"""A year of judgements takes its time, and many tests look at the same year."""


def backup(
    server: ServerConfig,
    made: datetime,
    size: int,
    *,
    failed: bool = False,
    locked: bool = False,
    pending: bool = False,
) -> Backup:
    """One backup of the server's own policy."""
    identity = f"{random.Random(f'{server.name}{made}').getrandbits(32):08x}"
    return Backup(
        uuid=f"{identity}-0000-4000-8000-{int(made.timestamp()):012x}",
        name=server.policy.template.render(server.name, made, identity),
        successful=not failed and not pending,
        locked=locked,
        bytes=0 if failed or pending else size,
        created_at=made,
        completed_at=None if pending else made + timedelta(minutes=11, seconds=made.day),
    )


def judged(server: ServerConfig, backups: Iterable[Backup], now: datetime) -> tuple[Verdict, ...]:
    """The real judgement."""
    return judge(list(backups), server.policy.retention, ownership=server.ownership, now=now)


def snapshot(
    server: ServerConfig, backups: Iterable[Backup], at: datetime, *, limit: int = 30, node: str = "fsn-03"
) -> Snapshot:
    """What a rotation would have seen."""
    return Snapshot.of(at, f"{server.id}-0000-4000-8000-000000000000", node, limit, judged(server, backups, at))


def seen(server: ServerConfig, backups: Iterable[Backup], at: datetime, **options: Any) -> ServerHistory:
    """How a server stands after a rotation that saw those backups, and was done."""
    taken = snapshot(server, backups, at, **options)
    good = taken.newest_good
    last = Ended(
        "schedule",
        at - timedelta(minutes=12),
        at,
        Result.DONE,
        good.backup.name if good else None,
        good=True,
        deleted=1,
    )
    return ServerHistory(at, at, good_in(taken), taken, last)


def with_stores(config: Config) -> Config:
    """The same configuration with two stores, to which everything is copied."""
    stores = {name: StoreConfig(StoreSettings(name, DirectoryLocation(Path(f"/mnt/{name}"))),
                                StoreRules(name, Keep.parse("all"))) for name in ("nas", "offsite")}  # fmt: skip
    policies = {name: replace(one, copies=tuple(stores)) for name, one in config.policies.items()}
    servers = {name: replace(one, policy=policies[one.policy.name]) for name, one in config.servers.items()}
    return replace(config, stores=stores, policies=policies, servers=servers)


def copied(made: Gallery, since: datetime = NOW - 4 * DAY) -> Gallery:
    """Let the nas have a copy of all, and the store offsite be in trouble since then; one copy waits."""
    queue = CopyQueue()
    for name, server in made.config.servers.items():
        good_at = at_once(made.tracker.history(name)).good_at
        if good_at is None:
            continue
        for store, newest in (("nas", good_at), ("offsite", min(good_at, since))):
            if (name, store) != ("hub-eu", "nas"):
                uuid = f"{server.id}-0000-4000-8000-000000000000"
                holding = Holding(store, "main", uuid, NOW, 12, 40 * GIB, newest)
                at_once(made.context.engine.catalogue.remember(ShelfRecord(holding, "{}")))
        queue = queue.asked(name, ["offsite"], min(since + DAY, NOW), fresh=True)
    queue = queue.asked("hub-eu", ["nas"], NOW, fresh=True).store_failed("offsite", since, "the bucket refuses the key")
    journal = sqlite(made.context.journal)
    journal.requeue_copies(CopyQueue(), queue)
    records = [
        CopyRecord(CopyEvent.MADE, NOW - ago * DAY, "survival", "u", "nas", f"b{ago}", f"night-{ago}", 4 * GIB)
        for ago in (2, 1, 0)
    ]
    failed = CopyRecord(CopyEvent.FAILED, NOW, "lobby", "u", "offsite", text="the bucket refuses the key")
    journal.record_copies([*records, failed])
    return made


def proving(made: Gallery, rules: ProofRules | None = ProofRules()) -> Gallery:  # noqa: B008 — it is frozen
    """Let every server be proven by these rules: survival's newest backup is, lobby's is torn, and the others were
    never read. Without rules, a drill read the two.
    """
    policies = {name: replace(one, prove=rules) for name, one in made.config.policies.items()}
    servers = {name: replace(one, policy=policies[one.policy.name]) for name, one in made.config.servers.items()}
    made.tracker.follow(replace(made.config, policies=policies, servers=servers))
    for name, problems in (("survival", ()), ("lobby", ("world/region/r.0.0.mca: chunk 0,0 is torn",))):
        snapshot = at_once(made.tracker.history(name)).snapshot
        assert snapshot
        backup = next(one.backup for one in snapshot.verdicts if one.whole)
        made_at = backup.created_at or NOW
        level = None if problems else Level.SANE
        proof = Proof(backup.uuid, backup.name, made_at, NOW - DAY, Level.SANE, level, problems=problems)
        record = ProofRecord(name, snapshot.uuid, proof)
        sqlite(made.context.journal).record_proof(record)
        made.context.on_proof(record, 4 * GIB, 60.0)
    return made


def drilling(made: Gallery) -> Gallery:
    """Let a drill try three servers: survival's went well, lobby's failed after one that started nothing, creative had
    none."""
    drill = DrillConfig("weekly", "modded", ("survival", "lobby", "creative"), start=True, watch=timedelta(minutes=5))
    made.tracker.drills.follow(replace(made.config, drills={"weekly": drill}))
    journal = sqlite(made.context.journal)
    for server, days, seconds, text, starts in (
        ("lobby", 10, 40.0, "", False),
        ("survival", 3, 250.4, "", True),
        ("lobby", 2, None, "modded is offline 20 s after it began to run", True),
    ):
        result = DrillResult.FAILED if text else DrillResult.DONE
        began, ended = NOW - days * DAY, NOW - days * DAY + timedelta(hours=1)
        record = DrillRecord("weekly", "modded", "m-1", server, f"{server}-1", "b-1", "night-1", began, starts=starts)
        number = journal.begin_drill(record)
        journal.end_drill(number, at=ended, result=result, seconds=seconds, text=text)
        made.context.on_drill(replace(record, ended_at=ended, result=result, seconds=seconds, text=text))
    return made


def fleet(folder: Path, *, stores: bool = False, since: datetime = NOW - 4 * DAY) -> Gallery:
    """Servers in every state; with `stores`, in every state of their copies too, and one in trouble since then."""
    names = (
        "survival",
        "creative",
        "lobby",
        "skyblock",
        "modded",
        "minigames",
        "fresh",
        "archive",
        "hub-eu",
        "anarchy",
    )
    config = configured(folder, names)
    made = empty(with_stores(config) if stores else config)
    servers, histories = made.config.servers, made.tracker.histories

    def put(name: str, backups: list[Backup], **options: Any) -> ServerHistory:
        last = max(one.created_at for one in backups if one.created_at)
        histories[name] = seen(servers[name], backups, last + timedelta(minutes=12), **options)
        for ago in range(30):
            at = NOW - ago * DAY
            taken = histories[name].snapshot
            assert taken
            wave = int(taken.tally.bytes * (1 - ago * 0.006 + 0.01 * ((ago * 7) % 5)))
            sqlite(made.context.journal).snapshot(Stored(taken.uuid, "main", at, "{}"), wave)
        return histories[name]

    for name in ("survival", "archive", "hub-eu"):
        put(name, nightly(servers[name], locked=(40, 200)), limit=30)
    put("minigames", nightly(servers["minigames"], failed=(1,)), limit=30, node="fsn-04")
    modded = nightly(servers["modded"], locked=(30, 60, 90, 120))
    put("modded", modded, limit=len(modded), node="fsn-04")

    creative = nightly(servers["creative"])
    put("creative", creative)
    running = backup(servers["creative"], NOW - timedelta(minutes=7), 0, pending=True)
    made.run("creative", Stage.WAITING, timedelta(minutes=8), running)
    put("anarchy", nightly(servers["anarchy"]))
    made.run("anarchy", Stage.QUEUED, timedelta(minutes=3))

    put("lobby", nightly(servers["lobby"], NOW - 3 * DAY))
    trouble = Problem(
        ProblemCode.NODE,
        "creating auto-lobby-20260416T021112Z-5f0e2a77: node fsn-07 does not answer (504)",
        "look at the node: is wings running?",
    )
    made.stand(
        "lobby",
        failures=5,
        last=Ended(
            "retry",
            NOW - timedelta(hours=2),
            NOW - timedelta(hours=2, minutes=-1),
            Result.FAILED,
            problems=(trouble,),
            retry_at=NOW + timedelta(minutes=41),
        ),
    )

    shrunk = nightly(servers["skyblock"], size=lambda ago: GIB // 9 if ago == 0 else 4 * GIB)
    taken = put("skyblock", shrunk)
    assert taken.snapshot
    assert taken.last
    small = next(one for one in taken.snapshot.verdicts if one.state is State.SUSPICIOUS)
    words = f"the new backup {small.backup.name} is suspicious: {small.reasons[0].text}"
    ended = replace(
        taken.last, result=Result.FAILED, good=False, problems=(Problem(ProblemCode.BACKUP_SUSPICIOUS, words),)
    )
    made.stand("skyblock", last=ended, failures=1)
    journalled(sqlite(made.context.journal), servers["survival"])
    return copied(made, since) if stores else made


def journalled(journal: SqliteJournal, server: ServerConfig) -> None:
    """Some rotations of that server in the journal."""
    for ago in (2, 1, 0):
        start = server.starts.latest(NOW) - ago * DAY
        name = server.policy.template.render(server.name, start, "1c3f77ab")
        uuid = f"{server.id}-0000-4000-8000-000000000000"
        number = journal.begin(
            server_uuid=uuid,
            server=server.name,
            panel="main",
            policy="standard",
            trigger="schedule",
            start_at=start,
            at=start,
        )
        at = start + timedelta(seconds=2)
        journal.step(number, "gathered", at, backups=19, total=19, completeness="complete")
        journal.step(number, "create", at, backup=name)
        if ago == 1:
            journal.step(number, "create_refused", at, backup=name, error="the node does not answer (504)")
            problem = {"code": "node", "text": "the node does not answer (504)", "hint": "is wings running?"}
            journal.end(number, at=at, result="failed", retry_at=at, summary={"good": False, "problems": [problem]})
            continue
        journal.step(number, "created", at + timedelta(seconds=1), uuid="u", backup=name)
        later = at + timedelta(minutes=11)
        journal.step(number, "turned_good", later, uuid="u", bytes=4 * GIB)
        journal.step(number, "planned", later, keep=19, delete=1, refused=None)
        journal.step(
            number,
            "delete",
            later,
            uuid="v",
            backup="auto-survival-20260406T020514Z-77aa01de",
            because="superseded by auto-survival-20260408T020514Z-90aa01dc in week 2026-W15",
        )
        journal.step(number, "delete_done", later + timedelta(seconds=1), uuid="v", existed=True)
        journal.end(
            number,
            at=later + timedelta(seconds=1),
            result="done",
            backup_uuid="u",
            summary={
                "good": True,
                "created": {"uuid": "u", "name": name, "bytes": 4 * GIB},
                "deleted": [{"uuid": "v", "name": "x", "bytes": 1}],
                "kept": 19,
                "problems": [],
            },
        )
