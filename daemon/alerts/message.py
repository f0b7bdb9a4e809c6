"""Alerts in words: complete messages, from which each receiver's format is made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig
from daemon.core.alerting import Alert, Event
from daemon.core.shrunk import last_before_it_shrank
from daemon.core.units import format_moment, format_size
from daemon.core.words import first_few
from daemon.log import harmless
from daemon.rotation.outcome import Outcome, Result
from daemon.status.history import Good, ServerHistory, got_good

Step = Literal["start", "success", "fail"]

TITLES = {
    Event.FAILED: "the backup failed",
    Event.LIMIT: "the backup limit is reached",
    Event.SUSPICIOUS: "the backup is suspicious",
    Event.OVERDUE: "the backup is overdue",
    Event.UNCOPIED: "a copy is missing",
    Event.STORE: "the store is in trouble",
    Event.UNPRUNED: "the brake holds copies",
    Event.UNPROVEN: "a backup is not sound",
    Event.PROOF_LATE: "the proof is late",
    Event.DRILL_FAILED: "the drill failed",
    Event.PROMOTED: "the database was promoted or restored",
    Event.MEMBERS_DIFFER: "the members differ",
    Event.NOBODY_ACTS: "nobody makes backups",
    Event.NEW_NORMAL: "smaller backups are the new normal",
    Event.COPIED: "copied again",
    Event.PRUNED: "copies are pruned again",
    Event.PROVEN: "deletion goes on",
    Event.DRILLED: "the drill went well again",
    Event.RECOVERED: "there is a good backup again",
    Event.DONE: "backed up",
}
DONE_WITH_TROUBLE = "backed up, and something needs you"
GOOD_NEWS = {Event.RECOVERED, Event.COPIED, Event.PRUNED, Event.PROVEN, Event.DRILLED, Event.DONE}
WARNINGS = {
    Event.SUSPICIOUS,
    Event.OVERDUE,
    Event.UNCOPIED,
    Event.UNPRUNED,
    Event.STORE,
    Event.PROOF_LATE,
    Event.PROMOTED,
    Event.MEMBERS_DIFFER,
    Event.NEW_NORMAL,
}
"""What is not as it should be; all that is neither is a failure."""
ENDS = {
    Event.STORE: "the store works again",
    Event.PROOF_LATE: "no proof is late any more",
    Event.MEMBERS_DIFFER: "the members agree again",
    Event.NOBODY_ACTS: "backups are made again",
}
"""What the end of such trouble says instead, where nothing else ended."""

STORES = "stores."
"""Before the name of a store where a server's would stand: no server is called so."""

CLUSTER = "cluster.members"
"""What stands there for the cluster."""

NAMED = 10
"""How many servers of a digest are named; more are counted."""


@dataclass(frozen=True, slots=True)
class Made:
    """The backup that a message is about."""

    uuid: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Message:
    """One piece of news about one server. `good_at` is when the server's newest good backup before it was made,
    `backup` the one that it is about, if any. `done` says that the rotation did what was due all the same.

    It holds plain values alone, so that a message that waits can be kept in the journal.
    """

    news: Alert
    server: str
    panel: str
    policy: str
    at: datetime
    text: str
    hint: str = ""
    good_at: datetime | None = None
    backup: Made | None = None
    done: bool = False

    @property
    def title(self) -> str:
        """One line that says what it is."""
        trouble = self.done and self.news.event is Event.FAILED
        return f"{self.about}: {DONE_WITH_TROUBLE if trouble else title_of(self.news)}"

    @property
    def about(self) -> str:
        """What it is about: the server's name, that of a store, or the cluster."""
        if self.server == CLUSTER:
            return "the cluster"
        return f"store {self.server.removeprefix(STORES)}" if self.is_of_store else self.server

    @property
    def is_of_store(self) -> bool:
        """Whether it is about a store, and about no server."""
        return self.server.startswith(STORES)


