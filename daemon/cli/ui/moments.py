"""Moments for people: by the wall clock of a zone, which is named nearby; a dash for none."""

from datetime import datetime
from zoneinfo import ZoneInfo

from daemon.core.units import to_zone


def to_the_minute(moment: datetime | None, zone: ZoneInfo) -> str:
    """Return a text such as "2026-04-01 06:00"."""
    return _shown(moment, zone, "%H:%M")


def to_the_second(moment: datetime | None, zone: ZoneInfo) -> str:
    """Return a text such as "2026-04-01 06:00:00"."""
    return _shown(moment, zone, "%H:%M:%S")


def _shown(moment: datetime | None, zone: ZoneInfo, time: str) -> str:
    if moment is None:
        return "-"
    local = to_zone(moment, zone)
    return f"{local.date()} {local:{time}}"
