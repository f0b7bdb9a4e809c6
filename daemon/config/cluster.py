"""The `[cluster]` table: the PostgreSQL database by which several daemons share the work.

The address is a secret, since it holds a password; no message shows it. A table without an address is refused: its
daemon would act alone while others do as well.
"""

import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr, ValidationError

from daemon.config.errors import shown
from daemon.config.models import ClusterTable
from daemon.config.secret import Place, credential_file, find_secret
from daemon.config.translate import refuse_all
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import ClusterConfig
from daemon.core.addresses import hosts_of, is_this_machine
from daemon.core.units import parse_duration
from daemon.core.words import that_installs

_URL = Place(
    ("cluster", "url"), "address", "no address of a database, so this daemon would act independently of the others"
)
_LEASE = ("cluster", "lease")
_SHORTEST, _LONGEST = parse_duration("5s"), parse_duration("10m")
_SUCH_AS = "such as postgresql://USER:PASSWORD@HOST/DATABASE"
_UNVERIFIED = {"disable", "allow", "prefer", "require"}


def cluster_config(environ: Mapping[str, str], tree: Tree) -> ClusterConfig | None:
    """Return the cluster that this daemon is a member of; None if it is alone or, with a problem, if that is wrong."""
    try:
        table = ClusterTable.model_validate(tree.values["cluster"])
    except ValidationError as error:
        refuse_all(error, ("cluster",), tree)
        return None
    if not table.model_fields_set and not _has_credential(environ):
        return None
    lease = parse_duration(table.lease)
    if not _SHORTEST <= lease <= _LONGEST:
        reason = "must be between 5s and 10m"
        tree.refuse(_LEASE, reason, "the nodes of a killed member wait this long for another", value=shown(table.lease))
    found = find_secret(_URL, table.url, table.url_file, environ, tree)
    if found is None:
        return None
    url, where = found
    if not (installed := find_spec("asyncpg") is not None):
        tree.refuse(where, "asyncpg is not installed", that_installs("postgres"))
    if mistake := _mistake(url):
        tree.refuse(where, *mistake)
        return None
    _warn_of_others_on_the_way(url, where, tree)
    return ClusterConfig(SecretStr(url), table.member or socket.gethostname(), lease) if installed else None


def _has_credential(environ: Mapping[str, str]) -> bool:
    """Return whether systemd passes the address. One that cannot be read is told by what asks for the panel's key."""
    file = credential_file(_URL.path, environ)
    return file is not None and os.path.isfile(file)  # noqa: PTH113 — Path's own raises where the folder is closed


def _mistake(url: str) -> tuple[str, str] | None:
    """Return what is wrong with an address and what would be right, without showing it."""
    try:
        parts = urlsplit(url)
        hosts = hosts_of(url)
    except ValueError:
        return "the address cannot be read as one", _SUCH_AS
    if parts.scheme not in {"postgresql", "postgres"} or not url.isprintable() or " " in url:
        return "must be an address of PostgreSQL", _SUCH_AS
    if not any(hosts) and "host" not in dict(parse_qsl(parts.query)):
        return "names no host", _SUCH_AS
    return None


def _warn_of_others_on_the_way(url: str, where: KeyPath, tree: Tree) -> None:
    mode = dict(parse_qsl(urlsplit(url).query)).get("sslmode")
    if mode in _UNVERIFIED and not all(map(is_this_machine, filter(None, hosts_of(url)))):
        reason = f'sslmode={mode} lets others on the way pretend to be the database; leave it out for "verify-full"'
        tree.warn(where, reason)
