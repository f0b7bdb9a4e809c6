"""Logs: one line per event, on stderr, for a terminal, for systemd's journal or as JSON; stdout is for data.

The command line calls `configure` once; until then nothing below WARNING is shown. Code that logs binds `server`,
`policy` and `rotation` with `bound`, and every line until its end carries them. No line holds a secret: what looks like
one is replaced, value by value and once more in the finished line. That is the last line of defence, not the first.
What a panel wrote (a backup's name) cannot move the cursor of a terminal or begin a line: in JSON a line feed is
escaped, elsewhere what follows it is indented below the line, as a traceback is. Writing a line never raises.
"""

import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, TextIO

from daemon._imports import standing_in, without
from daemon.clock import Clock, SystemClock
from daemon.core.units import rfc3339

_UNUSED = ("pickle", "structlog.stdlib", "structlog.testing", "structlog.threadlocal")

with without("rich"), standing_in(*_UNUSED):  # of pickle it takes one exception; the others it merely offers
    import structlog
    from structlog.contextvars import bind_contextvars as bind
    from structlog.contextvars import bound_contextvars as bound
    from structlog.contextvars import unbind_contextvars as unbind
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

__all__ = [
    "CONTROL",
    "LEVELS",
    "REDACTED",
    "FilteringBoundLogger",
    "bind",
    "bound",
    "configure",
    "get_logger",
    "harmless",
    "redact",
    "unbind",
]

Form = Literal["auto", "console", "json", "journal"]

LEVELS = ("debug", "info", "warning", "error")
REDACTED = "«redacted»"

# The levels of syslog(3), which systemd reads from the beginning of a line (sd-daemon(3)).
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}

_SECRET_KEYS = re.compile(r"authorization|cookie|password|secret|api_?key|token", re.IGNORECASE)
_SECRETS = re.compile(
    r"""
    (?P<kept>  # what says that a secret follows stays readable
        authorization[\\"']*\s*[:=]\s*[\\"']*(?:(?:bearer|basic)\s+)?
        | \bbearer\s+
        | (?:\b|_|%[0-9a-f]{2})(?:token|signature|x-amz-[a-z-]+)(?:=|%3d)
    )
    [^\s&"'<>,;}\]\\]+
    | \b(?:ptl[a-z]|pacc|papp)_\w+  # keys of Pterodactyl and of Pelican
    | \beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?  # a JSON web token, as in a node's download links
    """,
    re.IGNORECASE | re.VERBOSE,
)

