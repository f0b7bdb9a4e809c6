"""From the panel's JSON to the values of the core: the only place that knows the names of its fields.

A backup's row never raises. What cannot be read makes the backup strange, and `unreadable` says why; a lock that cannot
be read counts as locked. Unknown fields are ignored. httpx is not known here, so that saved answers can be read without
it.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from daemon.core.files import FileEntry, Power
from daemon.core.model import Backup, Server
from daemon.core.restores import Activity
from daemon.core.units import read_rfc3339
from daemon.panel.answers import clean, unpaired

LARGEST = 2**63 - 1
MOST_ROWS = 20_000  # of a list, and so of one answer; a row takes 200 bytes of memory, however short it is
DEEPEST = 16  # levels, of what is shown or hashed; writing takes more of the stack than reading did
MADE_UP = "unreadable-"
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


class UnreadableError(ValueError):
    """The document does not have the shape that it should; never leaves `daemon/panel`."""


@dataclass(slots=True)
class _Row:
    """A row being read, with what was wrong in it."""

    attributes: dict[str, Any]
    faults: list[str] = field(default_factory=list)

    def take(self, key: str, kind: type, otherwise: Any) -> Any:  # noqa: ANN401 — the kind says what comes back
        """Return the field if it has that type, else note the fault and return `otherwise`."""
        value = self.attributes.get(key)
        if type(value) is kind:
            return value
        self.faults.append(f"{key} is {_shown(value)}" if key in self.attributes else f"{key} is missing")
        return otherwise

    def moment(self, key: str) -> datetime | None:
        """Return the field as a moment in UTC, else note the fault."""
        text = self.take(key, str, None)
        if text is None:
            return None
        try:
            return read_rfc3339(text)
        except ValueError:
            self.faults.append(f"{key} is {_shown(text)}, not a time with an offset")
            return None


def _fields(attributes: object) -> _Row:
    """Return the attributes of a row, to be read; none where they are no object."""
    return _Row(attributes if isinstance(attributes, dict) else {})


def _within(document: object, *keys: str) -> object:
    """Return what stands below these keys, one within the other; None where that is not there."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _shown(value: object) -> str:
    """Given any value, return it short enough for an error's text."""
    text = clean(repr(_shallow(value)))
    return text if len(text) <= 40 else text[:39] + "…"  # noqa: PLR2004


def _shallow(value: object, levels: int = DEEPEST) -> object:
    """Given any JSON value, return it without anything below that many levels."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return "…"
    if isinstance(value, dict):
        return {key: _shallow(inner, levels - 1) for key, inner in value.items()}
    return [_shallow(inner, levels - 1) for inner in value]


def read_backup(row: object) -> Backup:
    """Given a row of a list or a single view, return the backup, strange if it cannot be read."""
    attributes = row.get("attributes") if isinstance(row, dict) and row.get("object") == "backup" else None
    if not isinstance(attributes, dict):
        return _no_backup(row)
    fields = _Row(attributes)
    uuid = fields.take("uuid", str, "")
    if uuid and not is_id(uuid):
        fields.faults.append(f"uuid is {_shown(uuid)}")
        uuid = ""
    completed = None if fields.attributes.get("completed_at") is None else fields.moment("completed_at")
    ignored = fields.attributes.get("ignored_files")
    checksum = fields.attributes.get("checksum")
    return Backup(
        uuid=uuid or _made_up(row),
        name=unpaired(fields.take("name", str, "")),
        successful=fields.take("is_successful", bool, otherwise=False),
        locked=fields.take("is_locked", bool, otherwise=True),
        bytes=_bytes(fields),
        created_at=fields.moment("created_at"),
        completed_at=completed,
        checksum=unpaired(checksum) if isinstance(checksum, str) else None,
        ignored=tuple(unpaired(line) for line in ignored if isinstance(line, str)) if isinstance(ignored, list) else (),
        unreadable="; ".join(fields.faults) or None,
    )


def _no_backup(row: object) -> Backup:
    """Given a row that is no backup object, return the strange backup that stands for it."""
    return Backup(_made_up(row), "", False, True, 0, None, None, unreadable="it is no backup object")


def _bytes(fields: _Row) -> int:
    """Return the size; only a running backup may lack it."""
    if fields.attributes.get("bytes") is None and fields.attributes.get("completed_at") is None:
        return 0
    size: int = fields.take("bytes", int, 0)
    if 0 <= size <= LARGEST:
        return size
    fields.faults.append(f"bytes is {size}")
    return 0


def _made_up(row: object) -> str:
    """Given a row without a usable uuid, return a made-up one that is the same in every pass and no real uuid."""
    text = json.dumps(_shallow(row), sort_keys=True, default=repr)
    return MADE_UP + hashlib.sha256(text.encode()).hexdigest()[:12]


def is_made_up(uuid: str) -> bool:
    """Return whether the uuid was made up here, for a row without a usable one."""
    return uuid.startswith(MADE_UP)


def is_id(text: str) -> bool:
    """Return whether the text can be an id of a server or backup, and so one segment of a path."""
    return _ID.fullmatch(text) is not None


def read_server(document: object) -> Server:
    """Given a row of the server list or the server view, return the server; raises UnreadableError if it is none."""
    if not isinstance(document, dict) or document.get("object") != "server":
        raise UnreadableError("it is no server object")
    fields = _fields(document.get("attributes"))
    uuid, identifier = fields.take("uuid", str, ""), fields.take("identifier", str, "")
    if not (is_id(uuid) and is_id(identifier)):
        raise UnreadableError("; ".join(fields.faults) or "uuid or identifier is none")
    status = fields.attributes.get("status")
    return Server(
        uuid=uuid,
        identifier=identifier,
        name=_text(fields, "name"),
        node=_text(fields, "node"),
        backup_limit=_backup_limit(fields),
        status=clean(status) or None,
        suspended=fields.attributes.get("is_suspended") is True,
        installing=fields.attributes.get("is_installing") is True,
        transferring=fields.attributes.get("is_transferring") is True,
        node_under_maintenance=fields.attributes.get("is_node_under_maintenance") is True,
        description=_text(fields, "description"),
        permissions=_permissions(document.get("meta")),
        owned=fields.attributes.get("server_owner") is True,
        disk_limit=_disk_limit(fields),
    )


def read_server_if_possible(row: object) -> Server | None:
    """Given a row of the server list, return the server; None if it is none."""
    try:
        return read_server(row)
    except UnreadableError:
        return None


def _text(fields: _Row, key: str) -> str:
    """Return the field if it is text, else ""."""
    value = fields.attributes.get(key)
    return unpaired(value) if isinstance(value, str) else ""


def _backup_limit(fields: _Row) -> int:
    """Return the server's backup limit; null means none allowed, as 0 does."""
    limit = _within(fields.attributes, "feature_limits", "backups")
    return limit if type(limit) is int and 0 <= limit <= LARGEST else 0


