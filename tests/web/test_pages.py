"""What the pages, the status and the health checks say."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.config.values import HttpConfig
from daemon.core.model import Action, State
from daemon.core.units import rfc3339
from daemon.errors import JournalBusyError, ProblemCode, StateError
from daemon.fleet.fleet import Fleet
from daemon.rotation.order import Stage
from daemon.rotation.outcome import Problem, Result
from daemon.state import Step, UnderWay
from daemon.status.snapshot import Snapshot
from daemon.status.tracker import StatusTracker
from daemon.web.app import make_app
from daemon.web.fleet_page import headline
from daemon.web.html import Html, join, tag
from daemon.web.words import change, span, step_words
from tests.at_once import at_once
from tests.web.gallery import DAY, HOLDERS, NOW, Gallery, configured, empty, judged, nightly, seen

pytestmark = pytest.mark.anyio

HERE = HttpConfig("127.0.0.1", 0, frozenset(), None)


async def got(gallery: Gallery, path: str, status: int = 200) -> str:
    """What is answered there, in the clear."""
    transport = httpx.ASGITransport(make_app(gallery.fleet_status, lambda: HERE))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(path)
    assert answer.status_code == status
    return answer.text


def seen_text(page: str) -> str:
    """What somebody reads of a page."""
    body = page.partition("<body>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


# The status page


async def test_the_headline_says_how_the_fleet_stands(gallery: Gallery) -> None:
    """In one sentence, and the worst servers come first."""
    page = await got(gallery, "/")
    assert "<h1>3 of 10 servers need attention</h1>" in page
    names = re.findall(r'href="/servers/([\w-]+)"', page)
    assert names == [
        "lobby",
        "skyblock",
        "modded",
        "anarchy",
        "archive",
        "creative",
        "fresh",
        "hub-eu",
        "minigames",
        "survival",
    ]


async def test_a_fleet_without_trouble_is_in_order(gallery: Gallery) -> None:
    """And one is one."""
    views = await gallery.fleet_status.servers()
    seen = [view for view in views if not view.troubles and view.history.snapshot is not None]
    assert len(seen) > 1
    assert headline(seen) == f"All {len(seen)} servers are in order"
    assert headline(seen[:1]) == "The server is in order"


@pytest.mark.parametrize(
    ("names", "expected_headline"),
    [
        (["a", "b"], "Not looked at yet: 2 of 2; no trouble is known"),
        (["a"], "Not looked at yet: 1 of 1; no trouble is known"),
        ([], "No servers are configured"),
    ],
)
async def test_a_fleet_that_was_never_seen_is_not_called_in_order(
    tmp_path: Path, names: list[str], expected_headline: str
) -> None:
    """Until a server was looked at nothing is known of it."""
    small = empty(configured(tmp_path, names or ["a"]))
    if not names:
        small.fleet.config = replace(small.config, servers={})
    assert f"<h1>{expected_headline}</h1>" in await got(small, "/")
    small.clock.elapsed += 5 * DAY.total_seconds()
    expected = {2: "2 of 2 servers need attention", 1: "The server needs attention", 0: expected_headline}[len(names)]
    assert f"<h1>{expected}</h1>" in await got(small, "/")
    await small.context.close()


async def test_in_a_cluster_the_page_tells_how_many_nodes_each_member_holds_and_the_status_which(
    gallery: Gallery,
) -> None:
    """Of one that holds none too; without a cluster there is no word of it."""
    assert "nodes held" not in await got(gallery, "/")
    assert json.loads(await got(gallery, "/api/status"))["members"] == []
    gallery.fleet_status.holders = lambda: HOLDERS
    assert "nodes held: 2 by backup-1, 0 by backup-2" in seen_text(await got(gallery, "/"))
    first, second = json.loads(await got(gallery, "/api/status"))["members"]
    assert first == {
        "member": "backup-1",
        "nodes": [{"panel": "main", "node": "fsn-03"}, {"panel": "main", "node": "hel-01"}],
    }
    assert second == {"member": "backup-2", "nodes": []}


async def test_each_row_tells_age_next_start_counts_and_size(gallery: Gallery) -> None:
    """As text, not by colour alone."""
    text = seen_text(await got(gallery, "/"))
    assert (
        "lobby standard · main overdue 3 d 7 h old every 1 d in 16 h 21 min 2026-04-17 04:01 14 kept 14 of 30 there"
        in text
    )
    assert "creative standard · main at work 7 h 30 min old every 1 d backing up 62 %, about 4 min left" in text
    assert "anarchy standard · main at work 7 h 22 min old every 1 d waiting for its node" in text
    assert "fresh standard · main not yet none every 1 d in 16 h 24 min 2026-04-17 04:04 not looked at yet" in text
    assert "2 locked" in text
    assert "1 failed" in text
    assert "62.8 GiB +17 % in 29 d" in text


def hold(gallery: Gallery) -> list[str]:
    """Let the brake hold survival's five oldest backups; return their names, oldest first."""
    history = at_once(gallery.tracker.history("survival"))
    assert history.snapshot
    assert history.last
    kept, going = history.snapshot.verdicts[:-5], history.snapshot.verdicts[-5:]
    beyond = tuple(one._replace(action=Action.DELETE) for one in going)
    snapshot = Snapshot.of(NOW, history.snapshot.uuid, "fsn-01", 99, kept + beyond)
    names = [one.backup.name for one in reversed(beyond)]
    problem = Problem(ProblemCode.MAX_DELETIONS, f"would delete 5 good backups: {', '.join(names)}", "look at the plan")
    last = replace(history.last, result=Result.REFUSED, good=True, problems=(problem,))
    gallery.stand("survival", snapshot=snapshot, last=last, held_since=NOW - DAY)
    return names


