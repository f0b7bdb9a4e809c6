"""Define everything that a call to the panel can raise; nothing else leaves `daemon/panel`.

    PanelError                      exit 4, but for a state that passes: 3
    ├── PanelUnreachableError    t  no connection, or one that broke; a write was certainly not sent
    ├── ProxyError                  the environment names a proxy that cannot be used
    ├── PanelTroubleError        t  5xx to a read: the panel, or the proxy before it, is in trouble or maintenance;
    │                               to a deletion, where a look shows that the backup still stands
    ├── NodeError                t  DaemonConnectionException of any status: the node's trouble, passed through
    │   └── NodeCallError        t  Pelican's 500 RequestException or ConnectionException: its call to the node failed
    ├── OutcomeUnknownError      t  a write was sent, and its answer lost or a 5xx: it may be done, or not
    ├── StrangeAnswerError       t  a redirect, HTML where JSON belongs, JSON of no known shape, too large
    │   └── ForeignPanelError       a fork's job object: this panel does not speak this API
    ├── KeyRefusedError             401
    ├── PermissionLackingError      403; `kind` says whether permission, kind of key or address
    ├── NotFoundError               404, said by the panel itself
    ├── NoBackupHostError           404 to a create on a server that is there: nobody keeps backups for its node
    ├── ServerStateError        (t) 409; transient unless the server's `obstacle` is one that lasts
    ├── InvalidRequestError         422; `field` names the invalid value
    ├── BackupLimitError            400 TooManyBackupsException; `limit` is the server's
    ├── BackupLockedError           400 BackupLockedException
    ├── RefusedRequestError         any other 4xx
    ├── ApiLimitError            t  429 for the whole user
    ├── HeldBackError            t  not sent: the API limit held it back until the decision behind it was too old
    └── CreationThrottledError   t  429 for creations on one server

t: `transient` — the same call may succeed later without anybody's help. No text here may hold a key or a signed URL.
"""

from enum import StrEnum

from daemon.core.model import Obstacle
from daemon.errors import BackupdError, Exit, ProblemCode


class PanelError(BackupdError):
    """The panel is unreachable or refuses. `retry_after` is in seconds, if the panel gave it.

    `spoken` says that a 5xx comes from the panel itself, so its work on the request has ended. A proxy's error page
    leaves open whether the panel is still working on it.
    """

    exit_code = Exit.FAILED
    code = ProblemCode.PANEL
    transient: bool = False

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
        spoken: bool = False,
    ) -> None:
        super().__init__(text, hint=hint)
        self.status = status
        self.retry_after = retry_after
        self.spoken = spoken


class PanelUnreachableError(PanelError):
    """There was no connection, so no write was sent."""

    code = ProblemCode.PANEL_UNREACHABLE
    default_hint = "check the panel's url, its certificate, and whether this machine can reach it"
    clear_hint = "the other end speaks no TLS: does the panel's url need http, or another port?"
    private_hint = (
        "if a private authority issued the panel's certificate, set SSL_CERT_FILE to that authority's certificate file"
    )
    transient = True


class ProxyError(PanelError):
    """A proxy that the environment names cannot be used; nothing was sent."""

    code = ProblemCode.PROXY
    default_hint = "correct the variable, or add the panel's host to NO_PROXY"


class PanelTroubleError(PanelError):
    """The panel, or a proxy in front of it, answers a read with 5xx, does not delete, or does not keep a lock."""

    code = ProblemCode.PANEL_TROUBLE
    default_hint = "the panel is in trouble or in maintenance; its own log says more"
    transient = True


class NodeError(PanelError):
    """The panel could not make the server's node carry out the request."""

    code = ProblemCode.NODE
    default_hint = "look at the node: is it up, does the panel show it green, is its disk full?"
    transient = True


class NodeCallError(NodeError):
    """Pelican's call to the server's node failed: the node refused, answered too late, or answered something else.

    The panel itself says so, after it rolled back what it had begun, so one look is enough: a failed create leaves no
    backup, a failed restore no status, and a failed deletion the backup. Its file may be gone if the node was late.
    """

    code = ProblemCode.NODE_CALL


class OutcomeUnknownError(PanelError):
    """A write was sent, and no answer says whether it was carried out."""

    code = ProblemCode.OUTCOME_UNKNOWN
    default_hint = "this may have been done or not; look at the panel before you try again"
    transient = True


class StrangeAnswerError(PanelError):
    """The answer is not a panel's: a login page, a CDN's interstitial, cut JSON. Such answers come and go."""

    code = ProblemCode.STRANGE_ANSWER
    default_hint = (
        "check that url is the panel's own address, with https, and that no login page or proxy answers for it"
    )
    transient = True


class ForeignPanelError(StrangeAnswerError):
    """The panel is a fork whose backup API works differently."""

    code = ProblemCode.FOREIGN_PANEL
    default_hint = (
        "Pterodactyl and Pelican are supported; forks that turn backups into jobs (Pyrodactyl, Elytra) are not"
    )
    transient = False


LEFT_OPEN = (OutcomeUnknownError, ForeignPanelError)
"""After a DELETE, either of these leaves open whether it was done, or will be: a fork's job may still run."""


class KeyRefusedError(PanelError):
    """The panel does not accept the key."""

    code = ProblemCode.KEY_REFUSED
    default_hint = (
        "create a client key under Account → API Credentials (ptlc_…, on Pelican pacc_…) and configure all of it"
    )
    foreign_hint = (
        "the panel did not say that: something in front of it asks for its own login (nginx's auth_basic, an access "
        "portal); let requests to /api/client pass without one"
    )


