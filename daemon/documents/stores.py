"""The JSON of stores, for `stores` and the status; it loads nothing of what copies."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from daemon.documents.commands import Document, moment

if TYPE_CHECKING:
    from daemon.config.values import StoreConfig
    from daemon.core.copies_queue import StoreTrouble
    from daemon.state import Holding
    from daemon.status.copies import StoreStatus


def stores_document(stores: "Iterable[StoreStatus]") -> Document:
    """`stores`: what each was last seen to hold, and what waits for it."""
    return {
        "stores": [
            {
                **store_document(one.config, one.holdings),
                "error": None,
                "newest": moment(one.newest),
                "waiting": one.waiting,
                "failing": one.failing,
                "trouble": trouble_document(one.trouble),
            }
            for one in stores
        ]
    }


def trouble_document(trouble: "StoreTrouble | None") -> Document | None:
    """Return what is wrong with a store; null where nothing is."""
    if trouble is None:
        return None
    return {
        "text": trouble.text,
        "since": moment(trouble.since),
        "tries": trouble.tries,
        "next_at": moment(trouble.next_at),
    }


def store_document(config: "StoreConfig", seen: "Sequence[Holding]") -> Document:
    """Return a store and what it was last seen to hold."""
    return {
        "store": config.name,
        "url": str(config.settings.location),
        "seen_at": moment(min((one.seen_at for one in seen), default=None)),
        "servers": sum(bool(one.copies) for one in seen),
        "copies": sum(one.copies for one in seen),
        "bytes": sum(one.bytes for one in seen),
    }
