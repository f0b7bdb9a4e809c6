"""The search for secrets in whatever was printed, logged, stored or sent: in every test, the same one.

A secret is known by itself, in whatever code it may have come along (URL, JSON, HTML, base64, hexadecimal), or by its
looks: a key's prefix, a token of a node's link, a signature of a store's. What is searched may be text or bytes.
"""

import base64
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LOOKS = re.compile(
    rb"""
    (?<![A-Za-z])(?:ptl[a-z]|pacc|papp)_\w{6,}  # keys of Pterodactyl and of Pelican
    | (?<![A-Za-z])[Bb]earer(?:\s|%20|\+)+\w
    | (?<![A-Za-z])eyJ[\w-]{5,}  # a JSON web token, or its first part
    | (?<![A-Za-z])(?:token|X-Amz-Signature|X-Amz-Credential)(?:=|%3[Dd])\w
    """,
    re.VERBOSE,
)

UNRESERVED = frozenset(f"{string.ascii_letters}{string.digits}-._~".encode())
"""The bytes that stay as they are in a URL (RFC 3986)."""


def leaks(searched: str | bytes, *secrets: str) -> list[str]:
    """What of these secrets, or of what looks like one, is in there, each once; empty is good."""
    found = {match.decode() for match in LOOKS.findall(_bytes(searched))}
    return sorted(found.union(known(searched, *secrets)))


def known(searched: str | bytes, *secrets: str) -> list[str]:
    """What of these secrets is in there, and in which code, whatever else there looks like one; empty is good."""
    held = _bytes(searched)
    return [f"{secret} as {code}" for secret in secrets for code, form in _forms(secret) if form in held]


@cache
def _forms(secret: str) -> tuple[tuple[str, bytes], ...]:
    return tuple(forms(secret))


def forms(secret: str) -> Iterator[tuple[str, bytes]]:
    """The secret in each code that it may have come along in, with the code's name."""
    plain = secret.encode()
    yield "it is", plain
    yield "UTF-16", secret.encode("utf-16-le")
    for code in ("%{:02X}", "%{:02x}", "%25{:02X}", "\\u{:04x}", "\\x{:02x}", "&#{};", "&#x{:x};"):
        yield code, b"".join(bytes([byte]) if byte in UNRESERVED else code.format(byte).encode() for byte in plain)
        yield f"{code} throughout", b"".join(code.format(byte).encode() for byte in plain)
    yield "hexadecimal", plain.hex().encode()
    yield "HEXADECIMAL", plain.hex().upper().encode()
    for before in range(3):  # what goes before it in the coded bytes decides how it looks
        coded = base64.b64encode(bytes(before) + plain)[4 if before else 0 :]
        sure = coded[: len(coded) - 4]
        yield f"base64 after {before}", sure
        yield f"base64 for URLs after {before}", sure.translate(bytes.maketrans(b"+/", b"-_"))


def stored(folder: Path) -> bytes:
    """All that lies in a folder, names of files and their bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return b"\n".join(str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes() for path in files)


def _bytes(searched: str | bytes) -> bytes:
    return searched if isinstance(searched, bytes) else searched.encode("utf-8", "surrogatepass")
