"""What each call does when the panel grants, refuses, stalls, lies or is a fork."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from itertools import count

import httpx
import pytest

from daemon.core.model import Completeness
from daemon.panel import errors
from daemon.panel.client import PanelClient
from tests.captures import load
from tests.fakes import FakeClock
from tests.panel.stand_in import SERVER, UUID, Script, backup, captured, client, html, listing, refusing, row

pytestmark = pytest.mark.anyio

GONE = refusing(404, "NotFoundHttpException")
LOST = httpx.ReadTimeout("no answer")
NOTHING = httpx.Response(204)
SEEN = captured("007")


# -- creating ----------------------------------------------------------------------------------------------------------


async def test_create_sends_newlines_and_returns_what_the_panel_understood() -> None:
    """The panel takes a comma list for one pattern, so lines are sent; what came of them is in the value."""
    script = Script(captured("050"))
    async with client(script) as panel:
        made = await panel.create(SERVER, name="n", ignored=["logs/*.log", "cache", "*.tmp"], locked=True)
    assert script.sent() == {"name": "n", "ignored": "logs/*.log\ncache\n*.tmp", "is_locked": True}
    assert made.ignored == ("logs/*.log", "cache", "*.tmp")


async def test_create_without_ignored_lines_sends_none() -> None:
    """An empty list of patterns is no pattern."""
    script = Script(captured("038"))
    async with client(script) as panel:
        await panel.create(SERVER, name="n")
    assert script.sent() == {"name": "n", "is_locked": False}


@pytest.mark.parametrize(
    "reply",
    [
        LOST,
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("closed"),
        html(500),
        html(502),
        html(503),
        html(504),
        html(524),
        captured("192"),
        captured("196"),
        httpx.Response(200, html="<html>hello</html>"),
        httpx.Response(200, content=b'{"object":"backup","attr'),
        httpx.Response(200, content=b"x" * (16 * 2**20 + 1)),
    ],
    ids=str,
)
async def test_a_creation_whose_answer_is_lost_is_made_once_and_of_unknown_outcome(reply: httpx.Response) -> None:
    """It may have been done, so it is not repeated and not called failed; even the panel's 500 may come afterwards."""
    script = Script(reply)
    async with client(script) as panel:
        with pytest.raises(errors.OutcomeUnknownError):
            await panel.create(SERVER, name="n")
    assert script.lines == [f"POST {SERVER}/backups"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.ConnectError("refused"), errors.PanelUnreachableError),
        (httpx.ConnectTimeout("slow"), errors.PanelUnreachableError),
        (captured("171"), errors.NodeError),
        (captured("185"), errors.NodeError),
        (captured("068"), errors.BackupLimitError),
        (captured("064"), errors.StrangeAnswerError),
    ],
    ids=str,
)
async def test_a_creation_that_was_certainly_not_done_says_so_and_is_not_repeated(
    reply: httpx.Response, error: type[Exception]
) -> None:
    """The panel's own refusal, a node's trouble and a missing connection leave nothing open."""
    script = Script(reply)
    async with client(script) as panel:
        with pytest.raises(error) as caught:
            await panel.create(SERVER, name="n")
    assert type(caught.value) is error
    assert len(script.asked) == 1


WRITES: dict[str, Callable[[PanelClient], Awaitable[object]]] = {
    "create": lambda panel: panel.create(SERVER, name="n"),
    "restore": lambda panel: panel.restore(SERVER, UUID, truncate=False),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(202, json={"object": "job", "attributes": {"job_id": "1"}}),
        httpx.Response(200, json={"job_id": 1}),
        httpx.Response(202, json=row()),
        httpx.Response(202, json={}),
    ],
    ids=str,
)
async def test_a_fork_that_makes_jobs_is_refused_with_clear_words(
    write: Callable[[PanelClient], Awaitable[object]], reply: httpx.Response
) -> None:
    """What it answers says nothing of what it did."""
    script = Script(reply)
    async with client(script) as panel:
        with pytest.raises(errors.ForeignPanelError) as caught:
            await write(panel)
    assert "fork" in caught.value.hint
    assert len(script.asked) == 1


