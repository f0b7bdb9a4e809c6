"""Alerts about a cluster: which are worth one, and in which words."""

from datetime import datetime
from zoneinfo import ZoneInfo

from daemon.alerts.message import CLUSTER, Message
from daemon.core.alerting import Alert, AlertState, Event, cluster_looked
from daemon.core.units import format_moment
from daemon.fleet.standing import ClusterView

UTC = ZoneInfo("UTC")


def about_cluster(state: AlertState, view: ClusterView, now: datetime) -> tuple[AlertState, list[Message]]:
    """Return what is to be remembered of the cluster, and the messages about it."""
    state, news = cluster_looked(
        state,
        differ_since=view.differ_since,
        nobody_since=view.nobody_since,
        promoted_at=view.promoted_at,
        now=now,
    )
    return state, [Message(piece, CLUSTER, "", "", now, *_words(piece, view)) for piece in news]


def _words(news: Alert, view: ClusterView) -> tuple[str, str]:
    """Return a text, and a hint."""
    if news.event is Event.MEMBERS_DIFFER and view.differ_since is not None:
        since = format_moment(view.differ_since, UTC)
        text = f"{view.differing} (since {since}); nothing is deleted there until they agree"
        return text, "look at `ptero-backupd cluster status`; bring all members to one version and one configuration"
    if news.event is Event.PROMOTED and view.promoted_at is not None:
        at = format_moment(view.promoted_at, UTC)
        text = f"noticed at {at}; what was recorded last may be lost, so nothing is deleted for some minutes"
        return text, "make sure that the old primary is stopped; see docs/cluster.md on replication"
    if news.event is Event.NOBODY_ACTS and view.nobody_since is not None:
        since = format_moment(view.nobody_since, UTC)
        text = f"no daemon of the cluster makes backups (since {since}): all that still run were sent out of it"
        return text, "start a member, or call one back: `ptero-backupd cluster join MEMBER`"
    if Event.NOBODY_ACTS in news.after:
        return "a member of the cluster acts, and makes up for the starts that were missed", ""
    return "all members decide alike, so deletions go on", ""
