"""The metrics, for Prometheus: made of the statuses and the counts at the moment of each scrape.

Names and units follow Prometheus' conventions: seconds, bytes, Unix timestamps, `_total` for what only grows. They are
a contract with dashboards and alert rules: docs/metrics.md lists every one, and the tests hold both together. A server
has a dozen of them and no more, so that a thousand servers are scraped in a tenth of a second.
"""

import platform
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from daemon import __version__
from daemon.status.cluster_metrics import cluster_metrics
from daemon.status.copies import StoreStatus
from daemon.status.copies_metrics import copies_metrics
from daemon.status.drills_metrics import drills_metrics
from daemon.status.families import counter, gauge, histogram, single, timestamp
from daemon.status.fleet_status import FleetStatus
from daemon.status.proofs_metrics import proofs_metrics
from daemon.status.server_status import ServerStatus
from daemon.status.snapshot import Snapshot

__all__ = ["CONTENT_TYPE", "Metrics"]


class Metrics:
    """What is scraped."""

    def __init__(self, fleet_status: FleetStatus) -> None:
        self._fleet_status = fleet_status
        self._collector = _Fleet(fleet_status)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._collector)
        ProcessCollector(registry=self._registry)

    async def exposition(self) -> bytes:
        """All metrics as they are now, in Prometheus' text format."""
        self._collector.statuses = await self._fleet_status.servers()
        self._collector.stores = await self._fleet_status.stores()
        return generate_latest(self._registry)


class _Fleet(Collector):
    """Everything of ours; `statuses` and `stores` are set before each scrape."""

    def __init__(self, fleet_status: FleetStatus) -> None:
        self._fleet_status = fleet_status
        self.statuses: list[ServerStatus] = []
        self.stores: tuple[StoreStatus, ...] = ()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are not known before they are asked for."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything."""
        yield from self._daemon()
        yield from self._servers()
        yield from self._rotations()
        yield from self._panels()
        if holders := self._fleet_status.holders():
            yield from cluster_metrics(holders)
        if self.stores:
            yield from copies_metrics(self.statuses, self.stores, self._fleet_status.tracker.copies.counts)
        yield from proofs_metrics(self.statuses, self._fleet_status.tracker.proofs.counts)
        yield from drills_metrics(self.statuses, self._fleet_status.tracker.drills.counts)

    def _daemon(self) -> Iterator[Metric]:
        reload = self._fleet_status.tracker.reload
        version = (__version__, platform.python_version())
        yield gauge("build_info", "What runs; always 1.", ("version", "python"), [(version, 1)])
        yield single(
            "ready", "Whether the daemon can do its work; /readyz says why not.", not self._fleet_status.ailments()
        )
        yield single(
            "config_last_reload_successful", "Whether the configuration could be read last time.", reload.successful
        )
        yield single(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration was last read well.",
            reload.succeeded_at.timestamp(),
        )
        yield single("servers", "How many servers are configured.", len(self.statuses))
        yield single(
            "rotations_under_way",
            "How many rotations this daemon has under way.",
            sum(one.progress is not None and not one.progress.work.member for one in self.statuses),
        )

    def _servers(self) -> Iterator[Metric]:
        gauges: tuple[tuple[str, str, Callable[[ServerStatus], float | None]], ...] = (
            (
                "newest_good_backup_timestamp_seconds",
                "When the newest good backup of the server's policy was made; none where there is none.",
                lambda one: timestamp(one.good_at),
            ),
            (
                "backup_interval_seconds",
                "The time between the server's next two starts.",
                lambda one: one.times.interval.total_seconds(),
            ),
            (
                "backup_overdue_timestamp_seconds",
                "From when on the server's next good backup is overdue.",
                lambda one: one.times.overdue_at.timestamp(),
            ),
            (
                "rotation_failures",
                "How many of the server's rotations in a row, up to the last, failed or were refused, but not held.",
                lambda one: one.history.failures,
            ),
            (
                "deletions_held",
                "How many good backups beyond retention the brake holds, until somebody looks; 0: none.",
                lambda one: (one.history.held or 0) if one.history.snapshot else None,
            ),
            (
                "undeletable_backups",
                "How many of the server's backups the panel did not delete when it was last asked to.",
                lambda one: one.history.undeleted,
            ),
            (
                "backup_suspicious",
                "Whether the server's newest backup is far smaller than those before it.",
                lambda one: _of(one, lambda snapshot: snapshot.newest_suspicious is not None),
            ),
            (
                "backup_limit",
                "How many backups the panel allows the server; failed ones do not count.",
                lambda one: _of(one, lambda snapshot: snapshot.limit),
            ),
            (
                "backups_bytes",
                "What all of the server's backups hold.",
                lambda one: _of(one, lambda snapshot: snapshot.tally.bytes),
            ),
            (
                "newest_good_backup_bytes",
                "What the newest good backup of the server's policy holds.",
                lambda one: _of(one, lambda snapshot: snapshot.tally.newest_bytes),
            ),
        )
        for name, words, read in gauges:
            values = ((one.name, read(one)) for one in self.statuses)
            yield gauge(name, words, ("server",), (((server,), value) for server, value in values if value is not None))
        yield gauge(
            "backups",
            "The server's backups when last judged; a kind that there is none of is left out.",
            ("server", "state", "locked", "own"),
            (((one.name, *kind), count) for one in self.statuses for kind, count in _kinds(one)),
        )

    def _rotations(self) -> Iterator[Metric]:
        counts = self._fleet_status.tracker.counts
        yield counter(
            "rotations",
            "Rotations that ended, by result.",
            ("server", "result"),
            (((server, result.value), count) for (server, result), count in counts.rotations.items()),
        )
        yield counter(
            "rotation_steps", "Steps of rotations, by result.", ("step", "result"), list(counts.steps.items())
        )
        yield counter(
            "deleted_backups",
            "Backups that rotations deleted.",
            ("server",),
            (((server,), count) for server, count in counts.deletions.items()),
        )
        yield histogram("rotation_duration_seconds", "How long rotations took.", counts.durations)
        yield histogram(
            "scheduler_lateness_seconds", "How long after their start scheduled rotations began.", counts.lateness
        )

    def _panels(self) -> Iterator[Metric]:
        clients = self._fleet_status.tracker.clients
        budgets = {name: client.budget for name, client in clients.items() if client.budget is not None}
        yield counter(
            "panel_requests",
            "Requests to the panel by the class of the answer; none where it was lost.",
            ("panel", "status"),
            [((name, status), count) for name, client in clients.items() for status, count in client.answers.items()],
        )
        yield counter(
            "panel_throttled_seconds",
            "How long requests waited for their turn, so that the panel's API limit is not met.",
            ("panel",),
            [((name,), client.throttled_seconds) for name, client in clients.items()],
        )
        yield gauge(
            "panel_api_limit",
            "The panel's API limit, in requests a minute.",
            ("panel",),
            [((name,), budget.limit) for name, budget in budgets.items()],
        )
        yield gauge(
            "panel_api_remaining",
            "What was left of the panel's API limit at its last answer.",
            ("panel",),
            [((name,), budget.remaining) for name, budget in budgets.items()],
        )


def _kinds(status: ServerStatus) -> Iterable[tuple[tuple[str, str, str], int]]:
    """How many backups of each kind a server has."""
    return status.history.snapshot.kinds.items() if status.history.snapshot else ()


def _of(status: ServerStatus, read: Callable[[Snapshot], float | None]) -> float | None:
    return read(status.history.snapshot) if status.history.snapshot else None
