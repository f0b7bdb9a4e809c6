"""Define the one tree of errors: each class has an exit code of the contract and a hint for the operator.

    BackupdError
    ├── UsageError            2   the command line cannot be carried out
    │   └── ConfigError       2   the configuration is refused as a whole (daemon/config)
    ├── StateError            4   the state folder cannot be used (journal, lock)
    │   ├── JournalDamagedError
    │   │                     4   the journal is damaged, and was left where it is
    │   ├── JournalBusyError  4   another process holds a lock on the journal
    │   └── ServerBusyError   3   another process is rotating this server
    ├── PanelError            4   the panel is unreachable or refuses (daemon/panel/errors.py has its branches)
    └── SafetyError           5   refused, because going on could cost a backup

Anything else that reaches the command line is a bug: exit 1. Third-party exceptions (httpx, sqlite3, pydantic, OSError)
are translated where they arise, each at one boundary, and never cross it. A message never holds a key or a signed
URL.
"""

from enum import IntEnum


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
    code: str = "error"
    default_hint: str = ""

    def __init__(self, text: str, *, hint: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = self.default_hint if hint is None else hint


class UsageError(BackupdError):
    """The command line asks for something impossible."""

    exit_code = Exit.USAGE
    code = "usage"


class StateError(BackupdError):
    """The state folder cannot be used."""

    exit_code = Exit.FAILED
    code = "state"
    default_hint = "look at state_dir: it must be a folder that this user can write to, with free space"


class JournalDamagedError(StateError):
    """The journal is damaged, and was left where it is."""

    default_hint = "when the daemon starts next, it sets the damaged file aside and begins a new one"


class JournalBusyError(StateError):
    """Another process holds a lock on the journal; it may release it at any moment."""

    default_hint = "a backup tool or a shell holds a lock on the journal: `fuser -v` on the file shows which"


class ServerBusyError(StateError):
    """Another process, or another task of this one, is rotating the server."""

    exit_code = Exit.SOME_FAILED  # by the contract: skipped for a passing state
    code = "busy"
    default_hint = "wait until the other rotation has ended; `ptero-backupd status` shows it"

    def __init__(self, server_uuid: str, holder: str = "") -> None:
        by = f" by process {holder}" if holder else ""
        super().__init__(f"server {server_uuid} is being rotated already{by}")


class SafetyError(BackupdError):
    """Refused, because going on could cost a backup that somebody wants."""

    exit_code = Exit.REFUSED
    code = "safety"