def _disk_limit(fields: _Row) -> int | None:
    """Return how many bytes the server's files may take; the panel counts in MiB, and 0 is no limit."""
    limit = _within(fields.attributes, "limits", "disk")
    return limit * 2**20 if type(limit) is int and 0 < limit <= LARGEST else None


def _permissions(meta: object) -> frozenset[str] | None:
    """Given the server view's meta, return the key's permissions on it; None if it does not say."""
    listed = _within(meta, "user_permissions")
    return frozenset(clean(name) for name in listed if isinstance(name, str)) if isinstance(listed, list) else None


def read_link(document: object) -> str:
    """Given the answer to a download request, return the signed URL; raises UnreadableError if there is none."""
    url = _within(document, "attributes", "url")
    if not isinstance(url, str) or not url.lower().startswith(("https://", "http://")):
        raise UnreadableError("it holds no download link")
    return url


def read_files(document: object) -> tuple[FileEntry, ...]:
    """Given the list of a folder, return its files and folders; raises UnreadableError if one of them is none."""
    rows, _ = read_rows(document)
    return tuple(map(_read_file, rows))


def _read_file(row: object) -> FileEntry:
    fields = _fields(_within(row, "attributes") if _within(row, "object") == "file_object" else None)
    entry = FileEntry(
        name=fields.take("name", str, ""), size=fields.take("size", int, 0), is_file=fields.take("is_file", bool, False)
    )
    if fields.faults or not entry.name:
        raise UnreadableError("; ".join(fields.faults) or "a file has no name")
    return entry


def read_power(document: object) -> Power:
    """Given the answer about a server's resources, return whether it runs; raises UnreadableError if it is none."""
    state = _within(document, "attributes", "current_state")
    if not isinstance(state, str):
        raise UnreadableError("it does not say whether the server runs")
    return Power(state) if state in set(Power) else Power.UNKNOWN


def read_uptime(document: object) -> float | None:
    """Given the answer about a server's resources, return for how many seconds it has run; None if it does not say."""
    ran = _within(document, "attributes", "resources", "uptime")
    return ran / 1000 if type(ran) is int and 0 <= ran <= LARGEST else None


def read_disk(document: object) -> int | None:
    """Given the answer about a server's resources, return how many bytes its files take; None if it does not say."""
    used = _within(document, "attributes", "resources", "disk_bytes")
    return used if type(used) is int and 0 <= used <= LARGEST else None


def read_console(document: object) -> tuple[str, str]:
    """Given the answer about a server's websocket, return its address and the token; raises UnreadableError."""
    fields = _fields(_within(document, "data"))
    address, token = fields.take("socket", str, ""), fields.take("token", str, "")
    if not (address and token):
        raise UnreadableError("it lacks an address or a token")
    return address, token


def read_activities(document: object) -> tuple[Activity, ...]:
    """Given a page of the activity log, return its entries as they are ordered; rows that are none are left out."""
    rows, _ = read_rows(document)
    return tuple(filter(None, map(_read_activity, rows)))


def _read_activity(row: object) -> Activity | None:
    fields = _fields(_within(row, "attributes") if _within(row, "object") == "activity_log" else None)
    entry, event = fields.take("id", str, ""), fields.take("event", str, "")
    if not (entry and event):
        return None
    name = _within(fields.attributes, "properties", "name")
    return Activity(
        id=entry,
        event=event,
        name=unpaired(name) if isinstance(name, str) else "",
        at=fields.moment("timestamp"),
    )


def read_rows(document: object) -> tuple[list[Any], int | None]:
    """Given a page of a list, return its rows and the panel's `total` (None if it gives none)."""
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(document, dict) or document.get("object") != "list" or not isinstance(rows, list):
        raise UnreadableError("it is no list")
    if len(rows) > MOST_ROWS:
        raise UnreadableError(f"it holds {len(rows)} rows, more than a list has")
    total = _within(document, "meta", "pagination", "total")
    return rows, total if type(total) is int and 0 <= total <= LARGEST else None
