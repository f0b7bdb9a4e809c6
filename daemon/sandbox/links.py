"""Links for downloads and uploads: made by the panel, redeemed by the node or the object store, which trust them.

A node's link has a signed token, valid for 15 minutes and for one use. An object store's link is a signed address,
valid for 5 minutes and any number of uses.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from daemon.sandbox.records import Backup, Server, Storage
from daemon.sandbox.world import World

NODE_LINK_LIVES = timedelta(minutes=15)
STORE_LINK_LIVES = timedelta(minutes=5)
SECRET = b"the sandbox signs its links with this"


def sign_link(world: World, server: Server, backup: Backup) -> str:
    """Return where to get `backup`: from the node, or from the object store."""
    if server.storage is Storage.S3:
        return _store_link(world, server, backup)
    return f"{server.node.url}/download/backup?token={_token(world, server, backup_uuid=backup.uuid)}"


def sign_upload_link(world: World, server: Server) -> str:
    """Return where the node takes files for that server."""
    return f"{server.node.url}/upload/file?token={_token(world, server)}"


def sign_socket(world: World, server: Server) -> dict[str, str]:
    """Return where the node's websocket for the server's console is, and a token that opens it."""
    lives = timedelta(seconds=world.settings.socket_token_seconds)
    address = f"{server.node.url}/api/servers/{server.uuid}/ws".replace("http", "ws", 1)
    return {"token": _token(world, server, lives), "socket": address}


def _token(world: World, server: Server, lives: timedelta = NODE_LINK_LIVES, **more: str) -> str:
    claims = {
        "server_uuid": server.uuid,
        **more,
        "unique_id": world.new_uuid(),
        "exp": (world.now() + lives).timestamp(),
    }
    signed = f"{_encoded(json.dumps({'typ': 'JWT', 'alg': 'HS256'}))}.{_encoded(json.dumps(claims))}"
    return f"{signed}.{_signature(signed)}"


def read_token(token: str, now: datetime) -> dict[str, Any] | None:
    """Return the claims of a node's token; None if it is not ours or too old."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(signed).encode()):
        return None
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
    return claims if now.timestamp() < claims["exp"] else None


def store_link_holds(path: str, expires: str, signature: str, now: datetime) -> bool:
    """Return whether the object store accepts the address."""
    if not hmac.compare_digest(signature.encode(), _signature(f"{path} {expires}").encode()):
        return False
    return now.timestamp() < int(expires)


def _store_link(world: World, server: Server, backup: Backup) -> str:
    path = f"/store/{server.uuid}/{backup.uuid}.tar.gz"
    expires = str(int((world.now() + STORE_LINK_LIVES).timestamp()))
    query = urlencode({"X-Amz-Expires": expires, "X-Amz-Signature": _signature(f"{path} {expires}")})
    return f"{server.node.url}{path}?{query}"


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _signature(text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(SECRET, text.encode(), hashlib.sha256)).decode().rstrip("=")
