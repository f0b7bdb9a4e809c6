"""Two stores must not be one place: each would prune by its own rules the copies that the other counts on."""

import posixpath
from collections.abc import Mapping
from urllib.parse import urlsplit

from daemon.config.errors import shown
from daemon.config.tree import Tree, dotted
from daemon.config.values import StoreConfig
from daemon.core.addresses import masked
from daemon.stores.values import BucketLocation, DirectoryLocation, SftpLocation, StoreSettings

OWN_PLACE = "give each store a folder of its own, or each deletes copies that the other counts on"
_AMAZON = "amazonaws.com"
_USUAL_PORTS = {"https": 443, "http": 80}


def refuse_shared_places(stores: Mapping[str, StoreConfig], tree: Tree) -> None:
    """Refuse each store that is where an earlier one is, however its url is written."""
    first: dict[tuple[object, ...], str] = {}
    for name, store in stores.items():
        other = first.setdefault(_place(store.settings), name)
        if other == name:
            continue
        reason = f"is the same place as {dotted(('stores', other, 'url'))} = {_url(other, tree)}"
        tree.refuse(("stores", name, "url"), reason, OWN_PLACE, value=_url(name, tree))


def _url(name: str, tree: Tree) -> str:
    return shown(masked(tree.values["stores"][name]["url"]))


def _place(settings: StoreSettings) -> tuple[object, ...]:
    """Return what is equal for two stores that are, or may well be, the same place."""
    match settings.location:
        case DirectoryLocation(path):
            return ("file", posixpath.normpath(path))  # without a look at the disk: a mount may hang
        case BucketLocation(scheme, bucket, prefix):
            return (scheme, *_service(settings), bucket, prefix)
        case SftpLocation(user, host, port, path):
            # Whoever logs in, an absolute path is mostly the same folder; one below a home folder is the user's own.
            return ("sftp", host, port, posixpath.normpath(path or "."), None if path.startswith("/") else user)
        case location:
            return ("rclone", settings.rclone_config, location.remote, location.path.strip("/"))


def _service(settings: StoreSettings) -> tuple[object, ...]:
    """Return what tells the service that a bucket is at: two of the same name may be at different ones."""
    account = settings.credentials.account_name
    owner = account.get_secret_value() if account else ""
    parts = urlsplit(settings.endpoint or "")
    host = parts.hostname or (f"{owner}.blob.core.windows.net" if owner else _AMAZON)
    if f".{host}".endswith(f".{_AMAZON}"):
        return (_AMAZON,)  # all its regions share one set of names
    port = None if parts.port == _USUAL_PORTS.get(parts.scheme) else parts.port
    return (host, port, parts.path.rstrip("/"), owner)
