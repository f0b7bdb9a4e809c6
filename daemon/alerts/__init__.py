"""Alerts: who is told of trouble, once, and of its end; nothing here may delay a rotation or fail one.

`assess` reads an outcome, the core's `alerting` decides what is news, `message` puts it into words and `formats` into
what a receiver understands. `outbox` holds what waits, `sender` and `by_apprise` send it, and `dispatcher` is the
fleet's listener that has all of these. An address is a secret: only a receiver's name is ever logged.
"""

from daemon.alerts.dispatcher import Alerts
from daemon.alerts.receivers import refuse_unusable

__all__ = ["Alerts", "refuse_unusable"]
