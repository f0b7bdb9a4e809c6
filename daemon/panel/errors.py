"""Everything that a call to the panel can raise; nothing else leaves `daemon/panel`.

    PanelError                      exit 4, but for a state that passes: 3
    ├── PanelUnreachableError    t  no connection, or none that lasted; a write was certainly not sent
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
    ├── InvalidRequestError         422; `field` names what was wrong
    ├── BackupLimitError            400 TooManyBackupsException; `limit` is the server's
    ├── BackupLockedError           400 BackupLockedException
    ├── RefusedRequestError         any other 4xx
    ├── ApiLimitError            t  429 for the whole user
    ├── HeldBackError            t  not sent: the API limit held it back until what it was decided on was too old
    └── CreationThrottledError   t  429 for creations on one server

t: `transient` — the same thing may succeed later without anybody's help. No text here may hold a key or a signed URL.
"""

from enum import StrEnum

from daemon.core.model import Obstacle
from daemon.errors import BackupdError, Exit


class PanelError(BackupdError):
    """The panel is unreachable or refuses. `retry_after` is in seconds, where the panel said it.

    `spoken` says of a 5xx that the panel itself worded it, so that its work on the request has ended; a proxy's page
    leaves open whether the panel is still at it.
    """

    exit_code = Exit.FAILED
    code = "panel"
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
    """There was no connection; whatever was to be written was not sent."""

    code = "panel-unreachable"
    default_hint = "check the panel's url, its certificate, and whether this machine can reach it"
    clear_hint = "what answers there speaks no TLS: is the panel's url one with http, or with another port?"
    private_hint = (
        "where a private authority made the panel's certificate, let SSL_CERT_FILE name a file with that authority's"
    )
    transient = True


class ProxyError(PanelError):
    """A proxy that the environment names cannot be used; nothing was sent."""

    code = "proxy"
    default_hint = "correct the variable, or let NO_PROXY name the panel's host"


class PanelTroubleError(PanelError):
    """The panel, or a proxy before it, answers a read with 5xx, does not delete, or does not let a lock stay."""

    code = "panel-trouble"
    default_hint = "the panel is in trouble or in maintenance; its own log says more"
    transient = True


class NodeError(PanelError):
    """The panel could not make the server's node do it."""

    code = "node"
    default_hint = "look at the node: is it up, does the panel show it green, is its disk full?"
    transient = True


class NodeCallError(NodeError):
    """Pelican's call to the server's node failed: the node refused, did not answer in time, or not as a node does.

    The panel itself says so, after it took back what it had begun, so one look tells: no backup is left of a create,
    no status of a restore, and a backup that was to be deleted stands. Its file may be gone where the node was late.
    """

    code = "node-call"


class OutcomeUnknownError(PanelError):
    """A write was sent and no answer tells whether it was done."""

    code = "outcome-unknown"
    default_hint = "it may have been done or not; look at the panel before doing it again"
    transient = True


class StrangeAnswerError(PanelError):
    """The answer is none that a panel gives: a login page, a CDN's interstitial, cut JSON. They come and go."""

    code = "strange-answer"
    default_hint = (
        "check that url is the panel's own address, with https, and that no login page or proxy answers for it"
    )
    transient = True


class ForeignPanelError(StrangeAnswerError):
    """The panel is a fork whose backup API works differently."""

    code = "foreign-panel"
    default_hint = (
        "Pterodactyl and Pelican are supported; forks that turn backups into jobs (Pyrodactyl, Elytra) are not"
    )
    transient = False


LEFT_OPEN = (OutcomeUnknownError, ForeignPanelError)
"""After a DELETE either leaves open whether it was done, or is still to be: a fork's job is on its way."""


class KeyRefusedError(PanelError):
    """The panel does not know the key."""

    code = "key-refused"
    default_hint = (
        "make a client key under Account → API Credentials (ptlc_…, on Pelican pacc_…) and configure it whole"
    )
    foreign_hint = (
        "the panel did not say that: what is before it asks for a login of its own (nginx's auth_basic, an access "
        "portal); let it pass requests to /api/client without one"
    )


