"""The first configuration, for `init`: a commented file that works as it is, for the servers that a key can see.

It deletes only what it named itself, and asks for no more backups of a server than its panel allows: if the limit is
lower than the rules would fill, fewer are kept, and a server on which nothing can rotate becomes a comment.
"""

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.config.kinds import NAME
from daemon.config.tree import variable
from daemon.core.keep import Keep
from daemon.core.model import Server
from daemon.errors import UsageError
from daemon.stores.values import (
    BucketLocation,
    DirectoryLocation,
    Location,
    RcloneLocation,
    parse_location,
)

_RULES = {"last": 3, "daily": 7, "weekly": 4, "monthly": 6}
_LEAST_LIMIT = 2  # one to keep while the next is made
_LONGEST_SLUG = 40
_HEAD = """\
# ptero-backupd: what is backed up, when, and what is kept. `ptero-backupd check` says whether it is right and
# `ptero-backupd plan` what it would keep and delete now. All keys: docs/configuration.md
"""
_POLICY = """\
[policies.standard]
schedule = "0 4 * * *"            # every day at four; also "@hourly", or "every 6h"
timezone = "UTC"                  # such as "Europe/Berlin"
splay = "20m"                     # servers start spread over this span
scope = "own"                     # delete only what this policy named; "all" = any unlocked backup
name = "auto-{server}-{time}-{id}"
ignored = []                      # such as ["logs/", "*.tmp"]
keep = %s
"""
_SECRETS = {
    "s3": ("access_key_id", "secret_access_key"),
    "gs": ("service_account",),
    "az": ("account_key",),
    "sftp": ("private_key",),
}
_TO_WRITE = {
    "s3": ('# endpoint = "https://s3.example.com"   # for any service but Amazon\'s', '# region = "eu-central-1"'),
    "az": ('# account_name = "…"',),
    "sftp": ('# known_hosts_file = "…"            # what `ssh-keyscan HOST` prints, compared with the host\'s own',),
}
"""What is commented out, since nobody but the operator can know it."""
_KEEP = (
    "# keep = { daily = 30, monthly = 12 }   # of each server; without it every copy stays, and the store only grows"
)


@dataclass(frozen=True, slots=True)
class FirstStore:
    """A store for a first configuration."""

    name: str
    url: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """The variables of the environment that may hold its secrets."""
        return tuple(variable(("stores", self.name, one)) for one in _SECRETS.get(_scheme(self.url), ()))


def first_stores(words: Sequence[str]) -> tuple[FirstStore, ...]:
    """Given urls, each with `NAME=` before it or named after its last folder, its bucket, or else its kind, return the
    stores; UsageError for no url.
    """
    stores: dict[str, FirstStore] = {}
    for word in words:
        found = _NAMED.fullmatch(word)
        given, url = (found[1], found[2]) if found else (None, word)
        try:
            location = parse_location(url)
        except ValueError as error:
            raise UsageError(f"--store: {error}") from None
        name = given or next(one for one in _candidates(_store_name(location, url), "2") if one not in stores)
        if name in stores:
            raise UsageError(f"--store: there are two stores {name}", hint="write another name before the =")
        stores[name] = FirstStore(name, url)
    return tuple(stores.values())


_NAMED = re.compile(r"([a-z0-9][a-z0-9-]*)=(.*)", re.DOTALL)


def _store_name(location: Location, url: str) -> str:
    """Return what to call a store: its last folder, else its bucket or remote, where that can be a name."""
    match location:
        case DirectoryLocation(path):
            place = path.name
        case BucketLocation(_, bucket, prefix):
            place = prefix.rpartition("/")[2] or bucket
        case RcloneLocation(remote, path):
            place = path.rpartition("/")[2] or remote
        case _:
            place = location.path.rpartition("/")[2]
    return place.lower() if NAME.fullmatch(place.lower()) else _scheme(url).replace("file", "folder")


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


@dataclass(frozen=True, slots=True)
class FirstPanel:
    """A panel for a first configuration, with the servers that its key can see; `all_servers` if it is an
    administrator's.
    """

    name: str
    url: str
    servers: Sequence[Server]
    key_file: Path | None = None
    allow_http: bool = False
    all_servers: bool = False


