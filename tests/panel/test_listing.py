"""Lists read over pages that shift, repeat, lie or never end."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.model import Backup, Completeness, Listing
from daemon.panel.listing import BACKUPS_PER_PAGE, MOST_PAGES, Page, backup_page, listing_from_documents, read_listing
from daemon.panel.wire import MOST_ROWS, UnreadableError
from tests.captures import load
from tests.panel.stand_in import row

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 4, 1, 4, tzinfo=UTC)


def name(number: int) -> str:
    """The id of the nth backup."""
    return f"{number:08}"


class Panel:
    """Pages of a list; before the nth request, `changes[n]` replaces the list."""

    def __init__(self, count: int, *, off_by: int = 0, changes: dict[int, list[int]] | None = None) -> None:
        self.numbers = list(range(count))
        self.off_by = off_by
        self.changes = changes or {}
        self.asked: list[int] = []

    async def __call__(self, page: int) -> Page[Backup]:
        """Answer one page."""
        self.asked.append(page)
        self.numbers = self.changes.get(len(self.asked), self.numbers)
        part = self.numbers[(page - 1) * BACKUPS_PER_PAGE : page * BACKUPS_PER_PAGE]
        document = {
            "object": "list",
            "data": [row(name(number)) for number in part],
            "meta": {"pagination": {"total": len(self.numbers) + self.off_by}},
        }
        return backup_page(document, NOW)


def numbers(listing: Listing) -> list[int]:
    """Which backups it holds."""
    return [int(backup.uuid) for backup in listing.backups]


@pytest.mark.parametrize(("count", "asked"), [(0, [1]), (1, [1]), (50, [1]), (51, [1, 2]), (120, [1, 2, 3])])
async def test_a_quiet_list_is_read_in_one_pass_with_no_request_too_many(count: int, asked: list[int]) -> None:
    """Fifty a page, counted here."""
    panel = Panel(count)
    listing, _ = await read_listing(panel)
    assert listing.completeness is Completeness.COMPLETE
    assert numbers(listing) == list(range(count))
    assert panel.asked == asked
    assert listing.pages == len(asked)


async def test_a_deletion_between_two_pages_is_noticed_and_the_list_read_again() -> None:
    """The row that slipped to the page before would be missing."""
    panel = Panel(120, changes={2: list(range(1, 120))})
    listing, _ = await read_listing(panel)
    assert listing.completeness is Completeness.COMPLETE
    assert numbers(listing) == list(range(1, 120))


async def test_a_creation_between_two_pages_is_noticed() -> None:
    """The pages disagree on the total."""
    panel = Panel(120, changes={2: list(range(121))})
    listing, _ = await read_listing(panel)
    assert listing.completeness is Completeness.COMPLETE
    assert numbers(listing) == list(range(121))


async def test_a_deletion_and_a_creation_that_hide_each_other_from_the_total_lose_no_more_than_a_row() -> None:
    """What no count can show is caught before a deletion, by reading again (invariant 4)."""
    panel = Panel(100, changes={2: list(range(1, 101))})
    assert set(range(101)) - set(numbers((await read_listing(panel))[0])) == {50}


@pytest.mark.parametrize("off_by", [1, -1, 1000])
@pytest.mark.parametrize("count", [1, 49, 120])
async def test_a_total_that_is_always_wrong_is_called_steady_after_three_passes(off_by: int, count: int) -> None:
    """The same rows again and again: the list is known, its total is nonsense."""
    panel = Panel(count, off_by=off_by)
    listing, _ = await read_listing(panel)
    assert listing.completeness is Completeness.STEADY
    assert numbers(listing) == list(range(count))
    assert panel.asked.count(1) == 3


async def test_a_list_without_a_total_is_steady() -> None:
    """Forks may leave it out."""

    async def fetch(page: int) -> Page[Backup]:
        return backup_page({"object": "list", "data": [row()] if page == 1 else []}, NOW)

    listing, _ = await read_listing(fetch)
    assert (listing.completeness, listing.total) == (Completeness.STEADY, 1)


async def test_a_list_that_never_holds_still_is_partial() -> None:
    """Nothing may be deleted by it."""
    panel = Panel(3, off_by=1, changes={n: list(range(n, n + 3)) for n in range(1, 9)})
    assert (await read_listing(panel))[0].completeness is Completeness.PARTIAL
    assert panel.asked.count(1) == 3


async def test_a_list_that_flaps_between_two_states_is_partial() -> None:
    """First and third pass agree, but something moves."""
    panel = Panel(3, off_by=1, changes={1: [0, 1], 3: [0, 2], 5: [0, 1]})
    assert (await read_listing(panel))[0].completeness is Completeness.PARTIAL


async def test_a_third_pass_can_be_whole() -> None:
    """Two disturbed passes cost only requests."""
    panel = Panel(120, changes={2: list(range(121)), 5: list(range(122))})
    assert (await read_listing(panel))[0].completeness is Completeness.COMPLETE


async def test_a_panel_that_answers_every_page_alike_is_not_asked_for_ever() -> None:
    """A page that brings nothing new ends a pass."""

    async def fetch(page: int) -> Page[Backup]:
        return Page({name(1): read(1)}, 99, NOW)

    assert (await read_listing(fetch))[0].completeness is Completeness.STEADY


async def test_a_list_without_end_is_partial_and_bounded() -> None:
    """Ten thousand backups are more than any server has."""
    asked = 0

    async def fetch(page: int) -> Page[Backup]:
        nonlocal asked
        asked += 1
        return Page({name(page): read(page)}, 10**9, NOW)

    assert (await read_listing(fetch))[0].completeness is Completeness.PARTIAL
    assert asked == 3 * MOST_PAGES


async def test_a_list_of_endless_rows_is_partial_and_bounded() -> None:
    """Pages that hold far more than was asked for would fill the memory before they are many."""
    asked = 0

    async def fetch(page: int) -> Page[Backup]:
        nonlocal asked
        asked += 1
        return Page({name(page * 10**4 + number): read(1) for number in range(10**4)}, 10**9, NOW)

    assert (await read_listing(fetch))[0].completeness is Completeness.PARTIAL
    assert asked == 3 * MOST_ROWS // 10**4


async def test_rows_seen_twice_are_one_backup_in_its_latest_state() -> None:
    """A row that slipped onto the next page is not two."""
    pages = [Page({name(1): read(1)}, 2, NOW), Page({name(1): read(1, is_locked=True), name(2): read(2)}, 2, NOW)]

    async def fetch(page: int) -> Page[Backup]:
        return pages[page - 1]

    listing, _ = await read_listing(fetch)
    assert [(backup.uuid, backup.locked) for backup in listing.backups] == [(name(1), True), (name(2), False)]


def read(number: int, **changed: object) -> Backup:
    """The nth backup."""
    return next(iter(backup_page({"object": "list", "data": [row(name(number), **changed)]}, NOW).rows.values()))


# -- saved answers -----------------------------------------------------------------------------------------------------


def test_a_saved_answer_of_one_page_is_a_whole_listing() -> None:
    """As `plan --listing` reads it."""
    listing = listing_from_documents([load("019").json], taken_at=NOW)
    assert (listing.completeness, len(listing.backups), listing.taken_at) == (Completeness.COMPLETE, 45, NOW)


def test_saved_pages_may_come_in_any_order_and_twice() -> None:
    """They are joined by id."""
    pages = [load("018").json, load("016").json, load("017").json, load("016").json]
    listing = listing_from_documents(pages, taken_at=NOW)
    assert (listing.completeness, len(listing.backups), listing.pages) == (Completeness.COMPLETE, 45, 4)


def test_a_missing_page_or_total_makes_a_saved_listing_partial() -> None:
    """A part is never taken for the whole; no more is the specification's own example, total 2 with one row."""
    example = {"object": "list", "data": [row()], "meta": {"pagination": {"total": 2}}}
    for documents, total in (
        ([load("016").json, load("018").json], 45),
        ([example], 2),
        ([{"object": "list", "data": [row()]}], 1),
    ):
        listing = listing_from_documents(documents, taken_at=NOW)
        assert (listing.completeness, listing.total) == (Completeness.PARTIAL, total)


