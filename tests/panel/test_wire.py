"""Rows as no panel should send them: strange, never a crash."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.panel.answers import Answer, clean
from daemon.panel.wire import UnreadableError, is_made_up, read_backup, read_server
from tests.panel.stand_in import row

FOUR = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-31T04:00:00+00:00",
        "2026-03-31T04:00:00Z",
        "2026-03-31T04:00:00.000000Z",
        "2026-03-31T06:00:00+02:00",
        "2026-03-30T22:30:00-05:30",
    ],
)
def test_times_of_any_zone_are_one_moment(text: str) -> None:
    """The panel's zone is its own affair."""
    assert read_backup(row(created_at=text)).created_at == FOUR


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"created_at": "2026-03-31T04:00:00"}, "created_at"),
        ({"created_at": "2026-03-31"}, "created_at"),
        ({"created_at": "soon"}, "created_at"),
        ({"created_at": None}, "created_at is None"),
        ({"created_at": 1774929600}, "created_at"),
        ({"created_at": "9999-12-31T23:59:59-01:00"}, "created_at"),
        ({"completed_at": "soon"}, "completed_at"),
        ({"completed_at": False}, "completed_at"),
        ({"is_successful": 1}, "is_successful is 1"),
        ({"is_successful": None}, "is_successful"),
        ({"is_locked": "false"}, "is_locked"),
        ({"bytes": -1}, "bytes is -1"),
        ({"bytes": 2**63}, "bytes"),
        ({"bytes": "1000"}, "bytes"),
        ({"bytes": 1.5}, "bytes"),
        ({"bytes": True}, "bytes is True"),
        ({"bytes": None}, "bytes is None"),
        ({"name": None}, "name is None"),
        ({"name": ["x"]}, "name"),
        ({"uuid": "../../x"}, "uuid"),
        ({"uuid": 7}, "uuid is 7"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_read_makes_the_backup_strange_and_says_why(
    changed: dict[str, object], reason: str
) -> None:
    """Strange ones are never deleted and never counted."""
    unreadable = read_backup(row(**changed)).unreadable
    assert unreadable is not None
    assert reason in unreadable


def test_a_lock_that_cannot_be_read_counts_as_locked() -> None:
    """The safe side."""
    missing = row()
    del missing["attributes"]["is_locked"]
    assert read_backup(missing).locked
    assert read_backup(missing).unreadable == "is_locked is missing"


def test_optional_fields_may_be_missing_and_unknown_ones_come() -> None:
    """Forks and versions differ."""
    lean = row(new_field={"deep": [1]}, checksum=5, ignored_files=["a", 3, "b"], completed_at=None, bytes=None)
    backup = read_backup(lean)
    assert backup.unreadable is None
    assert (backup.checksum, backup.ignored, backup.completed_at, backup.bytes) == (None, ("a", "b"), None, 0)
    for field in ("checksum", "ignored_files", "completed_at", "bytes"):
        del lean["attributes"][field]
    assert read_backup(lean).unreadable is None


@pytest.mark.parametrize("name", ["", "💾" * 191, "a\nb\x1b[31m", "\ud83d", "../../etc", "x" * 10_000], ids=repr)
def test_names_of_any_kind_are_read_and_can_be_printed(name: str) -> None:
    """JSON can hold half an emoji; a terminal cannot."""
    backup = read_backup(row(name=name))
    assert backup.unreadable is None
    backup.name.encode()


@pytest.mark.parametrize("odd", [None, 5, [], {}, {"object": "job"}, {"object": "backup", "attributes": []}], ids=str)
def test_a_row_that_is_no_backup_is_a_strange_locked_one(odd: object) -> None:
    """It keeps the count right and the list readable."""
    backup = read_backup(odd)
    assert backup.locked
    assert backup.unreadable == "it is no backup object"
    assert is_made_up(backup.uuid)
    assert backup == read_backup(odd)


def test_two_different_rows_without_an_id_stay_two() -> None:
    """A made-up id is the row's own."""
    assert read_backup(row(uuid=1)).uuid != read_backup(row(uuid=1, name="other")).uuid


@given(st.dictionaries(st.text(max_size=5), st.floats() | st.text(), max_size=3))
def test_any_row_has_the_same_id_in_every_pass(attributes: dict[str, object]) -> None:
    """So that passes can be compared."""
    document = {"object": "backup", "attributes": attributes}
    assert read_backup(document).uuid == read_backup(document).uuid


@pytest.mark.parametrize("step", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "objects"])
def test_what_is_nested_deeper_than_could_be_written_spoils_its_row_only(step: Callable[[object], object]) -> None:
    """Reading goes deeper than writing, by as much as the stack was used when each began."""
    deep: object = 0
    for _ in range(5000):
        deep = step(deep)
    assert is_made_up(read_backup(deep).uuid)
    backup = read_backup(row(uuid=deep, bytes=deep))
    assert backup.uuid == read_backup(row(uuid=deep, bytes=deep)).uuid
    assert backup.unreadable is not None
    assert len(backup.unreadable) < 200


