"""The JSON of `copies` and `stores`: its keys are a contract."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.config.values import StoreConfig
from daemon.copies.manifest import EncryptionPart, StoredPart
from daemon.copies.outcome import CopyOutcome, ServerResult
from daemon.copies.prune import PruneResult
from daemon.copies.results import Cleared, Mended
from daemon.copies.shelf import Shelf
from daemon.copies.verify import Verified
from daemon.core.copies_found import Sighting
from daemon.core.copies_prune import CopyVerdict, Pruning
from daemon.core.copies_queue import StoreTrouble
from daemon.core.keep import Keep
from daemon.core.model import Action, Reason
from daemon.core.proof import Level, Proof, Proofs
from daemon.core.store_rules import StoreRules
from daemon.documents.copies import (
    CopyVerified,
    ShelfListed,
    StoreSeen,
    copied,
    fetched,
    listed,
    pruned,
    scanned,
    verified,
)
from daemon.documents.stores import stores_document
from daemon.errors import ProblemCode
from daemon.state import Holding
from daemon.status.copies import StoreStatus
from daemon.stores.errors import StoreFullError
from daemon.stores.values import DirectoryLocation, StoreSettings
from daemon.transfer.verify import Complaint, Contents
from tests.config.support import loaded
from tests.copies.support import BACKUP, KEY, MADE, SERVER, SHA256, Told

SEEN = datetime(2026, 4, 1, 12, tzinfo=UTC)
SHELF = Shelf(
    SEEN, {KEY: Told().manifest()}, damaged={"b.tar.gz": "its data is gone"}, loose={"c": Sighting(1, None, SEEN)}
)
STORE = StoreConfig(StoreSettings("nas", DirectoryLocation(Path("/mnt/nas"))), StoreRules("nas", Keep.parse("all")))
ABOUT = {"server": "survival", "panel": "main", "id": "1a7ce997"}
FULL = StoreFullError("no room")
TOLD = {"code": "store-full", "text": "no room", "hint": FULL.hint}


def test_copies_list(tmp_path: Path) -> None:
    """One server in one store: a whole copy, a damaged one, and what was not finished."""
    server = loaded(tmp_path).servers["survival"]
    listed_copy = {
        "uuid": BACKUP,
        "name": "auto-survival-20260401T040000Z-904df120",
        "created_at": "2026-04-01T04:00:00Z",
        "bytes": 1000,
        "checksum": f"sha1:{'b' * 40}",
        "sha256": SHA256,
        "key": KEY,
        "stored_bytes": 1000,
        "encrypted": False,
        "copied_at": "2026-04-01T04:09:30Z",
        "installation": "installation-1",
        "proof": {"level": "walked", "at": "2026-04-01T04:09:29Z", "unverified": False},
        "last_proof": None,
        "locked_until": None,
        "verdict": None,
        "reasons": [],
    }
    store = {
        "store": "nas",
        "seen_at": "2026-04-01T12:00:00Z",
        "refused": None,
        "waits": None,
        "copies": [listed_copy],
        "damaged": [{"key": "b.tar.gz", "text": "its data is gone"}],
        "unfinished": ["c"],
    }
    unnamed = ShelfListed("nas", SHELF, None, Proofs())
    assert listed([(server, [unnamed])]) == {"servers": [{**ABOUT, "stores": [store]}]}
    bad = Proof(BACKUP, "auto", SEEN, SEEN, Level.SANE, None, "nas", problems=("torn",), accepted=True)
    ruled = ShelfListed(
        "nas",
        replace(SHELF, locks={KEY: SEEN + timedelta(days=30)}),
        Pruning((CopyVerdict(Told().manifest().as_copy(), Action.KEEP, (Reason("last", "1", "newest"),)),), (), "no"),
        Proofs([bad, replace(bad, store="usb", at=SEEN + timedelta(days=1))]),
    )
    told = {
        "last_proof": {
            "at": "2026-04-01T12:00:00Z",
            "level": "sane",
            "reached": None,
            "problems": ["torn"],
            "accepted": True,
        },
        "locked_until": "2026-05-01T12:00:00Z",
        "verdict": "keep",
        "reasons": [{"rule": "last", "slot": "1", "text": "newest"}],
    }
    judged = {**store, "refused": "no", "copies": [{**listed_copy, **told}]}
    assert listed([(server, [ruled])]) == {"servers": [{**ABOUT, "stores": [judged]}]}


def test_copies_run(tmp_path: Path) -> None:
    """One that was copied, one that was not, and the store that is to blame; and what was in the way in the other."""
    server, backup = loaded(tmp_path).servers["survival"], Told().manifest().as_copy().backup
    result = ServerResult(server, [CopyOutcome("nas", backup, Told().manifest(), None, "usb")], {"usb": FULL})
    result.copies.append(CopyOutcome("usb", backup, None, FULL))
    result.cleared.append(("nas", Cleared("main/x.tar.gz", 5, "data without a manifest", MADE)))
    result.mended.append(("nas", Mended(BACKUP, backup.name, KEY)))
    gone = "data without a manifest, unchanged since 2026-04-01T04:00:00Z"
    one = {"uuid": BACKUP, "name": backup.name}
    assert copied([result]) == {
        "servers": [
            {
                **ABOUT,
                "copies": [
                    {
                        "store": "nas",
                        **one,
                        "result": "done",
                        "source": "usb",
                        "key": KEY,
                        "stored_bytes": 1000,
                        "error": None,
                    },
                    {
                        "store": "usb",
                        **one,
                        "result": "failed",
                        "source": None,
                        "key": None,
                        "stored_bytes": None,
                        "error": TOLD,
                    },
                ],
                "stores": [{"store": "usb", "error": TOLD}],
                "cleared": [{"store": "nas", "key": "main/x.tar.gz", "text": gone}],
                "mended": [
                    {"store": "nas", "key": KEY, "text": f"the manifest of {KEY} was gone, and was written back"}
                ],
                "error": None,
            }
        ]
    }


def test_stores_and_copies_rescan() -> None:
    """A store that was seen, and one that could not be."""
    seen = {"store": "nas", "url": "file:///mnt/nas"}
    assert scanned(
        [
            StoreSeen(STORE, [Holding("nas", "main", SERVER, SHELF.seen_at, 1, 1000, None)], adopted=1),
            StoreSeen(STORE, [], FULL),
        ]
    ) == {
        "stores": [
            {
                **seen,
                "seen_at": "2026-04-01T12:00:00Z",
                "servers": 1,
                "copies": 1,
                "bytes": 1000,
                "adopted": 1,
                "error": None,
            },
            {**seen, "seen_at": None, "servers": 0, "copies": 0, "bytes": 0, "adopted": 0, "error": TOLD},
        ]
    }


def test_copies_fetch(tmp_path: Path) -> None:
    """A file as the panel had it, and one that is encrypted still, of which only its own sum was seen."""
    server = loaded(tmp_path).servers["survival"]
    plain = Told().manifest()
    sealed = Told().manifest(
        stored=StoredPart(key=f"{KEY}.age", bytes=1200, sha256="c" * 64),
        encryption=EncryptionPart(format="age", recipients=("age1x",)),
    )
    about = {**ABOUT, "store": "nas", "uuid": BACKUP, "name": plain.backup.name}
    opened = {"path": "a.gz", "encrypted": False, "bytes": 1000, "sha256": SHA256, "checksum": f"sha1:{'b' * 40}"}
    assert fetched(server, "nas", plain, "a.gz", decrypted=False) == {**about, "key": KEY, **opened}
    assert fetched(server, "nas", sealed, "a.gz", decrypted=True) == {**about, "key": f"{KEY}.age", **opened}
    assert fetched(server, "nas", sealed, "a.age", decrypted=False) == {
        **about,
        "key": f"{KEY}.age",
        "path": "a.age",
        "encrypted": True,
        "bytes": 1200,
        "sha256": "c" * 64,
        "checksum": None,
    }


def test_stores() -> None:
    """What a store holds and what waits for it; and one that is in trouble."""
    holding = Holding("nas", "main", SERVER, SEEN, 1, 1000, SEEN)
    trouble = StoreTrouble("nas", SEEN, 3, SEEN + timedelta(minutes=8), "it does not answer")
    seen = {"store": "nas", "url": "file:///mnt/nas", "error": None}
    assert stores_document(
        [StoreStatus(STORE, (holding,), 2, 1, None), StoreStatus(STORE, (), 0, 0, trouble)],
    ) == {
        "stores": [
            {
                **seen,
                "seen_at": "2026-04-01T12:00:00Z",
                "servers": 1,
                "copies": 1,
                "bytes": 1000,
                "newest": "2026-04-01T12:00:00Z",
                "waiting": 2,
                "failing": 1,
                "trouble": None,
            },
            {
                **seen,
                "seen_at": None,
                "servers": 0,
                "copies": 0,
                "bytes": 0,
                "newest": None,
                "waiting": 0,
                "failing": 0,
                "trouble": {
                    "text": "it does not answer",
                    "since": "2026-04-01T12:00:00Z",
                    "tries": 3,
                    "next_at": "2026-04-01T12:08:00Z",
                },
            },
        ]
    }


def test_copies_prune(tmp_path: Path) -> None:
    """One copy that went, and a store that could not be looked at."""
    server, copy = loaded(tmp_path).servers["survival"], Told().manifest().as_copy()
    beyond = Reason("last", None, "beyond the 4 newest backups")
    decided = Pruning((CopyVerdict(copy, Action.DELETE, (beyond,)),), (copy,))
    left = Cleared("main/x.tar.gz", 5, "data without a manifest", MADE)
    gone = PruneResult(server, "nas", decided, [copy], [left])
    verdict = {
        "uuid": BACKUP,
        "name": copy.backup.name,
        "created_at": "2026-04-01T04:00:00Z",
        "key": KEY,
        "verdict": "delete",
        "reasons": [{"rule": "last", "slot": None, "text": "beyond the 4 newest backups"}],
    }
    nothing: dict[str, object] = {
        "refused": None,
        "waits": None,
        "copies": [],
        "renewed": [],
        "deleted": [],
        "cleared": [],
        "error": TOLD,
    }
    assert pruned([gone, PruneResult(server, "usb", error=FULL)], dry_run=False) == {
        "dry_run": False,
        "servers": [
            {
                **ABOUT,
                "store": "nas",
                "refused": None,
                "waits": None,
                "copies": [verdict],
                "renewed": [],
                "deleted": [KEY],
                "cleared": ["main/x.tar.gz"],
                "error": None,
            },
            {**ABOUT, "store": "usb", **nothing},
        ],
    }


def test_copies_verify(tmp_path: Path) -> None:
    """A good copy, a bad one, and one that could not be read."""
    server, manifest = loaded(tmp_path).servers["survival"], Told().manifest()
    bad = Verified(None, (Complaint(ProblemCode.CHECKSUM, "another sum"),))
    results = [
        CopyVerified(server, "nas", manifest, Verified(Contents(12, 4000, 15))),
        CopyVerified(server, "nas", manifest, bad),
        CopyVerified(server, "nas", manifest, None, FULL),
    ]
    one = {**ABOUT, "store": "nas", "uuid": BACKUP, "name": manifest.backup.name, "key": KEY}
    unknown: dict[str, object] = {"level": None, "games": None, "files": None, "unpacked": None, "warnings": []}
    told = [{"code": "checksum", "text": "another sum"}]
    good: dict[str, object] = {"level": "walked", "games": None, "files": 12, "unpacked": 4000, "warnings": []}
    assert verified(results) == {
        "copies": [
            {**one, **good, "result": "good", "problems": [], "error": None},
            {**one, **unknown, "result": "bad", "problems": told, "error": None},
            {**one, **unknown, "result": "failed", "problems": [], "error": TOLD},
        ]
    }
