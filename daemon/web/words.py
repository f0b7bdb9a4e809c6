"""How the pages say things: ages, moments, sizes, and what each step of a rotation was."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from daemon.core.model import Action
from daemon.core.units import format_duration, format_size, rfc3339, to_zone
from daemon.rotation.order import Stage
from daemon.state import Step, StepName
from daemon.web.html import Html, tag

MINUTE = timedelta(minutes=1)

STAGES = {
    Stage.BEGINNING: "beginning",
    Stage.QUEUED: "waiting for its node",
    Stage.CREATING: "creating a backup",
    Stage.SETTLING: "looking for a backup",
    Stage.WAITING: "backing up",
    Stage.DELETING: "deleting old backups",
    Stage.REPORTING: "recording the outcome",
}

ACTIONS = {Action.KEEP: "kept", Action.DELETE: "to be deleted", Action.IGNORE: "left alone"}

TRIGGERS = {
    "schedule": "on schedule",
    "catch-up": "catching up a missed start",
    "retry": "tried again",
    "resume": "picked up after a restart",
    "manual": "by hand",
}


def span(length: timedelta) -> str:
    """Return a length of time for people: its two largest units, and no seconds beyond a minute."""
    if length >= MINUTE:
        length -= timedelta(seconds=length.total_seconds() % 60)
    return format_duration(length)


def change(before: int, now: int) -> str:
    """Return by how much something grew or shrank."""
    if not before:
        return ""
    percent = round((now - before) * 100 / before)
    return f"{percent:+d} %".replace("-", "\N{MINUS SIGN}") if percent else "no change"


def local(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment to the minute, by the wall clock of the zone."""
    there = to_zone(moment, zone)
    return f"{there.date()} {there:%H:%M}"


def time(moment: datetime, shown: str, zone: ZoneInfo) -> Html:
    """Return a moment as it is shown, with the whole of it for machines and for tooltips."""
    exact, title = _whole(moment, zone)
    return tag("time", shown, datetime=exact, title=title)


@lru_cache(maxsize=4096)  # a page shows the same moments again and again
def _whole(moment: datetime, zone: ZoneInfo) -> tuple[str, str]:
    there = to_zone(moment, zone)
    return rfc3339(moment), f"{there.date()} {there:%H:%M:%S %Z}"


STEPS: Mapping[str, str] = {
    StepName.GATHERED: "read the list: {backups} backups, {completeness}",
    StepName.CREATE: "asked the panel for {backup}",
    StepName.CREATED: "the panel began {backup}",
    StepName.CREATE_REFUSED: "the panel did not make {backup}: {error}",
    StepName.ADOPTED: "took over {backup}, since {reason}",
    StepName.TURNED_GOOD: "the new backup is good: {size}",
    StepName.PLANNED: "decided: {keep} stay, {delete} to be deleted",
    StepName.ROOM: "makes room by deleting {backup}: {because}",
    StepName.ROOM_DONE: "deleted",
    StepName.DELETE: "deletes {backup}: {because}",
    StepName.DELETE_DONE: "deleted",
}


def step_words(step: Step) -> str:
    """Return what a step of a rotation was."""
    detail = step.detail
    if step.name not in STEPS:
        return ", ".join([step.name.replace("_", " "), *(f"{key} {value}" for key, value in detail.items())])
    size = detail.get("bytes")
    words = STEPS[step.name].format_map(_Known(detail, size=format_size(size) if isinstance(size, int) else "?"))
    if detail.get("refused"):
        return f"{words}; refused: {detail['refused']}"
    return f"{words}; it was gone already" if detail.get("existed") is False else words


class _Known(dict[str, Any]):
    """What a step tells; what an older version did not write is a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"
