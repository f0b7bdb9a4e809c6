"""What a store's rules say of a server's copies in it: what pruning would delete now, and why. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime

from daemon.config.values import ServerConfig, StoreConfig
from daemon.core.applied import AppliedRetention, brake_of
from daemon.core.brake import USUAL_SHARE, Applied, Brake
from daemon.core.copies_prune import Pruning, prune
from daemon.core.copy import Copy


def applied_in(server: ServerConfig, config: StoreConfig) -> Applied:
    """Return all that decides which copies of a server that store keeps."""
    return Applied(config.rules.retention(server.policy.retention), server.ownership)


def judge_copies(
    copies: Sequence[Copy],
    server: ServerConfig,
    config: StoreConfig,
    *,
    installation: str,
    applied: AppliedRetention,
    accepted: Collection[str],
    now: datetime,
    doubt: str = "",
    once: int | None = None,
) -> Pruning:
    """Given all copies of a server in a store, return what pruning deletes and keeps, or why it deletes nothing.

    `applied` is what was last applied there, `accepted` are the uuids of backups that an operator accepted, and `doubt`
    says why `now` is not to be trusted. `once` lifts the brake: so many copies may go (-1: any number), and at once.
    """
    present = applied_in(server, config)
    brake = brake_of(applied, present, most=config.max_deletions, share=USUAL_SHARE)
    return prune(
        copies,
        present.retention,
        installation=installation,
        ownership=present.ownership,
        brake=brake if once is None else Brake(once),
        now=now,
        doubt=doubt,
        accepted=accepted,
    )