@pytest.mark.parametrize("document", [None, [], {}, {"object": "list"}, {"object": "backup", "data": []}, 5], ids=str)
def test_a_saved_document_that_is_no_list_is_unreadable(document: object) -> None:
    """Said as a ValueError, for the command line to word."""
    with pytest.raises(UnreadableError):
        listing_from_documents([document], taken_at=NOW)


def test_an_answer_of_more_rows_than_a_list_has_is_unreadable() -> None:
    """16 MiB can hold millions of them, each of which would become a strange backup."""
    assert len(backup_page({"object": "list", "data": list(range(MOST_ROWS))}, NOW).rows) == MOST_ROWS
    with pytest.raises(UnreadableError, match="20001 rows"):
        backup_page({"object": "list", "data": list(range(MOST_ROWS + 1))}, NOW)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=20))
def test_the_distinct_rows_are_what_is_compared_with_the_total(rows: list[tuple[int, bool]]) -> None:
    """However often a row repeats."""
    data = [row(name(number), is_locked=locked) for number, locked in rows]
    distinct = len({number for number, _ in rows})
    documents = [{"object": "list", "data": data, "meta": {"pagination": {"total": distinct}}}]
    listing = listing_from_documents(json.loads(json.dumps(documents)), taken_at=NOW)
    assert listing.completeness is Completeness.COMPLETE
    assert len(listing.backups) == distinct


def test_saved_answers_are_read_without_httpx_or_pydantic() -> None:
    """`plan --listing` works offline and starts quickly."""
    code = "import sys, daemon.panel.listing; print([m for m in ('httpx', 'pydantic', 'asyncio') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"  # noqa: S603
