"""Making right things wrong: documents changed in a few places, whatever they hold, and bytes as a bad disk has them.

Nothing here knows a schema. A document is anything that JSON and TOML have in common; the argument is never changed.
"""

import copy
from collections.abc import Iterator, MutableMapping, MutableSequence
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

Place = tuple[MutableMapping[str, Any] | MutableSequence[Any], Any]

MOMENTS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-04-01", "1e9", "now"]
NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")]
TEXTS = [
    "",
    " ",
    "\0",
    "\x1b[2J\x1b]0;owned\x07",
    "\u202eevil",
    "line\nline\r",
    "\ud800",
    "x" * 5000,
    "../../etc",
    "-1",
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from(MOMENTS),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
toml_only = st.sampled_from([date(1, 1, 1), datetime(9999, 12, 31, tzinfo=UTC), datetime(2026, 4, 1).time()])  # noqa: DTZ001


def nested(depth: int) -> list[Any]:
    """Lists in lists, so deep."""
    document: list[Any] = []
    for _ in range(depth):
        document = [document]
    return document


@st.composite
def mutated(draw: st.DrawFn, document: Any, values: st.SearchStrategy[Any] = anything, most: int = 4) -> Any:
    """The document with up to `most` places changed: replaced, removed, doubled, renamed, swapped or wrapped."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        places = list(_places(changed))
        if not places:
            return draw(values)
        _change(draw, draw(st.sampled_from(places)), places, values)
    return changed


def _places(document: Any) -> Iterator[Place]:
    """Every place of a document that holds something."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from _places(document[key])


def _change(draw: st.DrawFn, place: Place, places: list[Place], values: st.SearchStrategy[Any]) -> None:
    holder, key = place
    match draw(st.sampled_from(["replace", "replace", "replace", "remove", "double", "rename", "swap", "wrap"])):
        case "replace":
            holder[key] = draw(values)
        case "remove":
            del holder[key]
        case "double" if isinstance(holder, list):
            holder.insert(draw(st.integers(0, len(holder))), copy.deepcopy(holder[key]))
        case "rename" if isinstance(holder, dict):
            holder[draw(st.text(max_size=8) | st.just(f"{key}x"))] = holder.pop(key)
        case "swap":
            other, elsewhere = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[elsewhere])
        case _:
            holder[key] = draw(st.sampled_from([[holder[key]], {"": holder[key]}]))


@st.composite
def damaged(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """The bytes with up to `most` stretches overwritten, cut out, doubled or put in, or with the end missing."""
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([1, 2, 8, 64, 1024])))
        junk = draw(st.binary(max_size=16) | st.sampled_from([b"\0" * 16, b"\xff", b"[", b'"', b"\n", b"'''", b"\x1b"]))
        match draw(st.sampled_from(["overwrite", "cut", "double", "insert", "end"])):
            case "overwrite":
                content = content[:start] + junk + content[start + len(junk) :]
            case "cut":
                content = content[:start] + content[end:]
            case "double":
                content = content[:end] + content[start:end] + content[end:]
            case "insert":
                content = content[:start] + junk + content[start:]
            case _:
                content = content[:start]
    return content
