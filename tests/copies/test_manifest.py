"""The manifest: what it holds to the letter, and that nothing else is taken for one."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.copies.errors import ManifestError
from daemon.copies.manifest import LARGEST, EncryptionPart, StoredPart, read_manifest, write_manifest
from daemon.core.copies_layout import read_key
from tests.copies.support import BACKUP, KEY, SERVER, SHA256, Told

GOLDEN: dict[str, Any] = {
    "schema": 1,
    "program": "ptero-backupd 1.2.3",
    "installation": "installation-1",
    "written_at": "2026-04-01T04:09:30Z",
    "server": {"panel": "main", "uuid": SERVER, "name": "survival", "title": "Survival World"},
    "backup": {
        "uuid": BACKUP,
        "name": "auto-survival-20260401T040000Z-904df120",
        "created_at": "2026-04-01T04:00:00Z",
        "completed_at": "2026-04-01T04:07:12Z",
        "bytes": 1000,
        "checksum": f"sha1:{'b' * 40}",
        "sha256": SHA256,
    },
    "stored": {"key": KEY, "bytes": 1000, "sha256": SHA256},
    "encryption": None,
    "contents": {"files": 12, "bytes": 4000, "entries": 15},
    "proof": {"level": "walked", "at": "2026-04-01T04:09:29Z", "unverified": False, "problems": []},
}


def spoiled(*path: str, value: Any) -> bytes:
    """The golden manifest with another value in one place."""
    document = json.loads(json.dumps(GOLDEN))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document).encode()


def test_a_manifest_is_written_so() -> None:
    """Its keys are a contract with whoever reads a store without us."""
    text = write_manifest(Told().manifest())
    assert json.loads(text) == GOLDEN
    assert text.startswith(b'{\n  "schema": 1,')
    assert text.endswith(b"}\n")


def test_a_manifest_is_read_back_as_it_was() -> None:
    """An encrypted one as well."""
    plain = Told().manifest()
    assert read_manifest(write_manifest(plain), KEY) == plain
    stored = StoredPart(key=f"{KEY}.age", bytes=1200, sha256="f" * 64)
    encrypted = Told().manifest(stored=stored, encryption=EncryptionPart(format="age", recipients=("age1xyz",)))
    assert read_manifest(write_manifest(encrypted), f"{KEY}.age") == encrypted


def test_a_manifest_tells_the_core_what_it_judges() -> None:
    """The backup of the panel, and what the copy takes in the store."""
    copy = Told().manifest().as_copy()
    assert read_key(KEY) == (copy.name, False)
    assert (copy.name.data, copy.installation, copy.bytes, copy.verified) == (KEY, "installation-1", 1000, True)
    assert (copy.backup.uuid, copy.backup.created_at) == (BACKUP, datetime(2026, 4, 1, 4, tzinfo=UTC))
    assert copy.backup.checksum == f"sha1:{'b' * 40}"


def test_a_key_of_a_later_version_is_passed_over() -> None:
    """Keys may be added; none may change."""
    assert read_manifest(spoiled("drill", value={"server": "spare"}), KEY) == Told().manifest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "cannot be read"),
        (b"{}", "program: Field required"),
        (b"[" * 10_000, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b" " * (LARGEST + 1), f"has more than {LARGEST} bytes"),
        (spoiled("schema", value=2), "schema: Input should be 1"),
        (spoiled("backup", "bytes", value=-1), "backup.bytes"),
        (spoiled("backup", "bytes", value=10**30), "backup.bytes"),
        (spoiled("backup", "bytes", value="1000"), "backup.bytes"),
        (spoiled("backup", "name", value="x" * 501), "backup.name"),
        (spoiled("backup", "created_at", value="2026-04-01T04:00:00"), "backup.created_at"),
        (spoiled("backup", "created_at", value="yesterday"), "backup.created_at"),
        (spoiled("backup", "completed_at", value="0001-01-01T00:00:00+14:00"), "backup.completed_at"),
        (spoiled("written_at", value="9999-12-31T23:59:59-14:00"), "written_at"),
        (spoiled("stored", "sha256", value="0" * 63), "stored.sha256"),
        (spoiled("stored", "sha256", value="0" * 64 + "\n"), "stored.sha256"),
        (spoiled("proof", "level", value="restored!"), "proof.level"),
        (spoiled("proof", "problems", value=["x"] * 21), "proof.problems"),
        (spoiled("stored", "key", value=KEY.replace("main", "other")), "tells of another copy"),
        (spoiled("server", "panel", value="other"), "tells of another panel"),
        (spoiled("server", "uuid", value=BACKUP), "tells of another server"),
        (spoiled("backup", "uuid", value=SERVER), "tells of another backup"),
        (spoiled("backup", "created_at", value="2026-04-02T04:00:00Z"), "tells of another date"),
        (spoiled("encryption", value={"format": "age", "recipients": []}), "tells of another way of encryption"),
    ],
)
def test_what_is_no_manifest_of_this_copy_is_refused(text: bytes, words: str) -> None:
    """Whoever can write to the store may have written it."""
    with pytest.raises(ManifestError) as refusal:
        read_manifest(text, KEY)
    assert words in refusal.value.text


def test_a_manifest_stands_beside_data_and_nothing_else() -> None:
    """Not beside a manifest, and not beside a foreign object."""
    for key in ("notes.txt", f"{KEY}.json"):
        with pytest.raises(ManifestError, match="another copy"):
            read_manifest(spoiled("stored", "key", value=key), key)


def test_one_that_could_not_be_read_back_is_not_written() -> None:
    """A copy without a readable manifest would be no copy."""
    with pytest.raises(ManifestError):
        write_manifest(Told().manifest(stored=StoredPart(key="elsewhere", bytes=1, sha256=SHA256)))


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr).map(str.encode)
)
def test_nothing_but_a_refusal_comes_of_garbage(text: bytes) -> None:
    """No other exception leaves the reader."""
    with pytest.raises(ManifestError):
        read_manifest(text, KEY)
