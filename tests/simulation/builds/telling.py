"""What is told and asked: broken errors, alerts, metrics and looks."""

from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import daemon.alerts.dispatcher
import daemon.alerts.memory
import daemon.core.plan
import daemon.core.retention
import daemon.core.states
import daemon.fleet.fleet
import daemon.panel.client
import daemon.panel.decode
import daemon.panel.http
import daemon.panel.listing
import daemon.panel.transport
import daemon.panel.wire
import daemon.rotation.create
import daemon.rotation.delete
import daemon.rotation.report
import daemon.rotation.rotate
import daemon.rotation.run
import daemon.rotation.wait
import daemon.status.history
from daemon.core.alerting import RotationReport
from daemon.panel.answers import ApiCall
from daemon.panel.errors import (
    NotFoundError,
    PanelError,
)
from daemon.rotation.run import Run
from daemon.status.history import Good
from tests.simulation.builds.registry import PATCH, broken, original


@broken("the key stands in an error", "10")
def _tells_the_key() -> AbstractContextManager[Any]:
    return _telling(lambda key: key)


@broken("the key stands in an error, in another code", "10")
def _tells_the_coded_key() -> AbstractContextManager[Any]:
    return _telling(lambda key: b64encode(f"user:{key}".encode()).decode())


def _telling(write: Callable[[str], str]) -> AbstractContextManager[Any]:
    """Let what is said of a lost answer hold the key, so written."""
    real = daemon.panel.http.lost

    def lost(error: Exception, call: ApiCall, key: Any) -> PanelError:
        told = real(error, call, key)
        told.text += f" (sent with {write(key.get_secret_value())})"
        return told

    return PATCH(daemon.panel.http, "lost", lost)


@broken("whatever was made is told as good news", "told", first=1)
def _tells_good_news() -> AbstractContextManager[Any]:
    return PATCH(
        daemon.alerts.dispatcher, "report_of", lambda order, outcome: RotationReport(good=outcome.created is not None)
    )


@broken(
    "what waits for a receiver is forgotten at a restart",
    "news",
    insist={"receiver of alerts down": 0.5, "killed at a moment": 0.2},
    first=14,
)
def _forgets_what_waits() -> AbstractContextManager[Any]:
    async def waiting(_: Any, *, alone: bool) -> dict[str, Any]:
        return {}

    return PATCH(daemon.alerts.memory, "waiting", waiting)


@broken("the metrics show when was looked, and not when the newest good one was made", "told", first=1)
def _shows_another_moment() -> AbstractContextManager[Any]:
    return PATCH(daemon.status.history, "good_in", lambda snapshot: Good(snapshot.at))


@broken("the panel is asked without a pause", "calm")
def _asks_all_the_time() -> AbstractContextManager[Any]:
    async def sleep(run: Run, delay: Any) -> None:
        await run.context.clock.sleep(4.0)

    return PATCH(daemon.rotation.wait, "_sleep", sleep)


@broken(
    "whoever answers 404 means that the backup is gone",
    "told",
    insist={"404 page": 0.6, "error of the node": 0.3},
    first=42,
)
def _believes_every_404() -> AbstractContextManager[Any]:
    real = original(daemon.panel.transport, "refusal")

    def refusal(answer: Any, *given: Any, **options: Any) -> PanelError:
        told = real(answer, *given, **options)
        return NotFoundError(told.text, status=404) if answer.status == 404 else told

    return PATCH(daemon.panel.transport, "refusal", refusal)
