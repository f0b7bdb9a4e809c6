"""Names: a template makes the names of backups, and recognises the names that it made.

What must hold: a name counts as own only if the template could have made it to the letter, or if the panel was seen to
turn such a name into this one when it took the backup (daemon/core/altered.py). Own backups may be deleted, so nothing
less will do. Time and id have one fixed length each, so a name can be read back in one way only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import NamedTuple

from daemon.core.units import compact

LONGEST_NAME = 191
"""The panel's own limit in characters (Pelican's is 255)."""

_PLACEHOLDERS = {
    "server": r"[a-z0-9][a-z0-9-]*",
    "time": r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z",
    "id": r"[0-9a-f]{8}",
}
_ADVICE = "write one such as auto-{server}-{time}-{id}"


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template; make one with `Template.parse`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Given a template's text, return it checked; ValueError says what would be right."""
        for braced in re.findall(r"\{[^{}]*\}|[{}]", text):
            if braced[1:-1] not in _PLACEHOLDERS:
                raise ValueError(
                    f'"{text}" has {braced}, which is no placeholder: there are {{server}}, {{time}} and {{id}}'
                )
        if text != text.strip() or not text.isprintable():
            raise ValueError(f'"{text}" begins or ends with a blank, or has a character that cannot be seen: {_ADVICE}')
        if not text or text.startswith("{"):
            raise ValueError(f'"{text}" must start with fixed text, by which its backups are known: {_ADVICE}')
        if "{time}" not in text:
            raise ValueError(f'"{text}" must hold {{time}}, so that no two backups have one name: {_ADVICE}')
        return cls(text)

    def render(self, server: str, time: datetime, id: str) -> str:  # noqa: A002 — the placeholder's own name
        """Return the name of a backup of this server, begun at that time, with that id (8 hex digits)."""
        return self.text.replace("{time}", compact(time)).replace("{id}", id).replace("{server}", server)

    def matches(self, name: str, server: str | None) -> bool:
        """Return whether this template could have made exactly that name for this server (None: for any server)."""
        return _pattern(self.text, of_one=server is not None).fullmatch(_with_server(name, server)) is not None

    def server_of(self, name: str) -> str | None:
        """Return the server for which this template could have made the name; None where it could not, or names no
        server.
        """
        found = _pattern(self.text).fullmatch(name)
        return found.groupdict().get("server") if found else None

    def longest_length(self, server: str) -> int:
        """Return how many characters its names for this server have; all are of one length."""
        return len(self.render(server, datetime(2000, 1, 1, tzinfo=UTC), "0" * 8))


class Altered(NamedTuple):
    """The name that was asked for, and the one that the panel keeps instead."""

    asked: str
    kept: str


@dataclass(frozen=True)
class Ownership:
    """Which backups of one server are a policy's own: those named by the template in force or by an earlier one.

    `server` None means any server. `altered` are the backups of ours, by uuid, that the panel keeps under another name
    than was asked for.
    """

    templates: tuple[Template, ...]
    server: str | None
    altered: Mapping[str, Altered] = field(default_factory=dict)

    def knowing(self, altered: Mapping[str, Altered]) -> "Ownership":
        """Return the same with these altered names."""
        return replace(self, altered=altered)

    def owns(self, name: str, uuid: str | None = None) -> bool:
        """Return whether one of the templates could have made the name, or the one that the panel altered to it.

        A backup that a person has renamed since is foreign, even if this policy named it.
        """
        said = _with_server(name, self.server)
        for pattern in self._patterns:
            if pattern.fullmatch(said):
                return True
        known = self.altered.get(uuid) if uuid is not None else None
        return known is not None and known.kept == name and self.owns(known.asked)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        """The templates as expressions, looked up once, since a judgement asks of every backup."""
        return tuple(_pattern(template.text, of_one=self.server is not None) for template in self.templates)


def _with_server(name: str, server: str | None) -> str:
    """Return a name as the expressions for one server take it: below the server's own. None: as those for any do."""
    return name if server is None else f"{server}\n{name}"


@lru_cache(maxsize=64)
def _pattern(text: str, *, of_one: bool = False) -> re.Pattern[str]:
    """Return the template as an expression; a placeholder that comes again must say the same again.

    With `of_one` it takes the name below that of the server that it is asked for. So one expression does for all
    servers: one for each would take 1.9 KiB of memory, and a third of a millisecond to make.
    """
    pieces = re.split(r"\{(server|time|id)\}", text)
    seen = {"server"} if of_one else set[str]()
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            pieces[place] = re.escape(piece)
        elif piece in seen:
            pieces[place] = f"(?P={piece})"
        else:
            seen.add(piece)
            pieces[place] = f"(?P<{piece}>{_PLACEHOLDERS[piece]})"
    return re.compile((r"(?P<server>.*)\n" if of_one else "") + "".join(pieces))
