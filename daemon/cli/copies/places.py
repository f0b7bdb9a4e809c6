"""What the commands below `copies` share: the stores that are meant, and what was last seen in them."""

from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from daemon.cli.arguments import unknown
from daemon.clock import SystemClock
from daemon.config.values import Config, ServerConfig, StoreConfig
from daemon.copies.errors import CopyError
from daemon.copies.manifest import Manifest
from daemon.copies.shelf import Shelf
from daemon.copies.shelves import Shelves
from daemon.core.choose import choose, choose_by_date, is_date
from daemon.core.proof import Proofs
from daemon.errors import UsageError
from daemon.state import engine_for

LARGEST_IDENTITY = 2**20
ADOPT = "hint: once the other one is gone for good, `copies rescan --adopt` takes them over: see docs/stores.md"


def stores_meant(config: Config, name: str | None) -> list[StoreConfig]:
    """Return the store of that name, or all; UsageError where there is none."""
    if not config.stores:
        raise UsageError(
            "no stores are configured", hint="write [stores.NAME] with a url, and name it in a policy's copies"
        )
    if name is None:
        return list(config.stores.values())
    if name not in config.stores:
        raise unknown("store", name, tuple(config.stores))
    return [config.stores[name]]


def shelves_of(config: Config) -> Shelves:
    """Return what was last seen in the stores."""
    return Shelves(engine_for(config.state).catalogue, SystemClock())


async def known_shelves(config: Config, server: ServerConfig, store: str | None) -> list[tuple[str, Shelf]]:
    """Return what was last seen of the server, by store."""
    stores = [one.name for one in stores_meant(config, store)]
    return await shelves_of(config).known(stores, server.panel.name, server.id)


async def known_copies(config: Config, server: ServerConfig, store: str | None) -> list[tuple[str, Manifest]]:
    """Return every copy of the server that was last seen, as `copies_on` does."""
    return copies_on(await known_shelves(config, server, store), server)


def copies_on(shelves: Sequence[tuple[str, Shelf]], server: ServerConfig) -> list[tuple[str, Manifest]]:
    """Return every copy on the server's shelves, newest first; of one backup the first store's first.

    Raises CopyError where there is none.
    """
    found = [(name, manifest) for name, shelf in shelves for manifest in shelf.manifests.values()]
    if not found:
        raise CopyError(f"no copy of {server.name} was seen", hint="`copies rescan` looks into the stores")
    return sorted(found, key=lambda one: one[1].backup.created_at, reverse=True)


def chosen_copy(
    manifests: list[tuple[str, Manifest]], wanted: str, proofs: Proofs, dated_in: ZoneInfo | None = None
) -> tuple[str, Manifest]:
    """Return the copy that is meant, and the store that it is in; UsageError if none or several are.

    With a zone `dated_in` a date means the newest copy of a backup that was made then, unless one has it for a name.
    Of a backup in several stores, a copy that none of the `proofs` found damaged is preferred; `latest` is always such
    a one.
    """
    first: dict[str, tuple[str, Manifest]] = {}
    good: dict[str, tuple[str, Manifest]] = {}
    for store, manifest in manifests:
        uuid = manifest.backup.uuid
        first.setdefault(uuid, (store, manifest))
        if proofs.failed(uuid, store) is None:
            good.setdefault(uuid, (store, manifest))
    backups = [manifest.as_copy().backup for _, manifest in first.values()]
    there = first | good
    if dated_in is not None and is_date(wanted) and all(one.name != wanted for one in backups):
        return there[choose_by_date(backups, good.keys(), wanted, dated_in).uuid]
    return there[choose(backups, good.keys(), wanted).uuid]


def identities_in(file: Path) -> list[object]:
    """Return the private keys in a file; UsageError where it cannot be read, EncryptionError where it holds none."""
    return _identities(_text_of(file))


def identity_of(file: Path | None) -> SecretStr | None:
    """Return what is in the file, if there is one, as another process takes it; raises as `identities_in` does."""
    if file is None:
        return None
    text = _text_of(file)  # once, since it may be a pipe
    _identities(text)
    return SecretStr(text)


def _identities(text: str) -> list[object]:
    from daemon.copies.age import read_identities  # noqa: PLC0415 — a list of copies must not wait for it

    return read_identities(text)


def _text_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST_IDENTITY).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"the identity file {file} cannot be read: {reason}") from None