async def test_a_server_whose_deletions_are_held_is_not_failing(gallery: Gallery) -> None:
    """It is held, in no red; the names are on its own page, and the count and since when for scripts."""
    names = hold(gallery)
    page, own = await got(gallery, "/"), await got(gallery, "/servers/survival")
    assert '<span class="chip warn">held</span>' in page
    assert "holds the deletion of 5 good backups since" in seen_text(page)
    assert names[0] not in page
    assert f"Held: {', '.join(names)}." in seen_text(own)
    status = json.loads(await got(gallery, "/api/status"))
    servers = {server["server"]: server for server in status["servers"]}
    assert servers["survival"]["held"] == {"count": 5, "since": "2026-04-15T09:40:00Z"}
    assert [trouble["kind"] for trouble in servers["survival"]["troubles"]] == ["held"]
    assert servers["lobby"]["held"] is None


async def test_what_is_wrong_is_told_with_what_to_do(gallery: Gallery) -> None:
    """Right below the row."""
    text = seen_text(await got(gallery, "/"))
    assert "The last rotation failed, and 4 before it did not succeed either: creating auto-lobby-" in text
    assert "It is tried again at 2026-04-16 12:21 CEST. Look at the node: is wings running?" in text
    assert "is suspicious: 113.8 MiB, less than 50% of 4 GiB" in text
    assert "ptero-backupd backups accept skyblock " in text
    assert "All 18 backups that the panel allows are there" in text


async def test_the_strip_is_told_in_words_too(gallery: Gallery) -> None:
    """For who cannot see it, and for who points at a cell."""
    page = await got(gallery, "/")
    assert 'aria-label="covered: 6 of the last 12 months, 5 of the last 8 weeks, 8 of the last 14 days"' in page
    assert '<i class="l" title="week 10, 2026: locked"></i>' in page
    assert '<i class="k" title="Sun 12 Apr: daily, weekly"></i>' in page
    assert '<i class="b" title="Thu 16 Apr: suspicious"></i>' in page


async def test_the_page_needs_nothing_but_itself(gallery: Gallery) -> None:
    """No script, no style attribute, no address elsewhere, tables with headers."""
    for path in ("/", "/servers/survival", "/servers/skyblock"):
        page = await got(gallery, path)
        assert "<script" not in page
        assert " style=" not in page
        assert not re.search(r"\bon\w+=", page)
        assert "http:" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
        assert "https:" not in page
        assert page.count("<h1") == 1
        assert '<html lang="en">' in page
        assert page.count("<table") == page.count("</table>")
        assert 'scope="col"' in page
        assert 'scope="row"' in page


