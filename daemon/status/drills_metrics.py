"""The metrics of drills, for each server whose backups any drill tries. There are none without one."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from daemon.status.drills import DrillCounts
from daemon.status.families import counter, gauge
from daemon.status.server_status import ServerStatus

_SERVER = ("server",)


def drills_metrics(statuses: Sequence[ServerStatus], counts: DrillCounts) -> Iterator[Metric]:
    """Yield all of them."""
    known = [(one.name, one.drill) for one in statuses if one.drill is not None]
    if not known:
        return
    good = [(name, drill.good) for name, drill in known if drill.good is not None]
    yield gauge(
        "restore_seconds",
        "How long the last drill that went well took to restore a backup of the server; none where none did.",
        _SERVER,
        (((name,), one.seconds) for name, one in good if one.seconds is not None),
    )
    yield gauge(
        "last_drill_timestamp_seconds",
        "When the last drill that went well began; none where none did.",
        _SERVER,
        (((name,), one.began_at.timestamp()) for name, one in good),
    )
    yield gauge(
        "drill_failed",
        "Whether the last drill of a backup of the server failed.",
        _SERVER,
        (((name,), drill.failed is not None) for name, drill in known),
    )
    for name, words, counted in (
        ("drills", "Drills of backups of the server.", counts.drills),
        ("drill_failures", "Those of them that failed, or were killed.", counts.failed),
    ):
        yield counter(name, words, _SERVER, [((server,), counted.get(server, 0)) for server, _ in known])
