"""Define the one tree of errors: each class has an exit code of the contract and a hint for the operator.

    BackupdError
    ├── UsageError            2   the command line cannot be carried out
    │   └── ConfigError       2   the configuration is refused as a whole (daemon/config)
    ├── StateError            4   the state folder cannot be used (journal, lock)
    │   ├── JournalDamagedError
    │   │                     4   the journal is damaged, and was left where it is
    │   ├── JournalBusyError  4   another process holds a lock on the journal
    │   ├── DiskFullError     4   the disk has no room for what is to be written
    │   └── ServerBusyError   3   another process is rotating this server
    └── PanelError            4   the panel is unreachable or refuses (daemon/panel/errors.py has its branches)

Anything else that reaches the command line is a bug: exit 1. Third-party exceptions (httpx, sqlite3, pydantic, OSError)
are translated where they arise, each at one boundary, and never cross it. A message never holds a key or a signed
URL.
"""

from enum import IntEnum, StrEnum


class ProblemCode(StrEnum):
    """The kind of an error, a problem or a finding, for scripts. `docs/codes.md` says what each means.

    The codes are a contract: `--json`, the log, the status page's documents and the journal hold them.
    """

    # A command, and what it stands on.
    ERROR = "error"
    BUG = "bug"
    USAGE = "usage"
    CONFIG = "config"
    OUTPUT = "output"
    LISTEN = "listen"
    STATE = "state"
    JOURNAL = "journal"
    BUSY = "busy"
    # A call to the panel.
    PANEL = "panel"
    PANEL_UNREACHABLE = "panel-unreachable"
    PANEL_TROUBLE = "panel-trouble"
    PROXY = "proxy"
    NODE = "node"
    NODE_CALL = "node-call"
    OUTCOME_UNKNOWN = "outcome-unknown"
    STRANGE_ANSWER = "strange-answer"
    FOREIGN_PANEL = "foreign-panel"
    KEY_REFUSED = "key-refused"
    PERMISSION_LACKING = "permission-lacking"
    NOT_FOUND = "not-found"
    NO_BACKUP_HOST = "no-backup-host"
    SERVER_STATE = "server-state"
    INVALID_REQUEST = "invalid-request"
    BACKUP_LIMIT = "backup-limit"
    BACKUP_LOCKED = "backup-locked"
    REFUSED_REQUEST = "refused-request"
    API_LIMIT = "api-limit"
    HELD_BACK = "held-back"
    CREATION_THROTTLED = "creation-throttled"
    # A rotation's backup.
    BACKUP_FAILED = "backup-failed"
    BACKUP_SUSPICIOUS = "backup-suspicious"
    BACKUP_PENDING = "backup-pending"
    BACKUP_STRANGE = "backup-strange"
    CREATE_UNKNOWN = "create-unknown"
    NOT_MISSED = "not-missed"
    TIMEOUT = "timeout"
    VANISHED = "vanished"
    STUCK = "stuck"
    LOCKED = "locked"
    IGNORED = "ignored"
    NAME_ALTERED = "name-altered"
    # A rotation's deletions.
    LIMIT = "limit"
    NOTHING_DELETABLE = "nothing-deletable"
    MAX_DELETIONS = "max-deletions"
    UNPROVEN = "unproven"
    DISPUTED = "disputed"
    CLOCK = "clock"
    PARTIAL_LISTING = "partial-listing"
    WRONG_TOTAL = "wrong-total"
    CHANGING = "changing"
    UNDELETABLE = "undeletable"
    CONFIGURATION_CHANGED = "configuration-changed"
    GONE = "gone"
    DUPLICATE_SERVER = "duplicate-server"
    # By hand.
    NOTHING = "nothing"
    PENDING = "pending"
    CHANGED = "changed"
    EMPTY = "empty"
    NEWEST_GOOD = "newest-good"
    NOT_SUSPICIOUS = "not-suspicious"
    HALF_DELETED = "half-deleted"
    OWN_NAME = "own-name"
    SCOPE_ALL = "scope-all"
    LOCK_DROPPED = "lock-dropped"
    SAFETY_BACKUP = "safety-backup"
    RESTORE_UNKNOWN = "restore-unknown"
    RESTORE_FAILED = "restore-failed"
    OUTCOME_NOT_TOLD = "outcome-not-told"
    NOT_EMPTY = "not-empty"
    RUNNING = "running"
    NOT_A_DRILL = "not-a-drill"
    DRILL_FAILED = "drill-failed"
    WAY_CLOSED = "way-closed"
    BY_HAND = "by-hand"
    FILES_DIFFER = "files-differ"
    NOT_LOOKED_AT = "not-looked-at"
    HALF_RESTORED = "half-restored"
    # A file that is downloaded or verified.
    TRANSFER = "transfer"
    NOT_GOOD = "not-good"
    WRONG_FILE = "wrong-file"
    TARGET = "target"
    DISK = "disk"
    DISK_FULL = "disk-full"
    HOST = "host"
    LINK_REFUSED = "link-refused"
    RANGE_REFUSED = "range-refused"
    STRANGE_HOST = "strange-host"
    SIZE = "size"
    CHECKSUM = "checksum"
    ARCHIVE = "archive"
    ESCAPING = "escaping"
    OUTWARD_LINK = "outward-link"
    UNCHECKED = "unchecked"
    NOT_SANE = "not-sane"
    # A store of copies.
    STORE = "store"
    UNCOPIED = "uncopied"
    STORE_UNREACHABLE = "store-unreachable"
    STORE_TROUBLE = "store-trouble"
    STORE_CUT = "store-cut"
    STORE_FULL = "store-full"
    STORE_IDENTITY = "store-identity"
    STORE_CREDENTIALS = "store-credentials"
    STORE_PERMISSION = "store-permission"
    STORE_REFUSED = "store-refused"
    STORE_UNUSABLE = "store-unusable"
    OBJECT_EXISTS = "object-exists"
    OBJECT_MISSING = "object-missing"
    OBJECT_LOCKED = "object-locked"
    # A copy in a store.
    COPY = "copy"
    MANIFEST = "manifest"
    ENCRYPTION = "encryption"
    COPY_PROCESS = "copy-process"
    # What `check` looks at.
    CONFIGURATION = "configuration"
    ALERTS = "alerts"
    NAME = "name"
    DUPLICATE = "duplicate"
    SERVER = "server"
    SKIPPED = "skipped"
    PERMISSION_OPTIONAL = "permission-optional"
    RENAMED = "renamed"

    @classmethod
    def read(cls, text: str) -> "ProblemCode":
        """Return the code that a journal holds; ERROR for one that only another version knows."""
        try:
            return cls(text)
        except ValueError:
            return cls.ERROR


