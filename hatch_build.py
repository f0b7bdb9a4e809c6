"""The project's addresses in its package, told by whoever builds it: where it will live, nobody here knows.

`PROJECT_URL=https://forge.example/owner/ptero-backupd python -m build` names the repository; the release workflow does.
Without it the package names none.
"""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = {
    "Repository": "",
    "Documentation": "/tree/main/docs",
    "Issues": "/issues",
    "Changelog": "/blob/main/CHANGELOG.md",
}
"""Where a forge shows what, below the repository's address."""


class Addresses(MetadataHookInterface):
    """Hatchling's hook that fills in `project.urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the addresses below the repository's own."""
        repository = os.environ.get("PROJECT_URL", "").rstrip("/")
        metadata["urls"] = {name: repository + path for name, path in PAGES.items()} if repository else {}
