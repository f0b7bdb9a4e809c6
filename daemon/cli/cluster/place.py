"""The places that these commands are about."""

from daemon.config.values import ClusterConfig, Config
from daemon.errors import UsageError


def cluster_of(config: Config) -> ClusterConfig:
    """Return the configured cluster; raises UsageError if there is none."""
    if config.cluster is None:
        raise UsageError("no cluster is configured", hint="docs/cluster.md says how: [cluster] and its url_file")
    return config.cluster