async def test_a_page_can_ask_for_itself_again(gallery: Gallery) -> None:
    """Only if somebody wants it to: moving pages are hard to read for some."""
    assert "http-equiv" not in await got(gallery, "/")
    assert '<meta http-equiv="refresh" content="60">' in await got(gallery, "/?refresh")
    assert '<meta http-equiv="refresh" content="60">' in await got(gallery, "/servers/survival?refresh")


async def test_the_page_follows_what_happens(gallery: Gallery) -> None:
    """What is kept of a row is made anew after each look at the backups, and each day."""
    before = seen_text(await got(gallery, "/"))
    server = gallery.config.servers["survival"]
    gallery.tracker.histories["survival"] = seen(server, nightly(server, days=5), NOW)
    assert "5 kept 5 of 30 there" not in before
    assert "5 kept 5 of 30 there" in seen_text(await got(gallery, "/"))


async def test_days_later_the_strip_has_moved_on(gallery: Gallery) -> None:
    """Though no backup was made."""
    transport = httpx.ASGITransport(make_app(gallery.fleet_status, lambda: HERE))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert "8 of the last 14 days" in (await client.get("/")).text
        gallery.clock.elapsed += 3 * DAY.total_seconds()
        assert "8 of the last 14 days" not in (await client.get("/")).text


# A server's page


async def test_a_server_s_page_has_every_backup_with_the_words_of_its_verdict(gallery: Gallery) -> None:
    """The same as in the log, the table and the JSON."""
    page = await got(gallery, "/servers/survival")
    text = seen_text(page)
    snapshot = gallery.tracker.histories["survival"].snapshot
    assert snapshot
    assert len(snapshot.verdicts) == 16
    for verdict in snapshot.verdicts:
        assert verdict.backup.name in text
        assert f'id="b-{verdict.backup.uuid}"' in page
        for reason in verdict.reasons:
            assert reason.text in text


async def test_each_covered_day_leads_to_the_backup_that_covers_it(gallery: Gallery) -> None:
    """By name, and with the rules that keep it."""
    page = await got(gallery, "/servers/survival")
    found = re.search(
        r'title="Thu 16 Apr: last, daily, weekly, monthly, (auto-survival-\S+)"><a href="#(b-[\w-]+)">', page
    )
    assert found
    assert f'id="{found[2]}"' in page
    assert page.count('<li class="k"') == 8 + 4 + 1 + 6


async def test_the_last_rotations_are_told_step_by_step(gallery: Gallery) -> None:
    """The newest is open, and needs no script to be."""
    page = await got(gallery, "/servers/survival")
    text = seen_text(page)
    assert page.count("<details") == 3
    assert page.count("<details open>") == 1
    assert "read the list: 19 backups, complete" in text
    assert "the new backup is good: 4 GiB" in text
    assert (
        "deletes auto-survival-20260406T020514Z-77aa01de: superseded by auto-survival-20260408T020514Z-90aa01dc" in text
    )
    assert "the panel did not make" in text
    assert "failed on schedule" in text
    assert "the node does not answer (504) is wings running?" in text


async def test_a_suspicious_backup_is_explained(gallery: Gallery) -> None:
    """How small against what, what to look at, and how to end it."""
    text = seen_text(await got(gallery, "/servers/skyblock"))
    assert "113.8 MiB, less than 50% of 4 GiB, the median of the 5 good ones before it" in text
    assert "It is neither counted nor deleted. Look at the server's files: is a world missing?" in text
    assert "ptero-backupd backups accept skyblock" in text
    assert "three alike in a row are believed" in text


async def test_what_runs_is_shown_with_how_far_it_should_be(gallery: Gallery) -> None:
    """On the server's own page too."""
    page = await got(gallery, "/servers/creative")
    assert '<progress max="100" value="62" aria-label="backing up, 62 %"></progress>' in page
    assert "Under way, on schedule, for 8 min" in seen_text(page)