async def test_the_creation_throttle_is_remembered_per_server() -> None:
    """A throttled server is not asked again before its time; another one is; afterwards it is again."""
    clock, script = FakeClock(), Script(captured("084"), captured("038"))
    async with client(script, clock=clock) as panel:
        with pytest.raises(errors.CreationThrottledError):
            await panel.create(SERVER, name="n")
        clock.elapsed += 600
        with pytest.raises(errors.CreationThrottledError) as again:
            await panel.create(SERVER, name="n")
        assert again.value.retry_after == pytest.approx(1)
        assert len(script.asked) == 1
        await panel.create("cf0e5a39", name="n")
        clock.elapsed += 1.1
        await panel.create(SERVER, name="n")
    assert len(script.asked) == 3


async def test_a_throttle_without_retry_after_is_remembered_for_its_margin() -> None:
    """At the boundary the header may be missing: two seconds are enough."""
    clock, script = FakeClock(), Script(captured("093"), captured("094"))
    async with client(script, clock=clock) as panel:
        with pytest.raises(errors.CreationThrottledError) as first:
            await panel.create(SERVER, name="n")
        with pytest.raises(errors.CreationThrottledError):
            await panel.create(SERVER, name="n")
        clock.elapsed += 2
        await panel.create(SERVER, name="n")
    assert first.value.retry_after is None
    assert len(script.asked) == 2


async def test_a_deletion_may_free_the_throttle_so_it_is_asked_again() -> None:
    """A Pelican counts no longer what was deleted; a Pterodactyl refuses once more, and is believed again."""
    gone = httpx.Response(204)
    pelican = (captured("pelican/125"), gone, captured("pelican/126"))
    async with client(Script(*pelican)) as panel:
        with pytest.raises(errors.CreationThrottledError):
            await panel.create(SERVER, name="n")
        assert await panel.delete(SERVER, UUID)
        await panel.create(SERVER, name="n")
    script = Script(captured("084"), gone, captured("087"))
    async with client(script) as panel:
        for _ in range(2):
            with pytest.raises(errors.CreationThrottledError):
                await panel.create(SERVER, name="n")
        assert await panel.delete(SERVER, UUID)
        for _ in range(2):
            with pytest.raises(errors.CreationThrottledError):
                await panel.create(SERVER, name="n")
    assert [line.split()[0] for line in script.lines] == ["POST", "DELETE", "POST"]


async def test_a_create_is_not_found_where_nobody_keeps_backups_for_the_node() -> None:
    """The server is there, so its id is right: a Pelican's administrator has to see to it."""
    script = Script(captured("pelican/098"), captured("pelican/224"))
    async with client(script) as panel:
        with pytest.raises(errors.NoBackupHostError) as caught:
            await panel.create(SERVER, name="n")
    assert "no host that keeps backups" in caught.value.text
    assert "Backup Hosts" in caught.value.hint
    assert caught.value.transient is False
    for view in (captured("012"), html(502)):
        async with client(Script(captured("pelican/098"), view)) as panel:
            with pytest.raises(errors.NotFoundError):
                await panel.create(SERVER, name="n")


# -- settling a creation -----------------------------------------------------------------------------------------------


async def test_a_lost_creation_is_found_by_its_name_as_soon_as_it_appears() -> None:
    """The panel trims names, so the search does."""
    clock, script = FakeClock(), Script(listing([], 0), html(502), listing([row(name="mine")], 1))
    async with client(script, clock=clock) as panel:
        found = await panel.settle_create(SERVER, " mine ")
    assert found is not None
    assert found.uuid == UUID
    assert clock.elapsed < 10


async def test_a_creation_that_never_appears_was_not_done() -> None:
    """After the time named, and no sooner; with few requests."""
    clock, script = FakeClock(), Script(listing([row(name="other")], 1))
    async with client(script, clock=clock) as panel:
        assert await panel.settle_create(SERVER, "mine") is None
    assert clock.elapsed == pytest.approx(120)
    assert len(script.asked) <= 12


async def test_settling_without_time_left_looks_once() -> None:
    """After a restart the time may have passed already."""
    script = Script(listing([], 0))
    async with client(script) as panel:
        assert await panel.settle_create(SERVER, "mine", until=0) is None
    assert len(script.asked) == 1


@pytest.mark.parametrize("reply", [html(502), LOST], ids=str)
async def test_a_list_that_cannot_be_read_settles_nothing(reply: httpx.Response) -> None:
    """Absence is not believed of a panel in trouble."""
    async with client(reply) as panel:
        with pytest.raises(errors.OutcomeUnknownError):
            await panel.settle_create(SERVER, "mine", until=60)


