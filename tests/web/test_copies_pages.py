"""What the pages say of copies; where no store is configured, nothing."""

import re
from datetime import timedelta

import pytest

from daemon.errors import StateError
from daemon.state import CopyEvent, CopyRecord, Holding, Sample, ShelfRecord
from daemon.status.copies import store_trend
from daemon.status.tracker import StatusTracker
from tests.at_once import at_once
from tests.web.gallery import DAY, NOW, Gallery
from tests.web.test_pages import got, seen_text

pytestmark = pytest.mark.anyio


async def test_each_server_has_a_mark_for_each_store(stocked: Gallery) -> None:
    """Its colour and sign stand beside words for those who do not see them."""
    page = await got(stocked, "/")
    row = re.search(r'href="/servers/archive".*?</tr>', page)
    assert row
    marks = re.findall(r'<a href="/stores/(\w+)" class="mark (\w+)" title="([^"]+)"><span class="vh">([^<]+)', row[0])
    assert marks == [
        ("nas", "copied", "nas: copied", "nas: copied"),
        ("offsite", "failed", "offsite: failed", "offsite: failed"),
    ]
    assert page.count('class="mark waiting" title="nas: waiting"') == 1
    assert 'class="chip warn">uncopied' in page
    assert "the bucket refuses the key" in seen_text(page)


async def test_without_a_store_nothing_is_shown_of_copies(gallery: Gallery) -> None:
    """Neither a column nor a word."""
    assert "cop" not in seen_text(await got(gallery, "/"))
    assert "/stores/" not in await got(gallery, "/servers/survival")
    await got(gallery, "/stores/nas", 404)


async def test_a_server_s_page_tells_which_stores_have_each_backup(stocked: Gallery) -> None:
    """And how it stands in each store, with the last error."""
    snapshot = stocked.tracker.histories["survival"].snapshot
    assert snapshot
    uuid = snapshot.verdicts[3].backup.uuid
    holding = Holding("nas", "main", f"{stocked.config.servers['survival'].id}-0000", NOW, 1, 4096, NOW)
    detail = f'{{"manifests": {{"key": {{"backup": {{"uuid": "{uuid}"}}}}}}}}'
    at_once(stocked.context.engine.catalogue.remember(ShelfRecord(holding, detail)))
    page = await got(stocked, "/servers/survival")
    assert re.findall(r'<tr id="b-([\w-]+)"(?:(?!</tr>).)*copied to nas', page) == [uuid]
    assert "offsite: failed failed waits for 3 d, next try at 2026-04-12 11:42 the bucket refuses the key" in seen_text(
        page
    )


async def test_a_store_s_page_tells_what_it_holds_what_waits_and_what_failed(stocked: Gallery) -> None:
    """Of each server by its name, as far as it is configured."""
    holding = Holding("offsite", "main", "ffffffff-0000-4000-8000-000000000000", NOW, 2, 1 << 20, NOW)
    at_once(stocked.context.engine.catalogue.remember(ShelfRecord(holding, "{}")))
    text = seen_text(await got(stocked, "/stores/offsite"))
    assert "offsite in trouble" in text
    assert "For 4 d : the bucket refuses the key." in text
    assert "survival 40 GiB 12" in text
    assert "main, not configured any more 1 MiB 2" in text
    assert text.count("3 d ago 0 next") == 9
    assert "lobby the bucket refuses the key" in text
    nas = seen_text(await got(stocked, "/stores/nas"))
    assert "nas waiting" in nas
    assert "Nothing that the journal knows of." in nas
    assert "+3 % in 2 d" in nas


async def test_a_journal_that_cannot_be_read_costs_only_what_failed(
    stocked: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a store's page is there."""

    async def broken(*_: object, **__: object) -> list[CopyRecord]:
        raise StateError("the disk is gone")

    monkeypatch.setattr(stocked.fleet_status, "copy_records", broken)
    assert "The journal cannot be read" in seen_text(await got(stocked, "/stores/nas"))


async def test_a_backup_s_name_in_an_error_cannot_break_out(stocked: Gallery) -> None:
    """What a store says is not HTML."""
    record = CopyRecord(CopyEvent.FAILED, NOW, "lobby", "u", "nas", "b", "<b>x</b>", text="<script>alert(1)</script>")
    await stocked.context.journal.record_copies([record])
    page = await got(stocked, "/stores/nas")
    assert "<script>" not in page
    assert "&lt;b&gt;x" in page


def test_what_a_store_held_is_reckoned_back_from_what_it_holds() -> None:
    """What was made since is taken away, and what was pruned added."""
    made = CopyRecord(CopyEvent.MADE, NOW, "survival", "u", "nas", bytes=30)
    records = [
        made,
        CopyRecord(CopyEvent.PRUNED, NOW, "survival", "u", "nas", bytes=10),
        CopyRecord(CopyEvent.FAILED, NOW - timedelta(hours=1), "survival", "u", "nas"),
        CopyRecord(CopyEvent.MADE, NOW - 2 * DAY, "survival", "u", "nas", bytes=50),
    ]
    today = NOW.date()
    assert store_trend(100, records, NOW) == [Sample(today - 2 * DAY, 80), Sample(today, 100)]
    assert store_trend(100, [], NOW) == [Sample(today, 100)]


async def test_the_page_asks_the_catalogue_once_for_all(stocked: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a store, and not for each server."""
    asked = []
    catalogue = stocked.context.engine.catalogue
    holdings = catalogue.holdings

    async def counted(store: str | None = None) -> list[Holding]:
        asked.append(store)
        return await holdings(store)

    monkeypatch.setattr(catalogue, "holdings", counted)
    assert isinstance(stocked.tracker, StatusTracker)
    await got(stocked, "/")
    assert asked == [None]
