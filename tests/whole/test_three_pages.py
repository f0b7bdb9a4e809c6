"""A server with 120 backups on three pages, over real HTTP: what is left is exactly what the design says.

What should be left is worked out here by hand-made rules, without the core.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.core.agreement import Opinion
from daemon.errors import Exit
from daemon.operations.rotations import rotate_servers
from daemon.rotation.outcome import Outcome, Result, exit_code
from daemon.sandbox.records import Backup, Change, Server, State, Work
from daemon.sandbox.scenes import three_pages
from daemon.sandbox.serve import SandboxServer
from tests.fakes import SkippingClock
from tests.whole.rig import configuration

pytestmark = pytest.mark.anyio

KEEP = {"last": 3, "daily": 7, "weekly": 4}


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets."""
    return "asyncio"


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[tuple[SandboxServer, Server, Path]]:
    """The panel with its three pages."""
    world, server = three_pages(SkippingClock())
    server.work = Work(seconds=0.0)
    async with SandboxServer(world) as sandbox:
        yield sandbox, server, tmp_path


async def rotated(panel: tuple[SandboxServer, Server, Path], **policy: Any) -> Outcome:
    """One rotation by hand, with that policy."""
    sandbox, server, folder = panel
    config = configuration(folder, {"survival": server}, keep=KEEP, **policy).servers["survival"]
    config = replace(config, panel=replace(config.panel, url=sandbox.url))
    (outcome,) = await rotate_servers([config], state=folder / "state", clock=sandbox.world.clock, own=Opinion.of({}))
    return outcome


def expected_left(server: Server, new: str, *, scope: str) -> set[str]:
    """The names that must be left: all that is locked, pending or foreign, and what last, daily and weekly keep."""

    def candidate(backup: Backup) -> bool:
        in_scope = scope == "all" or backup.name.startswith("auto-survival-")
        return backup.state is State.GOOD and not backup.locked and in_scope

    backups = list(server.backups.values())
    good = sorted((b for b in backups if candidate(b) or b.name == new), key=lambda b: b.created_at, reverse=True)
    kept = {b.name for b in good[:3]}
    for period, count in (("%Y-%m-%d", 7), ("%G-W%V", 4)):
        newest: dict[str, str] = {}
        for b in good:
            newest.setdefault(b.created_at.strftime(period), b.name)
        kept |= set(list(newest.values())[:count])
    untouched = {b.name for b in backups if b.locked or b.state is State.PENDING}
    foreign = {b.name for b in backups if not b.name.startswith("auto-survival-")}
    return kept | untouched | (foreign if scope == "own" else set())


@pytest.mark.parametrize("scope", ["own", "all"])
async def test_what_is_left_is_exactly_what_the_design_says(
    panel: tuple[SandboxServer, Server, Path], scope: str
) -> None:
    """7 locked (a failed and a pending one among them), 5 failed, 1 pending, 10 foreign, and no bound on deletions."""
    _, server, _ = panel
    before = dict(server.backups)
    outcome = await rotated(panel, scope=scope, max_deletions=-1)
    assert (outcome.result, outcome.created is not None) == (Result.DONE, True)
    assert outcome.created is not None
    all_of_them = Server(server.uuid, 1, server.name, server.owner, server.node, backups={**before, **server.backups})
    assert {b.name for b in server.backups.values()} == expected_left(all_of_them, outcome.created.name, scope=scope)
    gone = [backup for backup in before.values() if backup.uuid not in server.backups]
    assert [b.uuid for b in sorted(gone, key=lambda b: b.created_at)] == [b.uuid for b in outcome.deleted]
    assert not any(b.locked or b.state is State.PENDING for b in gone)
    assert sum(b.state is State.FAILED for b in gone) == 4
    assert sum(not b.name.startswith("auto-") for b in gone) == (
        0 if scope == "own" else 9
    )  # the tenth is kept by daily


@pytest.mark.parametrize("scope", ["own", "all"])
async def test_with_the_default_brake_nothing_is_deleted_and_it_says_what_would_go(
    panel: tuple[SandboxServer, Server, Path], scope: str
) -> None:
    """More than ten good ones at once are a person's decision: exit 5, and the new backup stands."""
    sandbox, server, _ = panel
    before = set(server.backups)
    outcome = await rotated(panel, scope=scope, max_deletions=10)
    assert exit_code([outcome]) is Exit.REFUSED
    assert before < set(server.backups)
    assert len(server.backups) == 121
    assert not any(entry.change is Change.DELETED for entry in sandbox.world.ledger)
    assert "more than max_deletions = 10: auto-survival-" in outcome.problems[-1].text


async def test_a_rotation_of_three_pages_reads_each_page_twice(panel: tuple[SandboxServer, Server, Path]) -> None:
    """On a clock that moves all the time: view, list, create, and the look that is the fresh listing as well."""
    sandbox, _, _ = panel
    await rotated(panel, scope="own", max_deletions=10)
    assert sandbox.app.requests() == 1 + 3 + 1 + 3
