"""Reading arguments from the command line; every mistake is a UsageError that says what would be right."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from daemon.clock import YEARS
from daemon.core.units import rfc3339
from daemon.errors import UsageError


def read_moment(option: str, text: str) -> datetime:
    """Given a moment such as 2026-04-01T04:00:00Z, return it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'{option}: "{text}" is no moment', hint="write one such as 2026-04-01T04:00:00Z") from None
    if moment.tzinfo is None:
        raise UsageError(
            f'{option}: "{text}" has no time zone', hint=f"write {rfc3339(moment.replace(tzinfo=UTC))}, or with +02:00"
        )
    if moment.year not in YEARS:
        raise UsageError(f'{option}: "{text}" is too far away', hint=f"write a year from {YEARS[0]} to {YEARS[-1]}")
    return moment


def read_zone(option: str, text: str) -> ZoneInfo:
    """Given the name of an IANA time zone, return it."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise UsageError(f'{option}: "{text}" is no IANA time zone', hint="write one such as Europe/Berlin") from None


def read_address(option: str, text: str) -> tuple[str, int]:
    """Given HOST:PORT or [IPV6]:PORT, return both."""
    host, _, port = text.rpartition(":")
    if not (host.isprintable() and host and re.fullmatch("[0-9]{1,5}", port) and int(port) < 2**16):
        raise UsageError(f'{option}: "{text}" is no address', hint="write one such as 127.0.0.1:8808")
    return host.removeprefix("[").removesuffix("]"), int(port)


def unknown(kind: str, word: str, known: Sequence[str]) -> UsageError:
    """Return the error for an unknown word, with the known one that was probably meant."""
    from difflib import get_close_matches  # noqa: PLC0415 — seldom needed, and the daemon would keep it

    near = get_close_matches(word, known, n=1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return UsageError(f"no {kind} '{word}' in the configuration{meant}", hint=_those(kind, known) if not near else "")


def _those(kind: str, known: Sequence[str]) -> str:
    return f"there is no {kind} in it" if not known else f"there are: {', '.join(known)}"
