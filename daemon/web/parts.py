"""What both pages are made of: the frame, the chip, the calendar strip, the line of sizes."""

from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from daemon import __version__
from daemon.core.copies_state import CopyState
from daemon.core.units import format_size
from daemon.state import Sample
from daemon.status.coverage import Cell, Cover, Strip
from daemon.status.server_status import ServerStatus
from daemon.status.troubles import Kind
from daemon.web.html import Html, Part, join, tag
from daemon.web.words import ACTIONS, change

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()

CLASSES = {Cover.KEPT: "k", Cover.LOCKED: "l", Cover.OTHER: "o", Cover.BAD: "b", Cover.NONE: None}
TONES = {Kind.OVERDUE: "bad", Kind.FAILING: "bad"} | dict.fromkeys(
    (Kind.SUSPICIOUS, Kind.UNPROVEN, Kind.DRILL, Kind.UNCOPIED, Kind.UNDELETABLE, Kind.LIMIT, Kind.HELD), "warn"
)
TREND_DAYS = 30

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect x='1' y='2' width='14' height='12' rx='3' fill='%23{colour}'/%3E"
    "%3Cpath d='M4 9h2v2H4zM7 7h2v4H7zM10 5h2v6h-2z' fill='%23fff'/%3E%3C/svg%3E"
)


def page(title: str, *body: Part, tone: str = "ok", refresh: bool = False) -> str:
    """Return a whole page. `tone` colours its icon; `refresh` has the browser ask again each minute."""
    colour = {"ok": "1f7a4d", "warn": "a86a00", "bad": "b3261e"}[tone]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="refresh", content="60") if refresh else None,
        tag("title", title),
        tag("link", rel="icon", href=_ICON.format(colour=colour)),
        tag("style", Html(STYLE)),
    )
    foot = tag(
        "footer",
        tag(
            "p",
            f"ptero-backupd {__version__} · ",
            tag("a", "metrics", href="/metrics"),
            " · ",
            tag("a", "status as JSON", href="/api/status"),
        ),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body, foot), lang='en')}\n"


def chip(status: ServerStatus) -> Html:
    """Return in a word how a server stands."""
    if status.troubles:
        tone = f" {TONES[status.troubles[0].kind]}"
    else:
        tone = " run" if status.progress is not None else " ok" if status.good_at is not None else ""
    return tag("span", status.word, class_=f"chip{tone}")


@lru_cache(maxsize=256)  # a page of a thousand servers shows the same few again and again
def mark(store: str, state: CopyState) -> Html:
    """Return one sign that says what became of the newest good backup in a store; in words for who cannot see it."""
    words = f"{store}: {state}"
    return tag("a", tag("span", words, class_="vh"), href=f"/stores/{store}", class_=f"mark {state}", title=words)


def tone_of(statuses: Sequence[ServerStatus]) -> str:
    """Return the worst of all their chips."""
    tones = {TONES[trouble.kind] for status in statuses for trouble in status.troubles}
    return "bad" if "bad" in tones else "warn" if tones else "ok"


def explained(cell: Cell) -> str:
    """Return which period a cell is, and what covers it."""
    if cell.by is None:
        return f"{cell.title}: no backup"
    if cell.cover is Cover.BAD:
        return f"{cell.title}: {cell.by.state.value}"
    if cell.cover is Cover.KEPT:
        return f"{cell.title}: {', '.join(dict.fromkeys(reason.rule for reason in cell.by.reasons))}"
    if cell.cover is Cover.LOCKED:
        return f"{cell.title}: locked"
    return f"{cell.title}: {ACTIONS[cell.by.action]}"


def small_strip(strip: Strip) -> Html:
    """Return the strip in one line: months, weeks and days, oldest first, each a coloured and shaped cell."""
    rows = (strip.months, strip.weeks, strip.days)
    groups = "".join(f"<span>{''.join(map(_small_cell, row))}</span>" for row in rows)
    return Html(f'<div class="strip" role="img" aria-label="{summary(strip)}">{groups}</div>')


def _small_cell(cell: Cell) -> str:
    kind = CLASSES[cell.cover]
    return "<i></i>" if kind is None else tag("i", class_=kind, title=explained(cell))


def summary(strip: Strip) -> str:
    """Return the strip in words."""
    rows = (("months", strip.months), ("weeks", strip.weeks), ("days", strip.days))
    return "covered: " + ", ".join(f"{_covered(row)} of the last {len(row)} {noun}" for noun, row in rows)


def _covered(row: Sequence[Cell]) -> int:
    return sum(cell.cover in {Cover.KEPT, Cover.LOCKED, Cover.OTHER} for cell in row)


def legend() -> Html:
    """Return what the cells of a strip mean."""
    words = (
        ("k", "kept"),
        ("l", "locked"),
        ("o", "good, but not counted"),
        ("b", "none that is good"),
        (None, "no backup"),
    )
    return tag("p", *(tag("span", tag("i", class_=kind), f" {word}") for kind, word in words), class_="legend strip")


def trend(samples: Sequence[Sample]) -> Html:
    """Return a line of the sizes of the last days, and in words how they changed; nothing of a single day."""
    last = samples[-TREND_DAYS:]
    if len(last) < 2:  # noqa: PLR2004 — a line has two ends
        return Html("")
    days = (last[-1].day - last[0].day).days
    words = f"{change(last[0].bytes, last[-1].bytes)} in {days} d"
    return join(_line(last), tag("small", words, title=f"from {format_size(last[0].bytes)}, {last[0].day}"))


def _line(samples: Sequence[Sample]) -> Html:
    first, least = samples[0].day, min(sample.bytes for sample in samples)
    width = (samples[-1].day - first).days
    height = max(sample.bytes for sample in samples) - least or 1
    points = " ".join(
        f"{(sample.day - first).days * 60 / width:.1f},{14 - (sample.bytes - least) * 12 / height:.1f}"
        for sample in samples
    )
    return tag("svg", tag("polyline", points=points), viewBox="0 0 60 16", class_="spark", aria_hidden="true")
