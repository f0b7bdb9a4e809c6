"""What is due for a proof, for people: in the daemon's own order, by when, and why."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from daemon.config.values import ServerConfig
from daemon.core.proof import PANEL
from daemon.core.proof_due import Due, Why, in_order
from daemon.core.units import format_moment, format_size
from daemon.documents.proofs import ServerDue


def due_rows(found: Sequence[ServerDue], servers: Sequence[ServerConfig], now: datetime) -> list[tuple[str, ...]]:
    """Return a row for each backup or copy that is due: server, where, backup, size, by when, and why."""
    configs = {server.name: server for server in servers}
    due = in_order((what for one in found for what in one.due), now)
    lacking = {one.about.server: one.lacking for one in found}
    return [
        (
            what.server,
            what.store or "panel",
            what.name,
            format_size(what.bytes),
            "now" if what.by <= now else format_moment(what.by, configs[what.server].policy.zone),
            why,
        )
        for what, why in zip(due, _reasons(due, configs, lacking), strict=True)
    ]


def _reasons(due: Sequence[Due], configs: dict[str, ServerConfig], lacking: dict[str, int]) -> Iterator[str]:
    """Yield why each is due. Those read before it count: too few are proven only until enough are listed."""
    for what in due:
        if what.why is Why.EVERY:
            yield "never read" if _never_read(what, configs[what.server]) else "not read lately"
            continue
        lacking[what.server] -= 1
        too_few = "too few are proven" if lacking[what.server] >= 0 else "never read"
        yield "the newest" if what.why is Why.NEWEST else too_few


def _never_read(what: Due, server: ServerConfig) -> bool:
    """Return whether it was not read since it was made; a copy was, when it was written."""
    rules = server.policy.prove
    every = rules.every if rules else None
    return what.store == PANEL and every is not None and what.by == what.made_at + every
