"""The type of one value of the configuration, its bounds, and the message for a wrong one.

They keep the operator's own text once it has been found valid; `load` turns it into values.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from daemon.config.addresses import host_name, panel_url, split_listen
from daemon.config.errors import closest
from daemon.config.value_error import value_error
from daemon.core.calendar import parse_schedule
from daemon.core.discover import Pattern
from daemon.core.names import Template
from daemon.core.proof_due import Quiet as QuietHours
from daemon.core.units import parse_duration, parse_size, parse_span
from daemon.stores.values import parse_location

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_OFFSET = re.compile(r"(?:etc/)?(?:gmt|utc|z)?\s*([+-])([0-9]{1,2}):?([0-9]{2})?", re.IGNORECASE)
_ABBREVIATION = re.compile("[A-Z]{3,5}")
_CITY = 'name a city\'s zone, such as "Europe/Berlin", which knows of summer time'
_FARTHEST = {"+": 14, "-": 12}  # hours from UTC that there are zones of
_SHORTEST_FAILED_AFTER = timedelta(hours=12)
_SHORTEST_LOCK = timedelta(days=2)


def _read_by(parse: Callable[[str], object]) -> AfterValidator:
    """Return a type for text that `parse` must be able to read; its ValueError says what would be right."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def _longer_than_nothing(text: str) -> None:
    if parse_duration(text) <= timedelta(0):
        raise value_error("must be longer than nothing")


def _zone(text: str) -> None:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise value_error("is no IANA time zone", _nearest_zone(text)) from None


def _nearest_zone(text: str) -> str:
    """Given what was written as a time zone, return a question with the likely one; a city alone is enough."""
    if found := _OFFSET.fullmatch(text.strip()):
        return _zone_of_offset(found[1], int(found[2]), int(found[3] or 0))
    if _ABBREVIATION.fullmatch(text):  # no guess at these: "EST" for "CEST" would be taken, and be hours off
        return f"an abbreviation is none: {_CITY}"
    zones = {zone.lower(): zone for zone in sorted(available_timezones()) if "/" in zone or zone == "UTC"}
    cities = {name.rpartition("/")[2]: zone for name, zone in zones.items()}
    near = closest(text, [name for name in zones if not name.startswith("etc/")])  # their signs are inverted
    guess = cities.get(text.lower().replace(" ", "_")) or zones.get(near or "")
    return f"did you mean {guess}?" if guess else 'such as "Europe/Berlin" or "UTC"'


def _zone_of_offset(sign: str, hours: int, minutes: int) -> str:
    """Given an offset from UTC, return the zone to write; those named after offsets have the sign inverted, as in
    POSIX.
    """
    if not hours and not minutes:
        return f'{_CITY}, or "UTC"'
    if minutes or hours > _FARTHEST[sign]:
        return _CITY
    inverted = {"+": "-", "-": "+"}[sign]
    return f'{_CITY}; "Etc/GMT{inverted}{hours}" is always UTC{sign}{hours} (its sign is inverted)'


def _failed_after(text: str) -> None:
    if text != "never" and parse_duration(text) < _SHORTEST_FAILED_AFTER:
        raise value_error("must be at least 12h, since a slow node can still turn a failed backup good", 'or "never"')


def _size(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise value_error("must be a size", 'such as "50GiB", or "off"')
    if value != "off":
        parse_size(value)
    return value


def _every(text: str) -> None:
    if text != "never":
        _longer_than_nothing(text)


def _quiet(text: str) -> None:
    if text != "off":
        QuietHours.parse(text)


def _object_lock(text: str) -> None:
    if text != "off" and parse_duration(text) < _SHORTEST_LOCK:
        raise value_error("must be at least 2d, since a lock is renewed once a day", 'or "off"')


def _backfill(value: object) -> int | str:
    if isinstance(value, str) and value in {"all", "none"}:
        return value
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,6}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise value_error("must be a number, 1 or more", 'or "all", or "none"')
    return number