async def test_what_another_member_of_a_cluster_has_under_way_is_shown_with_who_it_is(gallery: Gallery) -> None:
    """Nothing where the name stands for another server here, or while the database does not tell; what this daemon does
    is known better.
    """
    at = gallery.clock.now() - timedelta(minutes=3)

    def rotation(name: str, **other: Any) -> UnderWay:
        server = gallery.config.servers[name]
        made = UnderWay("backup-2", name, "main", server.id, "schedule", at, "created", at + timedelta(minutes=1))
        return replace(made, **other)

    async def elsewhere() -> Sequence[UnderWay]:
        return [rotation("lobby"), rotation("survival", server_uuid="0" * 36), rotation("creative")]

    async def nothing_known() -> Sequence[UnderWay]:
        raise StateError("the database is out of reach")

    gallery.fleet_status.elsewhere = elsewhere
    assert "3 under way" in seen_text(await got(gallery, "/"))
    assert "backing up 18 %, about 9 min left by backup-2" in seen_text(await got(gallery, "/"))
    assert "Under way by backup-2, on schedule, for 3 min" in seen_text(await got(gallery, "/servers/lobby"))
    told = {one["server"]: one["under_way"] for one in json.loads(await got(gallery, "/api/status"))["servers"]}
    whole = {"trigger": "schedule", "began_at": rfc3339(at), "stage": "waiting", "share": 0.179, "left": 551}
    assert told["lobby"] == {**whole, "member": "backup-2"}
    assert (told["creative"]["member"], told["survival"]) == (None, None)
    assert "ptero_backupd_rotations_under_way 2.0\n" in await got(gallery, "/metrics")
    gallery.fleet_status.elsewhere = nothing_known
    assert "2 under way" in seen_text(await got(gallery, "/"))


async def test_a_backup_that_takes_longer_than_usual_says_so(gallery: Gallery) -> None:
    """Instead of a time that has passed."""
    gallery.clock.elapsed += 3600
    assert "99 %, longer than usual" in seen_text(await got(gallery, "/servers/creative"))


async def test_a_server_that_was_never_looked_at_says_so(gallery: Gallery) -> None:
    """With what is known all the same."""
    text = seen_text(await got(gallery, "/servers/fresh"))
    assert "None was looked at yet: the first rotation does." in text
    assert "There was none yet." in text
    assert "last=3,daily=7,weekly=4,monthly=6" in text


async def test_a_server_that_is_not_there_is_not_found(gallery: Gallery) -> None:
    """In words, and without repeating what was asked for."""
    page = await got(gallery, "/servers/%3Cscript%3E", 404)
    assert "There is no server of this name in the configuration." in page
    assert "<script" not in page


async def test_names_from_the_panel_cannot_break_out(gallery: Gallery) -> None:
    """A backup's name is anybody's."""
    taken = gallery.tracker.histories["survival"].snapshot
    assert taken
    first = taken.verdicts[0]
    evil = first._replace(backup=replace(first.backup, name='<img src=x onerror="alert(1)">'))
    gallery.stand("survival", snapshot=Snapshot.of(NOW, taken.uuid, '"><b>', 30, (evil, *taken.verdicts[1:])))
    page = await got(gallery, "/servers/survival")
    assert "<img" not in page
    assert '"><b>' not in page
    assert "&lt;img src=x onerror=" in page


@pytest.mark.parametrize("path", ["/", "/servers/survival", "/api/status"])
async def test_names_from_the_panel_cannot_turn_the_text_around(gallery: Gallery, path: str) -> None:
    """Nor move the cursor of a terminal where somebody asks with curl."""
    taken = gallery.tracker.histories["survival"].snapshot
    assert taken
    evil = "evil\u202e\u2067\x9b31m\x1b[2J\x85\u2028end"
    first = taken.verdicts[0]
    renamed = first._replace(backup=replace(first.backup, name=evil))
    gallery.stand("survival", snapshot=Snapshot.of(NOW, taken.uuid, evil, 30, (renamed, *taken.verdicts[1:])))
    page = await got(gallery, path)
    assert [character for character in page if not character.isprintable() and character not in "\n\u00ad"] == []


