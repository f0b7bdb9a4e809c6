"""The panel's client API over ASGI: seven endpoints of backups, the server view and the server list.

An answer is made in the order of a real panel, which decides who is told what: panel in trouble, key (401), body that
is no JSON (400), key at the wrong place or of the wrong kind (403), unknown server or backup (404), API limit (429),
server not visible (404), server's state (409), permission (403), fields (422), and only then the endpoint's own rules.
Headers of the API limit are on every answer that came as far as the limit.

`Date` is the world's clock. The app works behind a real server and in-process alike; where a fault breaks the
connection it raises `ConnectionLostError`.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from daemon.sandbox import requests, shapes
from daemon.sandbox.answers import (
    Answer,
    Refusal,
    bad_request,
    empty_answer,
    forbidden,
    html_answer,
    json_answer,
    not_found,
    query_failed,
)
from daemon.sandbox.dates import http_date
from daemon.sandbox.faults import Call, ConnectionLostError, Fault, Loss
from daemon.sandbox.limits import Window
from daemon.sandbox.links import sign_link
from daemon.sandbox.records import Backup, Key, Server, Storage, User
from daemon.sandbox.world import World

NO_FAULT = Fault("none")


@dataclass(frozen=True, slots=True)
class Visit:
    """One call that came through to an endpoint."""

    request: Request
    user: User
    fields: dict[str, Any]
    found_server: Server | None
    found_backup: Backup | None

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
        """Whether the user holds that permission on the server."""
        held = self.server.permissions(self.user) or frozenset()
        return "*" in held or permission in held

    def need(self, permission: str) -> None:
        """Raise 403 if he does not."""
        if not self.may(permission):
            raise forbidden()


Handler = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Record:
    """One call as it was answered; `status` 0 means that the answer was lost."""

    at: datetime
    call: Call
    server: str | None
    status: int


class PanelApp:
    """The ASGI application. `calls` holds the latest calls, for tests that count them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: deque[Record] = deque(maxlen=100_000)
        one_server = "/api/client/servers/{server}"
        backups = one_server + "/backups"
        one_backup = backups + "/{backup}"
        routes = [
            self._route("/api/client", GET=(Call.SERVERS, self._servers)),
            self._route(one_server, GET=(Call.SERVER, self._server)),
            self._route(backups, GET=(Call.LIST, self._list), POST=(Call.CREATE, self._create)),
            self._route(one_backup, GET=(Call.VIEW, self._view), DELETE=(Call.DELETE, self._delete)),
            self._route(one_backup + "/download", GET=(Call.DOWNLOAD, self._download)),
            self._route(one_backup + "/lock", POST=(Call.LOCK, self._lock)),
            self._route(one_backup + "/restore", POST=(Call.RESTORE, self._restore)),
        ]
        self._router = Router(routes, redirect_slashes=False, default=self._unknown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a slash at the end of the path makes no difference."""
        await self._router({**scope, "path": scope["path"].rstrip("/") or "/"}, receive, send)

    def requests(self, *calls: Call | str) -> int:
        """How many of these calls were made so far (of all kinds if none is named)."""
        return sum(not calls or record.call in calls for record in self.calls)

    # The way of an answer --------------------------------------------------------------------------------------------

    def _route(self, path: str, **methods: tuple[Call, Handler]) -> Route:
        async def endpoint(request: Request) -> Response:
            if request.method not in methods:
                refusal = _wrong_method(request, list(methods))
                return self._response(self._refused(refusal, request))
            call, handler = methods[request.method]
            return await self._meet(call, handler, request)

        return Route(path, endpoint, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await self._response(self._refused(not_found(), request))(scope, receive, send)

    async def _meet(self, call: Call, handler: Handler, request: Request) -> Response:
        """The answer with the fault that was ordered for the call, if one was."""
        self.world.settle()
        server = self.world.find_server(request.path_params.get("server", ""))
        server_uuid = server.uuid if server else None
        fault = self.world.faults.take(call, server_uuid) or NO_FAULT
        answer = await self._suffer(fault, server_uuid, lambda: self._process(handler, request))
        silent = fault.loss is Loss.SILENT
        status = 0 if silent else answer.status
        self.calls.append(Record(self.world.now(), call, server_uuid, status))
        if silent:
            raise ConnectionLostError(Loss.SILENT)
        return self._response(answer, fault.loss)

    async def _suffer(self, fault: Fault, server: str | None, process: Callable[[], Awaitable[Answer]]) -> Answer:
        if fault.meanwhile is not None:
            fault.meanwhile(self.world, server)
        if fault.before:
            await self.world.clock.sleep(fault.before)
        answer = await process() if fault.deed else empty_answer()
        if fault.after:
            await self.world.clock.sleep(fault.after)
        if fault.answer is not None:
            answer = fault.answer
        return answer if fault.change is None else fault.change(answer)

    async def _process(self, handler: Handler, request: Request) -> Answer:
        limit_headers: dict[str, str] = {}
        try:
            self._check_panel()
            visit, key = await self._identify(request)
            window = self.world.windows.setdefault(key.user.name, Window())
            seconds = self.world.agenda.seconds()
            limit_headers = window.admit(self.world.settings.api_limit, seconds, self.world.now())
            self._check_access(visit, needs_state=handler != self._server)
            answer = await handler(visit)
        except Refusal as refusal:
            answer = self._refused(refusal, request)
        return answer.with_headers(limit_headers)

    def _check_panel(self) -> None:
        settings = self.world.settings
        if settings.web_down:
            raise _WebServerRefusal
        if settings.maintenance:
            raise Refusal(503, "HttpException", "Service Unavailable")
        if settings.database_down:
            raise query_failed()

    async def _identify(self, request: Request) -> tuple[Visit, Key]:
        key = requests.authenticate(request, self.world.keys)
        fields = await requests.read_body(request)
        requests.check_key(request, key)
        server, backup = self._bind(request.path_params)
        return Visit(request, key.user, fields, server, backup), key

    def _bind(self, path: dict[str, str]) -> tuple[Server | None, Backup | None]:
        """The server and the backup of the path; another server's backup is as unknown as none."""
        if "server" not in path:
            return None, None
        server = self.world.find_server(path["server"])
        if server is None:
            raise not_found()
        if "backup" not in path:
            return server, None
        backup = server.backups.get(path["backup"].lower())
        if backup is None:
            raise not_found()
        return server, backup

    def _check_access(self, visit: Visit, *, needs_state: bool) -> None:
        if visit.found_server is None:
            return
        if visit.server.permissions(visit.user) is None:
            raise Refusal(404, "NotFoundHttpException", "The requested resource does not exist on this server.")
        conflict = state_conflict(visit.server) if needs_state else None
        if conflict is not None:
            raise Refusal(409, "ServerStateConflictException", conflict)

    def _refused(self, refusal: Refusal, request: Request) -> Answer:
        if refusal is _WebServerRefusal:
            return html_answer(502, "Bad Gateway")
        base_url = str(request.base_url).rstrip("/")
        return refusal.answer(wants_json=requests.wants_json(request), base_url=base_url)

    def _response(self, answer: Answer, loss: Loss | None = None) -> Response:
        headers = {"Cache-Control": "no-cache, private", **answer.headers}
        headers["Date"] = http_date(self.world.now())
        if answer.content_type is not None:
            headers["Content-Type"] = answer.content_type
        if loss is None:
            return Response(answer.body, answer.status, headers)
        return BrokenResponse(answer.body, answer.status, headers, loss)

    # The endpoints ---------------------------------------------------------------------------------------------------

    async def _servers(self, visit: Visit) -> Answer:
        query = visit.request.query_params
        servers = self.world.seen_by(visit.user, all_servers=query.get("type") == "admin-all" and visit.user.admin)
        return json_answer(shapes.server_list(servers, visit.user, query, _url(visit.request)))

    async def _server(self, visit: Visit) -> Answer:
        return json_answer(shapes.server_view(visit.server, visit.user))

    async def _list(self, visit: Visit) -> Answer:
        visit.need("backup.read")
        query = visit.request.query_params
        return json_answer(shapes.backup_list(visit.server, self.world.settings, query, _url(visit.request)))

    async def _view(self, visit: Visit) -> Answer:
        visit.need("backup.read")
        return self._backup_answer(visit.backup)

    async def _create(self, visit: Visit) -> Answer:
        """Between looking at the limits and recording, the panel waits for the node: parallel calls get through."""
        visit.need("backup.create")
        name, ignored, locked = requests.validate_create(visit.fields, self.world.settings.name_limit)
        self.world.check_create(visit.server)
        await self._wait_for_node(visit.server)
        self.world.check_node(visit.server)
        locked = locked and visit.may("backup.delete")
        backup = self.world.create(visit.server, name, ignored=ignored, locked=locked, by=visit.user.name)
        return self._backup_answer(backup)

    async def _lock(self, visit: Visit) -> Answer:
        visit.need("backup.delete")
        self.world.toggle_lock(visit.server, visit.backup, by=visit.user.name)
        return self._backup_answer(visit.backup)

    async def _restore(self, visit: Visit) -> Answer:
        visit.need("backup.restore")
        requests.validate_restore(visit.fields)
        self.world.check_restore(visit.server, visit.backup)
        await self._wait_for_node(visit.server)
        self.world.check_node(visit.server, visit.backup)
        self.world.restore(visit.server, visit.backup, by=visit.user.name)
        return empty_answer()

    async def _delete(self, visit: Visit) -> Answer:
        visit.need("backup.delete")
        self.world.check_delete(visit.backup)
        if visit.server.storage is Storage.NODE:
            await self._wait_for_node(visit.server)
            self.world.check_node(visit.server, visit.backup, deleting=True)
        self.world.remove(visit.server, visit.backup, by=visit.user.name)
        return empty_answer()

    async def _download(self, visit: Visit) -> Answer:
        visit.need("backup.download")
        if visit.server.storage is Storage.OTHER:
            raise bad_request("The backup requested references an unknown disk driver type and cannot be downloaded.")
        url = sign_link(self.world, visit.server, visit.backup)
        return json_answer({"object": "signed_url", "attributes": {"url": url}})

    def _backup_answer(self, backup: Backup) -> Answer:
        return json_answer(shapes.backup(backup, self.world.settings))

    async def _wait_for_node(self, server: Server) -> None:
        wait = self.world.node_wait(server)
        if wait:
            await self.world.clock.sleep(wait)


class BrokenResponse(Response):
    """An answer whose connection breaks in the middle of the body."""

    def __init__(self, body: bytes, status: int, headers: dict[str, str], loss: Loss) -> None:
        super().__init__(body, status, headers)
        self.loss = loss

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 — Response's own
        """Send the head and half of the body, then break."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        raise ConnectionLostError(self.loss)


_WebServerRefusal = Refusal(502, "", "Bad Gateway")


def state_conflict(server: Server) -> str | None:
    """Why the panel answers every call for the server's backups with 409; None where it does not."""
    if server.status == "suspended":
        return "This server is currently suspended and the functionality requested is unavailable."
    if server.node.maintenance:
        return "The node of this server is currently under maintenance and the functionality requested is unavailable."
    if server.status in {"installing", "install_failed", "reinstall_failed"}:
        return "This server has not yet completed its installation process, please try again later."
    if server.status == "restoring_backup":
        return "This server is currently restoring from a backup, please try again later."
    if server.transferring:
        return "This server is currently being transferred to a new machine, please try again later."
    return None if server.status is None else "This server is in a state that is not supported, please try again later."


def _wrong_method(request: Request, methods: list[str]) -> Refusal:
    path = request.url.path.lstrip("/")
    detail = f"The {request.method} method is not supported for route {path}. Supported methods: {', '.join(methods)}."
    return Refusal(405, "MethodNotAllowedHttpException", detail, headers={"Allow": ", ".join(methods)})


def _url(request: Request) -> str:
    return str(request.url.replace(query=""))
