"""What happens to a server's files and to its process, by the panel's orders; `checks` says what is refused.

A pulled file comes by itself, half of it at once. A link of the sandbox's own is followed without HTTP, and another
one only to this machine: the sandbox fetches nothing from the network.
"""

import http.client
import tarfile
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from daemon.sandbox.files import NoFileError
from daemon.sandbox.links import read_token, store_link_holds
from daemon.sandbox.records import Backup, Change, Power, Pulls, Server
from daemon.sandbox.world import World

FETCH_SECONDS = 10.0


class PullRefusedError(Exception):
    """The node does not fetch from there."""


def pull(world: World, server: Server, url: str, path: str, *, by: str) -> None:
    """Let the node fetch a file, which comes by itself; raises PullRefusedError, and NoFileError without a folder."""
    if server.node.pulls is Pulls.REFUSED:
        raise PullRefusedError(url)
    world.note(Change.PULLING, server, path, by)
    if server.node.pulls is Pulls.SILENT:
        return
    fetch = _fetcher(world, url)
    server.files.write(path, b"")

    def half() -> None:
        data = fetch()
        if data is None:
            return
        server.files.write(path, data[: len(data) // 2])
        world.later(server.node.pull_seconds / 2, lambda: server.files.write(path, data))

    world.later(server.node.pull_seconds / 2, half)


def unpack(world: World, server: Server, root: str, file: str, *, by: str) -> Callable[[], str]:
    """Let the node unpack an archive within its time; the function returned tells why it failed, "" where it did not,
    and "…" before its end.
    """
    ended = ["…"]

    def work() -> None:
        try:
            server.files.unpack(root, server.files.read(f"{root}/{file}"))
        except (tarfile.TarError, NoFileError, EOFError, OSError) as error:
            ended[0] = str(error) or type(error).__name__
            return
        ended[0] = ""
        world.note(Change.UNPACKED, server, f"{root}/{file}", by)

    world.later(server.node.unpack_seconds, work)
    return lambda: ended[0]


def delete_files(world: World, server: Server, root: str, names: Sequence[str], *, by: str) -> None:
    """Delete files and folders."""
    world.note(Change.FILES_DELETED, server, ", ".join(names), by)
    server.files.delete(root, names)


def signal(world: World, server: Server, name: str, *, by: str) -> None:
    """Give the server's process that signal: start, stop, restart or kill."""
    world.note(Change.POWER, server, name, by)
    if name == "kill":
        server.power = Power.OFFLINE
    elif name == "start" and server.power is Power.OFFLINE:
        server.power = Power.STARTING
        server.console = []
        world.later(server.power_seconds, lambda: _started(world, server))
    elif name in {"stop", "restart"} and server.power in {Power.STARTING, Power.RUNNING}:
        server.power = Power.STOPPING
        if not server.hangs:
            world.later(server.power_seconds, lambda: _stopped(world, server, again=name == "restart"))


def _started(world: World, server: Server) -> None:
    if server.power is Power.STARTING:
        server.power = Power.RUNNING
        server.started_at = world.agenda.seconds()
        server.console.extend(server.says)
        if server.crashes is not None:
            world.later(server.crashes, lambda: _stopped(world, server, again=False))


def _stopped(world: World, server: Server, *, again: bool) -> None:
    server.power = Power.OFFLINE
    if again:
        signal(world, server, "start", by="node")


def _fetcher(world: World, url: str) -> Callable[[], bytes | None]:
    """Return who fetches what is behind that address once it is due; a node's link is used up at once."""
    ours = _own_backup(world, url)
    if ours is not None:
        return lambda: None if ours.file_gone else b"".join(ours.archive.pieces())
    return lambda: _fetched(url)


def _own_backup(world: World, url: str) -> Backup | None:
    """Return the backup behind a link of this world's own; None where it is none, or not valid any more."""
    parts = urlsplit(url)
    if not any(url.startswith(node.url) for node in world.nodes.values()):
        return None
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.path.startswith("/store/"):
        _, _, server, file = parts.path.split("/")
        holds = store_link_holds(
            parts.path, query.get("X-Amz-Expires", "0"), query.get("X-Amz-Signature", ""), world.now()
        )
        return world.servers[server].backups.get(file.removesuffix(".tar.gz")) if holds else None
    claims = read_token(query.get("token", ""), world.now())
    if claims is None or claims["unique_id"] in world.used_tokens:
        return None
    world.used_tokens.add(claims["unique_id"])
    return world.servers[claims["server_uuid"]].backups.get(claims["backup_uuid"])


def _fetched(url: str) -> bytes | None:
    """Return what another service of this machine has there; None where it has nothing, or gives no size."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not _is_here(parts.hostname):
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=FETCH_SECONDS)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        return answer.read() if answer.status == http.client.OK and answer.getheader("content-length") else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
