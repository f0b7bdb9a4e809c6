"""The keys of copies: made, read back, and never recognised where they are not ours to the letter."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.copies_layout import CopyName, folder_of, read_folder, read_key
from tests.core.build import but, good

SERVER = "1a7ce997-259b-452e-8b4e-cecc464142ca"
BACKUP = "904df120-a66f-49d1-a1f5-a3cbb9a2c6cb"
DATA = f"main/{SERVER}/20260401T040000Z_{BACKUP}.tar.gz"

uuids = st.uuids().map(str)
panels = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
moments = st.datetimes(timezones=st.just(UTC))


def test_a_copy_lies_under_its_panel_and_server_by_date_and_uuid() -> None:
    """The layout, as the guide shows it."""
    name = CopyName.of("main", SERVER, good("2026-04-01 04:00", uuid=BACKUP))
    assert (name.data, name.manifest) == (DATA, f"{DATA}.json")
    encrypted = CopyName.of("main", SERVER, good("2026-04-01 04:00", uuid=BACKUP), encrypted=True)
    assert (encrypted.data, encrypted.manifest) == (f"{DATA}.age", f"{DATA}.age.json")


def test_a_copy_is_not_encrypted_unless_its_name_says_so() -> None:
    """What is read back equals what was made."""
    assert read_key(DATA) == (CopyName("main", SERVER, datetime(2026, 4, 1, 4, 0, tzinfo=UTC), BACKUP), False)


@given(panels, uuids, uuids, moments, st.booleans())
def test_each_name_is_read_back_as_itself(
    panel: str, server: str, backup: str, moment: datetime, encrypted: bool
) -> None:
    """Data and manifest both lead back to the copy."""
    name = CopyName.of(panel, server, but(good(moment), uuid=backup), encrypted=encrypted)
    assert read_key(name.data) == (name, False)
    assert read_key(name.manifest) == (name, True)
    assert read_folder(folder_of(panel, server)) == (panel, server)
    assert name.created_at == moment.replace(microsecond=0)


def test_a_date_of_another_zone_is_named_in_utc() -> None:
    """Names sort by age, whatever zone a panel writes in."""
    made = datetime(2026, 4, 1, 6, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
    name = CopyName.of("main", SERVER.upper(), but(good(made), uuid=BACKUP.upper()))
    assert (name.data, name.created_at.tzinfo) == (DATA, UTC)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "notes.txt",
        f"{DATA}.part",
        f"{DATA}.json.json",
        f"{DATA}.json.age",
        f"{DATA}\n",
        f"/{DATA}",
        f"other/{DATA}",
        DATA.upper(),
        DATA.replace("main", "-main"),
        DATA.replace("main", "../main"),
        DATA.replace(SERVER, SERVER[:8]),
        DATA.replace("20260401", "20260231"),  # no such day
        DATA.replace("20260401", "00000401"),
        DATA.replace("T040000Z", "T046000Z"),
        DATA.replace("20260401", "2026040\N{ARABIC-INDIC DIGIT ONE}"),  # a digit, though not one of ours
        DATA.replace("_", "-"),
        DATA.removesuffix(".gz"),
        f"main/{SERVER}/",
    ],
)
def test_what_is_not_ours_to_the_letter_is_not_recognised(key: str) -> None:
    """What is recognised may be deleted one day."""
    assert read_key(key) is None


@given(st.text(max_size=120))
def test_whatever_is_recognised_is_the_key_that_we_would_make(key: str) -> None:
    """No second spelling of a key exists."""
    known = read_key(key)
    assert known is None or key in {known[0].data, known[0].manifest}


@pytest.mark.parametrize("folder", ["", "main", f"main/{SERVER}", f"x/main/{SERVER}/", "main/lost+found/"])
def test_a_folder_that_is_not_ours_is_not_recognised(folder: str) -> None:
    """Only PANEL/SERVER-UUID/ is."""
    assert read_folder(folder) is None


def test_a_backup_that_cannot_be_named_is_refused() -> None:
    """A panel is hostile input: a uuid with a slash would lead elsewhere."""
    with pytest.raises(ValueError, match="no date"):
        CopyName.of("main", SERVER, but(good("2026-04-01 04:00"), created_at=None))
    for panel, uuid in (("main", "../../etc"), ("Main", BACKUP), ("a/b", BACKUP)):
        with pytest.raises(ValueError, match="cannot be the key"):
            CopyName.of(panel, SERVER, good("2026-04-01 04:00", uuid=uuid))
