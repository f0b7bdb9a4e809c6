"""From a store's settings to the open store: the one place that knows which engine serves which location.

An engine is imported when a store of its kind is opened: their libraries are extras, and heavy.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from daemon.clock import Clock, SystemClock
from daemon.stores.base import Store
from daemon.stores.extras import need_library, need_program
from daemon.stores.streams import RateLimit
from daemon.stores.values import BucketLocation, DirectoryLocation, RcloneLocation, SftpLocation, StoreSettings


@asynccontextmanager
async def open_store(settings: StoreSettings, *, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
    """Open a store, and close it at the end of the block. No connection is made before the first call.

    Raises StoreUnusableError if an extra, a program or a setting is missing, with what would be right.
    """
    clock = clock or SystemClock()
    store = _engine(settings, RateLimit(settings.rate, clock), clock)
    try:
        yield store
    finally:
        await store.aclose()


def _engine(settings: StoreSettings, limit: RateLimit, clock: Clock) -> Store:
    match settings.location:
        case DirectoryLocation(path):
            from daemon.stores.directory.store import DirectoryStore  # noqa: PLC0415 — as the docstring says

            return DirectoryStore(settings.name, path, limit)
        case BucketLocation("s3"):
            from daemon.stores.s3.open import s3_store  # noqa: PLC0415 — as above

            return s3_store(settings, limit, clock)
        case SftpLocation() as location:
            need_library("asyncssh", "sftp", settings.name)
            from daemon.stores.sftp.session import Session  # noqa: PLC0415 — as above
            from daemon.stores.sftp.store import SftpStore  # noqa: PLC0415 — as above

            return SftpStore(settings.name, Session(settings, location), location.path, limit, clock)
        case BucketLocation(scheme) as location:
            need_library("obstore", scheme, settings.name)
            from daemon.stores.clouds.open import cloud_store  # noqa: PLC0415 — as above

            return cloud_store(settings, location, limit)
        case RcloneLocation(remote, path):
            program = need_program("rclone", settings.name)
            from daemon.stores.rclone.process import Rclone  # noqa: PLC0415 — as above
            from daemon.stores.rclone.store import RcloneStore  # noqa: PLC0415 — as above

            root = f"{remote}:{path}/" if path else f"{remote}:"
            return RcloneStore(settings.name, Rclone(settings.name, program, settings.rclone_config), root, limit)
