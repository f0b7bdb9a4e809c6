"""The status page: every server in a row, the worst first."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig
from daemon.core.model import State
from daemon.core.units import format_size, to_zone
from daemon.core.words import first_few
from daemon.status.coverage import strip_of
from daemon.status.fleet_status import SLICE, FleetStatus
from daemon.status.server_status import Progress, ServerStatus, by_trouble
from daemon.status.snapshot import Snapshot
from daemon.status.troubles import Trouble
from daemon.web.html import Html, Part, join, tag
from daemon.web.parts import chip, legend, mark, page, small_strip, tone_of, trend
from daemon.web.words import STAGES, local, span, time

COLUMNS = ("server", "newest good backup", "now and next", "backups", "size")
NAMED_MEMBERS = 8
"""How many members of a cluster are named; more are counted."""

SHOWN_COUNTS = (State.FAILED, State.PENDING, State.SUSPICIOUS, State.STRANGE)


Key = tuple[ServerConfig, Snapshot | None, date]


class FleetPage:
    """Makes the page; what of a row hangs on the server's backups alone is made once for each look at them."""

    def __init__(self, fleet_status: FleetStatus) -> None:
        self._fleet_status = fleet_status
        self._rested: dict[str, tuple[Key, Html, Html]] = {}

    async def render(self, *, refresh: bool = False) -> str:
        """Return the page as it is now."""
        statuses = by_trouble(await self._fleet_status.servers())
        proofs = bool(self._fleet_status.tracker.drills.sources) or any(
            one.proof or one.server.policy.prove for one in statuses
        )
        rows = []
        for number, status in enumerate(statuses):
            if number % SLICE == 0:
                await self._fleet_status.tracker.clock.sleep(0)
            rows.append(await self._row(status, proofs=proofs))
        self._rested = {status.name: self._rested[status.name] for status in statuses}
        return page(
            headline(statuses),
            self._header(statuses),
            tag(
                "main",
                _table(rows, stores=self._stores, proofs=proofs),
                legend(),
                _marks_legend() if self._stores else None,
            ),
            tone=tone_of(statuses),
            refresh=refresh,
        )

    @property
    def _stores(self) -> bool:
        """Whether there is anything to show of copies."""
        return bool(self._fleet_status.config.stores)

    def _header(self, statuses: list[ServerStatus]) -> Html:
        notes = [*self._fleet_status.ailments(), *self._fleet_status.notes()]
        return tag(
            "header",
            tag("p", "ptero-backupd", class_="brand"),
            tag("h1", headline(statuses)),
            tag("p", *self._facts(statuses), class_="facts"),
            [tag("p", f"{note[:1].upper()}{note[1:]}.", class_="note") for note in notes],
        )

    def _facts(self, statuses: list[ServerStatus]) -> list[Html]:
        now, zone = self._fleet_status.tracker.clock.now(), ZoneInfo("UTC")
        facts = [tag("span", "as of ", time(now, f"{local(now, zone)} UTC", zone))]
        running = sum(status.progress is not None for status in statuses)
        facts.append(tag("span", f"{running} under way" if running else "nothing under way"))
        if statuses:
            following = min(statuses, key=lambda status: status.times.next_start)
            start = following.times.next_start
            facts.append(tag("span", f"next start in {span(start - now)} ({following.name})"))
        facts.append(tag("span", f"{format_size(sum(status.tally.bytes for status in statuses))} in all"))
        if holders := self._fleet_status.holders():
            held = first_few([f"{len(nodes)} by {name}" for name, nodes in holders.items()], NAMED_MEMBERS)
            facts.append(tag("span", f"nodes held: {held}"))
        return facts

    async def _row(self, status: ServerStatus, *, proofs: bool) -> Html:
        """One server: its row, and one beneath it where something is wrong; `proofs` says if any row tells of some."""
        name, backups = await self._at_rest(status)
        copies = _copies(status) if self._stores else None
        proven = _proven(status) if proofs else None
        row = tag(
            "tr", name, tag("td", chip(status), class_="is"), _good(status), proven, copies, _now(status), backups
        )
        if not status.troubles:
            return tag("tbody", row)
        why = tag("td", [trouble_line(one) for one in status.troubles], colspan=7 + self._stores + proofs)
        return tag("tbody", row, tag("tr", why, class_="why"))

    async def _at_rest(self, status: ServerStatus) -> tuple[Html, Html]:
        """Return the cells that stay as they are until the backups are looked at again, the day ends, or a reload."""
        today = to_zone(status.now, status.server.policy.zone).date()
        key = (status.server, status.history.snapshot, today)
        known = self._rested.get(status.name)
        if known is None or not _same(known[0], key):
            known = (key, _name(status), await self._backups(status))
            self._rested[status.name] = known
        return known[1:]

    async def _backups(self, status: ServerStatus) -> Html:
        tally, snapshot = status.tally, status.history.snapshot
        if snapshot is None:
            return tag("td", "not looked at yet", colspan=3, class_="soft")
        limit = f" of {snapshot.limit}" if snapshot.limit else ""
        counts = [f"{tally.locked} locked"] if tally.locked else []
        counts += [f"{tally.states[state]} {state.value}" for state in SHOWN_COUNTS if tally.states.get(state)]
        samples = await self._fleet_status.tracker.trend(status.name)
        strip = strip_of(snapshot.verdicts, status.server.policy.zone, status.now)
        return join(
            tag(
                "td",
                tag("b", f"{tally.kept} kept"),
                tag("small", f"{tally.used}{limit} there"),
                tag("small", ", ".join(counts)) if counts else None,
                data_th="backups",
            ),
            tag("td", tag("b", format_size(tally.bytes)), trend(samples), data_th="size"),
            tag("td", small_strip(strip), class_="cover", data_th="coverage"),
        )


