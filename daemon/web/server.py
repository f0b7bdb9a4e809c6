"""The way into this package: it loads the rest only once a configuration asks for HTTP, since that costs memory."""

from typing import TYPE_CHECKING

from daemon._imports import standing_in
from daemon.config.values import HttpConfig
from daemon.errors import BackupdError
from daemon.log import get_logger
from daemon.status.fleet_status import FleetStatus

if TYPE_CHECKING:
    from daemon.web.site import Site

log = get_logger()

_UNUSED = ("uvicorn.main", "logging.config", "http.server", "socketserver", "wsgiref.simple_server")
"""uvicorn's command line with click and multiprocessing, its settings for logging, and prometheus-client's own servers:
2.5 MiB that the daemon would keep.
"""


class Http:
    """The daemon's HTTP, at one address, or at none."""

    def __init__(self, fleet_status: FleetStatus) -> None:
        self._fleet_status = fleet_status
        self._site: Site | None = None

    async def follow(self, config: HttpConfig | None) -> None:
        """Listen where the configuration says, or nowhere; raises BackupdError if that is impossible."""
        if self._site is None and config is not None:
            with standing_in(*_UNUSED):
                from daemon.web.site import Site  # noqa: PLC0415 — a daemon without HTTP must not pay for it

            self._site = Site(self._fleet_status)
        if self._site is not None:
            await self._site.follow(config)

    async def follow_or_stay(self, config: HttpConfig | None) -> None:
        """As `follow`, after a reload: if it cannot listen there, everything stays as it was."""
        try:
            await self.follow(config)
        except BackupdError as error:
            log.warning("http_unchanged", text=error.text, hint=error.hint)
