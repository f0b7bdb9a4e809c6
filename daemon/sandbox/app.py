"""The panel's client API over ASGI: backups, the server view, the server list, a server's files and its process.

An answer is made in the order of a real panel, which decides who is told what: panel in trouble, key (401), body that
is no JSON (400), key at the wrong place or of the wrong kind (403), unknown server or backup (404), API limit (429),
server not visible (404), server's state (409), permission (403), fields (422), and only then the endpoint's own rules.
Headers of the API limit are on every answer that came as far as the limit.

`Date` is the world's clock. The app works behind a real server and in-process alike; where a fault breaks the
connection it raises `ConnectionLostError`.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from daemon.sandbox import checks, requests
from daemon.sandbox.answers import (
    PanelRefusal,
    SandboxAnswer,
    empty_answer,
    html_answer,
    not_found,
    query_failed,
)
from daemon.sandbox.control import Control
from daemon.sandbox.database import OneFile
from daemon.sandbox.dates import http_date
from daemon.sandbox.endpoints import SandboxEndpoints, Visit
from daemon.sandbox.file_endpoints import FileEndpoints
from daemon.sandbox.limits import Window
from daemon.sandbox.orders import Call, ConnectionLostError, Fault, Loss
from daemon.sandbox.records import Backup, Key, Server
from daemon.sandbox.settings import Kind
from daemon.sandbox.world import World

NO_FAULT = Fault("none")

Handler = Callable[[Visit], Awaitable[SandboxAnswer]]


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call as it was answered; `status` 0 means that the answer was lost."""

    at: datetime
    call: Call
    server: str | None
    status: int


