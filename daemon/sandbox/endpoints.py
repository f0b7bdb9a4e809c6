"""The endpoints themselves: what is left to do once a call has come through everything that all calls go through."""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request

from daemon.sandbox import activity, checks, requests, shapes
from daemon.sandbox.answers import SandboxAnswer, bad_request, empty_answer, forbidden, json_answer, query_failed
from daemon.sandbox.links import sign_link
from daemon.sandbox.records import EVERYTHING, Backup, Server, Storage, User
from daemon.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Visit:
    """One call that came through to an endpoint. `forgetful` is a panel whose database fails once the node is done."""

    request: Request
    user: User
    fields: dict[str, Any]
    found_server: Server | None
    found_backup: Backup | None
    forgetful: bool = False

    @property
    def server(self) -> Server:
        """The server of the path."""
        assert self.found_server is not None  # noqa: S101 — the route has one
        return self.found_server

    @property
    def backup(self) -> Backup:
        """The backup of the path."""
        assert self.found_backup is not None  # noqa: S101 — the route has one
        return self.found_backup

    def may(self, permission: str) -> bool:
        """Return whether the user holds that permission on the server."""
        held = self.server.permissions(self.user) or ()
        return held == EVERYTHING or permission in held

    def need(self, permission: str) -> None:
        """Raise 403 if he does not."""
        if not self.may(permission):
            raise forbidden()


class SandboxEndpoints:
    """What each of them does; every one raises `Refusal` where the panel says no."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def servers(self, visit: Visit) -> SandboxAnswer:
        query = visit.request.query_params
        every = query.get("type") == "admin-all"
        servers = self.world.seen_by(visit.user, all_servers=every) if visit.user.admin or not every else []
        return json_answer(
            shapes.server_list(servers, visit.user, self.world.settings.kind, query, _url(visit.request))
        )

    async def server(self, visit: Visit) -> SandboxAnswer:
        return json_answer(shapes.server_view(visit.server, visit.user, self.world.settings.kind))

    async def list(self, visit: Visit) -> SandboxAnswer:
        visit.need("backup.read")
        query = visit.request.query_params
        return json_answer(shapes.backup_list(visit.server, self.world.settings, query, _url(visit.request)))

    async def activity(self, visit: Visit) -> SandboxAnswer:
        visit.need("activity.read")
        entries = activity.of_server(self.world.ledger, visit.server)
        query = visit.request.query_params
        return json_answer(activity.page(entries, self.world.settings, query, _url(visit.request)))

    async def view(self, visit: Visit) -> SandboxAnswer:
        visit.need("backup.read")
        return self._backup_answer(visit.backup)

    async def create(self, visit: Visit) -> SandboxAnswer:
        """Between looking at the limits and recording, the panel waits for the node: parallel calls get through."""
        visit.need("backup.create")
        name, ignored, locked = requests.validate_create(visit.fields, self.world.settings)
        checks.check_create(self.world, visit.server)
        await self._wait_for_node(visit.server)
        checks.check_node(self.world, visit.server)
        locked = locked and visit.may("backup.delete")
        backup = self.world.create(visit.server, name, ignored=ignored, locked=locked, by=visit.user.name)
        echoed = replace(backup, name=name) if self.world.settings.echo and name else backup
        return self._backup_answer(echoed)

    async def lock(self, visit: Visit) -> SandboxAnswer:
        visit.need("backup.delete")
        self.world.toggle_lock(visit.server, visit.backup, by=visit.user.name)
        return self._backup_answer(visit.backup)

    async def restore(self, visit: Visit) -> SandboxAnswer:
        visit.need("backup.restore")
        truncate = requests.validate_restore(visit.fields)
        checks.check_restore(visit.server, visit.backup)
        await self._wait_for_node(visit.server)
        checks.check_node(self.world, visit.server, visit.backup)
        self.world.restore(visit.server, visit.backup, by=visit.user.name, truncate=truncate)
        return empty_answer()

    async def delete(self, visit: Visit) -> SandboxAnswer:
        visit.need("backup.delete")
        checks.check_delete(visit.backup)
        if visit.server.storage is Storage.NODE:
            await self._wait_for_node(visit.server)
            checks.check_node(self.world, visit.server, visit.backup, deleting=True)
        if visit.forgetful:
            self.world.lose_file(visit.server, visit.backup, by=visit.user.name)
            raise query_failed()
        self.world.remove(visit.server, visit.backup, by=visit.user.name)
        return empty_answer()

    async def rename(self, visit: Visit) -> SandboxAnswer:
        """Only a Pelican has it."""
        visit.need("backup.delete")
        name = requests.validate_rename(visit.fields, self.world.settings)
        self.world.rename(visit.server, visit.backup, name, by=visit.user.name)
        return self._backup_answer(visit.backup)

    async def download(self, visit: Visit) -> SandboxAnswer:
        visit.need("backup.download")
        if visit.server.storage is Storage.OTHER:
            raise bad_request("The backup requested references an unknown disk driver type and cannot be downloaded.")
        url = sign_link(self.world, visit.server, visit.backup)
        return json_answer({"object": "signed_url", "attributes": {"url": url}})

    def _backup_answer(self, backup: Backup) -> SandboxAnswer:
        return json_answer(shapes.backup(backup, self.world.settings))

    async def _wait_for_node(self, server: Server) -> None:
        wait = checks.node_wait(server)
        if wait:
            await self.world.clock.sleep(wait)
            self.world.settle()
        if server.uuid not in self.world.servers:  # it was removed meanwhile, and its rows with it
            raise query_failed()


def _url(request: Request) -> str:
    return str(request.url.replace(query=""))
