"""The JSON of a cluster: its members, and what was copied to its database or back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daemon.documents.commands import Document, moment

if TYPE_CHECKING:
    from daemon.state import Member, SentOut


def cluster_document(members: "Sequence[Member]", out: "Sequence[SentOut]" = ()) -> Document:
    """`cluster status`: the members, the oldest first. The lease is what is left of it in seconds, 0 if it is over.

    It holds each `node PANEL/NODE`, `panel NAME` (the servers whose node is unknown) or `fleet` (the stores' alerts).
    `out` are the members that an operator sent out, or evicted, whether they are there or not.
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
            }
            for one in members
        ],
        "out": [{"name": one.name, "since": moment(one.since), "by": one.by, "evicted": one.evicted} for one in out],
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
