"""A manifest and what it tells of, for the tests of copies."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.copies.manifest import BackupPart, ContentsPart, Manifest, ProofPart, ServerPart, StoredPart
from tests.stores.services import program

SERVER = "1a7ce997-259b-452e-8b4e-cecc464142ca"
BACKUP = "904df120-a66f-49d1-a1f5-a3cbb9a2c6cb"
KEY = f"main/{SERVER}/20260401T040000Z_{BACKUP}.tar.gz"
SHA256 = "0" * 63 + "a"
MADE = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)


@dataclass
class Told:
    """The parts of a manifest, to be made wrong one at a time."""

    installation: str = "installation-1"

    def manifest(self, **changes: Any) -> Manifest:
        """The manifest of a plain copy."""
        values: dict[str, Any] = {
            "program": "ptero-backupd 1.2.3",
            "installation": self.installation,
            "written_at": datetime(2026, 4, 1, 4, 9, 30, tzinfo=UTC),
            "server": ServerPart(panel="main", uuid=SERVER, name="survival", title="Survival World"),
            "backup": BackupPart(
                uuid=BACKUP,
                name="auto-survival-20260401T040000Z-904df120",
                created_at=MADE,
                completed_at=datetime(2026, 4, 1, 4, 7, 12, tzinfo=UTC),
                bytes=1000,
                checksum=f"sha1:{'b' * 40}",
                sha256=SHA256,
            ),
            "stored": StoredPart(key=KEY, bytes=1000, sha256=SHA256),
            "encryption": None,
            "contents": ContentsPart(files=12, bytes=4000, entries=15),
            "proof": ProofPart(level="walked", at=datetime(2026, 4, 1, 4, 9, 29, tzinfo=UTC), unverified=False),
        }
        return Manifest(**(values | changes))


def run(*words: str | Path) -> bytes:
    """What another program prints; the test is skipped where it is missing."""
    program(str(words[0]), "apt-get install age openssh-client")
    return subprocess.run(list(map(str, words)), check=True, capture_output=True).stdout  # noqa: S603 — the test's own


async def unknown(*_: str) -> None:
    """What is remembered of a server in a store: nothing."""
