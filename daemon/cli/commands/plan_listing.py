"""`plan --listing`: judge saved list responses, without a panel, a configuration, or heavy imports."""

import json
from pathlib import Path
from typing import Any

from daemon.cli.arguments import read_moment, read_zone
from daemon.cli.ui.files import opened
from daemon.cli.ui.output import say, write_json
from daemon.clock import SystemClock
from daemon.core.brake import Brake
from daemon.core.keep import Keep
from daemon.core.model import Completeness, Listing, Scope
from daemon.core.names import Ownership, Template
from daemon.core.plan import Plan, plan
from daemon.core.retention import Retention
from daemon.documents.commands import About, planned
from daemon.errors import Exit, UsageError
from daemon.panel.listing import listing_from_documents


def plan_listing(file: Path, keep: str, *, timezone: str, now: str | None, name: str | None, as_json: bool) -> int:
    """Judge saved responses by the given rules; without a template every backup is in scope."""
    zone = read_zone("--timezone", timezone)
    taken_at = read_moment("--now", now) if now else SystemClock().now()
    try:
        templates = (Template.parse(name),) if name is not None else ()
        retention = Retention(Keep.parse(keep), zone, Scope.OWN if templates else Scope.ALL)
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        listing = listing_from_documents(_documents(file), taken_at=taken_at)
    except ValueError as error:
        raise UsageError(f"{file}: {error}", hint=_HINT) from None
    decided = plan(listing, retention, ownership=Ownership(templates, None), brake=Brake())
    if as_json:
        write_json({"servers": [planned(About(str(file)), listing, decided)]})
    else:
        _show(decided, listing, retention)
    if listing.completeness is not Completeness.COMPLETE:
        say(f"hint: {_HINT}")
    return Exit.REFUSED if decided.refused else Exit.DONE


_LARGEST = 64 * 2**20  # a hundred thousand backups are 40 MiB
_HINT = "save what GET /api/client/servers/ID/backups?per_page=50 answers, all pages as one JSON array"


def _documents(file: Path) -> list[Any]:
    """Return one response, or an array of them; raises ValueError if it is neither."""
    text = _text(file)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    documents = document if isinstance(document, list) else [document]
    if not documents:
        raise ValueError("it holds no response")
    return documents


def _text(file: Path) -> str:
    """Return the text of the file, or of stdin; raises UsageError if there is none, or too much."""
    try:
        with opened(file, errors="replace") as stream:
            text = stream.read(_LARGEST + 1).removeprefix("\ufeff")  # standard input may begin with one as well
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{file} cannot be read: it holds no text in UTF-8", hint=_HINT) from None
    if len(text) > _LARGEST:
        raise UsageError(f"{file} is larger than {_LARGEST >> 20} MiB", hint=_HINT)
    return text


def _show(decided: Plan, listing: Listing, retention: Retention) -> None:
    from daemon.cli.ui.plan_view import plan_parts  # noqa: PLC0415 — a script that asks for JSON needs no tables
    from daemon.cli.ui.tables import show  # noqa: PLC0415 — see above

    show(*plan_parts(decided, listing, retention.zone))
