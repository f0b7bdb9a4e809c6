"""What the commands below `copies` share: the stores that are meant, and what was last seen in them."""

from pathlib import Path

from daemon.cli.arguments import unknown
from daemon.clock import SystemClock
from daemon.config.values import Config, StoreConfig
from daemon.copies.age import read_identities
from daemon.copies.shelves import Shelves
from daemon.errors import UsageError
from daemon.state import engine_for

LARGEST_IDENTITY = 2**20


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


def identities_in(file: Path) -> list[object]:
    """Return the private keys in a file; UsageError where it cannot be read, EncryptionError where it holds none."""
    try:
        with file.open("rb") as opened:
            return read_identities(opened.read(LARGEST_IDENTITY).decode())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"the identity file {file} cannot be read: {reason}") from None
