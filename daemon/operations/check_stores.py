"""What `check` finds about stores: whether they can be used, which are the same folder, and which grow for ever."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from daemon.config.store_places import OWN_PLACE
from daemon.config.values import StoreConfig
from daemon.copies.probe import Probe, probe
from daemon.core.keep import ALL
from daemon.core.units import format_size
from daemon.errors import ProblemCode, StateError
from daemon.operations.findings import Finding, Severity
from daemon.state import Catalogue, Holding
from daemon.stores.values import DirectoryLocation


async def check_stores(stores: Collection[StoreConfig]) -> tuple[Finding, ...]:
    """Write, list, read and delete a small object in each store, and return what could not be done.

    Which of them are the same folder, by a link or a mount, is looked for here and not when the configuration is read:
    a mount that hangs would hold up all of that.
    """
    found = await asyncio.gather(*map(probe, stores))
    findings = [finding for one in found for finding in (_probed(one), *_noted(one))]
    return (*findings, *await asyncio.to_thread(_shared_folders, stores))


def _noted(found: Probe) -> list[Finding]:
    return [Finding(Severity.WARNING, ProblemCode.STORE, f"store {found.store}: {note}") for note in found.notes]


def _probed(found: Probe) -> Finding:
    if found.error is None:
        return Finding(Severity.OK, ProblemCode.STORE, f"store {found.store}: can {', '.join(found.could)}")
    could = f" (could {', '.join(found.could)})" if found.could else ""
    text = f"store {found.store}: cannot {found.failed}{could}: {found.error.text}"
    return Finding(Severity.ERROR, found.error.code, text, found.error.hint)


def _shared_folders(stores: Iterable[StoreConfig]) -> list[Finding]:
    first: dict[tuple[int, int], str] = {}
    findings = []
    for store in stores:
        location = store.settings.location
        if not isinstance(location, DirectoryLocation):
            continue
        with suppress(OSError):  # which the probe says
            folder = location.path.stat()
            other = first.setdefault((folder.st_dev, folder.st_ino), store.name)
            if other != store.name:
                text = f"store {store.name}: {location.path} is the folder of store {other}"
                findings.append(Finding(Severity.ERROR, ProblemCode.STORE, text, OWN_PLACE))
    return findings


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
