"""What `check` finds about stores that grow for ever, since nothing bounds how many copies their rules keep."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from daemon.config.values import StoreConfig
from daemon.core.keep import ALL
from daemon.core.units import format_size
from daemon.errors import ProblemCode, StateError
from daemon.operations.findings import Finding, Severity
from daemon.state import Catalogue, Holding


async def check_growth(stores: Mapping[str, StoreConfig], catalogue: Catalogue) -> list[Finding]:
    """Return a note for each store that keeps some copies for ever, with what it was last seen to hold."""
    unbounded = [name for name, store in stores.items() if _for_ever(store)]
    seen: list[Holding] = []
    if unbounded:
        with suppress(StateError):  # which the check of the state says
            seen = await catalogue.holdings()
    return [_grows(name, [one for one in seen if one.store == name]) for name in unbounded]


def _for_ever(store: StoreConfig) -> bool:
    keep = store.rules.keep
    return keep.everything or ALL in keep.counts.values()


def _grows(store: str, seen: Iterable[Holding]) -> Finding:
    held = [one for one in seen if one.copies]
    copies, size = sum(one.copies for one in held), format_size(sum(one.bytes for one in held))
    holds = f"; it holds {copies} copies, {size}" if held else ""
    text = f"store {store}: its keep has no bound, so that it grows for ever{holds}"
    return Finding(Severity.OK, ProblemCode.STORE, text, f"stores.{store}.keep can bound it: see docs/configuration.md")
