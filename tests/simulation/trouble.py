"""Trouble that comes by itself: other people, nodes, permissions, clocks, disks, kills and reloads.

Each kind is a function that is told of a rotation that has just begun, and may do something now or a little later;
what it does to a server or a node is undone when its spell is over, at the latest when the calm days begin.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from daemon.sandbox.records import Backup, BackupEnding, NodeState, Server, State, Work
from daemon.sandbox.settings import Kind
from tests.simulation import oracle
from tests.simulation.call_faults import REFUSALS, UNDELETABLE
from tests.simulation.configuration import KEYS, URLS
from tests.simulation.scenario import DAY, HOUR, KEEPS, SCHEDULES, ZONES

if TYPE_CHECKING:
    from tests.simulation.process import Daemon
    from tests.simulation.run import Simulation

Thing = TypeVar("Thing")
Spell = Callable[["Simulation", Server, random.Random], None]
Race = Callable[["Simulation", Server, Backup, random.Random], None]

PERMISSIONS = ("backup.read", "backup.create", "backup.delete", "backup.download", "backup.restore")
GRANTED = (*PERMISSIONS, "activity.read")
"""What the daemon's user may do; the log of activities is never withdrawn."""
SOMEBODY = "somebody"
BAD_FILES = (
    "state_dir = ",
    '[panels.main]\nurl = "https://panel.example.com"\n',
    '[policies.standard]\nkeep = { lats = 3 }\nscope = "own"\n',
    '[policies.standard]\nkeep = { last = 0 }\nschedule = "61 4 * * *"\nscope = "mine"\n',
)


CHANGES: Mapping[str, Callable[[random.Random], Mapping[str, object]]] = {
    "keep": lambda rng: {"keep": rng.choice(KEEPS)},
    "total_size": lambda rng: {"total_size": rng.choice((300, 1500))},
    "max_deletions": lambda rng: {"max_deletions": rng.choice((-1, 0, 1, 10))},
    "max_share": lambda rng: {"max_share": rng.choice((0, 0.5, 1))},
    "scope": lambda rng: {"scope": rng.choice(("own", "all"))},
    "name": lambda rng: {"name": rng.choice(("auto-{server}-{time}-{id}", "other {time} {id}"))},
    "also_own": lambda _: {"also_own": ["auto-{server}-{time}-{id}", "b {time}"]},
    "timezone": lambda rng: {"timezone": rng.choice(ZONES)},
}
"""What of a policy a reload changes, besides its schedule."""


class NothingToDoError(Exception):
    """There is nothing that the trouble could happen to."""


def _only_if(there_is: object) -> None:
    """Raise NothingToDoError where there is not."""
    if not there_is:
        raise NothingToDoError


def _there(thing: Thing | None) -> Thing:
    """The thing itself; raise NothingToDoError where there is none."""
    if thing is None:
        raise NothingToDoError
    return thing


def _living(sim: "Simulation") -> "Daemon":
    """The daemon, if it is alive."""
    daemon = _there(sim.daemon)
    _only_if(daemon.alive)
    return daemon


