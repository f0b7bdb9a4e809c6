"""Whatever the panel answers while a backup is restored by hand: at most one restore, and none without its safety."""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from daemon.operations.operation import Operation
from daemon.operations.restore import Restored, RestoreOptions, restore
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.outcome import Result
from daemon.rotation.run import Run
from daemon.sandbox.app import PanelApp
from daemon.sandbox.records import Change
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.world import World
from tests.fuzz.mutate import anything, damaged, mutated
from tests.fuzz.support import examples, harmless
from tests.virtual import VirtualClock, VirtualLoop
from tests.whole.rig import InProcess, Rig

RESTORE = -1
"""Stands for the answer to the restore itself, whichever it is."""

STATUSES = [200, 200, 200, 204, 302, 400, 403, 404, 409, 422, 429, 500, 502, 504]


class Mangling(InProcess):
    """The way to the panel, on which some answers, by their number, become others; what is asked for is done."""

    def __init__(self, app: PanelApp, numbers: set[int], data: st.DataObject) -> None:
        super().__init__(app)
        self._numbers, self._data, self._count = numbers, data, -1
        self.restores = self.turned_away = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.path.endswith("/restore")
        self.restores += asked
        response = await super().handle_async_request(request)
        self._count += 1
        if self._count not in self._numbers and not (asked and RESTORE in self._numbers):
            return response
        content = await response.aread()
        document = json.loads(content) if content else None
        changed = mutated(document).map(_dumped) | anything.map(_dumped) | damaged(content) | st.just(content)
        status = self._data.draw(st.sampled_from(STATUSES))
        self.turned_away += asked and status == httpx.codes.TOO_MANY_REQUESTS
        return httpx.Response(status, headers={"Date": response.headers["date"]}, content=self._data.draw(changed))


def _dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


@examples(40)
@given(
    data=st.data(), numbers=st.sets(st.integers(RESTORE, 9), max_size=3), safety=st.booleans(), truncate=st.booleans()
)
def test_a_restore_whose_answers_are_anything(
    data: st.DataObject, numbers: set[int], safety: bool, truncate: bool
) -> None:
    """What was done is told, in words that can be shown."""
    with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        options = RestoreOptions(truncate=truncate, safety=safety)
        what, world = runner.run(_restored(Path(folder), data, numbers, options))
    asked = [number for number, entry in enumerate(world.ledger) if entry.change is Change.RESTORING]
    assert not [entry for entry in world.ledger if entry.change is Change.DELETED]
    if what.outcome.result is Result.DONE:
        assert asked
    if asked and safety:
        made = [entry for entry in world.ledger[: asked[0]] if entry.change is Change.COMPLETED and entry.by == "node"]
        assert [entry.locked for entry in made] == [True]
        assert what.safety is not None
        assert what.safety.result is Result.DONE
    for problem in what.outcome.problems:
        assert harmless(problem.text + problem.hint)


async def _restored(
    folder: Path, data: st.DataObject, numbers: set[int], options: RestoreOptions
) -> tuple[Restored, World]:
    """What comes of restoring a good backup."""
    clock = VirtualClock()
    world, server = one_server(clock)
    world.add_backup(server, "good")
    rig = Rig(world, server, clock, folder)
    panel = rig.config.panel
    try:
        (backup,) = (await rig.client.backups(server.identifier)).backups
        wire = Mangling(rig.app, numbers, data)
        async with PanelClient(panel.name, panel.url, SecretStr(KEY), clock=clock, transport=wire) as client:
            operation = Operation(Run(Order(rig.config, "manual"), client, rig.context, structlog.get_logger()), _hear)
            what = await restore(operation, backup, options)
        assert wire.restores <= 1 + wire.turned_away  # asked again only where a 429 says that it was not let in
    finally:
        await rig.close()
    return what, world


def _hear(text: str) -> None:
    assert harmless(text)
