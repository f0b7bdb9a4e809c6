"""The metrics of a cluster: which member holds which node, by what the one that is scraped has seen."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from daemon.fleet.standing import Holders
from daemon.status.families import gauge


def cluster_metrics(holders: Holders) -> Iterator[Metric]:
    """Yield all of them; a node that nobody holds is left out."""
    yield gauge(
        "member_nodes",
        "How many nodes each live member of the cluster holds.",
        ("member",),
        [((member,), len(nodes)) for member, nodes in holders.items()],
    )
    yield gauge(
        "node_holder",
        "Which member of the cluster holds the node; always 1.",
        ("panel", "node", "member"),
        [((*node, member), 1) for member, nodes in holders.items() for node in nodes],
    )