def pick(server: Server, rng: random.Random) -> Backup | None:
    """Some backup of the server, often one of the older ones."""
    rows = list(server.backups.values())
    if not rows:
        return None
    return rng.choice(rows[: 1 + len(rows) // 2] if rng.random() < 0.6 else rows)


def pick_to_go(sim: "Simulation", server: Server, rng: random.Random) -> Backup | None:
    """One that the policy deletes once the next backup is good, or soon may; locked ones stay."""
    rows, policy = list(sim.recorder.mirror[server.uuid].values()), sim.configuration.known[server.name]
    to_go = oracle.with_coming(rows, policy, server.name, sim.world.now()).deletions
    unlocked = [backup for backup in server.backups.values() if not backup.locked]
    there = [backup for backup in unlocked if backup.uuid in to_go] or unlocked[:2]
    return rng.choice(there) if there else None


# Other people --------------------------------------------------------------------------------------------------------


def somebody_creates(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """By hand, in the panel; it may fail or take long, and may have a name that looks as if the policy had made it."""
    _only_if(len(server.backups) < (server.limit or 0))
    made = sim.world.now() - timedelta(minutes=rng.randrange(1, 600))
    ours = oracle.named(sim.configuration.known[server.name], server.name, made, rng.getrandbits(32))
    name = rng.choice(("before the update", f"auto-{server.name}-by-hand", "b 1", ours))
    sim.world.create(server, name, ignored=(), locked=rng.random() < 0.3, by=SOMEBODY)


def somebody_deletes(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Whatever it is, if it is not locked."""
    backup = _there(pick(server, rng))
    _only_if(not backup.locked)
    sim.world.remove(server, backup, by=SOMEBODY)


def somebody_locks(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Failed and pending ones too."""
    backup = _there(pick(server, rng))
    _only_if(not backup.locked)
    sim.world.toggle_lock(server, backup, by=SOMEBODY)


def somebody_unlocks(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """One that was locked."""
    locked = [backup for backup in server.backups.values() if backup.locked]
    _only_if(locked)
    sim.world.toggle_lock(server, rng.choice(locked), by=SOMEBODY)


def somebody_renames(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """One that is there for an hour at least, on a Pelican; that takes it out of the policy's own, or puts it there."""
    old = sim.world.now() - timedelta(hours=1)
    there = [backup for backup in server.backups.values() if backup.state is State.GOOD and backup.created_at < old]
    _only_if(there and sim.world.settings.kind is Kind.PELICAN)
    backup = rng.choice(there)
    ours = oracle.named(sim.configuration.known[server.name], server.name, backup.created_at, rng.getrandbits(32))
    sim.world.rename(server, backup, rng.choice(("before the wedding", ours)), by=SOMEBODY)


def failed_turns_good(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """A slow node reports after the panel had given up."""
    failed = [backup for backup in server.backups.values() if backup.state is State.FAILED]
    _only_if(failed)
    sim.world.report(server, rng.choice(failed), success=True)


def others_use_the_limit(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Other keys of the same user take most of the minute's requests."""
    window = _there(sim.world.windows.get("backupd"))
    window.count = max(window.count, sim.world.settings.api_limit - rng.randrange(0, 6))


# Servers and nodes ---------------------------------------------------------------------------------------------------


STATES = ("suspended", "suspended", "installing", "install_failed", "reinstall_failed")


def suspended(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """For hours."""
    sim.disturbances.spell(server, "status", rng.choice(STATES), rng.uniform(60, 9 * HOUR))


def transferred(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """To another node, where it then is."""
    sim.disturbances.spell(server, "transferring", True, rng.uniform(60, 2 * HOUR))
    server.node = rng.choice(list(sim.world.nodes.values()))
    sim.recorder.moved_at[server.uuid] = sim.recorder.now()


def restored(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """From one of its backups, by somebody."""
    good = [backup for backup in server.backups.values() if backup.successful]
    _only_if(good and server.status is None)
    server.restore_seconds = rng.uniform(30, HOUR)
    sim.world.restore(server, rng.choice(good), by=SOMEBODY)


def removed(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """For good, with all its backups."""
    _only_if(len(sim.world.servers) > 1 and not sim.removed and rng.random() < 0.3)
    sim.remove(server)


def permissions_withdrawn(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """One, or all of them."""
    left = [p for p in PERMISSIONS if p != rng.choice(PERMISSIONS[:3])] if rng.random() < 0.8 else []
    sim.disturbances.spell(server, "subusers", {"backupd": tuple(left)} if left else {}, rng.uniform(30, 12 * HOUR))


def key_withdrawn(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The keys are deleted, and made again."""
    sim.withdraw_keys(rng.uniform(30, 6 * HOUR))


def limit_lowered(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """To what is there, failed ones apart, which the panel does not count; or below, down to none at all."""
    held = max(1, sum(backup.state is not State.FAILED for backup in server.backups.values()))
    sim.disturbances.spell(server, "limit", rng.choice((None, 0, 1, *[held] * 5)), rng.uniform(HOUR, 2 * DAY))


def node_down(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Or it hangs."""
    sim.disturbances.spell(
        server.node, "state", rng.choice((NodeState.DOWN, NodeState.HANGING)), rng.uniform(30, 8 * HOUR)
    )


def node_in_maintenance(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Every backup call of its servers is answered 409."""
    sim.disturbances.spell(server.node, "maintenance", True, rng.uniform(30, 3 * HOUR))


def node_errors(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """It answers everything with one status, or slowly."""
    if rng.random() < 0.5:
        sim.disturbances.spell(server.node, "error", rng.choice((500, 502, 404, 403)), rng.uniform(30, 3 * HOUR))
    else:
        sim.disturbances.spell(server.node, "answer_seconds", rng.uniform(1, 20), rng.uniform(30, 3 * HOUR))


def panel_down(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Its web server, its database, or the whole of it in maintenance."""
    what = rng.choice(("web_down", "database_down", "maintenance"))
    sim.disturbances.spell(sim.world.settings, what, True, rng.uniform(10, 3 * HOUR))


def backups_fail(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The next one or two; some turn good much later."""
    late = rng.uniform(HOUR, 10 * HOUR) if rng.random() < 0.5 else None
    for _ in range(rng.randrange(1, 4)):
        server.coming.append(
            Work(seconds=rng.uniform(1, 900), outcome=BackupEnding.FAILED, size=server.work.size, late=late)
        )


def backups_never_end(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The next one never does, or only after most of a day."""
    late = rng.uniform(5 * HOUR, 20 * HOUR) if rng.random() < 0.5 else None
    server.coming.append(Work(outcome=BackupEnding.STUCK, size=server.work.size, late=late))


def backups_end_late(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The next one takes hours."""
    server.coming.append(Work(seconds=rng.uniform(HOUR, 8 * HOUR), size=server.work.size))


def backups_shrink(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The next ones are a tenth of what they were, or empty."""
    for _ in range(rng.randrange(1, 5)):
        server.coming.append(Work(seconds=5, size=rng.choice((0, 20, 30, 40))))


WIPED = (3, 20, 60)
"""What is left of a world, in bytes."""


def world_wiped(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Whatever is backed up is next to nothing from now on, for hours or for days."""
    drawn = rng.choice(WIPED)
    size = server.work.size if server.work.size in WIPED else drawn  # one that is wiped already stays so
    work = Work(seconds=server.work.seconds, size=size)
    sim.disturbances.spell(server, "work", work, rng.uniform(6 * HOUR, 6 * DAY))


def backup_undeletable(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """One of those that are to go, for hours or days; now and then it cannot be looked at either."""
    backup = _there(pick_to_go(sim, server, rng))
    sim.faults.undeletable[backup.uuid] = rng.choice(REFUSALS), rng.random() < 0.3

    def mended() -> None:
        if not sim.calm:
            sim.faults.undeletable.pop(backup.uuid, None)

    asyncio.get_running_loop().call_later(rng.uniform(HOUR, 3 * DAY), mended)


# The daemon's own machine --------------------------------------------------------------------------------------------


def clock_jumps(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The clock of the daemon's machine is set."""
    jump = rng.choice((-1, 1)) * rng.choice((5, 90, 700, 3 * HOUR))
    sim.jump(timedelta(seconds=jump))


def panel_clock_jumps(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The clock of the panel's machine is set."""
    jump = timedelta(seconds=rng.choice((-1, 1)) * rng.choice((5, 90, 700, HOUR)))
    sim.jump_panel(jump)


def panel_clock_jumps_by_months(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The panel's machine comes up with another date; mostly somebody puts it right, in the calm days nobody does."""
    jump = timedelta(days=rng.choice((-1, 1)) * rng.randrange(30, 300))
    _until_put_right(sim, "the panel", sim.jump_panel, jump, rng)


def both_clocks_jump(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """The machine that the panel and the daemon share comes up with another date, and is mostly put right."""
    jump = timedelta(days=rng.choice((-1, 1)) * rng.randrange(2, 90))

    def set_by(by: timedelta) -> None:
        sim.jump(by)
        sim.jump_panel(by)

    _until_put_right(sim, "both", set_by, jump, rng)


def _until_put_right(
    sim: "Simulation", whose: str, set_by: Callable[[timedelta], None], jump: timedelta, rng: random.Random
) -> None:
    """Set a clock, and after some hours back, unless the calm days have begun; meanwhile it shows that other date.

    Else each jump would begin rotations, each of these throw the dice again, and nothing but jumps be played.
    """
    seconds = rng.uniform(60, 9 * HOUR)
    _only_if(whose not in sim.wrong_dates)
    sim.wrong_dates.add(whose)
    set_by(jump)

    def put_right() -> None:
        if not sim.calm:
            sim.wrong_dates.remove(whose)
            set_by(-jump)

    asyncio.get_running_loop().call_later(seconds, put_right)


def disk_full(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Nothing can be written to the journal."""
    sim.disturbances.spell(sim, "disk_full", True, rng.uniform(5, 6 * HOUR))


def journal_unreadable(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Nothing can be read from it either."""
    sim.disturbances.spell(sim, "disk_unreadable", True, rng.uniform(5, HOUR))


def receiver_down(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """Whoever is to be told cannot be."""
    sim.disturbances.spell(sim, "receiver_down", True, rng.uniform(60, 2 * DAY))


def killed(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """At some step that follows: a request, an answer, a write to the journal."""
    _living(sim).doomed_in = rng.randrange(1, 70)


def killed_between_steps(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """After so many steps of the event loop: at any await there is."""
    steps, doomed = rng.randrange(1, 1500), _living(sim)
    sim.disturbances.kill_after(steps, lambda: doomed.die("between two steps") if doomed.alive else None)


def killed_at_a_moment(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """In the middle of whatever it waits for."""
    _living(sim).die("it waits")


def stopped(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """And started again: what systemd does at an upgrade."""
    _living(sim).over.set()


def reloaded(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """With something changed for one server, or for its panel."""
    configured, name = sim.configuration, rng.choice(sorted(sim.specs))
    what = rng.choice((*CHANGES, "schedule", "gone", "key", "url"))
    if what in {"key", "url"}:
        key = rng.choice(KEYS) if what == "key" else None
        sim.reload({}, f"{what} of the panel", key=key, url=rng.choice(URLS) if what == "url" else None)
    elif what == "gone" and configured.policies[name] and sum(map(bool, configured.policies.values())) > 1:
        sim.reload({name: None}, f"{name} is gone")
    else:
        policy = dict(configured.known[name])
        if what == "schedule":
            policy["schedule"], longest = rng.choice(SCHEDULES)
            sim.specs[name].longest_interval = max(longest, sim.specs[name].longest_interval)
        elif what in CHANGES:
            policy |= CHANGES[what](rng)
        if policy["keep"] == "all":
            policy.pop("total_size", None)
        sim.reload({name: policy}, f"{what} of {name}")


def policy_narrowed(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """By a number or a size that is less than was meant; neither number nor share of what goes is in the way."""
    policy = _there(sim.configuration.policies[server.name])
    _only_if(policy["keep"] != "all")
    narrow = rng.choice(({"keep": {"last": rng.randrange(1, 5)}}, {"total_size": rng.choice((300, 900))}))
    sim.reload({server.name: {**policy, "max_deletions": 200, "max_share": 1, **narrow}}, f"{server.name} is narrowed")


def reloaded_badly(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """With a mistake in the file."""
    _only_if(sim.daemon and sim.daemon.up and sim.daemon.alive)
    sim.reload_badly(rng.choice(BAD_FILES))


def rotated_by_hand(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """`rotate SERVER` from a terminal, while the daemon is at work."""
    sim.rotate_by_hand(server.name)


def lifted_by_hand(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """`rotate SERVER --max-deletions N`, which lifts the brake for once."""
    sim.rotate_by_hand(server.name, rng.choice((-1, 1, 3, 20)))


def locked_by_hand(sim: "Simulation", server: Server, rng: random.Random) -> None:
    """`backups lock` or `unlock` from a terminal, through the same trouble."""
    backup = _there(pick(server, rng))
    sim.lock_by_hand(server, backup, wanted=rng.random() < 0.7)


KINDS: Mapping[str, tuple[Spell, float, bool]] = {
    # with the longest delay after the rotation's beginning, and whether it concerns that server alone
    "somebody creates": (somebody_creates, 600, True),
    "somebody deletes": (somebody_deletes, 600, True),
    "somebody locks": (somebody_locks, 600, True),
    "somebody unlocks": (somebody_unlocks, 600, True),
    "somebody renames": (somebody_renames, 600, True),
    "failed turns good": (failed_turns_good, 600, True),
    "others use the API limit": (others_use_the_limit, 30, False),
    "server suspended": (suspended, 900, True),
    "server transferred": (transferred, 900, True),
    "server restored": (restored, 900, True),
    "server removed": (removed, 900, True),
    "permissions withdrawn": (permissions_withdrawn, 900, True),
    "key withdrawn": (key_withdrawn, 900, False),
    "limit lowered": (limit_lowered, 1, True),
    "node down": (node_down, 900, False),
    "node in maintenance": (node_in_maintenance, 900, False),
    "node answers errors or slowly": (node_errors, 900, False),
    "panel down": (panel_down, 900, False),
    UNDELETABLE: (backup_undeletable, 0, True),
    "backup fails": (backups_fail, 0, True),
    "backup never ends": (backups_never_end, 0, True),
    "backup ends late": (backups_end_late, 0, True),
    "backup shrinks": (backups_shrink, 0, True),
    "world wiped": (world_wiped, 0, True),
    "host clock jumps": (clock_jumps, 1800, False),
    "panel clock jumps": (panel_clock_jumps, 1800, False),
    "panel clock jumps by months": (panel_clock_jumps_by_months, 1800, False),
    "both clocks jump by months": (both_clocks_jump, 1800, False),
    "disk full": (disk_full, 600, False),
    "journal unreadable": (journal_unreadable, 600, False),
    "receiver of alerts down": (receiver_down, 600, False),
    "killed at a step": (killed, 0, False),
    "killed between two steps": (killed_between_steps, 0, False),
    "killed at a moment": (killed_at_a_moment, 1200, False),
    "stopped and started": (stopped, 1200, False),
    "configuration reloaded": (reloaded, 900, False),
    "policy narrowed": (policy_narrowed, 900, True),
    "bad configuration reloaded": (reloaded_badly, 900, False),
    "rotated by hand": (rotated_by_hand, 900, False),
    "rotated by hand, the brake lifted": (lifted_by_hand, 900, False),
    "locked by hand": (locked_by_hand, 900, True),
}


def _locks(sim: "Simulation", server: Server, backup: Backup, _: random.Random) -> None:
    _only_if(not backup.locked)
    sim.world.toggle_lock(server, backup, by=SOMEBODY)


def _deletes(sim: "Simulation", server: Server, backup: Backup, _: random.Random) -> None:
    sim.world.remove(server, backup, by=SOMEBODY)


def _keeps_more(sim: "Simulation", server: Server, _: Backup, rng: random.Random) -> None:
    """What was to go is to stay, or as much of it as another rule keeps."""
    policy = _there(sim.configuration.policies[server.name])
    keep = rng.choice(("all", {"last": 4}, {"last": 20}))
    policy = {key: value for key, value in policy.items() if key != "total_size"} | {"keep": keep}
    sim.reload({server.name: policy}, f"keep of {server.name}")


def _panel_goes_down(sim: "Simulation", server: Server, backup: Backup, rng: random.Random) -> None:
    """For longer, now and then, than a lost create is looked for."""
    sim.disturbances.spell(sim.world.settings, "web_down", True, rng.uniform(60, 900))


def _another_leaves(sim: "Simulation", server: Server, backup: Backup, rng: random.Random) -> None:
    """One that queues behind this one is taken from the configuration, for an hour."""
    queued = sorted(
        rotation.server
        for rotation in sim.recorder.running.values()
        if rotation.uuid != server.uuid and not any(exchange.call == "list" for exchange in rotation.exchanges)
    )
    _only_if(queued)
    name, configured = rng.choice(queued), sim.configuration
    _only_if(configured.policies[name])
    sim.reload({name: None}, f"{name} is gone")

    def come_back() -> None:
        if not sim.calm and configured.policies[name] is None:
            sim.reload({name: configured.known[name]}, f"{name} is back")

    asyncio.get_running_loop().call_later(HOUR, come_back)


RACES: Mapping[str, tuple[Race, bool]] = {
    "lock races with a reading": (_locks, True),
    "lock races with a DELETE": (_locks, True),
    "deletion races with a reading": (_deletes, True),
    "reload races with a DELETE": (_keeps_more, True),
    "panel goes down at a create": (_panel_goes_down, False),
    "server leaves while it queues": (_another_leaves, False),
}
"""Somebody acts between a request and what the daemon makes of its answer: see `Disturbances.sent` and `answered`.

With whether it concerns that server alone.
"""