async def test_every_kind_of_backup_has_its_words(gallery: Gallery) -> None:
    """Failed, pending, locked, foreign, going."""
    server = gallery.config.servers["survival"]
    backups = [*nightly(server, days=12, failed=(1,), locked=(5,))]
    backups.append(replace(backups[0], uuid="foreign", name="by hand", created_at=NOW - 3 * DAY))
    backups.append(replace(backups[0], uuid="odd", name="auto-odd", created_at=None, unreadable="no date"))
    pending = replace(backups[-3], uuid="pending", successful=False, bytes=0, completed_at=None, created_at=NOW)
    backups += [pending, *(replace(one, uuid=f"x{one.uuid}") for one in backups[:3])]
    verdicts = judged(server, backups, NOW)
    assert {one.action for one in verdicts} == set(Action)
    assert {State.GOOD, State.FAILED, State.PENDING, State.STRANGE} <= {one.state for one in verdicts}
    taken = gallery.tracker.histories["survival"].snapshot
    assert taken
    gallery.stand("survival", snapshot=Snapshot.of(NOW, taken.uuid, taken.node, taken.limit, verdicts))
    text = seen_text(await got(gallery, "/servers/survival"))
    for words in (
        "failed, own",
        "good, locked, own",
        "good, foreign",
        "pending, own",
        "to be deleted",
        "left alone",
        "unreadable",
        "not yet",
    ):
        assert words in text


