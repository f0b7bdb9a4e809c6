"""A connection as this engine needs it: TLS verified, bounded in time, durable, and not through a pooler, which would
give each transaction another session.
"""

import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from pydantic import SecretStr

from daemon.core.addresses import hosts_of, is_this_machine
from daemon.errors import StateError
from daemon.state.postgres.trouble import translated

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 20.0
"""How long a statement is waited for on our side; the server gives up before."""

_SESSION = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""A half-open session ends within 25 s, and frees what it locks."""

_VERIFIED = {"verify-full", "verify-ca"}

Connection = Any  # asyncpg has no types


async def connect(url: SecretStr, title: str) -> Connection:
    """Return a new connection; raises StateError, or JournalBusyError if the database is out of reach."""
    dsn, context = _own_certificates(url, title)
    with translated(f"{title} is out of reach"):
        options = {} if context is None else {"ssl": context}
        connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, command_timeout=ANSWER_SECONDS, **options)
    try:
        with translated(f"{title} cannot be used"):
            await _prepare(connection, title)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _own_certificates(url: SecretStr, title: str) -> tuple[str, ssl.SSLContext | None]:
    """Return what `tls` does; a file that cannot be read is the operator's to correct, and no database out of reach."""
    try:
        return tls(url.get_secret_value())
    except OSError as error:
        why = error.strerror or type(error).__name__
    text = f"{title}: a file that cluster.url names as sslrootcert, sslcert or sslkey cannot be used: {why}"
    raise StateError(
        text, hint="name readable PEM files; without sslrootcert the machine's own authorities are trusted"
    )


def title_of(url: SecretStr) -> str:
    """Return what to call the database in messages: where it is, without user and password."""
    parts = urlsplit(url.get_secret_value())
    host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
    return f"the database {host}{parts.path}"


def tls(url: str) -> tuple[str, ssl.SSLContext | None]:
    """Return the url, and how the server proves who it is: by default, unless it is this machine, in full."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    mode = query.get("sslmode")
    local = "host" in query or all(is_this_machine(host) for host in hosts_of(url))
    if mode is None and local:
        return url, None
    if mode is not None and mode not in _VERIFIED:
        return url, None
    rest = {key: value for key, value in query.items() if key not in {"sslmode", "sslrootcert", "sslcert", "sslkey"}}
    context = ssl.create_default_context(cafile=_file(query, "sslrootcert"))
    context.check_hostname = mode != "verify-ca"
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # since Python 3.13; `panel.reach` says whom it refuses
    if certificate := _file(query, "sslcert"):
        context.load_cert_chain(certificate, _file(query, "sslkey"))
    return urlunsplit(parts._replace(query=urlencode(rest))), context


def _file(query: dict[str, str], key: str) -> str | None:
    named = query.get(key)
    return None if named in {None, "system"} else named


async def _prepare(connection: Connection, title: str) -> None:
    """Set what bounds the session; refuse a pooler, and change nothing of the session that it happened to give us.

    It is one statement of the simple protocol, since a session that was given to another process of ours before may
    have its prepared statements. A pooler answers the connection with a process of its own, pgbouncer in every mode.
    """
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SESSION.items())
    answer = await connection.execute(
        f"SELECT {settings}, set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
        f" WHERE pg_backend_pid() = {connection.get_server_pid()}"
    )
    if answer != "SELECT 1":
        raise StateError(
            f"{title} is behind a connection pooler, such as pgbouncer",
            hint="name the database itself in cluster.url: a pooler in transaction mode mixes up the daemons' sessions",
        )
