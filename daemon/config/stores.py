"""The stores of copies: where they are, the secrets that open them, what they take and keep."""

from collections.abc import Mapping
from importlib.util import find_spec

from pydantic import SecretStr

from daemon.config.errors import did_you_mean, shown
from daemon.config.models import SECRETS, Rules, StoreTable
from daemon.config.secret import Place, credential_file, find_secret
from daemon.config.tree import KeyPath, Tree
from daemon.config.values import StoreConfig
from daemon.core.addresses import is_clear
from daemon.core.copies_wanted import StoreRules
from daemon.core.keep import Keep
from daemon.core.units import parse_duration, parse_size
from daemon.stores.values import BucketLocation, Credentials, DirectoryLocation, StoreSettings, parse_location

_S3_KEYS = ("endpoint", "region", *SECRETS["stores"], *(f"{secret}_file" for secret in SECRETS["stores"]))

_OPTIONAL = {"session_token"}


def store_configs(tables: Mapping[str, StoreTable], environ: Mapping[str, str], tree: Tree) -> dict[str, StoreConfig]:
    """Given the tables that are right in themselves, return the stores; the rest has its problem."""
    if tables and tree.values["state_dir"] == "none":
        reason = 'with "none" nothing is remembered of copies, so that there can be no stores'
        tree.refuse(("state_dir",), reason, "name a folder, or leave [stores.NAME] out")
    found = {name: _store(name, table, environ, tree) for name, table in tables.items()}
    return {name: store for name, store in found.items() if store is not None}


def check_store_names(path: KeyPath, tree: Tree) -> None:
    """Refuse a policy or a server that names stores which there are not."""
    section, name = path
    known = tree.values["stores"]
    for store in tree.values[section][name].get("copies", ()):
        if store not in known and not tree.partly_unread:
            tree.refuse((*path, "copies"), "there is no such store", did_you_mean(store, known), value=shown(store))


def keep_of(table: Rules) -> Keep:
    """Given what was written as `keep`, return the rules; ValueError where there is none."""
    return Keep(everything=True) if table == "all" else Keep.from_mapping(table.rules())


def _store(name: str, table: StoreTable, environ: Mapping[str, str], tree: Tree) -> StoreConfig | None:
    path, location = ("stores", name), parse_location(table.url)
    if not isinstance(location, DirectoryLocation) and not _is_s3(table):
        tree.refuse((*path, "url"), "this kind of store is not there yet", "write file: or s3:", value=shown(table.url))
        return None
    if table.encrypt_to and find_spec("pyrage") is None:
        tree.refuse((*path, "encrypt_to"), "pyrage is not installed", "install ptero-backupd[age]")
    credentials = _credentials(path, table, environ, tree)
    if isinstance(location, DirectoryLocation):
        for key in sorted(table.model_fields_set & set(_S3_KEYS)):
            tree.refuse((*path, key), "belongs to a store in S3, and this one is a folder", "leave it out")
    elif table.endpoint is not None and is_clear(table.endpoint):
        tree.warn((*path, "endpoint"), "by http others on the way can read the copies, and replace them")
    settings = StoreSettings(
        name=name,
        location=location,
        endpoint=table.endpoint,
        region=table.region,
        credentials=credentials,
        rate=None if table.rate == "off" else parse_size(table.rate),
    )
    rules = StoreRules(
        name=name,
        keep=keep_of(table.keep),
        min_good=table.min_good,
        every=None if table.every is None else parse_duration(table.every),
        backfill=None if table.backfill == "all" else 0 if table.backfill == "none" else int(table.backfill),
    )
    return StoreConfig(settings, rules, tuple(table.encrypt_to))


def _is_s3(table: StoreTable) -> bool:
    location = parse_location(table.url)
    return isinstance(location, BucketLocation) and location.scheme == "s3"


def _credentials(path: KeyPath, table: StoreTable, environ: Mapping[str, str], tree: Tree) -> Credentials:
    """The secrets that were given; a store in S3 needs the access key and its id."""
    found = {secret: _secret(path, secret, table, environ, tree) for secret in SECRETS["stores"]}
    return Credentials(**{secret: SecretStr(text) for secret, text in found.items() if text is not None})


def _secret(path: KeyPath, secret: str, table: StoreTable, environ: Mapping[str, str], tree: Tree) -> str | None:
    direct, file = getattr(table, secret), getattr(table, f"{secret}_file")
    noun = secret.replace("_", " ")
    place = Place((*path, secret), noun, f"no {noun} for this store")
    given = direct is not None or file is not None or credential_file(place.path, environ) is not None
    if not given and (secret in _OPTIONAL or not _is_s3(table)):
        return None
    found = find_secret(place, direct, file, environ, tree)
    return None if found is None else found[0]
