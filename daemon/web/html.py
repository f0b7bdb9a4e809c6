"""HTML that cannot be broken out of: whatever is no `Html` already is escaped on its way in.

What turns text around, or moves the cursor of a terminal where somebody asks with curl, is made visible as in the log:
a backup's name is anybody's.
"""

from collections.abc import Iterable
from functools import cache
from html import escape

from daemon.log import CONTROL

VOID = frozenset({"meta", "link", "br", "rect", "polyline", "circle"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Part = str | int | None | Iterable["Part"]


def join(*parts: Part) -> Html:
    """Return the parts, one after the other; None is nothing."""
    return Html("".join(_texts(parts)))


def _texts(parts: Iterable[Part]) -> Iterable[str]:
    for part in parts:
        if isinstance(part, Html):
            yield part
        elif isinstance(part, str):
            yield escape(part.translate(CONTROL))
        elif isinstance(part, int):
            yield str(part)
        elif part is not None:
            yield from _texts(part)


def tag(name: str, /, *parts: Part, **attributes: str | int | bool | None) -> Html:
    """Return an element. An attribute `class_` becomes class, and `aria_label` aria-label; None and False are none."""
    written = "".join([_attribute(key, value) for key, value in attributes.items() if value is not None])
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(_texts(parts))}</{name}>")


def _attribute(key: str, value: str | int | bool) -> str:
    if isinstance(value, bool):
        return f" {key}" if value else ""
    return f' {_attribute_name(key)}="{escape(str(value).translate(CONTROL))}"'


@cache
def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
