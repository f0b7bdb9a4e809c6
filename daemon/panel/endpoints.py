"""The panel's endpoints: each method returns the `Call` for one of them, and nothing is sent here.

An id becomes part of a path only if it looks like one, so that no value can lead to another endpoint. A server's id is
written in lower case, as panels make it: a Pelican on SQLite knows no other, whatever a person typed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from daemon.panel.answers import ApiCall
from daemon.panel.errors import NotFoundError
from daemon.panel.wire import is_id

ACTIVITIES_PER_PAGE = "50"


class Endpoints:
    """The endpoints of one panel. Each method raises NotFoundError for an id that is none.

    `all_servers` lists every server of the panel instead of those of the key's user.
    """

    def __init__(self, panel: str, *, all_servers: bool = False) -> None:
        self._panel = panel
        self._all_servers = all_servers

    def servers(self, *, urgent: bool = False) -> ApiCall:
        """Return the call that lists the servers."""
        query = {"type": "admin-all"} if self._all_servers else {}
        return ApiCall("GET", "", f"panel {self._panel}, listing the servers", query=query, urgent=urgent)

    def server(self, server_id: str, *, urgent: bool = False) -> ApiCall:
        """Return the call that views one server."""
        return replace(self._call("GET", f"viewing server {server_id}", server_id), urgent=urgent)

    def backups(self, server_id: str, *, urgent: bool = False) -> ApiCall:
        """Return the call that lists a server's backups."""
        call = self._call("GET", f"listing the backups of server {server_id}", server_id, "backups")
        return replace(call, urgent=urgent)

    def backup(self, server_id: str, uuid: str, *, urgent: bool = False) -> ApiCall:
        """Return the call that views one backup."""
        call = self._call("GET", f"viewing backup {uuid} of server {server_id}", server_id, "backups", uuid)
        return replace(call, urgent=urgent)

    def activity(self, server_id: str, event: str) -> ApiCall:
        """Return the call that lists the newest entries of a server's activity log whose event's name holds `event`."""
        call = self._call("GET", f"reading the activity log of server {server_id}", server_id, "activity")
        return replace(call, query={"filter[event]": event, "sort": "-timestamp", "per_page": ACTIVITIES_PER_PAGE})

    def download(self, server_id: str, uuid: str) -> ApiCall:
        """Return the call that asks for a link to a backup's file."""
        action = f"asking for a download of backup {uuid} of server {server_id}"
        return self._call("GET", action, server_id, "backups", uuid, "download")

    def create(self, server_id: str, *, name: str, ignored: Sequence[str], locked: bool) -> ApiCall:
        """Return the call that creates a backup."""
        # Newline-separated, whatever the specification says: the panel takes a comma list for one pattern.
        body = {"name": name, "is_locked": locked} | ({"ignored": "\n".join(ignored)} if ignored else {})
        return self._call("POST", f"creating a backup of server {server_id}", server_id, "backups", body=body)

    def toggle_lock(self, server_id: str, uuid: str, *, locked: bool) -> ApiCall:
        """Return the call that toggles a backup's lock; `locked` is what the caller wants of it."""
        action = f"{'locking' if locked else 'unlocking'} backup {uuid} of server {server_id}"
        return self._call("POST", action, server_id, "backups", uuid, "lock")

    def restore(self, server_id: str, uuid: str, *, truncate: bool) -> ApiCall:
        """Return the call that restores a backup; `truncate` deletes the server's files first."""
        action, body = f"restoring backup {uuid} of server {server_id}", {"truncate": truncate}
        return self._call("POST", action, server_id, "backups", uuid, "restore", body=body)

    def delete(self, server_id: str, uuid: str) -> ApiCall:
        """Return the call that deletes a backup."""
        return self._call("DELETE", f"deleting backup {uuid} of server {server_id}", server_id, "backups", uuid)

    def _call(self, method: str, action: str, *path: str, body: Mapping[str, object] | None = None) -> ApiCall:
        """Return the call for a path below `/servers/`, whose first part is the server's id."""
        action = f"panel {self._panel}, {action}"
        for segment in path:
            if not is_id(segment):
                raise NotFoundError(f"{action}: {segment[:40]!r} is no id")
        server_id, *rest = path
        return ApiCall(method, "/servers/" + "/".join((server_id.lower(), *rest)), action, body=body)
