"""What was kept, what was deleted and why: the last verdicts and the journal, grouped."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from daemon.clock import Clock
from daemon.config.values import Config, StatePlace
from daemon.core.model import Action, Verdict
from daemon.operations.rotations import Failed, preview_servers
from daemon.state import StepName, engine_for, looked_into

COLUMNS = ("server", "what", "how many", "why")

WORDS = {Action.KEEP: "kept", Action.DELETE: "to delete", Action.IGNORE: "left alone"}

_ALIKE = (
    (re.compile(r"\b\d+ of the (?=\d)"), "one of the "),
    (re.compile(r"newest of (\w+) [\w-]+(, \d+ of \d+)?"), r"newest of its \1"),
    (re.compile(r"superseded by .+ in (\w+) [\w-]+"), r"superseded in its \1"),
)
"""What is said of one backup, and the same of many."""


async def closing_rows(config: Config, clock: Clock) -> list[Sequence[str]]:
    """Ask the panel once more for retention's verdicts on each server, and the journal for what was deleted."""
    servers = list(config.servers.values())
    seen = await preview_servers(servers, state=config.state, clock=clock)
    deleted = await _deleted(config.state)
    rows: list[Sequence[str]] = []
    for each in seen:
        name = each.config.name
        if isinstance(each, Failed):
            rows.append((name, "skipped", "", each.error.text))
            continue
        rows += [(name, *row) for row in _grouped(_said_of(each.plan.verdicts))]
        rows += [(name, *row) for row in _grouped(("deleted", because) for because in deleted.get(name, ()))]
    return _named_once(rows)


def _said_of(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, str]]:
    for verdict in verdicts:
        yield WORDS[verdict.action], "; ".join(reason.text for reason in verdict.reasons)


def _grouped(said: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Given verdicts and reasons, return each pair that occurs, made general, with its count."""
    counted = Counter((word, general(because)) for word, because in said)
    order = list(dict.fromkeys(word for word, _ in counted))
    rows = sorted(counted.items(), key=lambda row: order.index(row[0][0]))
    return [(word, str(number), because) for (word, because), number in rows]


def general(because: str) -> str:
    """Given the reasons for one backup, return them without what is particular to it."""
    parts = because.split("; ")
    for pattern, words in _ALIKE:
        parts = [pattern.sub(words, part) for part in parts]
    return "; ".join(parts)


async def _deleted(state: StatePlace) -> dict[str, list[str]]:
    """Return why each backup was deleted, by server."""
    if state is None:
        return {}
    found: dict[str, list[str]] = {}
    async with looked_into(engine_for(state)) as journal:
        for rotation in reversed(await journal.recent(limit=1000)):
            done = {
                step.detail["uuid"]
                for step in rotation.steps
                if step.name in {StepName.DELETE_DONE, StepName.ROOM_DONE}
            }
            for step in rotation.steps:
                if step.name in {StepName.DELETE, StepName.ROOM} and step.detail["uuid"] in done:
                    found.setdefault(rotation.server, []).append(str(step.detail["because"]))
    return found


def _named_once(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Given rows that begin with a server, return them with its name only on its first row."""
    named: list[Sequence[str]] = []
    before = ""
    for server, *rest in rows:
        named.append(("" if server == before else server, *rest))
        before = server
    return named
