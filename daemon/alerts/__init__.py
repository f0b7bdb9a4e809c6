"""Alerts: who is told of trouble, once, and of its end; nothing here may delay a rotation or fail one.

`judge` reads an outcome, the core's `watch` decides what is news, `message` puts it into words and `forms` into what a
receiver understands. `outbox` holds what waits, `post` and `by_apprise` send it, and `alerts` is the fleet's listener
that has all of these. An address is a secret: only a receiver's name is ever logged.
"""

from daemon.alerts.dispatcher import Alerts
from daemon.alerts.receivers import refuse_unusable

__all__ = ["Alerts", "refuse_unusable"]
