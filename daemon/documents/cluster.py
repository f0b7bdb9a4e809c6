"""The JSON of a cluster: its members, and what was copied to its database or back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from daemon.documents.commands import Document, moment

if TYPE_CHECKING:
    from daemon.state import Member


def cluster_document(members: "Sequence[Member]") -> Document:
    """`cluster status`: the members, the oldest first. The lease is what is left of it in seconds, 0 if it is over.

    It holds each `node PANEL/NODE`, `panel NAME` (the servers whose node is unknown) or `fleet` (the stores' alerts).
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
        ]
    }


def copied_document(copied: Mapping[str, int]) -> Document:
    """`state copy`: how many rows each table has in both places."""
    return {"tables": dict(copied)}
