"""What the stores hold that must have a server's backups before these are deleted, as it was last seen (invariant 14).

No store is asked here: a rotation waits for none (invariant 16). What must hold: a store of which nothing is known, or
whose record cannot be read, holds everything back.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from daemon.config.values import ServerConfig
from daemon.core.copied import Copied
from daemon.core.model import Completeness, Listing
from daemon.core.names import Ownership
from daemon.core.retention import judge
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.state import Catalogue

if TYPE_CHECKING:
    from daemon.copies.shelf import Shelf

log = get_logger()


async def copied_before(
    config: ServerConfig,
    server_uuid: str,
    listing: Listing,
    catalogue: Catalogue | None,
    *,
    ownership: Ownership,
    accepted: Collection[str],
    asked: Collection[str],
    panel_ahead: timedelta,
) -> tuple[Copied, ...]:
    """Return what each store of the policy's `copy_before_delete` holds of that listing; without a catalogue nothing.

    What was seen is dated by our clock, and the listing by the panel's, which is `panel_ahead` of it.
    """
    stores = config.policy.copy_before_delete
    if not stores:
        return ()
    from daemon.core.copies_wanted import copied_of  # noqa: PLC0415 — for the few policies that name a store

    verdicts = judge(
        listing.backups,
        config.policy.retention,
        ownership=ownership,
        now=listing.taken_at,
        accepted=accepted,
        asked=asked,
        earlier=listing.earlier,
        complete=listing.completeness is Completeness.COMPLETE,
    )
    copied = []
    for rules in stores:
        known = None if catalogue is None else await _known(catalogue, rules.name, config, server_uuid)
        if known is None:
            copied.append(Copied(rules.name))
            continue
        shelf, installation = known
        seen_at, policy = shelf.seen_at + panel_ahead, config.policy
        copied.append(
            copied_of(
                rules,
                seen_at,
                shelf.copies(),
                verdicts,
                policy.retention,
                installation=installation,
                now=listing.taken_at,
                unverified_counts=policy.unverified_counts,
            )
        )
    return tuple(copied)


async def _known(
    catalogue: Catalogue, store: str, config: ServerConfig, server_uuid: str
) -> "tuple[Shelf, str] | None":
    """Return what was last seen of the server in the store, and our installation; None if that is not known."""
    from daemon.copies.shelf import read_shelf  # noqa: PLC0415 — as above

    try:
        record = await catalogue.shelf(store, config.panel.name, server_uuid)
        installation = await catalogue.installation()
    except StateError as error:
        log.warning("copies_unknown", server=config.name, store=store, text=error.text)
        return None
    shelf = None if record is None else read_shelf(record.detail)
    return None if shelf is None else (shelf, installation)
