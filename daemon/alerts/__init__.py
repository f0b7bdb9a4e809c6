"""Alerts: each receiver is notified once when trouble begins and once when it ends. No rotation waits for one, or fails
because of one.

`assess` reads an outcome, the core's `alerting` decides what is news, `message` puts it into words and `formats` into
the format of a receiver. `outbox` queues deliveries, `sender` and `by_apprise` send them. `record` remembers what was
sent and what waits, `scope` says what of that is this member's in a cluster, and `dispatcher` is the fleet's listener
that joins all of these. An address is a secret: only a receiver's name is ever logged.
"""

from daemon.alerts.dispatcher import Alerts
from daemon.alerts.receivers import refuse_unusable

__all__ = ["Alerts", "refuse_unusable"]