# What could move a terminal's cursor or turn its text around, and how it is shown instead. The line feed is not among
# it: each form has its own way with that.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) != "\n"}
CONTROL |= {
    code: f"\\u{code:04x}" for code in (*(0x061C, 0x200E, 0x200F), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
CONTROL |= {ord("\t"): "\\t", ord("\r"): "\\r"}
_INDENT = "    "

_A_MINUTE = 5  # records of one kind that a library may log in a minute
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


def get_logger() -> FilteringBoundLogger:
    """Return the logger; events are short phrases, everything that varies is a key."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def configure(
    level: str = "info",
    stream: TextIO | None = None,
    form: Form = "auto",
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> None:
    """Send events of `level` and above to `stream` (stderr if None); `form` "auto" suits the stream."""
    target = stream or sys.stderr
    chosen = _form_for(target, environ) if form == "auto" else form
    colors = chosen == "console" and _colourful(target, environ)
    clock = clock or SystemClock()
    _configure(level, stream, _renderers(chosen, clock, colors=colors))
    _route_standard_logging(clock)


def redact(text: str) -> str:
    """Return `text` with everything that looks like a key, a token or a signature replaced."""
    return _SECRETS.sub(rf"\g<kept>{REDACTED}", text)


def harmless(text: str) -> str:
    """Return `text` for people: without secrets, and with what could turn it around or move a cursor escaped."""
    return redact(text).translate(CONTROL)


def _configure(level: str, stream: TextIO | None, processors: list[Processor]) -> None:
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *processors],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Line(stream),
        cache_logger_on_first_use=False,  # a reload may change the level of loggers that exist
    )


class _Line:
    """Writes finished lines, whatever the level."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line in one piece. A terminal that is gone, or a full disk, stops no rotation."""
        stream = self._stream or sys.stderr
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(redact(line).encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            return

    debug = info = warning = error = critical = msg


def _renderers(form: str, clock: Clock, *, colors: bool) -> list[Processor]:
    """Return the processors from a complete event to its line."""
    plain: list[Processor] = [structlog.processors.format_exc_info, _clean]
    if form == "journal":
        return [*plain, _set_below, _render_for_journal]
    if form == "json":
        return [_stamper(clock), *plain, structlog.processors.JSONRenderer(ensure_ascii=False)]
    console = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False, pad_event_to=0
    )
    return [_stamper(clock), *plain, _set_below, console]


def _stamper(clock: Clock) -> Processor:
    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Add the time; systemd's journal has its own."""
        event["timestamp"] = rfc3339(clock.now(), "milliseconds")
        return event

    return stamp


def _clean(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace secrets in every value, however deep, and make control characters visible except line feeds."""
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return {key: _cleaned(key, value) for key, value in {**first, **event}.items()}


def _cleaned(key: object, value: object) -> Any:  # noqa: ANN401 — as any as the value was
    if hasattr(value, "get_secret_value") or (isinstance(key, str) and _SECRET_KEYS.fullmatch(key)):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(inner): _cleaned(inner, held) for inner, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(None, held) for held in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return harmless(str(value))


def _set_below(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep the first line of every text where it is, and put the others below it, before the traceback's.

    They are indented, so that only the beginning of a log line stands at the edge. Renderers show as "exception" what
    is below.
    """
    traceback = str(event.pop("exception", "")).splitlines()
    below: list[str] = []
    for key, value in event.items():
        if isinstance(value, str):
            event[key], *others = value.split("\n")
            below += others
    below += traceback
    if below:
        event["exception"] = "\n".join(_INDENT + line for line in below)
    return event


def _render_for_journal(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render a line for systemd's journal: priority, event, key=value; the lines below it get the same priority."""
    priority = f"<{_PRIORITIES.get(str(event.pop('level', '')), 6)}>"
    below = str(event.pop("exception", ""))
    words = [str(event.pop("event", "")), *(f"{key}={_quoted(value)}" for key, value in event.items())]
    return "\n".join(priority + line for line in (" ".join(words), *below.splitlines()))


def _quoted(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r"[^\s\"=]+", text) else '"' + text.replace('"', '\\"') + '"'


def _form_for(stream: TextIO, environ: Mapping[str, str]) -> str:
    """Return the form that suits the stream: systemd's journal if it is connected to it (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
        terminal = stream.isatty()
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return "json"
    if environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return "journal"
    return "console" if terminal else "json"


def _colourful(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether to use colour: on a terminal that has it, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class _Forwarding(logging.Handler):
    """Hands records of libraries (apscheduler, uvicorn, httpx) over to structlog, of each kind a few a minute.

    Otherwise a library that fails in a loop would fill the disk: asyncio logs each socket that it cannot accept. The
    next record says how many were left out.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._minute = -1
        self._told: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        kind = _kind(record)
        if not self._may_be_told(kind):
            return
        name = record.levelname.lower()
        write = getattr(get_logger(), name if name in _PRIORITIES else "warning")
        more = {"left_out": left_out} if (left_out := self._left_out.pop(kind, 0)) else {}
        write(record.getMessage(), logger=record.name, exc_info=record.exc_info, **more)

    def _may_be_told(self, kind: str) -> bool:
        minute = int(self._clock.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._told.clear()
        self._told[kind] += 1
        may = self._told[kind] <= _A_MINUTE
        if not may:
            self._left_out[kind] += 1
        return may


def _kind(record: logging.LogRecord) -> str:
    """Return what is common to records that differ only in numbers, or in the details below the first line."""
    first = str(record.msg).partition("\n")[0]
    return f"{record.name} {record.levelno} {_NUMBER.sub('#', first[:200])}"


def _route_standard_logging(clock: Clock) -> None:
    """Show libraries' records from WARNING on, whatever our level: at INFO, httpx would log whole URLs."""
    logging.basicConfig(handlers=[_Forwarding(clock)], level=logging.WARNING, force=True)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


# structlog's own default prints to stdout, which is for data: logging before `configure` goes to stderr.
_configure("warning", None, _renderers("json", SystemClock(), colors=False))
