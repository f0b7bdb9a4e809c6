"""Tells what the service logs, in plain words and as it happens, and knows how far things are.

The log's lines go here, so it sees what a log collector would see, without secrets. Events that it does not know are
skipped; nothing that is logged may make it raise.
"""

import asyncio
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from daemon.clock import Clock
from daemon.core.units import format_size, read_rfc3339
from daemon.demo.screen import Screen
from daemon.errors import ProblemCode
from daemon.log import configure

SHOWN = 3
"""This many deletions of one rotation are shown one by one."""

WORDS: Mapping[str, str] = {
    ProblemCode.SERVER_STATE: "skipped",
    ProblemCode.MAX_DELETIONS: "refused",
    ProblemCode.LIMIT: "refused",
    ProblemCode.STUCK: "stuck",
    ProblemCode.BACKUP_FAILED: "failed",
}
"""What a problem is called in a line, by its code."""


class Narrator:
    """Hears the service's events and tells them."""

    def __init__(self, screen: Screen, clock: Clock) -> None:
        self.braked = asyncio.Event()
        self.braked_server = ""
        self.under_way: set[str] = set()
        self.ended_at = 0.0
        self.copied: set[str] = set()
        self._screen = screen
        self._clock = clock
        self._began = clock.monotonic()
        self._deleted: Counter[str] = Counter()
        self._older_copies: Counter[str] = Counter()
        self._names: dict[str, str] = {}
        self._said: set[tuple[str, str]] = set()

    @property
    def seconds(self) -> float:
        """How long the demo has been running."""
        return self._clock.monotonic() - self._began

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive the log, every event of it, within this block."""
        configure("debug", _Events(self), "json")
        try:
            yield
        finally:
            configure("warning")

    def say(self, who: str, word: str, text: str) -> None:
        """Tell one thing."""
        self._screen.line(self.seconds, who, word, text)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Tell an event, if it is one for the audience."""
        tell = getattr(self, f"_on_{event.get('event', '')}", None)
        if tell is not None:
            tell(str(event.get("server", "daemon")), event)
        elif event.get("level") in {"warning", "error", "critical"}:
            self.say(str(event.get("server", "daemon")), "trouble", f"{event.get('event')} {event.get('text', '')}")

    def _say_once(self, who: str, word: str, text: str) -> None:
        if (who, text) not in self._said:
            self._said.add((who, text))
            self.say(who, word, text)

    def _on_daemon_started(self, who: str, event: Mapping[str, Any]) -> None:
        self.say(who, "started", f"version {event.get('version')}, {event.get('servers')} servers")

    def _on_reloaded(self, who: str, _event: Mapping[str, Any]) -> None:
        self.say(who, "reload", "the configuration was read again and is in force")

    def _on_stopping(self, who: str, event: Mapping[str, Any]) -> None:
        self.say(who, "stops", f"{event.get('signal')} came: nothing new is begun")

    def _on_daemon_stopped(self, who: str, event: Mapping[str, Any]) -> None:
        for server, older in sorted(self._older_copies.items()):
            self.say(server, "copied", f"… and {older} more, made before")
        left = ", ".join(event.get("left") or ())
        self.say(who, "stopped", f"left for the next start: {left}" if left else "nothing was left unfinished")

    def _on_start_missed(self, _who: str, event: Mapping[str, Any]) -> None:
        start = read_rfc3339(str(event.get("start")))
        self._say_once("daemon", "missed", f"no daemon ran at the start of {start:%H:%M:%S} UTC: it is caught up now")

    def _on_rotation_began(self, who: str, _event: Mapping[str, Any]) -> None:
        self.under_way.add(who)

    def _on_backup_created(self, who: str, event: Mapping[str, Any]) -> None:
        self._names[str(event.get("uuid"))] = str(event.get("backup"))
        self.say(who, "created", str(event.get("backup")))

    def _on_making_room(self, who: str, _event: Mapping[str, Any]) -> None:
        self.say(who, "full", "the panel's limit is reached, so room is made by one deletion")

    def _on_turned_good(self, who: str, event: Mapping[str, Any]) -> None:
        name = self._names.get(str(event.get("uuid")), "the new backup")
        self.say(who, "good", f"{name}, {format_size(int(event.get('bytes') or 0))}")

    def _on_backup_deleted(self, who: str, event: Mapping[str, Any]) -> None:
        self._deleted[who] += 1
        if self._deleted[who] <= SHOWN:
            self.say(who, "deleted", f"{event.get('backup')}, because: {event.get('because')}")

    def _on_copy_made(self, who: str, event: Mapping[str, Any]) -> None:
        """Tell of copies of what was made before its eyes; the many older ones are counted."""
        self.copied.add(who)
        if event.get("backup") in self._names.values():
            size = format_size(int(event.get("bytes") or 0))
            self.say(who, "copied", f"{event.get('backup')} to the store {event.get('store')}, {size}")
        else:
            self._older_copies[who] += 1

    def _on_copying_failed(self, who: str, event: Mapping[str, Any]) -> None:
        self._say_once(who, WORDS.get(str(event.get("code")), "trouble"), str(event.get("text")))

    def _on_problem(self, who: str, event: Mapping[str, Any]) -> None:
        code, text = str(event.get("code")), str(event.get("text"))
        if code == ProblemCode.MAX_DELETIONS and not self.braked_server:
            self.braked_server = who
        self._say_once(who, WORDS.get(code, "trouble"), text)

    def _on_rotation_ended(self, who: str, event: Mapping[str, Any]) -> None:
        self.under_way.discard(who)
        self.ended_at = self.seconds
        deleted = self._deleted.pop(who, 0)
        if deleted > SHOWN:
            self.say(who, "deleted", f"… and {deleted - SHOWN} more; the table at the end says why")
        if event.get("result") == "done":
            self.say(who, "done", f"{deleted} deleted, {event.get('kept')} are there")
        if who == self.braked_server:
            self.braked.set()


class _Events(io.StringIO):
    """A stream that takes the log's lines of JSON."""

    def __init__(self, narrator: Narrator) -> None:
        super().__init__()
        self._teller = narrator

    def write(self, line: str, /) -> int:
        """Take one line."""
        self._teller.hear(json.loads(line))
        return len(line)
