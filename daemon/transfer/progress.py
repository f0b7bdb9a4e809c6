"""Who hears how far a transfer is. It loads nothing: the daemon listens to transfers that another process makes."""

from typing import Protocol


class ProgressListener(Protocol):
    """Hears of a transfer's progress."""

    def moved(self, size: int) -> None:
        """That many bytes of the file are there."""
        ...

    def said(self, text: str) -> None:
        """Something happened that a person should know."""
        ...


class Unheard:
    """A ProgressListener for what nobody watches."""

    def moved(self, size: int) -> None:
        """Do nothing."""

    def said(self, text: str) -> None:
        """Do nothing."""
