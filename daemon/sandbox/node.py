"""The host of downloads, uploads and consoles, which behaves like a node or like an object store.

A node sends the whole file, whatever `Range` says, and once for each link. An object store serves ranges, as often as
it is asked. Neither knows the panel's keys. For faults, the calls are `Call.FILE`, `Call.UPLOAD` and `Call.CONSOLE`.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from daemon.sandbox.console import ConsoleSocket
from daemon.sandbox.dates import http_date
from daemon.sandbox.files import NoFileError
from daemon.sandbox.links import read_token, store_link_holds
from daemon.sandbox.orders import Call, ConnectionLostError, Fault, Loss
from daemon.sandbox.records import Backup, Change, NodeState, Server
from daemon.sandbox.world import World

HANGING_SECONDS = 3600.0
PIECES_BETWEEN_LOOKS = 16
"""How much is sent, some 64 KiB each, before looking whether anybody is still there (and letting others run)."""

NO_FAULT = Fault("none")


class NodeApp:
    """The ASGI application of every node of the world, and of its object store. `keys_seen` must stay empty."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys_seen: list[str] = []
        routes = [
            Route("/download/backup", self._from_node),
            Route("/upload/file", self._take, methods=["POST"]),
            Route("/store/{server}/{backup}.tar.gz", self._from_store),
            WebSocketRoute("/api/servers/{server}/ws", self._console),
        ]
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.world.settle()
        authorization = HTTPConnection(scope).headers.get("authorization")
        if authorization is not None:
            self.keys_seen.append(authorization)
        await self._router(scope, receive, send)

    async def _from_node(self, request: Request) -> Response:
        claims = read_token(request.query_params.get("token", ""), self.world.now())
        if claims is None:
            return self._trouble(500, "An unexpected error was encountered while processing this request")
        server = self.world.servers.get(claims["server_uuid"])
        if server is None or claims["unique_id"] in self.world.used_tokens:
            return self._trouble(404, "The requested resource was not found on this server.")
        await self._check_node(server)
        fault = await self._suffer(server)
        if fault.answer is not None:
            return self._ordered(fault)
        self.world.used_tokens.add(claims["unique_id"])
        backup = _file(server, claims["backup_uuid"])
        if backup is None:
            return self._trouble(404, "The requested backup was not found on this server.")
        headers = {
            "Content-Disposition": f'attachment; filename="{backup.uuid}.tar.gz"',
            "Content-Type": "application/octet-stream",
        }
        return FileResponse(backup, self._headers(headers), fault=fault)

    async def _from_store(self, request: Request) -> Response:
        query = request.query_params
        expires, signature = query.get("X-Amz-Expires", ""), query.get("X-Amz-Signature", "")
        if not store_link_holds(request.url.path, expires, signature, self.world.now()):
            return self._store_trouble(403, "AccessDenied", "Request has expired")
        server = self.world.servers.get(request.path_params["server"])
        if server is None:
            return self._store_trouble(404, "NoSuchKey", "The specified key does not exist.")
        fault = await self._suffer(server)
        if fault.answer is not None:
            return self._ordered(fault)
        backup = _file(server, request.path_params["backup"])
        if backup is None:
            return self._store_trouble(404, "NoSuchKey", "The specified key does not exist.")
        start, end = _wanted_range(request.headers.get("range"), backup.archive.size)
        if start >= end:
            return self._store_trouble(416, "InvalidRange", "The requested range is not satisfiable")
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{backup.uuid}"', "Content-Type": "application/gzip"}
        return FileResponse(backup, self._headers(headers), fault=fault, start=start, end=end)

    async def _take(self, request: Request) -> Response:
        """Take the uploaded files, as a form, into the folder of the query."""
        claims = read_token(request.query_params.get("token", ""), self.world.now())
        server = self.world.servers.get(claims["server_uuid"]) if claims else None
        if claims is None or server is None or claims["unique_id"] in self.world.used_tokens:
            return self._trouble(404, "The requested resource was not found on this server.")
        await self._check_node(server)
        self.world.used_tokens.add(claims["unique_id"])
        form = read_form(await request.body(), request.headers.get("content-type", ""))
        fault = await self._suffer(server, Call.UPLOAD)
        if fault.answer is not None:
            return self._ordered(fault)
        for name, data in form:
            if len(data) > server.node.upload_limit:
                most = f"{server.node.upload_limit >> 20} MB"
                return self._trouble(400, f"File {name} is larger than the maximum file upload size of {most}.")
            path = f"{request.query_params.get('directory', '')}/{name}"
            try:
                server.files.write(path, data)
            except NoFileError:
                return self._trouble(500, "An unexpected error was encountered while processing this request")
            self.world.note(Change.UPLOADED, server, path, "node")
        return Response(status_code=200, headers=self._headers({}))

    async def _console(self, socket: WebSocket) -> None:
        """Hand the websocket of a server's console on, unless the node is down or refuses it."""
        server = self.world.servers.get(socket.path_params["server"])
        if server is None:
            return await socket.send_denial_response(self._trouble(404, "The requested resource does not exist."))
        await self._check_node(server)
        if self.world.panel_url not in {None, socket.headers.get("origin")}:
            return await socket.send_denial_response(self._trouble(403, "request origin not allowed"))
        fault = await self._suffer(server, Call.CONSOLE)
        if fault.answer is not None:
            return await socket.send_denial_response(self._ordered(fault))
        return await ConsoleSocket(self.world, server, socket, fault).run()

    async def _check_node(self, server: Server) -> None:
        """Break the connection if the node is down; if it hangs, do so after an hour."""
        if server.node.state is NodeState.HANGING:
            await self.world.clock.sleep(HANGING_SECONDS)
        if server.node.state is not NodeState.UP:
            raise ConnectionLostError(Loss.SILENT)

    async def _suffer(self, server: Server, call: Call = Call.FILE) -> Fault:
        """Apply the fault that was ordered for this download or upload; it may already break the connection."""
        fault = self.world.faults.take(call, server.uuid) or NO_FAULT
        if fault.meanwhile is not None:
            fault.meanwhile(self.world, server.uuid)
        if fault.before or fault.after:
            await self.world.clock.sleep(fault.before + fault.after)
        if fault.loss is Loss.SILENT:
            raise ConnectionLostError(Loss.SILENT)
        return fault

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Date": http_date(self.world.now()), "X-Request-Id": self.world.new_uuid(), **more}

    def _ordered(self, fault: Fault) -> Response:
        answer = fault.answer
        assert answer is not None  # noqa: S101 — the caller has looked
        headers = {"Content-Type": answer.content_type or "text/plain", **answer.headers}
        return Response(answer.body, answer.status, self._headers(headers))

    def _trouble(self, status: int, text: str) -> Response:
        headers = self._headers({})
        document = {"error": text}
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            document["request_id"] = headers["X-Request-Id"]
        return JSONResponse(document, status, headers, media_type="application/json; charset=utf-8")

    def _store_trouble(self, status: int, code: str, text: str) -> Response:
        page = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>'
        return Response(page, status, self._headers({"Content-Type": "application/xml"}))


