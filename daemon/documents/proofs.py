"""The JSON documents of `prove`; the golden tests hold their keys."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from daemon.core.proof import Proof
from daemon.core.proof_due import Due
from daemon.documents.commands import About, Document, moment
from daemon.errors import BackupdError


@dataclass(frozen=True, slots=True)
class ServerProofs:
    """What `prove` did for one server: each reading, None where it could not be done for that error."""

    about: About
    read: Sequence[tuple[Due, Proof | None, BackupdError | None]] = ()
    error: BackupdError | None = None


@dataclass(frozen=True, slots=True)
class ServerDue:
    """What is due of one server, how many proven ones its policy lacks, and the failed proof that freezes it."""

    about: About
    due: Sequence[Due] = ()
    frozen: Proof | None = None
    error: BackupdError | None = None
    lacking: int = 0


def proved(servers: Iterable[ServerProofs]) -> Document:
    """Return the document of `prove`."""
    return {
        "servers": [
            {
                **asdict(one.about),
                "proofs": [_read(what, proof, error) for what, proof, error in one.read],
                "error": _error(one.error),
            }
            for one in servers
        ]
    }


def proofs_due(servers: Iterable[ServerDue], per_day: int | None, spent: int) -> Document:
    """Return the document of `prove --plan`."""
    return {
        "per_day": per_day,
        "read_today": spent,
        "servers": [
            {
                **asdict(one.about),
                "frozen": None if one.frozen is None else told(one.frozen),
                "due": [_due(what) for what in one.due],
                "error": _error(one.error),
            }
            for one in servers
        ],
    }


def proof_accepted(about: About, proofs: Sequence[Proof], *, changed: bool) -> Document:
    """Return the document of `prove accept`."""
    return {**asdict(about), "changed": changed, "accepted": [told(one) for one in proofs]}


def told(proof: Proof) -> Document:
    """Return one proof as every document has it; `reached` is null where something is wrong."""
    return {
        "uuid": proof.backup,
        "name": proof.name,
        "store": proof.store or None,
        "created_at": moment(proof.made_at),
        "at": moment(proof.at),
        "level": proof.asked.value,
        "reached": proof.reached.value if proof.reached else None,
        "files": proof.files,
        "unpacked": proof.bytes,
        "problems": list(proof.problems),
    }


def _read(what: Due, proof: Proof | None, error: BackupdError | None) -> Document:
    result = "failed" if proof is None else "bad" if proof.problems else "proven"
    return {
        "uuid": what.backup,
        "name": what.name,
        "store": what.store or None,
        "bytes": what.bytes,
        "result": result,
        "level": what.level.value,
        "reached": proof.reached.value if proof and proof.reached else None,
        "files": proof.files if proof else None,
        "unpacked": proof.bytes if proof else None,
        "problems": list(proof.problems) if proof else [],
        "error": _error(error),
    }


def _due(what: Due) -> Document:
    return {
        "uuid": what.backup,
        "name": what.name,
        "store": what.store or None,
        "bytes": what.bytes,
        "level": what.level.value,
        "by": moment(what.by),
        "why": what.why.name.lower(),
    }


def _error(error: BackupdError | None) -> Document | None:
    return None if error is None else {"code": error.code, "text": error.text, "hint": error.hint}
