"""Which backups a remembered shelf has copies of, and what is damaged there: read quickly, for what only shows it."""

import json

from daemon.core.proof import Proofs
from daemon.state import ShelfRecord


def backups_listed(detail: str) -> frozenset[str]:
    """Given what the catalogue holds of a shelf, return the uuids of the backups that have a whole copy there.

    What cannot be read holds none: it is a cache.
    """
    try:
        return frozenset(str(one["backup"]["uuid"]) for one in json.loads(detail)["manifests"].values())
    except (AttributeError, KeyError, TypeError, ValueError):
        return frozenset()


def damage_listed(detail: str) -> dict[str, str]:
    """Return what is damaged on a shelf, in words, by the keys of the copies; nothing where that cannot be read."""
    try:
        return {str(key): str(text) for key, text in json.loads(detail)["damaged"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def damage_of(shelf: ShelfRecord, proofs: Proofs) -> str:
    """Return in a sentence how many copies of a server are damaged in a store, and one of them; empty where none is.

    A copy is damaged if the last look into the store found it so, or if a proof failed that nobody accepted.
    """
    store = shelf.holding.store
    wrong = [f"{key.rpartition('/')[2]}: {text}" for key, text in sorted(damage_listed(shelf.detail).items())]
    if any(one.store == store and one.problems for one in proofs):
        failed = (proofs.failed(uuid, store) for uuid in sorted(backups_listed(shelf.detail)))
        wrong += [f"{proof.name}: {'; '.join(proof.problems)}" for proof in failed if proof]
    if not wrong:
        return ""
    if len(wrong) == 1:
        return f"A copy in {store} is damaged: {wrong[0]}."
    return f"{len(wrong)} copies in {store} are damaged, such as {wrong[0]}."
