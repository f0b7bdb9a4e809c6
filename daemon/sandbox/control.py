"""Orders over HTTP, for a person who plays with the sandbox: `/sandbox/…` on the panel's port, from this machine only.

    GET    /sandbox                     what there is, and the faults that can be ordered with their parameters
    GET    /sandbox/ledger              everything that happened; ?since=N leaves the first N out
    GET    /sandbox/faults              the orders that wait, and what has happened
    POST   /sandbox/faults              {"fault": "web_page", "on": "create", "times": 3, "with": {"status": 502}}
    DELETE /sandbox/faults              forget every order
    PATCH  /sandbox/settings            {"api_limit": 60, "creation_limit": 0, "skew": 600, "zone": "Europe/Berlin"}
                                        {"kind": "pelican", "checksum": "sha256", "locale": "de"}
    PATCH  /sandbox/nodes/NODE          {"state": "down"}
    PATCH  /sandbox/servers/ID          {"limit": 3, "status": "suspended", "work": {"seconds": 9, "outcome": "failed"}}
    POST   /sandbox/servers/ID/backups  {"name": "by hand", "locked": true, "age": 86400}: as another client's
    POST   /sandbox/servers/ID/backups/UUID/ACTION  ACTION: lock (a toggle), delete, finish, fail — past every rule

Every answer is JSON. It is no part of a real panel, and the daemon's client does not know of it.
"""

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.sandbox.archive import Flavour
from daemon.sandbox.faults import MAKERS
from daemon.sandbox.records import Backup, BackupEnding, NodeState, Server, State, Storage, Work
from daemon.sandbox.settings import Digest, Kind
from daemon.sandbox.shapes import time_text
from daemon.sandbox.tongues import tongue
from daemon.sandbox.world import World

BY = "sandbox"

Setters = Mapping[str, Callable[[Any], Any]]