def first_config(
    panels: Sequence[FirstPanel], stores: Sequence[FirstStore] = (), *, state_dir: Path | str | None = None
) -> str:
    """Given at least one panel, return the text of a configuration for all servers on them, copied to all stores."""
    parts = [_HEAD]
    if state_dir is not None:
        parts.append(f"state_dir = {quoted(str(state_dir))}\n")
    parts += [_panel(panel) for panel in panels]
    parts.append(_POLICY % _table(_RULES) + _copies(stores))
    parts += [_store(store) for store in stores]
    taken: set[str] = set()
    for panel in panels:
        for server in panel.servers:
            parts.append(_server(server, _slug(server, taken), panel.name if len(panels) > 1 else None))
    return "\n".join(parts)


def rotates(server: Server) -> bool:
    """Return whether a backup can be kept while the next one is made; a server that cannot is written as a comment."""
    return server.backup_limit >= _LEAST_LIMIT


def write_new(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that does not exist yet, completely or not at all; raises UsageError if it exists or cannot be
    written.
    """
    try:
        _make_folder(path.parent)
        draft = path.with_name(f".{secrets.token_hex(8)}.draft")
        try:
            _write(draft, text, mode)
            _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"{path} cannot be written: {why}") from None


def _make_folder(folder: Path) -> None:
    """Make the missing folders, for their owner to write in and the daemon's user to enter, whatever the umask."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o755, exist_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)  # unlike a rename, this never replaces what is there
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="it is left as it is; name another file") from None


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def quoted(text: str) -> str:
    """Return the text as a TOML string."""
    escaped = re.sub(r'[\x00-\x1f\x7f"\\]', lambda match: f"\\u{ord(match[0]):04x}", text)
    return f'"{escaped}"'


def _panel(panel: FirstPanel) -> str:
    lines = [f"[panels.{panel.name}]", f"url = {quoted(panel.url)}"]
    if panel.allow_http:
        lines.append("allow_http = true                 # anyone on the path can read the key")
    if panel.all_servers:
        lines.append('servers = "all"                   # of the panel; "mine" = those of the key\'s user')
    if panel.key_file:
        lines.append(f"api_key_file = {quoted(str(panel.key_file))}")
    else:
        lines.append(f"# the key: in ${variable(('panels', panel.name, 'api_key'))}")
    return "\n".join(lines) + "\n"


def _copies(stores: Sequence[FirstStore]) -> str:
    names = ", ".join(quoted(one.name) for one in stores)
    return f"{f'copies = [{names}]':<33} # a copy of each good backup goes there\n" if stores else ""


def _store(store: FirstStore) -> str:
    lines = [f"[stores.{store.name}]", f"url = {quoted(store.url)}", _KEEP, *_TO_WRITE.get(_scheme(store.url), ())]
    if store.secrets:
        lines.append(f"# the secret: in {' and '.join(f'${one}' for one in store.secrets)}, or in files")
    return "\n".join(lines) + "\n"


def _server(server: Server, name: str, panel: str | None) -> str:
    lines = [f"[servers.{name}]", f'id = "{server.identifier}"']
    if panel:
        lines.append(f'panel = "{panel}"')
    most = Keep.from_mapping(_RULES).most_kept()
    room = server.backup_limit - 1
    if most is not None and room < most:
        lines.append(f"keep = {_table({'last': max(1, room)})}".ljust(34) + f"# the panel allows {server.backup_limit}")
    comment = f"# {_one_line(server.name)}, on {_one_line(server.node)}"
    if not rotates(server):
        why = f"its backup limit is {server.backup_limit}, and to rotate takes {_LEAST_LIMIT}:"
        lines = [f"# {line}" for line in (why, *lines)]
    return "\n".join([comment, *lines]) + "\n"


def _slug(server: Server, taken: set[str]) -> str:
    """Return a name for the server, derived from its own, that no other has yet."""
    slug = re.sub(r"[^a-z0-9]+", "-", server.name.lower())[:_LONGEST_SLUG].strip("-") or server.identifier.lower()
    name = next(candidate for candidate in _candidates(slug, server.identifier.lower()) if candidate not in taken)
    taken.add(name)
    return name


def _candidates(slug: str, identifier: str) -> Iterator[str]:
    yield slug
    yield f"{slug}-{identifier}"
    yield from (f"{slug}-{number}" for number in range(2, 2**31))


def _table(rules: dict[str, int]) -> str:
    return "{ " + ", ".join(f"{rule} = {count}" for rule, count in rules.items()) + " }"


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