@dataclass(frozen=True, slots=True)
class Digest:
    """Many messages sent as one, in the order in which they came. `page` is where all of it can be seen, or empty."""

    messages: Sequence[Message]
    page: str = ""

    @property
    def at(self) -> datetime:
        """When the last of its messages was made."""
        return self.messages[-1].at

    @property
    def events(self) -> Sequence[Event]:
        """Which events it holds, each once, in the order of their kinds."""
        return [event for event in Event if any(one.news.event is event for one in self.messages)]

    @property
    def title(self) -> str:
        """One line that says what it is."""
        titles = {title_of(one.news) for one in self.messages}
        what = titles.pop() if len(titles) == 1 else f"{len(self.messages)} alerts"
        counted = (
            _counted("server", {one.server for one in self.messages if not is_common(one.server)}),
            _counted("store", {one.server for one in self.messages if one.is_of_store}),
            "the cluster" if any(one.server == CLUSTER for one in self.messages) else "",
        )
        return f"{', '.join(filter(None, counted))}: {what}"

    @property
    def text(self) -> str:
        """A line for each kind of news: how many, and the first names."""
        return "\n".join(f"{TITLES[event]}: {self._names(event)}" for event in self.events)

    @property
    def hint(self) -> str:
        """Where to look."""
        return f"see {self.page}" if self.page else "look at `ptero-backupd status`"

    def _names(self, event: Event) -> str:
        names = [one.about for one in self.messages if one.news.event is event]
        return first_few(names, NAMED)


def title_of(news: Alert) -> str:
    """Return what an alert says, in a few words."""
    over = len(news.after) == 1 and news.event in {Event.RECOVERED, Event.PROVEN}
    return ENDS.get(news.after[0], TITLES[news.event]) if over else TITLES[news.event]


def is_common(name: str) -> bool:
    """Return whether what stands where a server's name would is no server: one member of a cluster alerts on it."""
    return name == CLUSTER or name.startswith(STORES)


def _counted(noun: str, names: Collection[str]) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}" if names else ""


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life of one server. `run` is the same for a rotation's start and end."""

    step: Step
    server: ServerConfig
    run: str
    text: str = ""


def of_outcome(news: Alert, server: ServerConfig, outcome: Outcome, history: ServerHistory, at: datetime) -> Message:
    """Return the message about a rotation. `history` is the server's after it."""
    text, hint = _made(outcome), ""
    before = history
    if got_good(outcome):
        before = replace(history, good=Good(outcome.good_seen_at) if outcome.good_seen_at else None)
    if news.event is Event.RECOVERED:
        text += f"; {_over(news, before, server.policy.zone)}"
    elif news.event is Event.NEW_NORMAL:
        text, hint = _shrunk(outcome)
    elif news.event is not Event.DONE:
        text, hint = _wrong(outcome)
    created = outcome.created
    backup = Made(created.uuid, created.name, created.bytes) if created else None
    done = outcome.result is Result.DONE or outcome.held or (bool(outcome.undeleted) and got_good(outcome))
    return Message(news, *_names(server), at, text, hint, before.good_at, backup, done=done)


def of_time(news: Alert, server: ServerConfig, before: ServerHistory, due: datetime, at: datetime) -> Message:
    """Return the message because time passed, or because a good backup was found that somebody made by hand.

    `before` is the server's history without that.
    """
    zone = server.policy.zone
    text, hint = f"made by hand; {_over(news, before, zone)}", ""
    if news.event is Event.OVERDUE:
        text = f"{_since(before, zone)}; the next was due by {format_moment(due, zone)}"
        hint = "look at `ptero-backupd status` and at the daemon's log"
    return Message(news, *_names(server), at, text, hint, before.good_at)


def in_short(outcome: Outcome) -> str:
    """Return a rotation in a few lines, good or bad."""
    return "\n".join(filter(None, _wrong(outcome))) or _made(outcome)


def _names(server: ServerConfig) -> tuple[str, str, str]:
    return server.name, server.panel.name, server.policy.name


def _made(outcome: Outcome) -> str:
    created = outcome.created
    made = f"{harmless(created.name)}, {format_size(created.bytes)}" if created else "a good backup"
    return f"{made}; {len(outcome.deleted)} deleted"


def _shrunk(outcome: Outcome) -> tuple[str, str]:
    """Return that there is no backup of the former size since, which was the last, and how long that is kept."""
    text = f"{_made(outcome)}; as small as those before it, for days now, so this counts as normal"
    last = last_before_it_shrank(outcome.verdicts)
    kept = f": {harmless(last[0].name)} is {last[1]}" if last else ""
    return text, f"look at the server's files{kept}"


def _wrong(outcome: Outcome) -> tuple[str, str]:
    """Return all problems in one text, and the hint of the one that ended the rotation, which is the last."""
    problems = outcome.problems
    text = "\n".join(harmless(problem.text) for problem in problems)
    return text, harmless(problems[-1].hint) if problems else ""


def _over(news: Alert, before: ServerHistory, zone: ZoneInfo) -> str:
    return f"before: {', '.join(news.after)}; {_since(before, zone)}"


def _since(before: ServerHistory, zone: ZoneInfo) -> str:
    if before.good_at is None:
        return f"no good backup since the daemon watches it ({format_moment(before.since, zone)})"
    return f"no good backup since {format_moment(before.good_at, zone)}"