class PanelApp:
    """The ASGI application. `calls` holds the latest calls, for tests that count them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: deque[CallMade] = deque(maxlen=100_000)
        self._endpoints = endpoints = SandboxEndpoints(world)
        self._files = files = FileEndpoints(world)
        self._database = OneFile()
        one_server = "/api/client/servers/{server}"
        backups = one_server + "/backups"
        one_backup = backups + "/{backup}"
        of_files = one_server + "/files"
        routes = [
            self._route("/api/client", GET=(Call.SERVERS, endpoints.servers)),
            self._route(one_server, GET=(Call.SERVER, endpoints.server)),
            self._route(one_server + "/activity", GET=(Call.ACTIVITY, endpoints.activity)),
            self._route(backups, GET=(Call.LIST, endpoints.list), POST=(Call.CREATE, endpoints.create)),
            self._route(one_backup, GET=(Call.VIEW, endpoints.view), DELETE=(Call.DELETE, endpoints.delete)),
            self._route(one_backup + "/download", GET=(Call.DOWNLOAD, endpoints.download)),
            self._route(one_backup + "/lock", POST=(Call.LOCK, endpoints.lock)),
            self._route(one_backup + "/restore", POST=(Call.RESTORE, endpoints.restore)),
            self._route(one_backup + "/rename", only=Kind.PELICAN, PUT=(Call.RENAME, endpoints.rename)),
            self._route(of_files + "/list", GET=(Call.FILES, files.list)),
            self._route(of_files + "/pull", POST=(Call.PULL, files.pull)),
            self._route(of_files + "/decompress", POST=(Call.DECOMPRESS, files.decompress)),
            self._route(of_files + "/delete", POST=(Call.DELETE_FILES, files.delete)),
            self._route(of_files + "/upload", GET=(Call.UPLOAD_LINK, files.upload_link)),
            self._route(one_server + "/power", POST=(Call.POWER, files.power)),
            self._route(one_server + "/resources", GET=(Call.RESOURCES, files.resources)),
            self._route(one_server + "/websocket", GET=(Call.WEBSOCKET, files.websocket)),
            *Control(world).routes,
        ]
        self._router = Router(routes, redirect_slashes=False, default=self._unknown)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a slash at the end of the path makes no difference."""
        await self._router({**scope, "path": scope["path"].rstrip("/") or "/"}, receive, send)

    def requests(self, *calls: Call | str) -> int:
        """Return how many of these calls were made so far (of all kinds if none is named)."""
        return sum(not calls or record.call in calls for record in self.calls)

    # The way of an answer --------------------------------------------------------------------------------------------

    def _route(self, path: str, *, only: Kind | None = None, **methods: tuple[Call, Handler]) -> Route:
        async def endpoint(request: Request) -> Response:
            if only not in {None, self.world.settings.kind}:
                return self._response(self._refused(not_found(), request))
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
        """Return the answer with the fault that was ordered for the call, if one was."""
        await request.body()  # it is kept: a call that is processed late is processed though its caller has gone away
        self.world.settle()
        server = self.world.find_server(request.path_params.get("server", ""))
        server_uuid = server.uuid if server else None
        fault = self.world.faults.take(call, server_uuid, request.path_params.get("backup")) or NO_FAULT
        answer = await self._suffer(fault, server_uuid, lambda: self._process(handler, request, fault))
        silent = fault.loss is Loss.SILENT
        status = 0 if silent else answer.status
        self.calls.append(CallMade(self.world.now(), call, server_uuid, status))
        if silent:
            raise ConnectionLostError(Loss.SILENT)
        return self._response(answer, fault.loss)

    async def _suffer(
        self, fault: Fault, server: str | None, process: Callable[[], Awaitable[SandboxAnswer]]
    ) -> SandboxAnswer:
        if fault.meanwhile is not None:
            fault.meanwhile(self.world, server)
        if fault.before:
            await self.world.clock.sleep(fault.before)
        answer = await process() if fault.processed else empty_answer()
        if fault.after:
            await self.world.clock.sleep(fault.after)
        if fault.answer is not None:
            answer = fault.answer
        return answer if fault.change is None else fault.change(answer)

    async def _process(self, handler: Handler, request: Request, fault: Fault) -> SandboxAnswer:
        if self.world.settings.web_down:
            return html_answer(502, "Bad Gateway")
        writes_first = handler in (self._endpoints.create, self._endpoints.restore)
        async with self._database.held(writes_first, self.world.settings.kind):
            return await self._answer(handler, request, fault)

    async def _answer(self, handler: Handler, request: Request, fault: Fault) -> SandboxAnswer:
        limit_headers: dict[str, str] = {}
        try:
            self._check_panel()
            visit, key = await self._identify(request)
            window = self.world.windows.setdefault(key.user.name, Window())
            seconds = self.world.agenda.seconds()
            limit_headers = window.admit(self.world.settings.api_limit, seconds, self.world.now())
            if visit.found_server is not None:
                checks.check_access(visit.server, visit.user)
            if visit.found_server is not None and handler != self._endpoints.server:
                checks.check_state(visit.server, self.world.settings.kind)
            if handler == self._endpoints.restore and self.world.settings.restore_limit:
                limit_headers = {}  # those of its own limit take their place, also on its 429
                limit_headers = checks.admit_restore(self.world, visit.server)
            if handler == self._files.pull:
                limit_headers = {}
                limit_headers = checks.admit_pull(self.world, visit.server)
            if handler == self._files.websocket and self.world.settings.socket_limit:
                limit_headers = {}
                limit_headers = checks.admit_socket(self.world, visit.server)
            answer = await handler(replace(visit, forgetful=fault.forgetful))
        except PanelRefusal as refusal:
            answer = self._refused(refusal, request)
        return answer.with_headers(limit_headers)

    def _check_panel(self) -> None:
        settings = self.world.settings
        if settings.maintenance:
            seconds = settings.maintenance_retry
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            raise PanelRefusal(503, "HttpException", "Service Unavailable", headers=headers)
        if settings.database_down:
            raise query_failed()

    async def _identify(self, request: Request) -> tuple[Visit, Key]:
        key = requests.authenticate(request, self.world.keys, self.world.settings.kind)
        fields = await requests.read_body(request)
        requests.check_key(request, key)
        server, backup = self._bind(request.path_params)
        return Visit(request, key.user, fields, server, backup), key

    def _bind(self, path: dict[str, str]) -> tuple[Server | None, Backup | None]:
        """Return the server and the backup of the path; another server's backup is as unknown as none."""
        if "server" not in path:
            return None, None
        server = self.world.find_server(path["server"])
        if server is None:
            raise not_found()
        if "backup" not in path:
            return server, None
        name = path["backup"]
        backup = server.backups.get(name if self.world.settings.kind is Kind.PELICAN else name.lower())
        if backup is None:
            raise not_found()
        return server, backup

    def _refused(self, refusal: PanelRefusal, request: Request) -> SandboxAnswer:
        base_url = str(request.base_url).rstrip("/")
        settings = self.world.settings
        return refusal.answer(
            wants_json=requests.wants_json(request),
            base_url=base_url,
            locale=settings.locale,
            login="/login" if settings.kind is Kind.PELICAN else "/auth/login",
        )

    def _response(self, answer: SandboxAnswer, loss: Loss | None = None) -> Response:
        headers = {"Cache-Control": "no-cache, private", **answer.headers}
        headers["Date"] = http_date(self.world.now())
        if answer.content_type is not None:
            headers["Content-Type"] = answer.content_type
        if loss is None:
            return Response(answer.body, answer.status, headers)
        return BrokenResponse(answer.body, answer.status, headers, loss)


class BrokenResponse(Response):
    """An answer whose connection breaks in the middle of the body."""

    def __init__(self, body: bytes, status: int, headers: dict[str, str], loss: Loss) -> None:
        super().__init__(body, status, headers)
        self.loss = loss

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 — Response's own
        """Send the head and half of the body, then break; an answer without a body breaks before its head."""
        if self.body:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
        raise ConnectionLostError(self.loss)


def _wrong_method(request: Request, methods: list[str]) -> PanelRefusal:
    path = request.url.path.lstrip("/")
    detail = f"The {request.method} method is not supported for route {path}. Supported methods: {', '.join(methods)}."
    return PanelRefusal(405, "MethodNotAllowedHttpException", detail, headers={"Allow": ", ".join(methods)})
