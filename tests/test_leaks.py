"""The search for secrets finds them, or all that rests on it would prove nothing."""

import base64
import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.leaks import known, leaks, stored

SECRET = "ptlc_EXAMPLE/of+a key"
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2lnbmF0dXJl"  # made up


@pytest.mark.parametrize(
    "coded",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(quote(SECRET, safe=""), safe=""),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        json.dumps("".join(f"\\u{ord(letter):04x}" for letter in SECRET)).replace("\\\\", "\\"),
        html.escape(SECRET),
        "".join(f"&#{ord(letter)};" for letter in SECRET),
        SECRET.encode().hex(),
        SECRET.encode("utf-16"),
        *(
            base64.b64encode(f"{'user:x'[:before]}{SECRET}{after}".encode())
            for before in range(7)
            for after in ("", "!")
        ),
        base64.urlsafe_b64encode(f"a{SECRET}".encode()),
    ],
)
def test_a_known_secret_is_found_in_every_code(coded: str | bytes) -> None:
    """Whatever stands before and after it."""
    framed = b"before " + (coded if isinstance(coded, bytes) else coded.encode()) + b" after"
    assert known(framed, SECRET)
    assert leaks(framed, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "ptlc_EXAMPLE1",
        "the key pacc_EXAMPLE1,",
        "Authorization: Bearer x",
        "authorization%3A%20bearer%20x",
        TOKEN,
        f"http://node.example.com/download/backup?token={TOKEN}",
        "token%3Dabc",
        "https://s3.example.com/b?X-Amz-Credential=a&X-Amz-Signature=b",
    ],
)
def test_what_looks_like_a_secret_is_found_though_nobody_knows_it(text: str) -> None:
    """The panel may send keys and links that are not ours."""
    assert leaks(f"a line with {text} in it")
    assert leaks(text.encode())


def test_harmless_text_is_not_taken_for_a_secret() -> None:
    """Names, uuids, checksums and advice."""
    text = 'auto-survival-20260401T040000Z-7c65c1e5 sha1:da39a3ee 1a7ce997-1111 begins with "ptlc_" token= «redacted»'
    assert leaks(text, SECRET) == []


def test_a_folder_is_searched_with_the_names_and_bytes_of_its_files(tmp_path: Path) -> None:
    """Deep ones too."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "ptlc_EXAMPLE1").write_bytes(b"\xff\x00ptlc_EXAMPLE2\x00")
    assert leaks(stored(tmp_path)) == ["ptlc_EXAMPLE1", "ptlc_EXAMPLE2"]