def test_a_number_too_long_for_any_column_spoils_its_row_only() -> None:
    """Python refuses integers beyond 4300 digits; the rest of the list is read all the same."""
    body = b'{"a": ' + b"9" * 5000 + b', "b": 9223372036854775807}'
    assert Answer(200, {}, body).document == {"a": float("inf"), "b": 2**63 - 1}


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"{", b"<html>", b"null"], ids=lambda b: b[:6])
def test_a_body_that_is_no_json_is_no_document(body: bytes) -> None:
    """Garbage and depth alike."""
    assert Answer(200, {}, body).document is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "99999999999999999"}, 3600),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 01 Apr 2026 04:00:30 GMT", "date": "Wed, 01 Apr 2026 04:00:00 GMT"}, 30),
        ({"retry-after": "Wed, 01 Apr 2026 03:00:00 GMT", "date": "Wed, 01 Apr 2026 04:00:00 GMT"}, 0),
        ({"retry-after": "Wed, 01 Apr 2026 04:00:30 GMT"}, None),
        ({"x-ratelimit-reset": "1775016030", "date": "Wed, 01 Apr 2026 04:00:00 GMT"}, 30),
        ({"x-ratelimit-reset": "9999999999999999", "date": "Wed, 01 Apr 2026 04:00:00 GMT"}, None),
        ({"x-ratelimit-reset": "1775016030", "date": "Wed, 01 Apr 2026 04:00:00 -0000"}, 30),
    ],
    ids=str,
)
def test_how_long_to_wait_is_read_from_seconds_dates_and_resets(headers: dict[str, str], seconds: float | None) -> None:
    """And is never absurd."""
    assert Answer(429, headers, b"").retry_after == seconds


def test_what_the_panel_says_is_made_one_printable_line_without_signed_urls() -> None:
    """Its words end in logs and terminals."""
    assert clean("a\x1b[31m\n b") == "a [31m b"
    assert clean("see https://s3.example.com/x?X-Amz-Signature=abc now") == "see https://s3.example.com/x?… now"
    assert len(clean("x" * 1000)) == 300
    assert clean(5) == ""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"backups": 5}, 5), ({"backups": None}, 0), ({"backups": -1}, 0), ({"backups": "5"}, 0), (None, 0)],
    ids=str,
)
def test_a_server_without_a_backup_limit_allows_none(changed: object, expected: int) -> None:
    """Null means none, on this panel."""
    attributes = {"uuid": "u", "identifier": "i", "feature_limits": changed}
    server = read_server({"object": "server", "attributes": attributes, "meta": {"user_permissions": ["*", 5]}})
    assert server.backup_limit == expected
    assert server.permissions == frozenset({"*"})


@pytest.mark.parametrize(
    "document",
    [None, {"object": "backup"}, {"object": "server"}, {"object": "server", "attributes": {"uuid": "u"}}],
    ids=str,
)
def test_a_document_that_is_no_server_is_unreadable(document: object) -> None:
    """Without its ids a server cannot be spoken of."""
    with pytest.raises(UnreadableError):
        read_server(document)


def test_a_server_whose_id_could_climb_is_unreadable() -> None:
    """Ids become paths."""
    with pytest.raises(UnreadableError, match="none"):
        read_server({"object": "server", "attributes": {"uuid": "u", "identifier": ".."}})
