"""The JSON of a cluster: its members, and what was copied to its database or back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daemon.documents.commands import Document, moment

if TYPE_CHECKING:
    from daemon.core.agreement import Disagreement
    from daemon.state import ClusterSeen


def cluster_document(seen: "ClusterSeen", where: "Disagreement", names: Mapping[str, str]) -> Document:
    """`cluster status`: the members, the oldest first. The lease is what is left of it in seconds, 0 if it is over.

    It holds each `node PANEL/NODE`, `panel NAME` (the servers whose node is unknown) or `fleet` (the stores' alerts).
    `out` are the members that an operator sent out, or evicted, whether they are there or not. `differ` says where the
    daemons would decide differently: by `versions` on all servers, else on those named, and in each `store NAME`; with
    `names` by keys. A member's `decisions` are null if it has not said which version of them it has; it is `cut_off`
    from the panels that it says it cannot reach.
    """
    return {
        "members": [
            {
                "name": one.name,
                "process": one.process,
                "epoch": one.epoch,
                "role": one.role,
                "since": moment(one.since),
                "lease": round(max(0.0, one.left), 3),
                "holds": list(one.holds),
                "decisions": said.decisions if (said := seen.opinions.get(one.epoch)) else None,
                "cut_off": sorted(seen.cut_off.get(one.epoch, ())),
            }
            for one in seen.members
        ],
        "out": [
            {"name": one.name, "since": moment(one.since), "by": one.by, "evicted": one.evicted} for one in seen.out
        ],
        "differ": {"versions": where.versions, "on": sorted(names.get(key, key) for key in where.keys)},
        "promoted_at": moment(seen.promoted_at),
    }


def left_document(member: str, holds: Sequence[str]) -> Document:
    """`cluster leave`: what the member still holds, since something is done there."""
    return {"member": member, "holds": list(holds)}


def joined_document(member: str, *, was_out: bool) -> Document:
    """`cluster join`: whether the member was out."""
    return {"member": member, "was_out": was_out}


def evicted_document(member: str, epochs: Sequence[int]) -> Document:
    """`cluster evict`: the epochs that were ended."""
    return {"member": member, "epochs": list(epochs)}


def copied_document(copied: Mapping[str, int]) -> Document:
    """`state copy`: how many rows each table has in both places."""
    return {"tables": dict(copied)}
