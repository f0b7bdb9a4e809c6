"""How the records look as JSON, field by field as a real panel writes them, and how lists are cut into pages."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from daemon.sandbox.answers import query_failed
from daemon.sandbox.files import FileRow
from daemon.sandbox.records import EVERYTHING, Backup, Server, State, User
from daemon.sandbox.settings import Kind, Settings

BACKUPS_PER_PAGE = 20
MOST_BACKUPS_PER_PAGE = 50
SERVERS_PER_PAGE = 50
MOST_SERVERS_PER_PAGE = 100
FRAMEWORKS_PER_PAGE = 15
"""What the framework falls back to where it is asked for pages of nothing."""

FOLDERS_SIZE = 4096
"""What a file system says of a folder."""

VARIABLE = {
    "name": "Server Jar File",
    "description": "The name of the server jarfile to run the server with.",
    "env_variable": "SERVER_JARFILE",
    "default_value": "server.jar",
    "server_value": "server.jar",
    "is_editable": True,
    "rules": "required|string",
}


def time_text(moment: datetime | None, settings: Settings) -> str | None:
    """ISO 8601 in the panel's zone, whole seconds, with an offset or a `Z`."""
    if moment is None:
        return None
    text = moment.astimezone(settings.zone).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if settings.zulu and text.endswith("+00:00") else text


def backup(record: Backup, settings: Settings) -> dict[str, Any]:
    """One backup."""
    pelicans = {"is_scheduled": record.scheduled} if settings.kind is Kind.PELICAN else {}
    return {
        "object": "backup",
        "attributes": {
            "uuid": record.uuid,
            "is_successful": record.successful,
            "is_locked": record.locked,
            **pelicans,
            "name": record.name,
            "ignored_files": list(record.ignored),
            "checksum": record.checksum(settings.checksum),
            "bytes": record.bytes,
            "created_at": time_text(record.created_at, settings),
            "completed_at": time_text(record.completed_at, settings),
        },
    }


def server(record: Server, user: User, kind: Kind) -> dict[str, Any]:
    """One server as `user` sees it."""
    all_of_it = record.permissions(user) == EVERYTHING
    return {"object": "server", "attributes": _server_attributes(record, user, kind, all_of_it=all_of_it)}


def server_view(record: Server, user: User, kind: Kind) -> dict[str, Any]:
    """One server with what `user` may do on it, as only the view of a single one tells."""
    permissions = list(record.permissions(user) or ())
    if user.admin:
        permissions = ["*", "admin.websocket.errors", "admin.websocket.install", "admin.websocket.transfer"]
    meta = {"is_server_owner": user == record.owner, "user_permissions": permissions}
    return {**server(record, user, kind), "meta": meta}


def _server_attributes(record: Server, user: User, kind: Kind, *, all_of_it: bool) -> dict[str, Any]:
    pelican = kind is Kind.PELICAN
    return {
        "server_owner": user == record.owner,
        "identifier": record.identifier,
        "internal_id": record.number,
        "uuid": record.uuid,
        "name": record.name,
        "node": record.node.name,
        "is_node_under_maintenance": record.node.maintenance,
        "sftp_details": {"ip": "127.0.0.1", **({"alias": None} if pelican else {}), "port": 2022},
        "description": record.description,
        "limits": {
            "memory": 512,
            "swap": 0,
            "disk": record.disk,
            "io": 500,
            "cpu": 0,
            "threads": None,
            "oom_disabled": True,
        },
        "invocation": f"java -Xms128M -jar {'server.jar' if all_of_it else '[hidden]'}",
        "docker_image": "ghcr.io/pterodactyl/yolks:java_21",
        "egg_features": ["eula"],
        "feature_limits": {"databases": 0, "allocations": 0, "backups": record.limit},
        "status": record.status,
        "is_suspended": record.status == "suspended",
        "is_installing": record.installing(kind),
        "is_transferring": record.transferring,
        "relationships": {"allocations": _list([_allocation(record)]), "variables": _variables(all_of_it=all_of_it)},
    }


def _allocation(record: Server) -> dict[str, Any]:
    attributes = {"id": record.number, "ip": "127.0.0.1", "ip_alias": None, "port": 25564 + record.number}
    return {"object": "allocation", "attributes": {**attributes, "notes": None, "is_default": True}}


