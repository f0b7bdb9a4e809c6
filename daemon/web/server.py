"""The way into this package: it loads the rest only once a configuration asks for HTTP, since that costs memory."""

from typing import TYPE_CHECKING

from daemon.config.values import HttpConfig
from daemon.errors import BackupdError
from daemon.log import get_logger
from daemon.status.fleet_status import FleetStatus

if TYPE_CHECKING:
    from daemon.web.site import Site

log = get_logger()


class Http:
    """The daemon's HTTP, at one address, or at none."""

    def __init__(self, fleet_status: FleetStatus) -> None:
        self._fleet_status = fleet_status
        self._site: Site | None = None

    async def follow(self, config: HttpConfig | None) -> None:
        """Listen where the configuration says, or nowhere; raises BackupdError if that is impossible."""
        if self._site is None and config is not None:
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