async def test_a_list_that_was_read_in_part_settles_nothing() -> None:
    """Absence is believed only of a list that holds all."""
    fresh = count()

    def moving(request: httpx.Request) -> httpx.Response:
        return listing([row(f"{next(fresh):08}")] if request.url.params["page"] == "1" else [], 9)

    async with client(moving) as panel:
        with pytest.raises(errors.OutcomeUnknownError):
            await panel.settle_create(SERVER, "mine", until=5)


STRANGE = [httpx.Response(302), html(404), html(403), captured("152"), GONE, httpx.Response(200, text='{"data": [')]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
async def test_a_refusal_or_a_strange_answer_while_settling_is_not_the_end(strange: httpx.Response) -> None:
    """A proxy's page may stand before the panel for a moment, as in the trouble that the answer got lost in."""
    async with client(strange, listing([row(name="mine")], 1)) as panel:
        assert (await panel.settle_create(SERVER, "mine")) is not None


async def test_the_last_reason_why_nothing_could_be_settled_is_told() -> None:
    """Where it does not pass by itself, with what helps; and when the panel wants to be asked again."""
    clock = FakeClock()
    async with client(captured("152"), clock=clock) as panel:
        with pytest.raises(errors.OutcomeUnknownError, match="answers 401") as refused:
            await panel.settle_create(SERVER, "mine")
    assert refused.value.hint == errors.KeyRefusedError.default_hint
    async with client(refusing(503, "HttpException", "Maintenance.", Retry_After="3600"), clock=clock) as panel:
        with pytest.raises(errors.OutcomeUnknownError, match="Maintenance") as maintained:
            await panel.settle_create(SERVER, "mine")
    assert (maintained.value.status, maintained.value.retry_after) == (503, 3600)
    assert maintained.value.hint == errors.OutcomeUnknownError.default_hint
    assert clock.elapsed == pytest.approx(240), "no look waits for a Retry-After, or is made again by itself"


# -- locking -----------------------------------------------------------------------------------------------------------


async def test_a_lock_that_is_as_wanted_is_not_toggled() -> None:
    """A toggle would undo it."""
    script = Script(backup(is_locked=True))
    async with client(script) as panel:
        assert (await panel.set_lock(SERVER, UUID, True)).locked
    assert script.lines == [f"GET {SERVER}/backups/{UUID}"]


async def test_a_toggle_that_another_client_undid_is_made_again() -> None:
    """The answer is looked at, not assumed."""
    script = Script(backup(), backup(is_locked=False), backup(is_locked=True))
    async with client(script) as panel:
        assert (await panel.set_lock(SERVER, UUID, True)).locked
    assert [line[:4] for line in script.lines] == ["GET ", "POST", "POST"]


@pytest.mark.parametrize("lost", [LOST, html(503), captured("196")], ids=str)
@pytest.mark.parametrize("hidden", [[], [backup()], [html(404), backup(is_locked="yes")]], ids=len)
async def test_a_lost_toggle_is_settled_by_reading(lost: httpx.Response, hidden: list[httpx.Response]) -> None:
    """It may be done at once or a little later, and trouble with a look says nothing."""
    script = Script(backup(), lost, *hidden, backup(is_locked=True))
    async with client(script) as panel:
        assert (await panel.set_lock(SERVER, UUID, True)).locked
    assert [line[:4] for line in script.lines] == ["GET ", "POST", *["GET "] * len(hidden), "GET "]


@pytest.mark.parametrize("look", [backup(), backup(is_locked="yes"), html(502), captured("152")], ids=str)
async def test_a_lost_toggle_that_is_not_seen_is_not_made_again(look: httpx.Response) -> None:
    """The panel may still be at it, and a second one would undo it; half a minute later that is said."""
    clock, script = FakeClock(), Script(backup(), LOST, look)
    async with client(script, clock=clock) as panel:
        with pytest.raises(errors.OutcomeUnknownError) as caught:
            await panel.set_lock(SERVER, UUID, True)
    assert [line[:4] for line in script.lines].count("POST") == 1
    assert clock.elapsed >= 30
    assert clock.elapsed < 31
    assert "is not asked for again" in caught.value.text
    assert "backups show" in caught.value.hint


async def test_why_a_lost_toggle_could_not_be_looked_at_is_told() -> None:
    """Such as a key that was withdrawn meanwhile."""
    async with client(backup(), LOST, captured("152")) as panel:
        with pytest.raises(errors.OutcomeUnknownError, match="answers 401"):
            await panel.set_lock(SERVER, UUID, True)


