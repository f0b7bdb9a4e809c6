"""What other members of a cluster have under way, as far as the journal tells it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.rotation.order import Stage
from daemon.state import StepName, UnderWay
from daemon.status.server_status import ServerStatus, Work, progress_of

STAGES: Mapping[str | None, Stage] = {
    StepName.CREATE: Stage.CREATING,
    StepName.CREATED: Stage.WAITING,
    StepName.ADOPTED: Stage.WAITING,
    StepName.TURNED_GOOD: Stage.DELETING,
    StepName.PLANNED: Stage.DELETING,
    StepName.DELETE: Stage.DELETING,
    StepName.DELETE_DONE: Stage.DELETING,
    StepName.DELETE_REFUSED: Stage.DELETING,
}
"""What follows these steps; a rotation that has made none of them is at its beginning."""


def with_work_elsewhere(status: ServerStatus, under_way: UnderWay | None) -> ServerStatus:
    """Return how a server stands, with the rotation that another member has under way for it, if there is one."""
    server = status.server
    if under_way is None or status.progress is not None:
        return status
    if not server.stands_for(under_way.panel, under_way.server_uuid):
        return status  # by the configuration here another server has that name
    return replace(status, progress=progress_of(_work(under_way, status.now), status.history))


def _work(under_way: UnderWay, now: datetime) -> Work:
    waited, step_at = None, under_way.step_at
    if under_way.step == StepName.CREATED and step_at is not None:
        waited = max(now - step_at, timedelta(0))
    stage = STAGES.get(under_way.step, Stage.BEGINNING)
    return Work(under_way.trigger, under_way.began_at, stage, waited, under_way.member)
