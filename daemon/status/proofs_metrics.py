"""The metrics of proofs, for each server that is to be proven, that a failed one freezes, or that was read since the
daemon began. There are none without one.
"""

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

from daemon.status.families import counter, gauge, timestamp
from daemon.status.proofs import ProofCounts, ProofStatus
from daemon.status.server_status import ServerStatus

_SERVER = ("server",)


def proofs_metrics(statuses: Sequence[ServerStatus], counts: ProofCounts) -> Iterator[Metric]:
    """Yield all of them."""
    known = [(one.name, one.proof) for one in statuses if one.proof is not None]
    wanted = [(name, proof) for name, proof in known if proof.wanted]
    if wanted:
        yield from _standing(wanted)
    if known:
        yield gauge(
            "deletion_frozen",
            "Whether nothing of the server is deleted, since a proof failed.",
            _SERVER,
            (((name,), proof.frozen is not None) for name, proof in known),
        )
    if read := [one.name for one in statuses if one.name in counts.proofs or (one.proof and one.proof.wanted)]:
        yield from _counted(read, counts)


def _standing(known: Sequence[tuple[str, ProofStatus]]) -> Iterator[Metric]:
    yield gauge(
        "last_proven_timestamp_seconds",
        "When a backup of the server was last read and found right, by how deep it was; none where none was.",
        ("server", "level"),
        (
            ((name, level.value), moment.timestamp())
            for name, proof in known
            for level, moment in sorted(proof.read_at.items(), key=lambda one: one[0].depth)
        ),
    )
    late = (((name,), timestamp(proof.late_at)) for name, proof in known)
    yield gauge(
        "proof_late_timestamp_seconds",
        "From when on no new backup of the server is proven for too long; none where none waits for it.",
        _SERVER,
        ((labels, moment) for labels, moment in late if moment is not None),
    )
    yield gauge(
        "unproven_backups",
        "How many good backups of the server are not proven, as last seen.",
        _SERVER,
        (((name,), proof.unproven) for name, proof in known),
    )


def _counted(names: Sequence[str], counts: ProofCounts) -> Iterator[Metric]:
    families = (
        ("proofs", "Backups and copies of the server that were read to their end.", counts.proofs),
        ("proof_failures", "Those of them that were found wrong.", counts.failed),
        ("proof_bytes", "How many bytes were read for them.", counts.bytes),
        ("proof_seconds", "How long that took.", counts.seconds),
    )
    for name, words, counted in families:
        yield counter(name, words, _SERVER, [((server,), counted.get(server, 0)) for server in names])
