"""The course of the demo: the daemon starts, its brake holds, the operator lifts it, the end is checked.

Then a backup is tried in a drill. At the very end the panel is gone, and the copies are read back without it.
"""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.clock import Clock
from daemon.demo.checks import LedgerChecks, PromiseCheck
from daemon.demo.copies import COLUMNS as COPIES
from daemon.demo.copies import read_back
from daemon.demo.copies import rows as copies_rows
from daemon.demo.drill import run_drill
from daemon.demo.narrator import Narrator
from daemon.demo.screen import Screen
from daemon.demo.setup import DemoSetup, good_schedule
from daemon.demo.summary import COLUMNS, closing_rows
from daemon.errors import Exit
from daemon.operations.drill import Drilled
from daemon.sandbox.records import Server
from daemon.sandbox.scenes import KEY, add_spare
from daemon.sandbox.serve import SandboxServer
from daemon.sandbox.world import World
from daemon.service.life import Service
from daemon.service.systemd import Notifier

LIFTED_TO = 200
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """How the demo is timed: the schedule, how long it plays, how much longer it waits for running rotations, and how
    long after these for copies; with `copying` None there is no store. The backup of a drill is one of the server
    `drilling`; with None there is no drill.
    """

    every: str
    seconds: float = 20.0
    patience: float = 15.0
    thinking: float = 1.5
    copying: float | None = 10.0
    drilling: str | None = "lobby"


async def play(
    world: World, folder: Path, screen: Screen, clock: Clock, *, keep_running: bool = False, pace: Pace | None = None
) -> Exit:
    """Play the demo in that folder and return its result; whatever the service raises is passed on."""
    pace = pace or Pace(good_schedule(clock.now()))
    async with SandboxServer(world) as sandbox:
        setup = DemoSetup(folder)
        setup.write(world, sandbox.url, every=pace.every, copies=pace.copying is not None)
        _introduce(screen, world, pace)
        checks, narrator = LedgerChecks(world), Narrator(screen, clock)
        with narrator.listening():
            life = asyncio.create_task(Service(setup.read, clock, Notifier({}, clock)).run())
            course = asyncio.create_task(_course(narrator, setup, clock, pace))
            await asyncio.wait({life, course}, return_when=asyncio.FIRST_COMPLETED)
            if life.done():
                course.cancel()
                life.result()
                return Exit.INTERRUPTED
            if keep_running:
                code = _judged(screen, await _on_panel(screen, setup, clock, checks))
                _invite(screen, setup, sandbox.url)
                await life
                return code
            signal.raise_signal(signal.SIGTERM)
            await life
            findings = await _on_panel(screen, setup, clock, checks)
        if pace.drilling is not None:
            screen.say("\nA drill: the newest backup, on a spare server\n", "bold")
            spare = add_spare(world, pace.drilling, folder)
            done = await _on_spare(narrator, setup, clock, spare, pace.drilling)
            screen.say()
            findings.append(checks.finding_of_drill(spare, pace.drilling, done))
            _show(screen, findings[-1:])
    if pace.copying is not None:
        findings.append(await _in_stores(screen, setup, clock, checks))
    return _judged(screen, findings)


async def _course(narrator: Narrator, setup: DemoSetup, clock: Clock, pace: Pace) -> None:
    """Let time pass; once the brake has held, do what an operator would; end when nothing is running."""
    lifted = False
    while narrator.seconds < _end_at(narrator, pace):
        await clock.sleep(LOOK_SECONDS)
        if narrator.braked.is_set() and not lifted:
            lifted = True
            await clock.sleep(pace.thinking)
            _lift(narrator, setup)


def _end_at(narrator: Narrator, pace: Pace) -> float:
    """Return how many seconds to play, as far as can be told now: to the copies of the server that the brake held."""
    if narrator.under_way:
        return pace.seconds + pace.patience
    copied = narrator.copied if not narrator.braked_server else narrator.braked_server in narrator.copied
    return max(pace.seconds, narrator.ended_at) + (0.0 if copied else pace.copying or 0.0)


def _lift(narrator: Narrator, setup: DemoSetup) -> None:
    """Do what an operator does who has looked at `plan` and agrees."""
    server = narrator.braked_server
    narrator.say(server, "you", f"have looked at the plan, set max_deletions = {LIFTED_TO} here, and send SIGHUP")
    setup.lift_brake(server, LIFTED_TO)
    signal.raise_signal(signal.SIGHUP)


def _introduce(screen: Screen, world: World, pace: Pace) -> None:
    backups = sum(len(server.backups) for server in world.servers.values())
    screen.say(
        f"A panel in memory with {len(world.servers)} servers and {backups} backups, and the real daemon, which starts "
        f'"{pace.every}" and keeps what its policy says. Ctrl-C ends it.\n'
    )


async def _on_panel(screen: Screen, setup: DemoSetup, clock: Clock, checks: LedgerChecks) -> list[PromiseCheck]:
    """Show what is on the panel now and why, and whether its ledger agrees with the promises."""
    kept = await closing_rows(setup.read(), clock)
    screen.say("\nWhat was kept, what was deleted, and why\n", "bold")
    screen.table(COLUMNS, kept)
    screen.say("\nWhat must always hold, by the panel's own ledger\n", "bold")
    findings = checks.findings()
    _show(screen, findings)
    return findings


async def _on_spare(narrator: Narrator, setup: DemoSetup, clock: Clock, spare: Server, source: str) -> Drilled | None:
    """Try the newest backup of a server on a spare one."""
    setup.add_drill(spare, source)
    return await run_drill(setup.read(), clock, setup.folder, lambda text: narrator.say(spare.name, "drill", text))


async def _in_stores(screen: Screen, setup: DemoSetup, clock: Clock, checks: LedgerChecks) -> PromiseCheck:
    """Show what the stores still have, and whether it is what the panel had."""
    copies = await read_back(setup.read(), clock, setup.folder)
    screen.say("\nWhat the store still has, now that the panel is gone\n", "bold")
    screen.table(COPIES, copies_rows(copies))
    screen.say()
    finding = checks.finding_of_copies(copies)
    _show(screen, [finding])
    return finding


def _show(screen: Screen, findings: Sequence[PromiseCheck]) -> None:
    screen.table(("", ""), [("holds" if each.holds else "broken", each.told) for each in findings])


def _judged(screen: Screen, findings: Sequence[PromiseCheck]) -> Exit:
    """Return the demo's result, and say so if a promise was broken."""
    if all(each.holds for each in findings):
        return Exit.DONE
    screen.say("\nerror: a promise was broken; this is a bug in ptero-backupd", "bold red")
    return Exit.BUG


def _invite(screen: Screen, setup: DemoSetup, url: str) -> None:
    screen.say(f"\nThe daemon goes on until Ctrl-C. The panel is at {url}, its key is {KEY}. In another terminal:")
    for command in ("status", "plan survival", "copies list lobby", "history", "rotate lobby"):
        screen.say(f"  ptero-backupd --config {setup.file} {command}")
    screen.say()