class FileResponse(Response):
    """The bytes of a backup from `start` up to `end`, a piece at a time."""

    def __init__(
        self, backup: Backup, headers: dict[str, str], *, fault: Fault, start: int = 0, end: int | None = None
    ) -> None:
        self.archive = backup.archive
        self.start = start
        self.end = self.archive.size if end is None else end
        self.loss = fault.loss
        partial = self.end - self.start < self.archive.size
        if partial:
            headers = {**headers, "Content-Range": f"bytes {self.start}-{self.end - 1}/{self.archive.size}"}
        headers = {**headers, "Content-Length": str(self.end - self.start)}
        super().__init__(None, 206 if partial else 200, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, or half of it if the connection is to break; stop if the caller has gone."""
        request = Request(scope, receive)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        end = self.end if self.loss is None else (self.start + self.end) // 2
        for number, piece in enumerate(part(self.archive.pieces(), self.start, end)):
            if number % PIECES_BETWEEN_LOOKS == 0 and await request.is_disconnected():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if self.loss is not None:
            raise ConnectionLostError(self.loss)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def part(pieces: Iterator[bytes], start: int, end: int) -> Iterator[bytes]:
    """Return the bytes from `start` up to `end`."""
    position = 0
    for piece in pieces:
        wanted = piece[max(0, start - position) : max(0, end - position)]
        position += len(piece)
        if wanted:
            yield wanted
        if position >= end:
            return


def read_form(body: bytes, kind: str) -> list[tuple[str, bytes]]:
    """Return the files of a multipart form: the name and the bytes of each."""
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if boundary is None:
        return []
    found = []
    for section in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, data = section.partition(b"\r\n\r\n")
        name = re.search(rb'filename="([^"]*)"', head)
        if name is not None:
            found.append((name[1].decode(), data.removesuffix(b"\r\n")))
    return found


def _file(server: Server, backup_uuid: str) -> Backup | None:
    """Return the backup if its file is really there: pending and failed ones have none."""
    backup = server.backups.get(backup_uuid)
    return backup if backup is not None and backup.successful and not backup.file_gone else None


def _wanted_range(header: str | None, size: int) -> tuple[int, int]:
    """Return the half-open range that `header` asks for; the whole file if it asks for none that we understand."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", header or "")
    if match is None:
        return 0, size
    start, last = match.groups()
    return int(start), min(int(last) + 1, size) if last else size
