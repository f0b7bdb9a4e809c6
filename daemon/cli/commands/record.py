"""Reading the journal for `history` and `status`, without creating one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.cli.ui.output import say
from daemon.config.values import StatePlace, place_name
from daemon.state import Engine, Journal, Rotation, looked_into


@asynccontextmanager
async def opened_journal(engine: Engine, place: StatePlace) -> AsyncIterator[Journal]:
    """Give the engine's journal; if there is none, say why and give an empty one."""
    async with looked_into(engine) as journal:
        if place is None:
            say('note: state_dir is "none", so nothing is remembered')
        elif not journal.persistent:
            say(f"note: there is no journal in {place_name(place)} yet")
        yield journal


def step_of(rotation: Rotation) -> str | None:
    """Return the last known step of a rotation."""
    return rotation.steps[-1].name if rotation.steps else None


def how_far(rotation: Rotation, *, alive: bool) -> str:
    """Return how far a rotation is that has not ended, or where it was broken off."""
    step = step_of(rotation) or "beginning"
    return step if alive else f"broken off at {step}"


def what_came(rotation: Rotation) -> str:
    """Return what a rotation made and deleted, and what was wrong, on one line."""
    summary = rotation.summary
    parts = [f"created {summary['created']['name']}"] if summary.get("created") else []
    if deleted := len(summary.get("deleted", ())):
        parts.append(f"deleted {deleted}")
    if summary.get("kept") is not None:
        parts.append(f"kept {summary['kept']}")
    return "; ".join([*parts, *(problem["text"] for problem in summary.get("problems", ()))])