async def test_a_backup_that_is_gone_after_its_toggle_is_not_found() -> None:
    """There is no lock to wait for."""
    async with client(backup(), LOST, GONE) as panel:
        with pytest.raises(errors.NotFoundError):
            await panel.set_lock(SERVER, UUID, True)


async def test_a_lock_that_does_not_stay_is_given_up() -> None:
    """Three toggles, then an error."""
    script = Script(backup())
    async with client(script) as panel:
        with pytest.raises(errors.PanelTroubleError):
            await panel.set_lock(SERVER, UUID, True)
    assert len(script.asked) == 4


async def test_a_lock_that_cannot_be_read_is_not_assumed() -> None:
    """A strange backup counts as locked for retention, not for whoever asks to lock it."""
    for wanted in (True, False):
        script = Script(backup(is_locked="yes"))
        async with client(script) as panel:
            with pytest.raises(errors.StrangeAnswerError):
                await panel.set_lock(SERVER, UUID, wanted)
        assert len(script.asked) == 1


# -- deleting and restoring --------------------------------------------------------------------------------------------


async def test_delete_says_whether_it_deleted_or_found_it_gone() -> None:
    """A 404 of the panel's own is no error, while the server is to be seen."""
    async with client(NOTHING) as panel:
        assert await panel.delete(SERVER, UUID) is True
    async with client(GONE, SEEN) as panel:
        assert await panel.delete(SERVER, UUID) is False


@pytest.mark.parametrize("unseen", [GONE, html(502), captured("196")], ids=str)
async def test_a_404_says_nothing_of_a_backup_whose_server_is_not_to_be_seen(unseen: httpx.Response) -> None:
    """Seed 10007407: whoever loses access to a server is told 404 of everything on it; nothing of it is gone."""
    async with client(GONE, unseen) as panel:
        with pytest.raises(errors.NotFoundError):
            await panel.delete(SERVER, UUID)
    async with client(LOST, GONE, unseen) as panel:
        with pytest.raises(errors.OutcomeUnknownError):
            await panel.delete(SERVER, UUID)


async def test_a_page_that_says_404_does_not_mean_that_a_backup_is_gone() -> None:
    """Only the panel itself knows that."""
    async with client(html(404)) as panel:
        with pytest.raises(errors.StrangeAnswerError):
            await panel.delete(SERVER, UUID)