async def test_a_journal_that_cannot_be_read_costs_only_the_rotations(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else is in memory."""

    def broken(*_: object, **__: object) -> None:
        raise StateError("no")

    monkeypatch.setattr(gallery.context.journal, "recent", broken)
    text = seen_text(await got(gallery, "/servers/survival"))
    assert "The journal cannot be read" in text
    assert "newest of day 2026-04-16" in text


# Health, and the status


async def test_alive_and_ready(gallery: Gallery) -> None:
    """In a word each."""
    assert await got(gallery, "/healthz") == "alive\n"
    assert await got(gallery, "/readyz") == "ready\n"


async def test_a_scheduler_that_lets_a_start_pass_by_is_not_alive(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute is forgiven."""
    monkeypatch.setattr(Fleet, "next_start", lambda _: ("survival", NOW - timedelta(seconds=60)))
    assert await got(gallery, "/healthz") == "alive\n"
    monkeypatch.setattr(Fleet, "next_start", lambda _: ("survival", NOW - timedelta(seconds=91)))
    assert await got(gallery, "/healthz", 503) == "the scheduler is 91 s behind\n"
    assert await got(gallery, "/readyz", 503) == "the scheduler is 91 s behind\n"


async def test_what_hinders_the_daemon_is_said(gallery: Gallery) -> None:
    """On the page, too; none of it names a path or a secret."""
    gallery.context.opening_trouble = StateError("/secret/path: no room")
    words = "he state folder or the journal cannot be used: backups are made, none is deleted; the log says why"
    assert await got(gallery, "/readyz", 503) == f"t{words}\n"
    assert f"T{words}." in seen_text(await got(gallery, "/"))
    gallery.context.opening_trouble = JournalBusyError("/secret/path: locked")
    assert "the journal is held by another process: backups are made" in await got(gallery, "/readyz", 503)
    gallery.tracker.stopping = True
    assert "the daemon is stopping\n" in await got(gallery, "/readyz", 503)
    assert await got(gallery, "/healthz") == "alive\n"


async def test_whoever_asks_whether_it_is_ready_has_it_look_at_the_state(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that was removed is noticed at once, and not within a minute."""

    async def removed() -> None:
        gallery.context.opening_trouble = StateError("the journal was removed or replaced while it was open")
        raise gallery.context.opening_trouble

    monkeypatch.setattr(gallery.context.journal, "look_after", removed)
    assert "backups are made, none is deleted" in await got(gallery, "/readyz", 503)


async def test_a_refused_configuration_leaves_the_daemon_ready(gallery: Gallery) -> None:
    """The one before is in force; it is said all the same."""
    gallery.tracker.reload_failed()
    assert "the configuration on disk is refused" in await got(gallery, "/readyz")
    assert "The configuration on disk is refused" in seen_text(await got(gallery, "/"))


async def test_the_status_has_these_keys_and_no_others(gallery: Gallery) -> None:
    """Scripts rely on them."""
    document = json.loads(await got(gallery, "/api/status"))
    assert list(document) == ["schema", "version", "now", "ready", "notes", "servers", "stores", "members"]
    assert (document["schema"], document["now"], document["ready"]) == (1, "2026-04-16T09:40:00Z", True)
    servers = {server["server"]: server for server in document["servers"]}
    taken = gallery.tracker.histories["creative"].snapshot
    assert taken
    assert list(servers) == list(gallery.config.servers)
    assert servers["creative"] == {
        "server": "creative", "panel": "main", "policy": "standard", "node": "fsn-03", "troubles": [],
        "newest_good_at": "2026-04-16T02:09:30Z", "interval": 86400, "overdue": False,
        "overdue_at": "2026-04-17T08:51:30Z", "next_start": "2026-04-17T02:09:30Z",
        "under_way": {"trigger": "schedule", "began_at": "2026-04-16T09:32:00Z", "stage": "waiting", "share": 0.623,
                      "left": 254, "member": None},
        "last": {"trigger": "schedule", "began_at": "2026-04-16T02:09:30Z", "ended_at": "2026-04-16T02:21:30Z",
                 "result": "done", "good": True, "created": servers["creative"]["last"]["created"], "deleted": 1,
                 "retry_at": None, "problems": []},
        "failures": 0, "held": None, "seen_at": "2026-04-16T02:21:30Z",
        "backups": {"total": 14, "good": 14, "failed": 0, "pending": 0, "suspicious": 0, "strange": 0, "locked": 0,
                    "own": 14, "kept": 14, "bytes": taken.tally.bytes,
                    "limit": 30},
            "copies": [],
            "proof": None,
            "drill": None,
    }  # fmt: skip
    assert [one["kind"] for one in servers["lobby"]["troubles"]] == ["overdue", "failing"]
    assert servers["modded"]["troubles"][0]["kind"] == "limit_full"
    assert servers["fresh"]["backups"] is None
    assert servers["fresh"]["newest_good_at"] is None
    assert servers["lobby"]["last"]["problems"][0]["code"] == "node"


# The pieces


def test_html_cannot_be_broken_out_of() -> None:
    """Neither by text nor by an attribute; what is HTML already stays as it is."""
    assert tag("p", "<b>", title='"&') == '<p title="&quot;&amp;">&lt;b&gt;</p>'
    assert tag("p", tag("b", 1), None, ["x", [Html("&nbsp;")]], class_="c", aria_hidden="true") == (
        '<p class="c" aria-hidden="true"><b>1</b>x&nbsp;</p>'
    )
    assert tag("meta", name="x") == '<meta name="x">'
    assert tag("details", open=True) == "<details open></details>"
    assert tag("details", open=False, id=None) == "<details></details>"
    assert join("<", Html("<")) == "&lt;<"


@pytest.mark.parametrize(
    ("length", "words"),
    [(timedelta(seconds=42), "42 s"), (timedelta(seconds=61), "1 min"), (timedelta(hours=3, minutes=5), "3 h 5 min"),
     (timedelta(days=2, hours=3, minutes=9), "2 d 3 h")],
)  # fmt: skip
def test_spans_have_no_seconds_beyond_a_minute(length: timedelta, words: str) -> None:
    """A page is not a stopwatch."""
    assert span(length) == words


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [(100, 117, "+17 %"), (100, 50, "\N{MINUS SIGN}50 %"), (1000, 1001, "no change"), (0, 5, "")],
)
def test_changes_are_told_in_percent(before: int, now: int, words: str) -> None:
    """With a real minus."""
    assert change(before, now) == words


@pytest.mark.parametrize(
    ("name", "detail", "words"),
    [
        (
            "planned",
            {"keep": 9, "delete": 2, "refused": "too many"},
            "decided: 9 stay, 2 to be deleted; refused: too many",
        ),
        ("delete_done", {"existed": False}, "deleted; it was gone already"),
        ("adopted", {"backup": "x", "reason": "it is still being made"}, "took over x, since it is still being made"),
        ("turned_good", {}, "the new backup is good: ?"),
        ("something_new", {"a": 1}, "something new, a 1"),
        ("created", {"backup": "{evil}"}, "the panel began {evil}"),
    ],
)
def test_every_step_has_its_words(name: str, detail: dict[str, object], words: str) -> None:
    """Those that a later version writes as well, and what an older one did not write."""
    assert step_words(Step(name, NOW, detail)) == words


def test_every_stage_has_its_words() -> None:
    """A new one would otherwise break the page while it lasts."""
    from daemon.web.words import STAGES  # noqa: PLC0415

    assert set(STAGES) == set(Stage)


def test_the_watcher_is_a_listener() -> None:
    """The fleet tells it by these two."""
    assert callable(StatusTracker.began)
    assert callable(StatusTracker.ended)
