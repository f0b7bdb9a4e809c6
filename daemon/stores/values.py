"""Where a store is and how it is reached: frozen values, and the parser of a store's `url`.

A location never holds a secret: a url with a password in it is refused. Each mistake is a ValueError whose text says
what would be right.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr

from daemon.core.addresses import masked
from daemon.stores.keys import check_key

SSH_PORT = 22
FORMS = (
    "file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, sftp://USER@HOST/PATH,"
    " rclone:REMOTE:PATH"
)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REMOTE = re.compile(r"[\w.+@](?:[\w.+@ -]*[\w.+@-])?")  # as rclone's own documentation has it; no leading "-"

BucketScheme = Literal["s3", "gs", "az"]


@dataclass(frozen=True, slots=True)
class DirectoryLocation:
    """A folder of this machine, which may be a mount."""

    path: Path

    def __str__(self) -> str:
        """Return it as a url."""
        return self.path.as_uri()


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """A bucket, or an Azure container. `prefix` has no slash at either end, and may be empty."""

    scheme: BucketScheme
    bucket: str
    prefix: str

    def __str__(self) -> str:
        """Return it as a url."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class SftpLocation:
    """A folder of an SSH host. `path` is absolute, or relative to the user's home folder ("" is that folder)."""

    user: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        """Return it as a url."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == SSH_PORT else f":{self.port}"
        path = self.path if self.path.startswith("/") else f"/~/{self.path}"
        return f"sftp://{self.user}@{host}{port}{path}"


@dataclass(frozen=True, slots=True)
class RcloneLocation:
    """A path below a remote of rclone's own configuration."""

    remote: str
    path: str

    def __str__(self) -> str:
        """Return it as it is configured."""
        return f"rclone:{self.remote}:{self.path}"


Location = DirectoryLocation | BucketLocation | SftpLocation | RcloneLocation


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a store's owner gave this installation; each engine reads its own fields.

    s3: `access_key_id`, `secret_access_key`, `session_token`. gs: `service_account` (the JSON of its key). az:
    `account_name`, `account_key`. sftp: `password`, or `private_key` (the key file's content) with `passphrase`.
    rclone has its own configuration.
    """

    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    service_account: SecretStr | None = None
    account_name: SecretStr | None = None
    account_key: SecretStr | None = None
    password: SecretStr | None = None
    private_key: SecretStr | None = None
    passphrase: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One store as the engines need it.

    `endpoint` (a url) and `region` are s3's; az takes `endpoint` too. `known_hosts` is sftp's, the content of such a
    file. `rclone_config` is the path of rclone's configuration, None for rclone's own default. `rate` is in bytes per
    second, over all streams to and from the store; None for no bound. `parts_in` is a folder for what an engine would
    have to hold in memory otherwise; None for none.
    """

    name: str
    location: Location
    endpoint: str | None = None
    region: str | None = None
    credentials: Credentials = field(default_factory=Credentials)
    known_hosts: str | None = None
    rclone_config: Path | None = None
    rate: int | None = None
    parts_in: Path | None = None


def parse_location(text: str) -> Location:
    """Given a store's url, return its location; raises ValueError with what would be right."""
    scheme = text.partition(":")[0].lower()
    if scheme not in _PARSERS:
        raise ValueError(f'"{_shown(text)}" is not a store\'s url: write one of {FORMS}')
    return _PARSERS[scheme](text)


def _directory(text: str) -> Location:
    parts = _split(text)
    if parts.netloc not in {"", "localhost"}:
        raise ValueError(f'"{text}" names the host {parts.netloc}: write file:///{parts.netloc}{parts.path}')
    path = Path(unquote(parts.path))
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise ValueError(f'"{text}" is not the path of a folder: write all of it, such as file:///mnt/nas/backups')
    return DirectoryLocation(path)


def _bucket(text: str) -> Location:
    parts = _split(text)
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f'"{text}" has no name of a bucket: write {parts.scheme}://BUCKET/PREFIX')
    scheme: BucketScheme = "s3" if parts.scheme == "s3" else "gs" if parts.scheme == "gs" else "az"
    return BucketLocation(scheme, parts.netloc, _prefix(text, unquote(parts.path)))


def _sftp(text: str) -> Location:
    parts = _split(text)
    try:
        port = parts.port or SSH_PORT
    except ValueError:
        raise ValueError(f'"{text}" has an impossible port: write a number from 1 to 65535') from None
    user = unquote(parts.username or "")
    if not user or not parts.hostname:
        raise ValueError(f'"{text}" names no user or no host: write sftp://USER@HOST/PATH')
    path = unquote(parts.path).rstrip("/") or "/"
    at_home = path == "/~" or path.startswith("/~/")
    _prefix(text, path[2:] if at_home else path)
    return SftpLocation(user, parts.hostname, port, path[3:] if at_home else path)


def _rclone(text: str) -> Location:
    remote, colon, path = text.partition(":")[2].partition(":")
    if not colon or not _REMOTE.fullmatch(remote):
        raise ValueError(
            f'"{_shown(text)}" does not name a remote: write rclone:REMOTE:PATH, with the name that `rclone'
            " listremotes` shows; options and secrets belong in rclone's own configuration"
        )
    _prefix(text, path)
    return RcloneLocation(remote, path.rstrip("/"))


def _split(text: str) -> SplitResult:
    """Split a url that holds nothing but what we read; no secret is repeated in what is said of another one."""
    try:
        parts = urlsplit(text)
        secret = parts.password is not None
    except ValueError:
        raise ValueError(f'"{_shown(text)}" is not a url: write one of {FORMS}') from None
    if secret:
        raise ValueError(f'"{_shown(text)}" holds a password: give it as a secret of its own')
    if parts.query or parts.fragment:
        raise ValueError(f'"{_shown(text)}" has a "?" or "#" in it: write %3F or %23 where one is part of a name')
    return parts


def _prefix(text: str, path: str) -> str:
    prefix = path.strip("/")
    if prefix:
        try:
            check_key(prefix)
        except ValueError as error:
            raise ValueError(f'"{text}" cannot be a store: {error}') from None
    return prefix


def _shown(text: str) -> str:
    """Return the beginning of the url, without what may be a secret."""
    return masked(text)[:100]


_PARSERS: dict[str, Callable[[str], Location]] = {
    "file": _directory,
    "s3": _bucket,
    "gs": _bucket,
    "az": _bucket,
    "sftp": _sftp,
    "rclone": _rclone,
}