def optional(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As `kind`, but None stays None."""
    return lambda value: None if value is None else kind(value)


SETTINGS: Setters = {
    **dict.fromkeys(("api_limit", "creation_limit", "creation_seconds", "restore_limit", "restore_seconds"), int),
    **dict.fromkeys(("deleted_count", "zulu", "maintenance", "database_down", "web_down"), bool),
    "name_limit": int,
    "housekeeping": optional(float),
    "skew": lambda seconds: timedelta(seconds=seconds),
    "zone": ZoneInfo,
    "kind": Kind,
    "locale": tongue,
    "checksum": Digest,
    "maintenance_retry": optional(int),
}
NODE: Setters = {
    "state": NodeState,
    "maintenance": bool,
    "answer_seconds": float,
    "error": optional(int),
    "backup_host": bool,
}
WORK: Setters = {
    "seconds": float,
    "size": int,
    "outcome": BackupEnding,
    "late": optional(float),
    "flavour": Flavour,
}
SERVER: Setters = {
    "name": str,
    "description": str,
    "says": tuple,
    "disk": int,
    "limit": optional(int),
    "status": optional(str),
    "transferring": bool,
    "storage": Storage,
    "restore_seconds": float,
    "work": lambda values: Work(**_converted(values, WORK)),
}


class Control:
    """The endpoints; `routes` are for the panel's router."""

    def __init__(self, world: World) -> None:
        self.world = world
        one_server = "/sandbox/servers/{server}"
        self.routes = [
            self._route("/sandbox", "GET", self._help),
            self._route("/sandbox/ledger", "GET", self._ledger),
            self._route("/sandbox/faults", "GET", self._faults),
            self._route("/sandbox/faults", "POST", self._order),
            self._route("/sandbox/faults", "DELETE", self._clear),
            self._route("/sandbox/settings", "PATCH", self._settings),
            self._route("/sandbox/nodes/{node}", "PATCH", self._node),
            self._route(one_server, "PATCH", self._server),
            self._route(one_server + "/backups", "POST", self._add),
            self._route(one_server + "/backups/{backup}/{action}", "POST", self._act),
        ]

    def _route(self, path: str, method: str, handler: Callable[[Request, dict[str, Any]], object]) -> Route:
        async def endpoint(request: Request) -> Response:
            if request.client is None or not ip_address(request.client.host).is_loopback:
                return JSONResponse({"error": "the sandbox takes orders from this machine only"}, 403)
            self.world.settle()
            try:
                return JSONResponse(handler(request, json.loads(await request.body() or "{}")))
            except KeyError as error:
                return JSONResponse({"error": f"there is no {error.args[0]!r}"}, 404)
            except (ValueError, TypeError, AttributeError) as error:
                return JSONResponse({"error": str(error)}, 400)

        return Route(path, endpoint, methods=[method])

    def _help(self, _request: Request, _fields: dict[str, Any]) -> object:
        return {
            "keys": {token: key.user.name for token, key in self.world.keys.items()},
            "nodes": sorted(self.world.nodes),
            "servers": [
                {"id": server.identifier, "name": server.name, "node": server.node.name, "backups": len(server.backups)}
                for server in self.world.servers.values()
            ],
            "faults": {name: str(inspect.signature(maker)) for name, maker in MAKERS.items()},
            "endpoints": [line.strip() for line in (__doc__ or "").splitlines() if line.startswith("    ")],
        }

    def _ledger(self, request: Request, _fields: dict[str, Any]) -> object:
        entries = self.world.ledger[int(request.query_params.get("since", "0")) :]
        return [{**dataclasses.asdict(entry), "at": time_text(entry.at, self.world.settings)} for entry in entries]

    def _faults(self, _request: Request, _fields: dict[str, Any]) -> object:
        return {"waiting": self.world.faults.waiting(), "happened": dict(self.world.faults.happened)}

    def _order(self, request: Request, fields: dict[str, Any]) -> object:
        name, parameters = fields.pop("fault"), fields.pop("with", {})
        arguments = parameters.pop("fields", []) if name == "without" else []
        self.world.faults.order(MAKERS[name](*arguments, **parameters), **fields)
        return self._faults(request, fields)

    def _clear(self, request: Request, fields: dict[str, Any]) -> object:
        self.world.faults.clear()
        return self._faults(request, fields)

    def _settings(self, _request: Request, fields: dict[str, Any]) -> object:
        return _set(self.world.settings, fields, SETTINGS)

    def _node(self, request: Request, fields: dict[str, Any]) -> object:
        return _set(self.world.nodes[request.path_params["node"]], fields, NODE)

    def _server(self, request: Request, fields: dict[str, Any]) -> object:
        return _set(self._found(request), fields, SERVER)

    def _add(self, request: Request, fields: dict[str, Any]) -> object:
        age = timedelta(seconds=fields.pop("age", 0))
        state = State(fields.pop("state", State.GOOD))
        server = self._found(request)
        backup = self.world.add_backup(server, created_at=self.world.now() - age, state=state, **fields)
        return {"uuid": backup.uuid}

    def _act(self, request: Request, _fields: dict[str, Any]) -> object:
        server = self._found(request)
        backup = server.backups[request.path_params["backup"]]
        actions: dict[str, Callable[[Server, Backup], None]] = {
            "lock": lambda server, backup: self.world.toggle_lock(server, backup, by=BY),
            "delete": lambda server, backup: self.world.remove(server, backup, by=BY),
            "finish": lambda server, backup: self.world.report(server, backup, success=True),
            "fail": lambda server, backup: self.world.report(server, backup, success=False),
        }
        actions[request.path_params["action"]](server, backup)
        return {"uuid": backup.uuid, "state": backup.state, "locked": backup.locked}

    def _found(self, request: Request) -> Server:
        server = self.world.find_server(request.path_params["server"])
        if server is None:
            raise KeyError(request.path_params["server"])
        return server


def _converted(values: Mapping[str, Any], setters: Setters) -> dict[str, Any]:
    return {name: setters[name](value) for name, value in values.items()}


def _set(record: object, values: Mapping[str, Any], setters: Setters) -> dict[str, str]:
    """Set these attributes, all of them or none; return how everything that can be set stands now."""
    for name, value in _converted(values, setters).items():
        setattr(record, name, value)
    return {name: str(getattr(record, name)) for name in setters}