class Exit(IntEnum):
    """The exit codes of the contract."""

    DONE = 0
    BUG = 1
    USAGE = 2
    SOME_FAILED = 3
    FAILED = 4
    REFUSED = 5
    INTERRUPTED = 130


class BackupdError(Exception):
    """The root. `text` says what happened, `hint` what the operator can do, `code` names the kind for scripts."""

    exit_code: Exit = Exit.BUG
    code: ProblemCode = ProblemCode.ERROR
    default_hint: str = ""

    def __init__(self, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = self.default_hint if hint is None else hint


class UsageError(BackupdError):
    """The command line asks for something impossible."""

    exit_code = Exit.USAGE
    code = ProblemCode.USAGE


class StateError(BackupdError):
    """The state folder cannot be used."""

    exit_code = Exit.FAILED
    code = ProblemCode.STATE
    default_hint = "look at state_dir: it must be a folder that this user can write to, with free space"


class JournalDamagedError(StateError):
    """The journal is damaged, and was left where it is."""

    default_hint = "when the daemon starts next, it sets the damaged file aside and begins a new one"


class JournalBusyError(StateError):
    """Another process holds a lock on the journal; it may release it at any moment."""

    default_hint = "a backup tool or a shell holds a lock on the journal: `fuser -v` on the file shows which"


class DiskFullError(StateError):
    """The disk has no room; nothing else is wrong, and what is open is best left open."""


class ServerBusyError(StateError):
    """Another process, or another task of this one, is rotating the server."""

    exit_code = Exit.SOME_FAILED  # by the contract: skipped for a passing state
    code = ProblemCode.BUSY
    default_hint = "wait until the other rotation has ended; `ptero-backupd status` shows it"

    def __init__(self, server_uuid: str, holder: str = "") -> None:
        by = f" by process {holder}" if holder else ""
        super().__init__(f"server {server_uuid} is being rotated already{by}")


class TakenOverError(StateError):
    """Another member of the cluster has taken over, so that nothing may be announced any more."""


class ElsewhereError(ServerBusyError):
    """Another member of the cluster acts for the server's node, or none does yet."""

    default_hint = "nothing: the member that holds the node goes on; `ptero-backupd cluster status` shows it"

    def __init__(self, server_uuid: str, holder: str = "") -> None:
        who = f"member {holder} acts" if holder else "no member acts yet"
        StateError.__init__(self, f"server {server_uuid} is on a node for which {who}")