def _variables(*, all_of_it: bool) -> dict[str, Any]:
    if not all_of_it:
        return {"object": "null_resource", "attributes": None}
    return _list([{"object": "egg_variable", "attributes": VARIABLE}])


def _list(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"object": "list", "data": list(rows)}


def backup_list(record: Server, settings: Settings, query: Mapping[str, str], url: str) -> dict[str, Any]:
    """One page of backups in the order of their insertion; the links forget `per_page`."""
    rows = list(record.backups.values())
    per_page = backups_per_page(query.get("per_page"), empty=not rows)
    document = cut_page(rows, per_page, query, lambda number: f"{url}?page={number}")
    document["data"] = [backup(row, settings) for row in document["data"]]
    not_failed = sum(row.state is not State.FAILED for row in rows)
    document["meta"] = {"backup_count": not_failed, **document["meta"]}
    return document


def file_list(rows: Sequence[FileRow], settings: Settings) -> dict[str, Any]:
    """Return what is in one folder of a server."""
    return _list([_file_object(row, settings) for row in rows])


def _file_object(row: FileRow, settings: Settings) -> dict[str, Any]:
    attributes = {
        "name": row.name,
        "mode": "-rw-r--r--" if row.is_file else "drwxr-xr-x",
        "mode_bits": "644" if row.is_file else "755",
        "size": row.size if row.is_file else FOLDERS_SIZE,
        "is_file": row.is_file,
        "is_symlink": False,
        "mimetype": _mime(row),
        "created_at": time_text(row.modified_at, settings),
        "modified_at": time_text(row.modified_at, settings),
    }
    return {"object": "file_object", "attributes": attributes}


def _mime(row: FileRow) -> str:
    if not row.is_file:
        return "inode/directory"
    return "application/gzip" if row.name.endswith(".gz") else "application/octet-stream"


def server_list(
    records: Sequence[Server], user: User, kind: Kind, query: Mapping[str, str], url: str
) -> dict[str, Any]:
    """One page of servers; these links keep the query."""
    per_page = min(whole_number(query.get("per_page")) or SERVERS_PER_PAGE, MOST_SERVERS_PER_PAGE)
    document = cut_page(records, per_page, query, lambda number: page_link(url, query, number))
    document["data"] = [server(row, user, kind) for row in document["data"]]
    return document


def page_link(url: str, query: Mapping[str, str], number: int) -> str:
    """Return the link to a page that keeps the rest of the query."""
    kept = {name: value for name, value in query.items() if name != "page"}
    return f"{url}?{urlencode({**kept, 'page': number})}"


def backups_per_page(text: str | None, *, empty: bool) -> int:
    """Measured: nothing is 20, 0 is 15, a word is 50, more is 50; less than 0 is a failed query where there is any."""
    if not text:
        return BACKUPS_PER_PAGE
    number = whole_number(text)
    if number is None:
        return MOST_BACKUPS_PER_PAGE
    if number < 0 and empty:
        return number
    if number < 0:
        raise query_failed()
    return min(number, MOST_BACKUPS_PER_PAGE) or FRAMEWORKS_PER_PAGE


def cut_page(
    rows: Sequence[Any], per_page: int, query: Mapping[str, str], link: Callable[[int], str]
) -> dict[str, Any]:
    """Return the page that `query` asks for; anything but a number of at least 1 asks for the first."""
    number = max(whole_number(query.get("page")) or 1, 1)
    shown = rows[(number - 1) * per_page : number * per_page]
    pages = max(-(-len(rows) // per_page), 1)
    links = {}
    if number > 1:
        links["previous"] = link(number - 1)
    if number < pages:
        links["next"] = link(number + 1)
    pagination = {
        "total": len(rows),
        "count": len(shown),
        "per_page": per_page,
        "current_page": number,
        "total_pages": pages,
        "links": links,
    }
    return {**_list(shown), "meta": {"pagination": pagination}}


def whole_number(text: str | None) -> int | None:
    """Return the number that a parameter gives; None if it gives none."""
    try:
        return int(text or "")
    except ValueError:
        return None
