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
UNPACK_SECONDS = 930.0
"""The panel itself waits a quarter of an hour for a node that unpacks."""


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

    def files(self, server_id: str, folder: str) -> ApiCall:
        """Return the call that lists a folder of a server."""
        call = self._call("GET", f"listing {folder} of server {server_id}", server_id, "files", "list")
        return replace(call, query={"directory": folder})

    def pull(self, server_id: str, link: str, folder: str, name: str) -> ApiCall:
        """Return the call that lets the node fetch a file."""
        body = {"url": link, "directory": folder, "filename": name, "foreground": False}
        return self._call("POST", f"having server {server_id} fetch {name}", server_id, "files", "pull", body=body)

    def decompress(self, server_id: str, folder: str, name: str) -> ApiCall:
        """Return the call that unpacks an archive into its folder."""
        body = {"root": folder, "file": name}
        call = self._call(
            "POST", f"unpacking {name} on server {server_id}", server_id, "files", "decompress", body=body
        )
        return replace(call, patience=UNPACK_SECONDS)

    def delete_files(self, server_id: str, folder: str, names: Sequence[str]) -> ApiCall:
        """Return the call that deletes files and folders from a folder."""
        action, body = f"deleting files of server {server_id}", {"root": folder, "files": list(names)}
        return self._call("POST", action, server_id, "files", "delete", body=body)

    def upload(self, server_id: str) -> ApiCall:
        """Return the call that asks where the node takes an upload."""
        return self._call("GET", f"asking for an upload to server {server_id}", server_id, "files", "upload")

    def power(self, server_id: str, signal: str) -> ApiCall:
        """Return the call that gives a server's process a signal."""
        action, body = f"asking server {server_id} to {signal}", {"signal": signal}
        return self._call("POST", action, server_id, "power", body=body)

    def resources(self, server_id: str) -> ApiCall:
        """Return the call that tells whether a server's process runs."""
        return self._call("GET", f"checking whether server {server_id} runs", server_id, "resources")

    def websocket(self, server_id: str) -> ApiCall:
        """Return the call that asks for access to a server's console."""
        call = self._call("GET", f"asking for the console of server {server_id}", server_id, "websocket")
        return replace(call, own_limit=True)

    def _call(self, method: str, action: str, *path: str, body: Mapping[str, object] | None = None) -> ApiCall:
        """Return the call for a path below `/servers/`, whose first part is the server's id."""
        action = f"panel {self._panel}, {action}"
        for segment in path:
            if not is_id(segment):
                raise NotFoundError(f"{action}: {segment[:40]!r} is no id")
        server_id, *rest = path
        return ApiCall(method, "/servers/" + "/".join((server_id.lower(), *rest)), action, body=body)
