"""What may keep a write from leaving for a panel at the last moment: in a cluster, others may have taken over."""

from typing import Protocol

from daemon.panel.errors import HeldBackError

LOOKED_AT_BY_OTHERS = "the next rotation goes on with it, here or at another member: see `ptero-backupd cluster status`"


class Hindrance(Protocol):
    """Says why no write may leave now; empty if one may."""

    def __call__(self, *, creates: bool) -> str:
        """Return the reason; `creates` says that the write makes a backup."""
        ...


def unhindered(*, creates: bool) -> str:  # noqa: ARG001 — the same for all
    """Return that nothing hinders."""
    return ""


def must_be_let(hindrance: Hindrance, action: str, *, creates: bool, so_far: str = "nothing was sent") -> None:
    """Raise HeldBackError if there is a hindrance; `so_far` says what was sent of the write."""
    if reason := hindrance(creates=creates):
        raise HeldBackError(f"{action}: {reason}; {so_far}", hint=LOOKED_AT_BY_OTHERS)
