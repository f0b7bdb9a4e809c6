"""What the configuration says of a panel, for the hints of errors that it can be to blame for. Never the key itself."""

from dataclasses import dataclass

from daemon.core.addresses import masked
from daemon.panel.errors import KeyRefusedError, PanelError, PanelUnreachableError


@dataclass(frozen=True, slots=True)
class Configured:
    """A panel's name in the configuration, its url, and where its key comes from, in words; empty if unknown."""

    name: str
    url: str
    key_from: str = ""

    def name_in(self, error: PanelError) -> None:
        """Let the hint of an error name the key of the configuration that decides, and its value, if one does."""
        if isinstance(error, PanelUnreachableError):
            error.hint += f"; panels.{self.name}.url is {masked(self.url)}"
        elif isinstance(error, KeyRefusedError) and self.key_from and error.hint != error.foreign_hint:
            error.hint += f"; the key that it refuses is from {self.key_from}"
