"""A server's own page: how it stands, what its backups cover, every backup with its verdict, the last rotations."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from daemon.core.model import Action, State, Verdict
from daemon.core.units import format_size, to_zone
from daemon.core.words import first_few
from daemon.state import Rotation, Sample
from daemon.status.copies import CopyStatus
from daemon.status.coverage import Cell, strip_of
from daemon.status.server_status import ServerStatus
from daemon.status.snapshot import Snapshot, is_beyond
from daemon.status.troubles import Kind, Trouble
from daemon.web.fleet_page import progress_parts, trouble_line
from daemon.web.html import Html, Part, tag
from daemon.web.parts import CLASSES, TONES, chip, explained, legend, mark, page, tone_of, trend
from daemon.web.words import ACTIONS, TRIGGERS, local, span, step_words, time

MOST_BACKUPS = 1000
MOST_NAMED = 50
NO_COPIES: Mapping[str, Sequence[str]] = {}


def server_page(
    status: ServerStatus,
    samples: Sequence[Sample],
    rotations: Sequence[Rotation] | None,
    copies: Mapping[str, Sequence[str]] = NO_COPIES,
    *,
    refresh: bool = False,
) -> str:
    """Return the page of one server; `rotations` is None where the journal cannot be read.

    `copies` are the stores that have a copy of each backup, by its uuid.
    """
    header = tag(
        "header",
        tag("p", tag("a", "ptero-backupd", href="/"), class_="brand"),
        tag("h1", status.name, " ", chip(status)),
        [
            tag("div", trouble_line(one), _held(status) if one.kind is Kind.HELD else None, class_=_trouble(one))
            for one in status.troubles
        ],
        _at_work(status),
        _facts(status, samples),
    )
    zone = status.server.policy.zone
    snapshot = status.history.snapshot
    body = tag(
        "main",
        _coverage(status, snapshot),
        _copies(status),
        _backups(status, snapshot, copies),
        _rotations(rotations, zone),
    )
    return page(f"{status.name} · ptero-backupd", header, body, tone=tone_of([status]), refresh=refresh)


def _trouble(trouble: Trouble) -> str:
    return f"trouble {TONES[trouble.kind]}"


def _held(status: ServerStatus) -> Html | None:
    """Return which backups the brake holds, oldest first."""
    snapshot = status.history.snapshot
    names = [one.backup.name for one in reversed(snapshot.verdicts) if is_beyond(one)] if snapshot else []
    return tag("p", f"Held: {first_few(names, MOST_NAMED)}.", class_="soft") if names else None


def _at_work(status: ServerStatus) -> Html | None:
    if status.progress is None:
        return None
    work = status.progress.work
    by = f" by {work.member}" if work.member else ""
    since = f", {TRIGGERS[work.trigger]}, for {span(max(status.now - work.began_at, timedelta(0)))}"
    return tag("div", *progress_parts(status.progress), tag("small", f"Under way{by}{since}"), class_="work")


def _facts(status: ServerStatus, samples: Sequence[Sample]) -> Html:
    server, policy, snapshot, tally = status.server, status.server.policy, status.history.snapshot, status.tally
    zone = policy.zone
    good_at, age = status.good_at, status.age
    facts: list[tuple[str, Part]] = [
        ("newest good backup", "none" if good_at is None or age is None else time(good_at, f"{span(age)} old", zone)),
        (
            "next start",
            (
                time(status.times.next_start, f"in {span(status.times.next_start - status.now)}", zone),
                tag("small", f"{local(status.times.next_start, zone)} {zone}"),
            ),
        ),
        ("schedule", (tag("code", policy.schedule_text), tag("small", f"policy {policy.name}"))),
        ("keeps", (tag("code", str(policy.retention.keep)), tag("small", _scope(status)))),
    ]
    if status.drill is not None:
        facts.append(("drill", status.drill.words(status.now) or "none has gone well yet"))
    if snapshot is not None:
        limit = f" of {snapshot.limit} allowed" if snapshot.limit else ""
        facts += [
            ("backups", (f"{tally.used}{limit}", tag("small", f"{tally.kept} kept, {tally.locked} locked"))),
            ("size", (format_size(tally.bytes), trend(samples))),
            (
                "a backup takes",
                f"about {span(snapshot.usual_duration)}" if snapshot.usual_duration else "not known yet",
            ),
            ("node", (snapshot.node, tag("small", f"panel {server.panel.name}"))),
        ]
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="known")


def _scope(status: ServerStatus) -> str:
    policy = status.server.policy
    whose = "what this policy named" if policy.scope.value == "own" else "any unlocked backup"
    return f"may delete {whose}"


# What is covered -----------------------------------------------------------------------------------------------------


def _coverage(status: ServerStatus, snapshot: Snapshot | None) -> Html | None:
    if snapshot is None:
        return None
    strip = strip_of(snapshot.verdicts, status.server.policy.zone, status.now)
    rows = (("days", strip.days), ("weeks", strip.weeks), ("months", strip.months))
    calendars = [
        tag("tr", tag("th", noun, scope="row"), tag("td", tag("ol", [_cell(cell) for cell in row], class_="cells")))
        for noun, row in rows
    ]
    return tag("section", tag("h2", "What is covered, and by what"), tag("table", calendars, class_="covers"), legend())


def _cell(cell: Cell) -> Html:
    words = explained(cell)
    inner: Part = (cell.label, tag("span", words, class_="vh"))
    if cell.by is not None:
        words += f", {cell.by.backup.name}"
        inner = tag("a", inner, href=f"#b-{cell.by.backup.uuid}")
    return tag("li", inner, class_=CLASSES[cell.cover], title=words)


# The backups ---------------------------------------------------------------------------------------------------------


def _copies(status: ServerStatus) -> Html | None:
    """Return how the server stands in each of its stores."""
    if not status.copies:
        return None
    head = tag("thead", tag("tr", [tag("th", word, scope="col") for word in ("store", "newest copy", "size", "state")]))
    rows = [_copy(one, status) for one in status.copies]
    return tag("section", tag("h2", "Copies"), tag("table", head, tag("tbody", rows), class_="held"))


def _copy(copy: CopyStatus, status: ServerStatus) -> Html:
    zone = status.server.policy.zone
    words = copy.state.value if copy.state else "nothing to copy yet"
    since = f"waits for {span(status.now - copy.since)}" if copy.since else ""
    again = f"next try at {local(copy.next_at, zone)}" if copy.next_at else ""
    return tag(
        "tr",
        tag("th", tag("a", copy.store, href=f"/stores/{copy.store}"), scope="row"),
        tag("td", time(copy.newest, local(copy.newest, zone), zone) if copy.newest else "none"),
        tag("td", format_size(copy.bytes), tag("small", f"{copy.copies} copies")),
        tag("td", mark(copy.store, copy.state) if copy.state else None, f" {words}",
            tag("small", ", ".join(filter(None, (since, again)))), tag("small", copy.error) if copy.error else None),
    )  # fmt: skip


def _backups(status: ServerStatus, snapshot: Snapshot | None, copies: Mapping[str, Sequence[str]]) -> Html:
    heading = tag("h2", "Backups")
    if snapshot is None:
        return tag("section", heading, tag("p", "None was looked at yet: the first rotation does.", class_="soft"))
    zone = status.server.policy.zone
    shown, more = snapshot.verdicts[:MOST_BACKUPS], len(snapshot.verdicts) - MOST_BACKUPS
    note = tag(
        "p",
        "As last judged ",
        time(snapshot.at, f"{span(status.now - snapshot.at)} ago", zone),
        f". Times are those of {zone}.",
        class_="soft",
    )
    head = tag(
        "thead", tag("tr", [tag("th", word, scope="col") for word in ("made", "backup", "size", "verdict", "why")])
    )
    stores = [copies.get(verdict.backup.uuid, ()) for verdict in shown]
    rows = tag("tbody", [_backup(one, status, held) for one, held in zip(shown, stores, strict=True)])
    rest = tag("p", f"And {more} older ones.", class_="soft") if more > 0 else None
    return tag("section", heading, note, tag("table", head, rows, class_="backups"), rest)


def _backup(verdict: Verdict, status: ServerStatus, stores: Sequence[str]) -> Html:
    backup, zone = verdict.backup, status.server.policy.zone
    proven = status.proof.words_of(backup.uuid, status.now) if status.proof else ""
    made = time(backup.created_at, local(backup.created_at, zone), zone) if backup.created_at else "unreadable"
    done = backup.completed_at is not None
    return tag(
        "tr",
        tag("td", made, data_th="made"),
        tag(
            "th",
            tag("span", backup.name, class_="name"),
            tag("small", _kind(verdict)),
            tag("small", f"copied to {', '.join(stores)}") if stores else None,
            tag("small", proven) if proven else None,
            scope="row",
        ),
        tag("td", format_size(backup.bytes) if done else "not yet", _took(verdict), data_th="size"),
        tag("td", _verdict_chip(verdict), data_th="verdict"),
        tag(
            "td",
            [tag("span", reason.text, class_="reason") for reason in verdict.reasons],
            _advice(verdict, status.name),
            data_th="why",
        ),
        id=f"b-{backup.uuid}",
        class_=f"is-{verdict.state.value}",
    )


def _kind(verdict: Verdict) -> str:
    words = [verdict.state.value] + (["locked"] if verdict.backup.locked else [])
    return ", ".join([*words, "own" if verdict.own else "foreign"])


def _took(verdict: Verdict) -> Html | None:
    created, completed = verdict.backup.created_at, verdict.backup.completed_at
    if created is None or completed is None or verdict.state is State.FAILED:
        return None
    return tag("small", f"in {span(completed - created)}")


def _verdict_chip(verdict: Verdict) -> Html:
    if verdict.state in {State.SUSPICIOUS, State.STRANGE, State.PENDING}:
        return tag("span", verdict.state.value, class_="chip warn")
    tone = {Action.KEEP: "ok", Action.DELETE: "gone", Action.IGNORE: ""}[verdict.action]
    if verdict.state is State.FAILED:
        return tag("span", "failed", class_="chip bad")
    return tag("span", "locked" if verdict.backup.locked else ACTIONS[verdict.action], class_=f"chip {tone}".strip())


def _advice(verdict: Verdict, server: str) -> Html | None:
    """Return what to do about a suspicious one: the words of the guide."""
    if verdict.state is not State.SUSPICIOUS:
        return None
    command = tag("code", f"ptero-backupd backups accept {server} {verdict.backup.uuid}")
    return tag(
        "p",
        "It is neither counted nor deleted. Look at the server's files: is a world missing? If it is right that it "
        "shrank, accept it with ",
        command,
        ". Or wait: three alike in a row are believed.",
        class_="advice",
    )


# The rotations -------------------------------------------------------------------------------------------------------


def _rotations(rotations: Sequence[Rotation] | None, zone: ZoneInfo) -> Html:
    heading = tag("h2", "The last rotations, step by step")
    if rotations is None:
        return tag("section", heading, tag("p", "The journal cannot be read; the log says why.", class_="soft"))
    if not rotations:
        return tag("section", heading, tag("p", "There was none yet.", class_="soft"))
    return tag("section", heading, [_rotation(one, zone, first=place == 0) for place, one in enumerate(rotations)])


def _rotation(rotation: Rotation, zone: ZoneInfo, *, first: bool) -> Html:
    steps = [
        tag("li", time(step.at, f"{to_zone(step.at, zone):%H:%M:%S}", zone), " ", step_words(step))
        for step in rotation.steps
    ]
    problems = [
        tag("li", problem["text"], " ", tag("span", problem.get("hint", ""), class_="soft"), class_="problem")
        for problem in rotation.summary.get("problems", ())
    ]
    result = "under way, or broken off" if rotation.ended_at is None else rotation.result or "?"
    tone = {"done": "ok", "failed": "bad", "refused": "bad", "skipped": "warn"}.get(result, "")
    line = tag(
        "summary",
        time(rotation.began_at, local(rotation.began_at, zone), zone),
        tag("span", result, class_=f"chip {tone}".strip()),
        tag("span", _came(rotation), class_="soft"),
    )
    return tag("details", line, tag("ol", steps, problems, class_="steps"), open=first)


def _came(rotation: Rotation) -> str:
    """Return what came of it, in one line."""
    summary = rotation.summary
    parts = [TRIGGERS[rotation.trigger]]
    if rotation.ended_at is not None:
        parts.append(f"took {span(rotation.ended_at - rotation.began_at)}")
    if summary.get("created"):
        parts.append(f"made {summary['created']['name']}")
    if deleted := len(summary.get("deleted", ())):
        parts.append(f"deleted {deleted}")
    return ", ".join(parts)
