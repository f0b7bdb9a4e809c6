"""The course of the demo: the daemon starts, its brake holds, the operator lifts it, the end is checked."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

from daemon.clock import Clock
from daemon.demo.checks import LedgerChecks
from daemon.demo.narrator import Narrator
from daemon.demo.screen import Screen
from daemon.demo.setup import EVERY, DemoSetup
from daemon.demo.summary import COLUMNS, closing_rows
from daemon.errors import Exit
from daemon.sandbox.scenes import KEY
from daemon.sandbox.serve import SandboxServer
from daemon.sandbox.world import World
from daemon.service.life import Service
from daemon.service.systemd import Notifier

LIFTED_TO = 200
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """How the demo is timed: the schedule, how long it plays, and how much longer it waits for running rotations."""

    every: str = EVERY
    seconds: float = 22.0
    patience: float = 15.0
    thinking: float = 1.5


async def play(
    world: World, folder: Path, screen: Screen, clock: Clock, *, keep_running: bool = False, pace: Pace | None = None
) -> Exit:
    """Play the demo in that folder and return its result; whatever the service raises is passed on."""
    pace = pace or Pace()
    async with SandboxServer(world) as sandbox:
        setup = DemoSetup(folder)
        setup.write(world, sandbox.url, every=pace.every)
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
                code = await _end(screen, setup, clock, checks)
                _invite(screen, setup, sandbox.url)
                await life
                return code
            signal.raise_signal(signal.SIGTERM)
            await life
            return await _end(screen, setup, clock, checks)


async def _course(narrator: Narrator, setup: DemoSetup, clock: Clock, pace: Pace) -> None:
    """Let time pass; once the brake has held, do what an operator would; end when nothing is running."""
    lifted = False
    while narrator.seconds < pace.seconds or (narrator.under_way and narrator.seconds < pace.seconds + pace.patience):
        await clock.sleep(LOOK_SECONDS)
        if narrator.braked.is_set() and not lifted:
            lifted = True
            await clock.sleep(pace.thinking)
            _lift(narrator, setup)


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


async def _end(screen: Screen, setup: DemoSetup, clock: Clock, checks: LedgerChecks) -> Exit:
    """Show what is there now and why, and whether the promises hold."""
    rows = await closing_rows(setup.read(), clock)
    screen.say("\nWhat was kept, what was deleted, and why\n", "bold")
    screen.table(COLUMNS, rows)
    screen.say("\nWhat must always hold, by the panel's own ledger\n", "bold")
    findings = checks.findings()
    screen.table(("", ""), [("holds" if each.holds else "broken", each.told) for each in findings])
    if all(each.holds for each in findings):
        return Exit.DONE
    screen.say("\nerror: a promise was broken; this is a bug in ptero-backupd", "bold red")
    return Exit.BUG


def _invite(screen: Screen, setup: DemoSetup, url: str) -> None:
    screen.say(f"\nThe daemon goes on until Ctrl-C. The panel is at {url}, its key is {KEY}. In another terminal:")
    for command in ("status", "plan survival", "history", "rotate lobby"):
        screen.say(f"  ptero-backupd --config {setup.file} {command}")
    screen.say()
