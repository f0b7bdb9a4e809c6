"""The JSON documents of `copies` and `stores`; the same rules hold as for those of the other commands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from daemon.core.proof import Level
from daemon.documents.commands import Document, moment
from daemon.documents.stores import store_document

if TYPE_CHECKING:
    from daemon.config.values import ServerConfig, StoreConfig
    from daemon.copies.manifest import Manifest
    from daemon.copies.outcome import CopyOutcome, ServerResult
    from daemon.copies.prune import PruneResult
    from daemon.copies.shelf import Shelf
    from daemon.copies.verify import Verified
    from daemon.core.copies_prune import CopyVerdict, Pruning
    from daemon.core.proof import Proof, Proofs
    from daemon.errors import BackupdError
    from daemon.state import Holding


@dataclass(frozen=True)
class StoreSeen:
    """One store, and what was seen in it, of each server; or why it could not be looked at.

    So many copies of other installations were `adopted`, and so many are `foreign`: other installations' still. So many
    are `damaged`, and do not count.
    """

    config: "StoreConfig"
    seen: "Sequence[Holding]"
    error: "BackupdError | None" = None
    adopted: int = 0
    foreign: int = 0
    damaged: int = 0


@dataclass(frozen=True)
class ShelfListed:
    """What a store was last seen to hold of a server, what its rules say of that, and what proofs were made of it.

    `decided` is None if the server's policy does not name the store: nothing of it is pruned there. `locks` says that
    the store locks copies, of which a lock may not be known.
    """

    store: str
    shelf: "Shelf"
    decided: "Pruning | None"
    proofs: "Proofs"
    locks: bool = False

    @cached_property
    def verdicts(self) -> "dict[str, CopyVerdict]":
        """What becomes of each copy, and why, by the key of its data."""
        return {one.copy.name.data: one for one in self.decided.verdicts} if self.decided else {}

    def proof(self, manifest: "Manifest") -> "Proof | None":
        """Return what shows a copy to be wrong, else its last proof; None if it was not read since it was made."""
        backup = manifest.backup.uuid
        return self.proofs.failed(backup, self.store) or self.proofs.last(backup, Level.READ, self.store)


@dataclass(frozen=True)
class CopyVerified:
    """One copy that was read back: what it was found to be, or why it could not be read."""

    server: "ServerConfig"
    store: str
    manifest: "Manifest"
    found: "Verified | None"
    error: "BackupdError | None" = None

    @property
    def result(self) -> str:
        """Good, bad, or failed."""
        if self.found is None:
            return "failed"
        return "bad" if self.found.problems else "good"


def verified(results: "Iterable[CopyVerified]") -> Document:
    """`copies verify`: each copy that was read back."""
    return {"copies": [_verified(one) for one in results]}


def _verified(one: CopyVerified) -> Document:
    contents = one.found.contents if one.found else None
    problems, warnings = (one.found.problems, one.found.warnings) if one.found else ((), ())
    return {
        **_about(one.server),
        "store": one.store,
        "uuid": one.manifest.backup.uuid,
        "name": one.manifest.backup.name,
        "key": one.manifest.stored.key,
        "result": one.result,
        "level": one.found.level if one.found else None,
        "games": None if one.found is None or one.found.games is None else list(one.found.games),
        "files": contents.files if contents else None,
        "unpacked": contents.bytes if contents else None,
        "problems": [{"code": problem.code, "text": problem.text} for problem in problems],
        "warnings": [{"code": warning.code, "text": warning.text} for warning in warnings],
        "error": _error(one.error),
    }


def listed(found: "Iterable[tuple[ServerConfig, Sequence[ShelfListed]]]") -> Document:
    """`copies list`."""
    return {"servers": [_server(server, shelves) for server, shelves in found]}


def copied(results: "Iterable[ServerResult]") -> Document:
    """`copies run`."""
    return {"servers": [_result(result) for result in results]}


def fetched(server: "ServerConfig", store: str, manifest: "Manifest", path: str, *, decrypted: bool) -> Document:
    """`copies fetch`: the file that is there now, and what its sums were found to be."""
    opened = decrypted or manifest.encryption is None
    told, stored = manifest.backup, manifest.stored
    return {
        **_about(server),
        "store": store,
        "uuid": told.uuid,
        "name": told.name,
        "key": stored.key,
        "path": path,
        "encrypted": not opened,
        "bytes": told.bytes if opened else stored.bytes,
        "sha256": told.sha256 if opened else stored.sha256,
        "checksum": told.checksum if opened else None,
    }


def scanned(seen: Iterable[StoreSeen]) -> Document:
    """`copies rescan`."""
    return {
        "stores": [
            {**store_document(one.config, one.seen), "adopted": one.adopted, "error": _error(one.error)} for one in seen
        ]
    }


def pruned(results: "Iterable[PruneResult]", *, dry_run: bool) -> Document:
    """`copies prune`: each server in each store, with every verdict."""
    return {"dry_run": dry_run, "servers": [_pruned(result) for result in results]}


def _pruned(result: "PruneResult") -> Document:
    decided = result.decided
    return {
        **_about(result.server),
        "store": result.store,
        "refused": None if decided is None else decided.refused,
        "waits": None if decided is None else decided.waits,
        "copies": [] if decided is None else [_verdict(one) for one in decided.verdicts],
        "deleted": [copy.name.data for copy in result.deleted],
        "cleared": [one.key for one in result.cleared],
        "renewed": [copy.name.data for copy in result.renewed],
        "error": _error(next(iter(result.errors), None)),
    }


def _verdict(one: "CopyVerdict") -> Document:
    return {
        "uuid": one.copy.backup.uuid,
        "name": one.copy.backup.name,
        "created_at": moment(one.copy.name.created_at),
        "key": one.copy.name.data,
        **_decided(one),
    }


def _decided(one: "CopyVerdict | None") -> Document:
    if one is None:
        return {"verdict": None, "reasons": []}
    reasons = [{"rule": reason.rule, "slot": reason.slot, "text": reason.text} for reason in one.reasons]
    return {"verdict": one.action.value, "reasons": reasons}


def _server(server: "ServerConfig", shelves: "Sequence[ShelfListed]") -> Document:
    return {**_about(server), "stores": [_shelf(one) for one in shelves]}


def _shelf(one: ShelfListed) -> Document:
    shelf, decided = one.shelf, one.decided
    return {
        "store": one.store,
        "seen_at": moment(shelf.seen_at),
        "refused": None if decided is None else decided.refused,
        "waits": None if decided is None else decided.waits,
        "copies": [_copy(one, manifest) for _, manifest in sorted(shelf.manifests.items(), reverse=True)],
        "damaged": [{"key": key, "text": text} for key, text in sorted(shelf.damaged.items())],
        "unfinished": sorted(shelf.loose),
    }


def _copy(one: ShelfListed, manifest: "Manifest") -> Document:
    told, proof = manifest.backup, manifest.proof
    return {
        "uuid": told.uuid,
        "name": told.name,
        "created_at": moment(told.created_at),
        "bytes": told.bytes,
        "checksum": told.checksum,
        "sha256": told.sha256,
        "key": manifest.stored.key,
        "stored_bytes": manifest.stored.bytes,
        "encrypted": manifest.encryption is not None,
        "copied_at": moment(manifest.written_at),
        "installation": manifest.installation,
        "proof": {"level": proof.level, "at": moment(proof.at), "unverified": proof.unverified},
        "last_proof": _proof(one.proof(manifest)),
        "locked_until": moment(one.shelf.locks.get(manifest.stored.key)),
        **_decided(one.verdicts.get(manifest.stored.key)),
    }


def _proof(proof: "Proof | None") -> Document | None:
    """Return the last proof; `reached` is null where something is wrong."""
    if proof is None:
        return None
    reached = proof.reached.value if proof.reached else None
    return {
        "at": moment(proof.at),
        "level": proof.asked.value,
        "reached": reached,
        "problems": list(proof.problems),
        "accepted": proof.accepted,
    }


def _result(result: "ServerResult") -> Document:
    return {
        **_about(result.config),
        "copies": [_one(copy) for copy in result.copies],
        "stores": [
            {"store": store, "error": _error(error)} for store, error in [*result.troubles.items(), *result.problems]
        ],
        "cleared": [{"store": store, "key": one.key, "text": one.text} for store, one in result.cleared],
        "mended": [{"store": store, "key": one.key, "text": one.text} for store, one in result.mended],
        "error": _error(result.error),
    }


def _one(copy: "CopyOutcome") -> Document:
    return {
        "store": copy.store,
        "uuid": copy.backup.uuid,
        "name": copy.backup.name,
        "result": "failed" if copy.manifest is None else "done",
        "source": copy.source,
        "key": None if copy.manifest is None else copy.manifest.stored.key,
        "stored_bytes": None if copy.manifest is None else copy.manifest.stored.bytes,
        "error": _error(copy.error),
    }


def _about(server: "ServerConfig") -> Document:
    return {"server": server.name, "panel": server.panel.name, "id": server.id}


def _error(error: "BackupdError | None") -> Document | None:
    return None if error is None else {"code": error.code, "text": error.text, "hint": error.hint}
