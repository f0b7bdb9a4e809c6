"""What a panel checks before it does what was asked: each check raises the `Refusal` that a real panel answers with.

The checks change nothing, except that those called `admit_…` count. If a rule has been measured, a comment says so.
"""

from http import HTTPStatus

from daemon.sandbox import limits
from daemon.sandbox.answers import (
    PanelRefusal,
    bad_request,
    node_trouble,
    not_found,
    pelicans_node_trouble,
    server_error,
)
from daemon.sandbox.records import Backup, NodeState, Server, State, Storage, User
from daemon.sandbox.settings import Kind
from daemon.sandbox.world import World

PANEL_PATIENCE = 15.0
"""After how many seconds the panel stops waiting for a node."""


def check_access(server: Server, user: User) -> None:
    """Raise 404 if `user` must not know of the server."""
    if server.permissions(user) is None:
        raise PanelRefusal(404, "NotFoundHttpException", "The requested resource does not exist on this server.")


def check_state(server: Server, kind: Kind) -> None:
    """Raise 409 if the server is in a state that prevents every call for its backups."""
    conflict = _conflict(server, kind)
    if conflict is not None:
        raise PanelRefusal(409, "ServerStateConflictException", conflict)


def check_create(world: World, server: Server) -> None:
    """Raise what prevents a new backup. The throttle comes before the limit; only failed ones do not count."""
    world.settle()
    limits.check_creation(server, world.settings, world.now())
    if server.is_full():
        detail = f"Cannot create a new backup, this server has reached its limit of {server.limit or 0} backups."
        raise PanelRefusal(400, "TooManyBackupsException", detail)
    if world.settings.kind is Kind.PELICAN:
        _check_backup_host(server)


def _check_backup_host(server: Server) -> None:
    """Raise what a Pelican answers if it has no place for the backup."""
    if not server.node.backup_host:
        raise not_found()
    if server.storage is Storage.OTHER:
        raise server_error("Exception")


def check_delete(backup: Backup) -> None:
    """Raise 400 if it is locked *and* successful: a lock on any other does not stop the panel."""
    if backup.locked and backup.successful:
        detail = "Cannot delete a backup that is marked as locked."
        raise PanelRefusal(400, "BackupLockedException", detail)


def admit_restore(world: World, server: Server) -> dict[str, str]:
    """Count an attempt at a restore, by any user, and return the headers; raise 429 if there were enough.

    Measured on a Pelican: refusals for a permission or a field count, those for the server's state do not.
    """
    window = world.restore_windows.setdefault(server.uuid, limits.Window(world.settings.restore_seconds))
    return window.admit(world.settings.restore_limit, world.agenda.seconds(), world.now())


def admit_pull(world: World, server: Server) -> dict[str, str]:
    """Count an attempt at a pull, as `admit_restore` does one at a restore."""
    window = world.pull_windows.setdefault(server.uuid, limits.Window(world.settings.pull_seconds))
    return window.admit(world.settings.pull_limit, world.agenda.seconds(), world.now())


def admit_socket(world: World, server: Server) -> dict[str, str]:
    """Count an attempt at a websocket, as `admit_restore` does one at a restore."""
    window = world.socket_windows.setdefault(server.uuid, limits.Window(world.settings.socket_seconds))
    return window.admit(world.settings.socket_limit, world.agenda.seconds(), world.now())


def check_restore(server: Server, backup: Backup) -> None:
    """Raise what prevents a restore; a failed backup does not."""
    if server.status is not None:
        raise bad_request("This server is not currently in a state that allows for a backup to be restored.")
    if backup.state is State.PENDING:
        raise bad_request("This backup cannot be restored at this time: not completed or failed.")


def check_node(world: World, server: Server, backup: Backup | None = None, *, deleting: bool = False) -> None:
    """Raise the panel's error if the server's node fails; when deleting, the node's 404 is none."""
    node = server.node
    if node.state is not NodeState.UP or node.answer_seconds >= PANEL_PATIENCE:
        raise node_trouble_of(world, None)
    if node.error is not None and not (deleting and node.error == HTTPStatus.NOT_FOUND):
        raise node_trouble_of(world, node.error)
    if backup is not None and backup.file_gone and not deleting:
        raise node_trouble_of(world, 500)


def node_trouble_of(world: World, error: int | None) -> PanelRefusal:
    """Return the panel's refusal after the node answered with that error, or with nothing at all (None)."""
    if world.settings.kind is Kind.PELICAN:
        return pelicans_node_trouble(answered=error is not None)
    return node_trouble(error or HTTPStatus.GATEWAY_TIMEOUT, world.new_uuid())


def node_wait(server: Server) -> float:
    """Return how many seconds the panel waits for the server's node to answer."""
    if server.node.state is NodeState.HANGING:
        return PANEL_PATIENCE
    return min(server.node.answer_seconds, PANEL_PATIENCE)


def _conflict(server: Server, kind: Kind) -> str | None:
    """Return the server's conflicting state in the panel's words; None if there is none."""
    if server.status == "suspended":
        return "This server is currently suspended and the functionality requested is unavailable."
    if server.node.maintenance:
        return "The node of this server is currently under maintenance and the functionality requested is unavailable."
    if server.installing(kind):
        return "This server has not yet completed its installation process, please try again later."
    if server.status == "restoring_backup":
        return "This server is currently restoring from a backup, please try again later."
    if server.transferring:
        return "This server is currently being transferred to a new machine, please try again later."
    return None
