"""The places that these commands are about."""

from daemon.config.values import ClusterConfig, Config
from daemon.errors import UsageError
from daemon.state import Membership, engine_for


def cluster_of(config: Config) -> ClusterConfig:
    """Return the configured cluster; raises UsageError if there is none."""
    if config.cluster is None:
        raise UsageError("no cluster is configured", hint="docs/cluster.md says how: [cluster] and its url_file")
    return config.cluster


def membership_of(config: Config) -> Membership:
    """Return who tells of the configured cluster's members; raises UsageError if there is none."""
    membership = engine_for(cluster_of(config)).leadership.membership
    assert membership is not None  # noqa: S101 — a cluster has one
    return membership