def _recipient(text: str) -> str:
    if not re.fullmatch(r"age1[a-z0-9]{50,}|ssh-ed25519 [A-Za-z0-9+/=]{60,}( [^\n]*)?", text):
        raise value_error(
            "must be an age recipient", "age1… as age-keygen prints it, or the line of an ssh-ed25519 .pub file"
        )
    return text


def _pattern(text: str) -> str:
    if not text.strip() or len(text.splitlines()) != 1:
        raise value_error("must be one pattern", "write one pattern an entry of the list")
    return text


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}", text.lower()):
        raise value_error(
            "must be the server's 8-character identifier or its full uuid", "`ptero-backupd servers` shows them"
        )
    return text.lower()


def _file_name(text: str) -> str:
    if "://" in text:
        raise value_error("must name a file", "the address itself is a secret, and stands in that file alone")
    return text


def _member(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise value_error("must be the name of a machine", "letters, digits, and . _ - between them")
    return text


def _count_or_all(count: int) -> int:
    if count < 1 and count != -1:
        raise value_error("must be 1 or more, or -1 for all", "to have no such rule, leave it out")
    return count


def _bound(count: int) -> int:
    if count < -1:
        raise value_error("must be 0 or more, or -1 for no bound")
    return count


class AsJson:
    """Mark a key that an environment variable holds as JSON; all else is taken as text, as it stands."""


Text = Annotated[str, Field(min_length=1)]
Member = Annotated[str, AfterValidator(_member)]
Schedule = Annotated[str, _read_by(parse_schedule)]
Duration = Annotated[str, _read_by(parse_duration)]
LongDuration = Annotated[str, _read_by(_longer_than_nothing)]
DurationOrNever = Annotated[str, _read_by(_every)]
Quiet = Annotated[str, _read_by(_quiet)]
ObjectLock = Annotated[str, _read_by(_object_lock)]
FailedAfter = Annotated[str, _read_by(_failed_after)]
Zone = Annotated[str, _read_by(_zone)]
NameTemplate = Annotated[str, _read_by(Template.parse)]
Span = Annotated[str, _read_by(parse_span)]
Url = Annotated[str, AfterValidator(panel_url)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Size = Annotated[
    int | str,
    PlainValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]}),
]
Flag = Annotated[bool, AsJson]
Count = Annotated[int, Field(ge=1), AsJson]
NumberOrNone = Annotated[int, Field(ge=0)]
CountOrAll = Annotated[int, AfterValidator(_count_or_all)]
Bound = Annotated[int, AfterValidator(_bound), AsJson]
ShareOrAll = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), AsJson]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), AsJson]
Patterns = Annotated[list[Annotated[str, AfterValidator(_pattern)]], AsJson]
Templates = Annotated[list[NameTemplate], AsJson]
Names = Annotated[list[str] | None, AsJson]
StoreNames = Annotated[list[str], AsJson]
StoreUrl = Annotated[str, _read_by(parse_location)]
Recipients = Annotated[list[Annotated[str, AfterValidator(_recipient)]], AsJson]
Backfill = Annotated[
    int | str,
    PlainValidator(_backfill),
    WithJsonSchema({"anyOf": [{"enum": ["all", "none"]}, {"type": "integer", "minimum": 1}]}),
]
EventName = Literal[
    "failed",
    "limit",
    "suspicious",
    "overdue",
    "uncopied",
    "unpruned",
    "store",
    "unproven",
    "proof_late",
    "drill_failed",
    "promoted",
    "members_differ",
    "nobody_acts",
    "recovered",
    "done",
]
Events = Annotated[list[EventName], AsJson]
USUAL_EVENTS: list[EventName] = [name for name in get_args(EventName) if name != "done"]
Listen = Annotated[str, _read_by(split_listen)]
Hosts = Annotated[list[Annotated[str, AfterValidator(host_name)]], AsJson]


EntryName = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
FileName = Annotated[Text, AfterValidator(_file_name)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Selector = Annotated[str, _read_by(Pattern.parse)]
Selectors = Annotated[
    list[_Selector],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