def on_the_backup(reply: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """That reply to whoever asks for the backup; the server is to be seen."""
    return lambda asked: reply if "/backups/" in asked.url.path else SEEN


LEFT_OPEN = [LOST, html(502), html(503), captured("196"), httpx.Response(200, html="<html>")]
BROKEN = [
    captured("196"),
    captured("186"),
    captured("pelican/085_delete_node_500"),
    captured("pelican/089_delete_node_17s"),
]


@pytest.mark.parametrize("lost", LEFT_OPEN + BROKEN, ids=str)
async def test_a_lost_deletion_is_settled_by_reading(lost: httpx.Response) -> None:
    """Gone means deleted; where it cannot be looked for that is unknown; it is never sent twice."""
    script = Script(lost, GONE, SEEN)
    async with client(script) as panel:
        assert await panel.delete(SERVER, UUID) is True
    for after in (captured("152"), html(502)):
        script = Script(lost, on_the_backup(after))
        async with client(script) as panel:
            with pytest.raises((errors.OutcomeUnknownError, errors.NodeError)):
                await panel.delete(SERVER, UUID)
        assert [line[:4] for line in script.lines].count("DELE") == 1


@pytest.mark.parametrize("lost", [LOST, html(502), html(504), httpx.Response(200, html="<html>")], ids=str)
async def test_a_deletion_that_a_proxy_answers_is_looked_for_while_the_node_may_be_at_it(lost: httpx.Response) -> None:
    """The node needs seconds, and the proxy's page tells nothing: some twenty seconds, not one look."""
    script, clock = Script(lost, backup(), html(502), backup(), GONE, SEEN), FakeClock()
    async with client(script, clock=clock) as panel:
        assert await panel.delete(SERVER, UUID) is True
    assert clock.naps == [0, 2, 4, 8]
    script, clock = Script(lost, on_the_backup(backup())), FakeClock()
    async with client(script, clock=clock) as panel:
        with pytest.raises(errors.OutcomeUnknownError, match="still there"):
            await panel.delete(SERVER, UUID)
    assert clock.elapsed == 20


@pytest.mark.parametrize("said", BROKEN, ids=str)
async def test_a_deletion_that_the_panel_itself_calls_failed_is_settled_by_one_look(said: httpx.Response) -> None:
    """Its work on the request has ended: what still stands then was not deleted, and may be asked for again."""
    script, clock = Script(said, on_the_backup(backup())), FakeClock()
    async with client(script, clock=clock) as panel:
        with pytest.raises((errors.PanelTroubleError, errors.NodeError), match="still there"):
            await panel.delete(SERVER, UUID)
    assert (clock.elapsed, [line[:4] for line in script.lines]) == (0, ["DELE", "GET "])


async def test_a_locked_backup_is_refused_by_name() -> None:
    """The panel's own word for it."""
    async with client(captured("109")) as panel:
        with pytest.raises(errors.BackupLockedError):
            await panel.delete(SERVER, UUID)


async def test_restore_sends_truncate_once() -> None:
    """It is required."""
    script = Script(NOTHING)
    async with client(script) as panel:
        await panel.restore(SERVER, UUID, truncate=True)
    assert script.sent() == {"truncate": True}


@pytest.mark.parametrize("lost", LEFT_OPEN, ids=str)
async def test_a_restore_whose_answer_leaves_it_open_is_asked_for_once_and_said(lost: httpx.Response) -> None:
    """A second one would overwrite the files of a server that plays already."""
    script = Script(lost)
    async with client(script) as panel:
        with pytest.raises(errors.OutcomeUnknownError):
            await panel.restore(SERVER, UUID, truncate=False)
    assert len(script.asked) == 1


NO_DELETIONS = [
    httpx.Response(202, json={"object": "job", "attributes": {"job_id": "1"}}),
    httpx.Response(202),
    httpx.Response(200, json={}),
    httpx.Response(200, json=[]),
]


@pytest.mark.parametrize("reply", NO_DELETIONS, ids=str)
async def test_a_deletion_is_believed_of_an_empty_answer_alone(reply: httpx.Response) -> None:
    """Whoever says anything else may have done nothing, or have begun a job: so the backup is looked for."""
    async with client(Script(reply, GONE, SEEN)) as panel:
        assert await panel.delete(SERVER, UUID) is True
    async with client(Script(reply, backup())) as panel:
        with pytest.raises((errors.ForeignPanelError, errors.OutcomeUnknownError)):
            await panel.delete(SERVER, UUID)


# -- reading -----------------------------------------------------------------------------------------------------------


async def test_ids_that_are_none_are_not_sent() -> None:
    """No id climbs out of its place in the path."""
    script = Script(backup())
    async with client(script) as panel:
        for bad in ("", "..", "a/b", "%2e%2e", "a?b", "x" * 65, "a\n"):
            with pytest.raises(errors.NotFoundError):
                await panel.backup(SERVER, bad)
            with pytest.raises(errors.NotFoundError):
                await panel.backups(bad)
    assert script.asked == []


async def test_another_backup_than_the_one_asked_for_is_not_believed() -> None:
    """A mixed-up cache must not decide a deletion; upper case is the same id."""
    async with client(backup("0" * 8)) as panel:
        with pytest.raises(errors.StrangeAnswerError):
            await panel.backup(SERVER, UUID)
    async with client(backup()) as panel:
        assert (await panel.backup(SERVER, UUID.upper())).uuid == UUID


async def test_a_download_link_is_a_secret() -> None:
    """It opens the backup to whoever reads it."""
    async with client(captured("113")) as panel:
        link = await panel.download_link(SERVER, UUID)
    assert link.get_secret_value().startswith("http://127.0.0.1:8880/download/backup?token=")
    assert "token" not in repr(link)


@pytest.mark.parametrize(
    "document", [[], {}, {"attributes": {"url": 5}}, {"attributes": {"url": "file:///etc"}}], ids=str
)
async def test_a_download_answer_without_a_link_is_strange(document: object) -> None:
    """Only http and https lead to a backup."""
    async with client(httpx.Response(200, json=document)) as panel:
        with pytest.raises(errors.StrangeAnswerError):
            await panel.download_link(SERVER, UUID)


async def test_a_page_instead_of_json_is_named_by_its_title() -> None:
    """A login page of a proxy is recognised by what it calls itself."""
    async with client(httpx.Response(200, html="<title>Sign in\n now</title>")) as panel:
        with pytest.raises(errors.StrangeAnswerError, match="Sign in now"):
            await panel.server(SERVER)


async def test_servers_are_read_over_all_pages_without_the_unreadable() -> None:
    """A row that is no server cannot be rotated, and hinders no other."""
    view = {"object": "server", "attributes": load("007").json["attributes"]}
    other = {"object": "server", "attributes": view["attributes"] | {"uuid": "other", "identifier": "other"}}
    script = Script(listing([view, {"object": "egg"}], 2), listing([other], 2))
    async with client(script) as panel:
        assert [server.identifier for server in await panel.servers()] == ["95bfba30", "other"]
    assert [request.url.params["page"] for request in script.asked] == ["1", "2"]
    assert {request.url.params["per_page"] for request in script.asked} == {"100"}


async def test_the_time_of_a_listing_without_a_date_is_our_own() -> None:
    """Better a clock that may be wrong than none."""
    clock = FakeClock()
    for headers in ({}, {"date": "yesterday"}):
        async with client(listing([row()], 1, **headers), clock=clock) as panel:
            assert (await panel.backups(SERVER)).taken_at == clock.now()
            assert panel.panel_now() is None


async def test_the_time_of_a_listing_without_a_date_goes_on_from_the_last_one_that_was_told() -> None:
    """By a clock of ours that runs a day behind, every backup of that day would be dated in the future."""
    clock = FakeClock()
    told = clock.now() + timedelta(days=1)
    script = Script(listing([row()], 1, date=format_datetime(told, usegmt=True)), listing([row()], 1))
    async with client(script, clock=clock) as panel:
        assert (await panel.backups(SERVER)).taken_at == told
        clock.elapsed += 30
        assert (await panel.backups(SERVER)).taken_at == told + timedelta(seconds=30)


async def test_the_time_of_a_listing_is_that_of_its_last_passes_first_page() -> None:
    """Decisions are made by the panel's clock when the reading began."""
    dated = [listing([row("a" * 8)], 2, date=f"Wed, 01 Apr 2026 04:00:{second:02} GMT") for second in range(4)]
    script = Script(*dated, listing([row("a" * 8), row("b" * 8)], 2, date="Wed, 01 Apr 2026 04:01:00 GMT"))
    async with client(script) as panel:
        found = await panel.backups(SERVER)
    assert found.completeness is Completeness.COMPLETE
    assert found.taken_at.isoformat() == "2026-04-01T04:01:00+00:00"


LISTS: dict[str, Callable[[PanelClient], Awaitable[object]]] = {
    "backups": lambda panel: panel.backups(SERVER),
    "servers": lambda panel: panel.servers(),
}


@pytest.mark.parametrize("read", LISTS.values(), ids=LISTS)
async def test_a_list_that_is_too_large_as_a_whole_is_refused(
    read: Callable[[PanelClient], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is within its bound, and 200 of them would fill the memory."""
    monkeypatch.setattr("daemon.panel.pages.LARGEST_LIST", 2**20)
    fresh = count()

    def endless(_: httpx.Request) -> httpx.Response:
        uuid = f"{next(fresh):08}"
        server = {"object": "server", "attributes": {"uuid": uuid, "identifier": uuid, "name": "x" * 2**18}}
        return listing([server if read is LISTS["servers"] else row(uuid, name="x" * 2**18)], 10**6)

    async with client(endless) as panel:
        for pages in (4, 8):  # what was read before does not count
            with pytest.raises(errors.StrangeAnswerError, match="the list is larger than 1 MiB"):
                await read(panel)
            assert panel.requests == pages


async def test_ten_thousand_backups_with_long_names_are_listed() -> None:
    """As many as pages are read, each three times as large as real ones are."""

    def panel_of_many(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        rows = (row(f"{page * 50 + number:08}", name="n" * 191, ignored_files=["i" * 500]) for number in range(50))
        return listing(rows, 10_000)

    async with client(panel_of_many) as panel:
        listed = await panel.backups(SERVER)
    assert (len(listed.backups), listed.completeness) == (10_000, Completeness.COMPLETE)


async def test_a_listing_is_as_old_as_its_request_not_as_the_wish_for_it() -> None:
    """It waited a minute for the API limit: what it shows is no older than when it left."""
    clock = FakeClock()
    refused = refusing(429, "ThrottleRequestsException", Retry_After="59")
    async with client(refused, listing([row()], 1), clock=clock) as panel:
        _, read_at = await panel.dated_backups(SERVER)
    assert clock.elapsed >= 59
    assert read_at == clock.elapsed
