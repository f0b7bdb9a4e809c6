"""The stores of copies: where they are, the secrets that open them, what they take and keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr, ValidationError

from daemon.config.disk import read_text
from daemon.config.errors import did_you_mean, shown
from daemon.config.models import Document, StoreTable
from daemon.config.policy_tables import PolicyTable, Rules
from daemon.config.secret import Place, credential_file, find_secret
from daemon.config.store_places import refuse_shared_places
from daemon.config.translate import refuse_all
from daemon.config.tree import KeyPath, Tree, dotted, variable
from daemon.config.values import StoreConfig
from daemon.core.addresses import is_clear
from daemon.core.keep import Keep
from daemon.core.store_rules import StoreRules
from daemon.core.units import parse_duration, parse_size
from daemon.core.words import that_installs
from daemon.stores.values import Credentials, StoreSettings, parse_location

_LARGEST_KNOWN_HOSTS = 2**20


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of store: what it is called, the keys that it takes, and those of its secrets that it needs.

    Of `either` one secret is needed. `library` is what an extra of that name installs.
    """

    noun: str
    keys: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    library: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self.needed, *self.either, *self.optional)

    @property
    def all_keys(self) -> set[str]:
        return {*self.keys, *self.secrets, *(f"{secret}_file" for secret in self.secrets)}


_KINDS = {
    "file": _Kind("a folder"),
    "s3": _Kind(
        "a store in S3",
        ("endpoint", "region", "object_lock"),
        ("access_key_id", "secret_access_key"),
        optional=("session_token",),
    ),
    "gs": _Kind("a store at Google", (), ("service_account",), library="obstore"),
    "az": _Kind("a store at Azure", ("endpoint", "account_name"), ("account_key",), library="obstore"),
    "sftp": _Kind(
        "a store by SFTP", ("known_hosts_file",), (), ("private_key", "password"), ("passphrase",), library="asyncssh"
    ),
    "rclone": _Kind("a store by rclone", ("rclone_config_file",)),
}
_OF_ONE_KIND = set().union(*(kind.all_keys for kind in _KINDS.values()))
_NEEDED_KEYS = {"az": ("account_name",), "sftp": ("known_hosts_file",)}
_OF_LINES = {"private_key", "service_account"}


def store_configs(tables: Mapping[str, StoreTable], environ: Mapping[str, str], tree: Tree) -> dict[str, StoreConfig]:
    """Given the tables that are right in themselves, return the stores; the rest has its problem."""
    if tables and tree.values["state_dir"] == "none":
        reason = 'with "none" nothing is remembered of copies, so that there can be no stores'
        tree.refuse(("state_dir",), reason, "name a folder, or leave [stores.NAME] out")
    stores = {name: _store(name, table, environ, tree) for name, table in tables.items()}
    refuse_shared_places(stores, tree)
    return stores


def spool_size(tree: Tree) -> int | None:
    """Return how many bytes may wait on a disk for slow stores; None for none or, with a problem, if that is wrong."""
    written = tree.values["spool"]
    try:
        size = Document.model_validate({} if written is None else {"spool": written}).spool
    except ValidationError as error:
        refuse_all(error, (), tree)
        return None
    return None if size == "off" else parse_size(size)


def check_store_names(path: KeyPath, tree: Tree) -> None:
    """Refuse a policy or a server that names stores which there are not."""
    section, name = path
    known = tree.values["stores"]
    for store in tree.values[section][name].get("copies", ()):
        if store not in known and not tree.partly_unread:
            tree.refuse((*path, "copies"), "there is no such store", did_you_mean(store, known), value=shown(store))


def check_copied_first(path: KeyPath, table: PolicyTable, tree: Tree) -> None:
    """Refuse what would let backups wait for a copy that is never made: in a store that is not copied to, or that does
    not take what was there before its first copy.
    """
    named = "copy_before_delete"
    for store in dict.fromkeys(table.copy_before_delete):
        if store not in table.copies:
            known = ", ".join(map(shown, table.copies)) or "none"
            reason, advice = f"is none of its copies ({known})", f"add {shown(store)} to copies, or leave it out here"
            tree.refuse((*path, named), reason, advice, value=shown(store))
            continue
        backfill = tree.values["stores"].get(store, {}).get("backfill", "all")
        key = ("stores", store, "backfill")
        if backfill != "all" and not tree.refused(key):
            reason = f"{dotted((*path, named))} names this store, so it must take what the panel still has"
            tree.refuse(key, reason, 'write backfill = "all", or leave it out', value=shown(backfill))


def keep_of(table: Rules) -> Keep:
    """Given what was written as `keep`, return the rules; ValueError where there is none."""
    return Keep(everything=True) if table == "all" else Keep.from_mapping(table.rules())


