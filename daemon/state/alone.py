"""The leadership of a daemon that has no others beside it."""

import asyncio

from daemon.state.base import Membership, Shares


class Alone:
    """No others to stand by: a daemon on a folder, or without state, acts at once and for good."""

    shares: Shares | None = None
    membership: Membership | None = None

    async def join(self) -> None:
        """Do nothing: there is nobody to join."""

    async def lost(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def give_up(self) -> None:
        """Do nothing: nobody waits."""

    def hindrance(self, *, creates: bool) -> str:  # noqa: ARG002 — the same for all
        """Return that nothing hinders."""
        return ""
