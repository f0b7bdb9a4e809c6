"""The endpoints of a server's files and of its process, as a restore onto another server needs them."""

from http import HTTPStatus
from typing import Any

from daemon.sandbox import checks, filing, requests, shapes
from daemon.sandbox.answers import PanelRefusal, SandboxAnswer, empty_answer, json_answer
from daemon.sandbox.endpoints import Visit
from daemon.sandbox.files import NoFileError
from daemon.sandbox.links import sign_socket, sign_upload_link
from daemon.sandbox.records import Power, Server
from daemon.sandbox.world import World

UNPACK_PATIENCE = 900.0
"""After how many seconds the panel stops waiting for a node that unpacks; the node goes on."""

PERMISSION_FOR = {
    "start": "control.start",
    "stop": "control.stop",
    "kill": "control.stop",
    "restart": "control.restart",
}


class FileEndpoints:
    """What each of them does; every one raises `PanelRefusal` where the panel says no."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def list(self, visit: Visit) -> SandboxAnswer:
        visit.need("file.read")
        await self._ask_node(visit.server)
        try:
            rows = visit.server.files.rows(visit.request.query_params.get("directory", "/"))
        except NoFileError:
            raise self._node_says(404) from None
        return json_answer(shapes.file_list(rows, self.world.settings))

    async def pull(self, visit: Visit) -> SandboxAnswer:
        visit.need("file.create")
        url, path = requests.validate_pull(visit.fields)
        await self._ask_node(visit.server)
        try:
            filing.pull(self.world, visit.server, url, path, by=visit.user.name)
        except filing.PullRefusedError:
            raise self._node_says(400) from None
        except NoFileError:
            raise self._node_says(500) from None
        return empty_answer()

    async def decompress(self, visit: Visit) -> SandboxAnswer:
        visit.need("file.create")
        root, file = requests.validate_decompress(visit.fields)
        await self._ask_node(visit.server)
        why = filing.unpack(self.world, visit.server, root, file, by=visit.user.name)
        wait = min(visit.server.node.unpack_seconds, UNPACK_PATIENCE)
        if wait:
            await self.world.clock.sleep(wait)
        self.world.settle()
        if why() == "…":
            raise checks.node_trouble_of(self.world, None)
        if why():
            raise self._node_says(500)
        return empty_answer()

    async def delete(self, visit: Visit) -> SandboxAnswer:
        visit.need("file.delete")
        root, names = requests.validate_delete_files(visit.fields)
        await self._ask_node(visit.server)
        try:
            filing.delete_files(self.world, visit.server, root, names, by=visit.user.name)
        except NoFileError:
            raise self._node_says(404) from None
        return empty_answer()

    async def upload_link(self, visit: Visit) -> SandboxAnswer:
        visit.need("file.create")
        url = sign_upload_link(self.world, visit.server)
        return json_answer({"object": "signed_url", "attributes": {"url": url}})

    async def power(self, visit: Visit) -> SandboxAnswer:
        name = requests.validate_power(visit.fields)
        visit.need(PERMISSION_FOR[name])
        await self._ask_node(visit.server)
        filing.signal(self.world, visit.server, name, by=visit.user.name)
        return empty_answer()

    async def resources(self, visit: Visit) -> SandboxAnswer:
        await self._ask_node(visit.server)
        return json_answer(_stats(visit.server, self.world.agenda.seconds()))

    async def websocket(self, visit: Visit) -> SandboxAnswer:
        visit.need("websocket.connect")
        return json_answer({"data": sign_socket(self.world, visit.server)})

    async def _ask_node(self, server: Server) -> None:
        wait = checks.node_wait(server)
        if wait:
            await self.world.clock.sleep(wait)
        self.world.settle()
        checks.check_node(self.world, server)

    def _node_says(self, status: int) -> PanelRefusal:
        return checks.node_trouble_of(self.world, HTTPStatus(status))


def _stats(server: Server, now: float) -> dict[str, Any]:
    ran = 60.0 if server.started_at is None else now - server.started_at
    attributes = {
        "current_state": server.power,
        "is_suspended": server.status == "suspended",
        "resources": {
            "memory_bytes": 1,
            "cpu_absolute": 0.1,
            "disk_bytes": 12345 if server.folder is None else server.files.size(),
            "network_rx_bytes": 1,
            "network_tx_bytes": 2,
            "uptime": round(ran * 1000) if server.power is Power.RUNNING else 0,
        },
    }
    return {"object": "stats", "attributes": attributes}
