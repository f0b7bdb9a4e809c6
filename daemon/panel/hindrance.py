"""What may keep a write from leaving for a panel at the last moment: in a cluster, others may have taken over."""

from typing import Protocol


class Hindrance(Protocol):
    """Says why no write may leave now; empty if one may."""

    def __call__(self, *, creates: bool) -> str:
        """Return the reason; `creates` says that the write makes a backup."""
        ...


def unhindered(*, creates: bool) -> str:  # noqa: ARG001 — the same for all
    """Return that nothing hinders."""
    return ""
