"""The status as JSON, for scripts. As everywhere: times are RFC 3339, spans in seconds, sizes in bytes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from daemon import __version__
from daemon.core.model import State
from daemon.core.units import rfc3339
from daemon.documents.drills import drill_recorded
from daemon.documents.proofs import told
from daemon.documents.stores import stores_document
from daemon.rotation.outcome import Problem
from daemon.status.copies import StoreStatus
from daemon.status.history import Ended, ServerHistory
from daemon.status.server_status import Progress, ServerStatus
from daemon.status.snapshot import Tally

if TYPE_CHECKING:  # it loads the whole fleet, which the command `status` does without
    from daemon.status.fleet_status import FleetStatus

Document = dict[str, Any]


def status(
    fleet_status: "FleetStatus", statuses: Iterable[ServerStatus], stores: Iterable[StoreStatus] = ()
) -> Document:
    """Return the whole fleet, in the order of the configuration."""
    return {
        "schema": 1,
        "version": __version__,
        "now": rfc3339(fleet_status.tracker.clock.now()),
        "ready": not fleet_status.ailments(),
        "notes": [*fleet_status.ailments(), *fleet_status.notes()],
        "servers": [_server(status) for status in statuses],
        "stores": stores_document(stores)["stores"],
        "members": [
            {"member": name, "nodes": [{"panel": panel, "node": node} for panel, node in nodes]}
            for name, nodes in fleet_status.holders().items()
        ],
    }


def _server(status: ServerStatus) -> Document:
    snapshot, last = status.history.snapshot, status.history.last
    return {
        "server": status.name,
        "panel": status.server.panel.name,
        "policy": status.server.policy.name,
        "node": snapshot.node if snapshot else None,
        "troubles": troubles(status),
        "newest_good_at": _moment(status.good_at),
        "interval": _seconds(status.times.interval),
        "overdue": status.overdue,
        "overdue_at": _moment(status.times.overdue_at),
        "next_start": _moment(status.times.next_start),
        "under_way": _under_way(status.progress) if status.progress else None,
        "last": _last(last) if last else None,
        "failures": status.history.failures,
        "held": held(status.history),
        "seen_at": _moment(snapshot.at if snapshot else None),
        "backups": _backups(status.tally, status.limit) if snapshot else None,
        "copies": copies(status),
        "proof": proof(status),
        "drill": drill(status),
    }


def troubles(status: ServerStatus) -> list[Document]:
    """Return all that is wrong with a server, the worst first."""
    return [{"kind": one.kind.value.replace(" ", "_"), "text": one.text, "hint": one.hint} for one in status.troubles]


def copies(status: ServerStatus) -> list[Document]:
    """Return how a server stands in each of its stores."""
    return [
        {
            "store": one.store,
            "state": one.state.value if one.state else None,
            "newest": _moment(one.newest),
            "copies": one.copies,
            "bytes": one.bytes,
            "waiting_since": _moment(one.since),
            "next_try": _moment(one.next_at),
            "error": one.error or None,
            "late": one.late(status.now),
        }
        for one in status.copies
    ]


def proof(status: ServerStatus) -> Document | None:
    """Return how a server's backups are proven; null if they are not to be, unless a failed proof freezes it."""
    known = status.proof
    if known is None:
        return None
    return {
        "level": known.level.value,
        "newest": None if known.proven is None else told(known.proven),
        "frozen": None if known.frozen is None else told(known.frozen),
        "unproven": known.unproven,
        "late_at": _moment(known.late_at),
        "late": known.late(status.now),
    }


def drill(status: ServerStatus) -> Document | None:
    """Return how a server's backups fare in drills; null if no drill tries them."""
    known = status.drill
    if known is None:
        return None
    return {
        "good": None if known.good is None else drill_recorded(known.good),
        "failed": None if known.failed is None else drill_recorded(known.failed),
    }


def held(history: ServerHistory) -> Document | None:
    """Return how many deletions the brake holds, and since when; null if it holds none."""
    return None if history.held is None else {"count": history.held, "since": _moment(history.held_since)}


def _under_way(progress: Progress) -> Document:
    return {
        "trigger": progress.work.trigger,
        "began_at": _moment(progress.work.began_at),
        "stage": progress.work.stage.value,
        "share": None if progress.share is None else round(progress.share, 3),
        "left": _seconds(progress.left),
        "member": progress.work.member or None,
    }


def _last(last: Ended) -> Document:
    return {
        "trigger": last.trigger,
        "began_at": _moment(last.began_at),
        "ended_at": _moment(last.ended_at),
        "result": last.result.value,
        "good": last.good,
        "created": last.created,
        "deleted": last.deleted,
        "retry_at": _moment(last.retry_at),
        "problems": [_problem(problem) for problem in last.problems],
    }


def _problem(problem: Problem) -> Document:
    return {"code": problem.code, "text": problem.text, "hint": problem.hint}


def _backups(tally: Tally, limit: int | None) -> Document:
    states = {state.value: tally.states.get(state, 0) for state in State}
    return {
        "total": tally.total,
        **states,
        "locked": tally.locked,
        "own": tally.own,
        "kept": tally.kept,
        "bytes": tally.bytes,
        "limit": limit,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else round(length.total_seconds())