class Lacking(StrEnum):
    """What is lacking: the reason of a 403, or the right to see all servers, for which the panel sends no 403."""

    PERMISSION = "permission"
    CLIENT_KEY = "client-key"
    ADDRESS = "address"
    ADMINISTRATOR = "administrator"


class PermissionLackingError(PanelError):
    """The panel accepts the key, but does not let it do this."""

    code = ProblemCode.PERMISSION_LACKING
    hints = {  # noqa: RUF012 — read only, and read once, below
        Lacking.PERMISSION: "give the key's user the permission on this server: backup.read, .create, .delete …",
        Lacking.CLIENT_KEY: "this is an application key (ptla_…, papp_…); use a client key (ptlc_…, pacc_…)",
        Lacking.ADDRESS: "the key is bound to other IP addresses; allow this machine's address in the key's settings",
        Lacking.ADMINISTRATOR: 'servers = "all" needs the key of an administrator; leave it out for any other key',
    }

    def __init__(self, text: str, *, kind: Lacking = Lacking.PERMISSION, status: int | None = None) -> None:
        super().__init__(text, status=status, hint=self.hints[kind])
        self.kind = kind


class NotFoundError(PanelError):
    """The panel has no such server or backup, or does not show it to this key."""

    code = ProblemCode.NOT_FOUND
    default_hint = "check the id; `ptero-backupd servers` shows what the key can see"
    address_hint = (
        "there is no panel at this address: url is the panel's own address, without /admin, /api or any other path"
    )


class NoBackupHostError(PanelError):
    """The panel shows the server, but has no place for its backups: a Pelican without a backup host for its node."""

    code = ProblemCode.NO_BACKUP_HOST
    default_hint = "in the panel's admin area (Pelican: Backup Hosts), assign a backup host to the server's node"


class ServerStateError(PanelError):
    """The server's state, or its node's maintenance, forbids every backup call for now.

    `obstacle` says which, taken from the server's view, since a 409's text is in the panel's language. None if the view
    does not say, or no longer does.
    """

    code = ProblemCode.SERVER_STATE
    default_hint = "wait until the server is idle again"
    suspended_hint = "only an administrator can end that"
    installed_hint = (
        "that does not end by itself: ask an administrator to mark it as installed, or to install it again, which may"
        " overwrite its files"
    )
    hints = {  # noqa: RUF012 — read only
        Obstacle.SUSPENDED: suspended_hint,
        Obstacle.INSTALL_FAILED: installed_hint,
        Obstacle.REINSTALL_FAILED: installed_hint,
        Obstacle.MAINTENANCE: "wait until the node's maintenance is over",
    }

    def __init__(self, text: str, *, obstacle: Obstacle | None = None, status: int | None = None) -> None:
        super().__init__(text, status=status, hint=self.hints.get(obstacle) if obstacle else None)
        self.obstacle = obstacle
        self.transient = obstacle is None or obstacle.passes
        if self.transient:
            self.exit_code = Exit.SOME_FAILED  # by the contract: skipped for a passing state

    @property
    def suspended(self) -> bool:
        """Whether an administrator suspended the server."""
        return self.obstacle is Obstacle.SUSPENDED


class InvalidRequestError(PanelError):
    """The panel does not accept a value; `field` names it if the panel did."""

    code = ProblemCode.INVALID_REQUEST
    default_hint = "the panel's own message says what it expects"
    name_hint = "a backup's name may have 191 characters on Pterodactyl and 255 on Pelican: shorten the template"

    def __init__(self, text: str, *, field: str | None = None, status: int | None = None) -> None:
        super().__init__(text, status=status, hint=self.name_hint if field == "name" else None)
        self.field = field


class BackupLimitError(PanelError):
    """The server has reached its backup limit; failed backups do not count, running ones do."""

    code = ProblemCode.BACKUP_LIMIT
    default_hint = "delete or unlock a backup, keep fewer, or raise the server's backup limit in the panel"

    def __init__(self, text: str, *, limit: int | None = None, status: int | None = None) -> None:
        super().__init__(text, status=status)
        self.limit = limit


class BackupLockedError(PanelError):
    """The backup is locked, so the panel does not delete it."""

    code = ProblemCode.BACKUP_LOCKED
    default_hint = "if you really want to delete it, run `ptero-backupd backups unlock` first"


class RefusedRequestError(PanelError):
    """The panel refuses for another reason, which its own message gives."""

    code = ProblemCode.REFUSED_REQUEST
    default_hint = "the panel's own message says why"


class ApiLimitError(PanelError):
    """The user's requests for this minute are used up, over all keys."""

    code = ProblemCode.API_LIMIT
    default_hint = (
        "something else uses the same user's keys; give the daemon a user of its own, or raise the panel's limit"
    )
    transient = True


class HeldBackError(PanelError):
    """A write could not be sent in time, so it was not sent."""

    code = ProblemCode.HELD_BACK
    default_hint = "others have used up the API limit; the next rotation decides anew"
    transient = True


class CreationThrottledError(PanelError):
    """The server has had all its creations for these minutes; other servers are not affected."""

    code = ProblemCode.CREATION_THROTTLED
    default_hint = "the panel allows only a few creations per server in ten minutes (BACKUP_THROTTLE_LIMIT in its .env)"
    transient = True
