"""What the commands do before they name servers: look at the panels for those that are discovered.

Nothing is asked where nothing is discovered, nor where every server that was named is configured by hand.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.cli.ui.output import say, say_error
from daemon.clock import SystemClock
from daemon.config.values import Config
from daemon.errors import Exit
from daemon.fleet.discovery import look
from daemon.panel.errors import PanelError
from daemon.rotation.setup import open_clients


@dataclass(frozen=True, slots=True)
class Covering:
    """The configuration with what was discovered, and the panels that could not be looked at."""

    config: Config
    errors: Mapping[str, PanelError] = field(default_factory=dict)

    def exit_code(self, code: Exit) -> Exit:
        """Say what could not be looked at; return the command's exit code, which is then no longer 0."""
        for panel, error in self.errors.items():
            say_error(error, about=f"{panel}, where servers are discovered")
        if not self.errors or code is not Exit.DONE:
            return code
        return Exit.SOME_FAILED if self.config.servers else Exit.FAILED


async def cover(config: Config, names: Sequence[str] = ()) -> Covering:
    """Return the configuration in force for the servers of these names, or for all.

    Raises PanelError where a name is unknown and a panel that may know it does not answer.
    """
    if not config.discover or (names and config.servers.keys() >= set(names)):
        return Covering(config)
    panels = [config.panels[name] for name in config.discover]
    async with open_clients(panels, SystemClock(), say) as clients:
        coverage, errors = await look(config, clients)
    if errors and not coverage.config.servers.keys() >= set(names):
        raise next(iter(errors.values()))
    return Covering(coverage.config, errors)


def covered_now(config: Config, names: Sequence[str] = ()) -> Covering:
    """The same, where no event loop runs."""
    return asyncio.run(cover(config, names)) if config.discover else Covering(config)
