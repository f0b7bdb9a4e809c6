"""The metrics of copies: three for each server and store, the rest for each store. There are none without a store."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import Metric

from daemon.status.copies import CopyStatus, StoreStatus
from daemon.status.copies_tracker import CopyCounts
from daemon.status.families import counter, gauge, timestamp
from daemon.status.server_status import ServerStatus

_PAIR = ("server", "store")


def copies_metrics(
    statuses: Iterable[ServerStatus], stores: Sequence[StoreStatus], counts: CopyCounts
) -> Iterator[Metric]:
    """Yield all of them."""
    pairs = [((one.name, copy.store), copy) for one in statuses for copy in one.copies]
    yield from _of_servers(pairs)
    yield from _of_stores(stores)
    yield from _counted(stores, counts)


def _of_servers(pairs: Sequence[tuple[tuple[str, str], CopyStatus]]) -> Iterator[Metric]:
    newest = ((pair, timestamp(copy.newest)) for pair, copy in pairs)
    yield gauge(
        "copy_newest_timestamp_seconds",
        "When the newest backup of the server was made of which the store has a copy; none where it has none.",
        _PAIR,
        ((pair, value) for pair, value in newest if value is not None),
    )
    late = ((pair, timestamp(copy.late_at)) for pair, copy in pairs)
    yield gauge(
        "copy_late_timestamp_seconds",
        "From when on the copy that the store lacks is missing for too long; none where it lacks none.",
        _PAIR,
        ((pair, value) for pair, value in late if value is not None),
    )
    yield gauge(
        "copies_bytes",
        "What the store's copies of the server take there, as last seen.",
        _PAIR,
        ((pair, copy.bytes) for pair, copy in pairs),
    )
    yield gauge(
        "pruning_held",
        "Whether the brake holds copies of the server that the store's rules let go; none before the first pruning.",
        _PAIR,
        ((pair, bool(copy.held)) for pair, copy in pairs if copy.held is not None),
    )


def _of_stores(stores: Sequence[StoreStatus]) -> Iterator[Metric]:
    yield gauge(
        "store_up",
        "Whether the store could be used when it was last tried.",
        ("store",),
        (((one.name,), one.trouble is None) for one in stores),
    )
    yield gauge(
        "copies",
        "How many copies the store was last seen to hold.",
        ("store",),
        (((s.name,), s.copies) for s in stores),
    )
    yield gauge(
        "copies_waiting",
        "How many servers have backups that wait to be copied to the store.",
        ("store",),
        (((one.name,), one.waiting) for one in stores),
    )


def _counted(stores: Sequence[StoreStatus], counts: CopyCounts) -> Iterator[Metric]:
    families = (
        ("copied_backups", "Backups that were copied to the store.", counts.made),
        ("copied_bytes", "What these copies take there.", counts.bytes),
        ("copy_seconds", "How long the transfers took that brought them.", counts.seconds),
        ("copy_failures", "Copies to the store that failed.", counts.failed),
        ("pruned_copies", "Copies that were deleted from the store by its own rules.", counts.pruned),
    )
    for name, words, counted in families:
        yield counter(name, words, ("store",), [((one.name,), counted.get(one.name, 0)) for one in stores])
