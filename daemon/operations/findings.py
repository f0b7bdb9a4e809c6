"""What `check` finds, as values: each finding has a level, a code for scripts, and a text for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from daemon.config.values import ServerConfig
from daemon.errors import ProblemCode


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `code` names its kind for scripts; `panel` and `server` are configured names."""

    level: Severity
    code: ProblemCode
    text: str
    hint: str = ""
    panel: str | None = None
    server: str | None = None


def about(config: ServerConfig, level: Severity, code: ProblemCode, text: str, hint: str = "") -> Finding:
    """Return a finding about one configured server."""
    return Finding(level, code, text, hint, config.panel.name, config.name)


def counted(things: Sequence[object] | Mapping[str, object] | range, noun: str) -> str:
    """Return how many things there are, with their noun: "1 server", "3 servers"."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
