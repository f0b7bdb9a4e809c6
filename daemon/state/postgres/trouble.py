"""What asyncpg and the network raise, as our errors: the one boundary of this engine.

No text of theirs that could quote the url, which holds a password, is passed on.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from daemon.errors import DiskFullError, JournalBusyError, StateError

OUT_OF_REACH = "backups go on, and nothing is deleted until the database answers again"
_RIGHTS = "the role must own its tables and the schema that they are in: docs/cluster.md says how to make it"

# By the first characters of SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_CODE: tuple[tuple[str, type[StateError], str], ...] = (
    ("08", JournalBusyError, OUT_OF_REACH),
    ("57P", JournalBusyError, OUT_OF_REACH),
    ("57014", JournalBusyError, "a statement took too long: look at the database's load, and at who locks its tables"),
    ("55P03", JournalBusyError, "another session locks the tables: `SELECT * FROM pg_stat_activity` shows which"),
    ("40", JournalBusyError, OUT_OF_REACH),
    ("533", JournalBusyError, "raise max_connections; each daemon needs two connections"),
    ("53100", DiskFullError, "make room on the database's disk"),
    ("53", JournalBusyError, "the database lacks memory or another resource: its log says which"),
    ("28", StateError, "look at the user and the password in cluster.url, and at the server's pg_hba.conf"),
    ("3D000", StateError, "create the database, or name the right one in cluster.url"),
    ("42501", StateError, _RIGHTS),
    ("3F000", StateError, _RIGHTS),
    (
        "25006",
        JournalBusyError,
        "this is a standby: name the primary in cluster.url",
    ),
)

_OF_THE_CONNECTION = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError, EOFError)
"""What says that a connection is lost. asyncpg calls it a fault of its own (InternalClientError) if a server that shuts
down has said so, and the end of the connection has not arrived: from then on that connection answers nothing.
"""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise StateError, or what it has become, for any trouble with the database; `what` begins the text."""
    try:
        yield
    except ssl.SSLError as error:  # of which some are ValueErrors as well
        raise _translated(what, error) from None
    except (ValueError, TypeError, OverflowError) as error:  # what no row can hold
        raise StateError(f"{what}: {type(error).__name__}", hint="please report it, with the log") from None
    except (asyncpg.PostgresError, *_OF_THE_CONNECTION) as error:
        raise _translated(what, error) from None  # its context could quote the url


def _translated(what: str, error: Exception) -> StateError:
    if isinstance(error, asyncpg.PostgresError):
        return _answered(what, str(error.sqlstate or ""), _said(error))
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        hint = "add sslrootcert=FILE with the server's CA to cluster.url, and use the name in its certificate"
        return StateError(f"{what}: {reason}", hint=hint)
    if isinstance(error, ConnectionError) and "SSL" in str(error):  # asyncpg's own
        return StateError(f"{what}: the server offers no TLS", hint="configure ssl = on and a certificate there")
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    else:
        reason = (isinstance(error, OSError) and error.strerror) or "the connection is lost"
    return JournalBusyError(f"{what}: {reason}", hint=OUT_OF_REACH)


def _answered(what: str, code: str, said: str) -> StateError:
    """Return what the server's own refusal has become."""
    for beginning, kind, hint in _BY_CODE:
        if code.startswith(beginning):
            return kind(f"{what}: {said}", hint=hint)
    return StateError(f"{what}: {said}", hint="the database's log says more")


def _said(error: Any) -> str:  # noqa: ANN401 — asyncpg has no types
    """Return the message alone: details may quote whole rows."""
    return str(error.args[0]) if error.args else type(error).__name__