def _store(name: str, table: StoreTable, environ: Mapping[str, str], tree: Tree) -> StoreConfig:
    """One store; where its table is refused, what is returned is not used."""
    path, scheme = ("stores", name), table.url.partition(":")[0].lower()
    kind = _KINDS[scheme]
    _check_keys(path, table, kind, scheme, tree)
    _check_libraries(path, table, kind, scheme, tree)
    settings = StoreSettings(
        name=name,
        location=parse_location(table.url),
        endpoint=table.endpoint,
        region=table.region,
        credentials=_credentials(path, table, kind, environ, tree),
        known_hosts=_known_hosts(path, table, tree),
        rclone_config=_named(path, "rclone_config_file", table.rclone_config_file, tree),
        rate=None if table.rate == "off" else parse_size(table.rate),
    )
    rules = StoreRules(
        name=name,
        keep=keep_of(table.keep),
        min_good=table.min_good,
        every=None if table.every is None else parse_duration(table.every),
        backfill=None if table.backfill == "all" else 0 if table.backfill == "none" else int(table.backfill),
    )
    lock = None if table.object_lock == "off" else parse_duration(table.object_lock)
    return StoreConfig(settings, rules, tuple(table.encrypt_to), table.max_deletions, lock)


def _check_keys(path: KeyPath, table: StoreTable, kind: _Kind, scheme: str, tree: Tree) -> None:
    """Refuse keys of another kind of store, and the lack of one that is needed; warn of what is unwise."""
    for key in sorted(table.model_fields_set & (_OF_ONE_KIND - kind.all_keys)):
        owner = next(other.noun for other in _KINDS.values() if key in other.all_keys)
        tree.refuse((*path, key), f"belongs to {owner}, and this is {kind.noun}", "leave it out")
    for key in _NEEDED_KEYS.get(scheme, ()):
        if getattr(table, key) is None:
            tree.refuse((*path, key), f"is required by {kind.noun}")
    if table.endpoint is not None and is_clear(table.endpoint):
        tree.warn((*path, "endpoint"), "by http others on the way can read the copies, and replace them")


def _check_libraries(path: KeyPath, table: StoreTable, kind: _Kind, scheme: str, tree: Tree) -> None:
    """Refuse what an extra is missing for, with what installs it."""
    if kind.library and find_spec(kind.library) is None:
        tree.refuse((*path, "url"), f"{kind.library} is not installed", that_installs(scheme))
    if table.encrypt_to and find_spec("pyrage") is None:
        tree.refuse((*path, "encrypt_to"), "pyrage is not installed", that_installs("age"))


def _credentials(path: KeyPath, table: StoreTable, kind: _Kind, environ: Mapping[str, str], tree: Tree) -> Credentials:
    """Return the secrets that this kind of store takes, each from the first of its three places."""
    places = {secret: _place(path, secret) for secret in kind.secrets}
    given = {secret for secret, place in places.items() if _is_given(place, table, environ)}
    if kind.either and not given & set(kind.either):
        first, second = kind.either
        advice = f"name a file with {first}_file, or set {variable((*path, second))}"
        tree.refuse(path, f"neither {first} nor {second} is there, and {kind.noun} needs one of them", advice)
    found = {
        secret: find_secret(place, getattr(table, secret), getattr(table, f"{secret}_file"), environ, tree)
        for secret, place in places.items()
        if secret in given or secret in kind.needed
    }
    account = None if table.account_name is None else SecretStr(table.account_name)
    secrets = {secret: SecretStr(one[0]) for secret, one in found.items() if one is not None}
    return Credentials(account_name=account, **secrets)


def _place(path: KeyPath, secret: str) -> Place:
    noun = secret.replace("_", " ")
    return Place((*path, secret), noun, f"no {noun} for this store", of_lines=secret in _OF_LINES)


def _is_given(place: Place, table: StoreTable, environ: Mapping[str, str]) -> bool:
    secret = place.path[-1]
    written = getattr(table, secret) is not None or getattr(table, f"{secret}_file") is not None
    return written or credential_file(place.path, environ) is not None


def _known_hosts(path: KeyPath, table: StoreTable, tree: Tree) -> str | None:
    """Return the content of the file that is named; None, with a problem, if it cannot be read."""
    key = (*path, "known_hosts_file")
    file = _named(path, "known_hosts_file", table.known_hosts_file, tree)
    if file is None:
        return None
    try:
        return read_text(tree.look_at(file), _LARGEST_KNOWN_HOSTS)
    except OSError as error:
        tree.refuse(key, f"the file {file} cannot be read: {error.strerror or error}", "`ssh-keyscan HOST` prints one")
    except UnicodeDecodeError:
        tree.refuse(key, f"the file {file} does not hold UTF-8 text", "`ssh-keyscan HOST` prints one")
    return None


def _named(path: KeyPath, key: str, text: str | None, tree: Tree) -> Path | None:
    """Return the file that a key names; None if it names none or, with a problem, if it cannot be known."""
    if text is None:
        return None
    try:
        return tree.resolved((*path, key), text)
    except ValueError as error:
        tree.refuse((*path, key), str(error))
        return None