def _same(known: Key, now: Key) -> bool:
    """Compared by identity, since values this large are never changed but replaced."""
    return known[0] is now[0] and known[1] is now[1] and known[2] == now[2]


def headline(statuses: list[ServerStatus]) -> str:
    """Return all in one sentence."""
    troubled, all_of_them = sum(bool(status.troubles) for status in statuses), len(statuses)
    unseen = sum(status.history.snapshot is None for status in statuses)
    if not troubled and unseen:
        return f"Not looked at yet: {unseen} of {all_of_them}; no trouble is known"
    if not troubled:
        return (
            "No servers are configured"
            if not statuses
            else ("The server is in order" if all_of_them == 1 else f"All {all_of_them} servers are in order")
        )
    if all_of_them == 1:
        return "The server needs attention"
    return f"{troubled} of {all_of_them} servers need{'s' if troubled == 1 else ''} attention"


def trouble_line(trouble: Trouble) -> Html:
    """Return what is wrong, and what can be done; a command in backquotes is set as one."""
    hint = trouble.hint[:1].upper() + trouble.hint[1:]
    pieces = [tag("code", piece) if number % 2 else piece for number, piece in enumerate(hint.split("`"))]
    return tag("p", trouble.text, tag("span", " ", pieces) if hint else None)


def _copies(status: ServerStatus) -> Html:
    """Return a mark for each store of the server."""
    marks = [mark(one.store, one.state) for one in status.copies if one.state is not None]
    return tag("td", marks or tag("span", "-", class_="soft"), class_="marks", data_th="copies")


def _proven(status: ServerStatus) -> Html:
    """Return what is known of a server's proofs, and of its drills."""
    drilled = status.drill.words(status.now) if status.drill else ""
    return tag("td", _read(status), tag("small", drilled) if drilled else None, data_th="proven")


def _read(status: ServerStatus) -> Part:
    """Return when the newest proven backup was read, and how old it is; what is not to be proven has none."""
    proof = status.proof
    if proof is None or (proof.proven is None and proof.frozen is None):
        return tag("span", "-" if proof is None else "not yet", class_="soft")
    if proof.proven is None:
        return tag("b", "not sound", class_="bad")
    zone, read = status.server.policy.zone, proof.proven
    ago = time(read.at, span(max(status.now - read.at, timedelta(0))), zone)
    level = (read.reached or read.asked).value
    made = tag("small", f"{level}, {span(max(status.now - read.made_at, timedelta(0)))} old")
    return (tag("b", ago, " ago", class_="bad" if proof.frozen else None), made)


def _marks_legend() -> Html:
    """Return what the marks mean."""
    meanings = ("copied", "waiting", "failed")
    words = [tag("span", tag("i", class_=f"mark {word}"), f" {word}") for word in meanings]
    return tag("p", "newest good backup in each store:", words, class_="legend")


def _table(rows: list[Html], *, stores: bool, proofs: bool) -> Html:
    head = tag(
        "thead",
        tag(
            "tr",
            tag("th", "server", scope="col"),
            tag("th", "state", scope="col"),
            tag("th", "newest good", scope="col"),
            tag("th", "proven", scope="col") if proofs else None,
            tag("th", "copies", scope="col") if stores else None,
            tag("th", "now, or next", scope="col"),
            tag("th", "backups", scope="col"),
            tag("th", "size", scope="col"),
            tag(
                "th",
                tag("span", tag("span", "12 months"), tag("span", "8 weeks"), tag("span", "14 days"), class_="spans"),
                scope="col",
            ),
        ),
    )
    return tag("table", head, rows, class_="fleet")


def _name(status: ServerStatus) -> Html:
    server = status.server
    return tag(
        "th",
        tag("a", server.name, href=f"/servers/{server.name}"),
        tag("small", f"{server.policy.name} · {server.panel.name}"),
        scope="row",
    )


def _good(status: ServerStatus) -> Html:
    every = tag("small", f"every {span(status.times.interval)}")
    good_at = status.good_at
    if good_at is None or status.age is None:
        return tag("td", tag("b", "none"), every, data_th="newest good")
    shown = time(good_at, span(status.age), status.server.policy.zone)
    return tag("td", tag("b", shown, " old", class_="bad" if status.overdue else None), every, data_th="newest good")


def _now(status: ServerStatus) -> Html:
    if status.progress is not None:
        member = status.progress.work.member
        by = tag("small", f"by {member}") if member else None
        return tag("td", *progress_parts(status.progress), by, data_th="now")
    start = status.times.next_start
    zone = status.server.policy.zone
    return tag(
        "td", time(start, f"in {span(start - status.now)}", zone), tag("small", local(start, zone)), data_th="next"
    )


def progress_parts(progress: Progress) -> tuple[Html | None, ...]:
    """Return what runs, and how far it should be."""
    words = STAGES[progress.work.stage]
    if progress.share is None or progress.left is None:
        return (tag("b", words),)
    percent = round(progress.share * 100)
    left = f"about {span(progress.left)} left" if progress.left else "longer than usual"
    bar = tag("progress", max=100, value=percent, aria_label=f"{words}, {percent} %")
    return (tag("b", words), bar, tag("small", f"{percent} %, {left}"))
