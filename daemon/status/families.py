"""The families of metrics, each made of its name, its help and its samples."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from daemon.status.counts import Spread

PREFIX = "ptero_backupd_"
Value = tuple[tuple[str, ...], float]


def timestamp(moment: datetime | None) -> float | None:
    """Return the moment as Prometheus has it; None for none."""
    return None if moment is None else moment.timestamp()


def single(name: str, words: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(PREFIX + name, words, value=float(value))


def gauge(name: str, words: str, labels: tuple[str, ...], values: Iterable[Value]) -> Metric:
    """Return a gauge with a sample for each of the values."""
    family = GaugeMetricFamily(PREFIX + name, words, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family


def counter(name: str, words: str, labels: tuple[str, ...], values: Iterable[Value]) -> Metric:
    """Return a counter with a sample for each of the values; `_total` is added to its name."""
    family = CounterMetricFamily(PREFIX + name, words, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family


def histogram(name: str, words: str, spread: Spread) -> Metric:
    """Return a histogram."""
    bounds = [*(str(bound) for bound in spread.bounds), "+Inf"]
    buckets = list(zip(bounds, spread.cumulative(), strict=True))
    return HistogramMetricFamily(PREFIX + name, words, buckets=buckets, sum_value=spread.sum)
