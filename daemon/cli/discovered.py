"""Discovery for commands: before they choose servers, look at the panels.

No panel is asked if it has no discovery, or if every server that was named is configured; then nothing is loaded for
it either.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.cli.ui.output import say, say_error
from daemon.clock import SystemClock
from daemon.config.values import Config
from daemon.errors import Exit
from daemon.panel.errors import PanelError


@dataclass(frozen=True, slots=True)
class Covering:
    """The configuration with the discovered servers, and the panels that could not be looked at."""

    config: Config
    errors: Mapping[str, PanelError] = field(default_factory=dict)

    def exit_code(self, code: Exit) -> Exit:
        """Report the panels that could not be looked at, and return the command's exit code, which is then not 0."""
        for panel, error in self.errors.items():
            say_error(error, about=f"{panel}, where servers are discovered")
        if not self.errors or code is not Exit.DONE:
            return code
        return Exit.SOME_FAILED if self.config.servers else Exit.FAILED


async def cover(config: Config, names: Sequence[str] = ()) -> Covering:
    """Return the configuration with the discovered servers among these names, or all of them.

    Raises PanelError if a name is unknown and a panel that may know it does not answer.
    """
    if not config.discover or (names and config.servers.keys() >= set(names)):
        return Covering(config)
    from daemon.fleet.discovery import look  # noqa: PLC0415 — a command that asks no panel must not pay for its client
    from daemon.rotation.setup import open_clients  # noqa: PLC0415 — as above

    panels = [config.panels[name] for name in config.discover]
    async with open_clients(panels, SystemClock(), say) as clients:
        coverage, errors = await look(config, clients)
    if errors and not coverage.config.servers.keys() >= set(names):
        raise next(iter(errors.values()))
    return Covering(coverage.config, errors)


def covered_now(config: Config, names: Sequence[str] = ()) -> Covering:
    """As `cover`, where no event loop runs."""
    return asyncio.run(cover(config, names)) if config.discover else Covering(config)
