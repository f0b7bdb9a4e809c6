"""How HTTP writes a moment."""

from datetime import UTC, datetime
from email.utils import format_datetime


def http_date(moment: datetime) -> str:
    """As in the `Date` header: `Wed, 01 Apr 2026 04:00:00 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
