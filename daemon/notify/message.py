"""What is told, in words: complete messages, from which every kind of receiver is served."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig
from daemon.core.model import Backup
from daemon.core.units import format_moment, format_size
from daemon.core.watch import Event, News, Watch
from daemon.log import redact
from daemon.rotation.outcome import Outcome, Result

Step = Literal["start", "success", "fail"]

TITLES = {
    Event.FAILED: "the backup failed",
    Event.LIMIT: "the backup limit is reached",
    Event.SUSPICIOUS: "the backup is suspicious",
    Event.OVERDUE: "the backup is overdue",
    Event.RECOVERED: "there is a good backup again",
    Event.DONE: "backed up",
}
DONE_WITH_TROUBLE = "backed up, and something needs you"


@dataclass(frozen=True, slots=True)
class Message:
    """One piece of news of one server. `good_at` is when the server's last good backup before it was there, `backup`
    the one that this is about, where it is about one. `done` says that the rotation did what was due all the same.
    """

    news: News
    server: ServerConfig
    at: datetime
    text: str
    hint: str = ""
    good_at: datetime | None = None
    backup: Backup | None = None
    done: bool = False

    @property
    def title(self) -> str:
        """One line that says what it is."""
        trouble = self.done and self.news.event is Event.FAILED
        return f"{self.server.name}: {DONE_WITH_TROUBLE if trouble else TITLES[self.news.event]}"


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life of one server. `run` is the same for a rotation's start and end."""

    step: Step
    server: ServerConfig
    run: str
    text: str = ""


def of_outcome(news: News, server: ServerConfig, outcome: Outcome, before: Watch, at: datetime) -> Message:
    """What is told of a rotation."""
    text, hint = _made(outcome), ""
    if news.event is Event.RECOVERED:
        text += f"; {_over(news, before, server.policy.zone)}"
    elif news.event is not Event.DONE:
        text, hint = _wrong(outcome)
    return Message(news, server, at, text, hint, before.good_at, outcome.created, done=outcome.result is Result.DONE)


def of_time(news: News, server: ServerConfig, before: Watch, due: datetime, at: datetime) -> Message:
    """What is told because time passed, or because a good backup was found that somebody made by hand."""
    zone = server.policy.zone
    text, hint = f"made by hand; {_over(news, before, zone)}", ""
    if news.event is Event.OVERDUE:
        text = f"{_since(before, zone)}; the next was due by {format_moment(due, zone)}"
        hint = "look at `ptero-backupd status` and at the daemon's log"
    return Message(news, server, at, text, hint, before.good_at)


def in_short(outcome: Outcome) -> str:
    """A rotation in a few lines, good or bad."""
    return "\n".join(filter(None, _wrong(outcome))) or _made(outcome)


def _made(outcome: Outcome) -> str:
    created = outcome.created
    made = f"{redact(created.name)}, {format_size(created.bytes)}" if created else "a good backup"
    return f"{made}; {len(outcome.deleted)} deleted"


def _wrong(outcome: Outcome) -> tuple[str, str]:
    """All problems in one text, and the hint of the one that ended the rotation, which is the last."""
    problems = outcome.problems
    text = "\n".join(redact(problem.text) for problem in problems)
    return text, redact(problems[-1].hint) if problems else ""


def _over(news: News, before: Watch, zone: ZoneInfo) -> str:
    return f"before: {', '.join(news.after)}; {_since(before, zone)}"


def _since(watch: Watch, zone: ZoneInfo) -> str:
    if watch.good_at is None:
        return f"no good backup since the daemon watches it ({format_moment(watch.fine_at, zone)})"
    return f"no good backup since {format_moment(watch.good_at, zone)}"