class Lacking(StrEnum):
    """What is lacking: what a 403 complains of, or the right to see all servers, for which the panel has no 403."""

    PERMISSION = "permission"
    CLIENT_KEY = "client-key"
    ADDRESS = "address"
    ADMINISTRATOR = "administrator"


class PermissionLackingError(PanelError):
    """The panel knows the key, and does not let it do this."""

    code = "permission-lacking"
    hints = {  # noqa: RUF012 — read only, and read once, below
        Lacking.PERMISSION: "give the key's user the permission on this server: backup.read, .create, .delete …",
        Lacking.CLIENT_KEY: "this is an application key (ptla_…, papp_…); use a client key (ptlc_…, pacc_…)",
        Lacking.ADDRESS: "the key is bound to other IP addresses; allow this machine's address in the key's settings",
        Lacking.ADMINISTRATOR: 'servers = "all" is for the key of an administrator; leave it out for any other',
    }

    def __init__(self, text: str, *, kind: Lacking = Lacking.PERMISSION, status: int | None = None) -> None:
        super().__init__(text, status=status, hint=self.hints[kind])
        self.kind = kind


class NotFoundError(PanelError):
    """The panel knows no such server or backup, or not for this key."""

    code = "not-found"
    default_hint = "check the id; `ptero-backupd servers` shows what the key can see"
    address_hint = "no panel is at this address: url is the panel's own, without /admin, /api and what follows"


class NoBackupHostError(PanelError):
    """The panel shows the server, and finds no place for a backup of it: a Pelican without a host for its node."""

    code = "no-backup-host"
    default_hint = (
        "in the panel's admin area (Pelican: Backup Hosts), give the server's node one that keeps its backups"
    )


class ServerStateError(PanelError):
    """The server's state, or its node's maintenance, forbids every backup call for now.

    `obstacle` is which, by the server's view: the words of a 409 are in the panel's language. None where the view does
    not tell, or does so no more.
    """

    code = "server-state"
    default_hint = "wait until the server is idle again"
    suspended_hint = "only an administrator can end that"
    installed_hint = (
        "that does not end by itself: let an administrator mark it as installed, or have it installed again, which may"
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
        """Whether an administrator means it to be so."""
        return self.obstacle is Obstacle.SUSPENDED


class InvalidRequestError(PanelError):
    """The panel does not accept a value; `field` names it where the panel did."""

    code = "invalid-request"
    default_hint = "the panel's own words say what it expects"
    name_hint = "a backup's name may have 191 characters on Pterodactyl and 255 on Pelican: shorten the template"

    def __init__(self, text: str, *, field: str | None = None, status: int | None = None) -> None:
        super().__init__(text, status=status, hint=self.name_hint if field == "name" else None)
        self.field = field


class BackupLimitError(PanelError):
    """The server has as many backups as it may have; failed ones do not count, running ones do."""

    code = "backup-limit"
    default_hint = "delete or unlock a backup, keep fewer, or raise the server's backup limit in the panel"

    def __init__(self, text: str, *, limit: int | None = None, status: int | None = None) -> None:
        super().__init__(text, status=status)
        self.limit = limit


class BackupLockedError(PanelError):
    """The backup is locked, so the panel does not delete it."""

    code = "backup-locked"
    default_hint = "`ptero-backupd backups unlock` first, if it is really to go"


class RefusedRequestError(PanelError):
    """The panel refuses for another reason, which its own words tell."""

    code = "refused-request"
    default_hint = "the panel's own words say why"


class ApiLimitError(PanelError):
    """The user's requests of this minute are used up, over all keys."""

    code = "api-limit"
    default_hint = (
        "something else uses the same user's keys; give the daemon a user of its own, or raise the panel's limit"
    )
    transient = True


class HeldBackError(PanelError):
    """A write could not leave in time, so it was not sent."""

    code = "held-back"
    default_hint = "the API limit is used up by others; the next rotation decides anew"
    transient = True


class CreationThrottledError(PanelError):
    """The server had its backups of the last minutes; other servers are not concerned."""

    code = "creation-throttled"
    default_hint = "the panel allows few creations per server in ten minutes (BACKUP_THROTTLE_LIMIT in its .env)"
    transient = True
