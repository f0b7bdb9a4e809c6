"""A copy that was made is proven by the stream that made it: the archive was walked on its way, to its end.

What must hold (invariant 17): that proves the copy, and of the backup its contents when it was downloaded; both no
deeper than the walk was. A copy that came from another store proves nothing: only a part of it may have been looked at.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from daemon.core.proof import PANEL, Level, Proof
from daemon.state import ShelfRecord

if TYPE_CHECKING:
    from daemon.copies.manifest import Manifest


def proven_on_the_way(backup: str, remembered: Iterable[ShelfRecord], stores: Collection[str]) -> Iterator[Proof]:
    """Yield what the stream from the node showed of a backup, by its uuid, and of its copies in these stores."""
    from daemon.copies.shelf import read_shelf  # noqa: PLC0415 — 1 MiB that is not needed where nothing is proven

    for record in remembered:
        store = record.holding.store
        shelf = read_shelf(record.detail) if store in stores else None
        for manifest in shelf.manifests.values() if shelf else ():
            if manifest.backup.uuid == backup:
                yield _proof(manifest, store)
                yield _proof(manifest, PANEL)


def _proof(manifest: "Manifest", store: str) -> Proof:
    told, contents = manifest.proof, manifest.contents
    reached = Level.WALKED if contents else Level.READ
    return Proof(
        backup=manifest.backup.uuid,
        name=manifest.backup.name,
        made_at=manifest.backup.created_at,
        at=told.at,
        asked=Level.WALKED,
        reached=None if told.problems else reached,
        store=store,
        problems=tuple(told.problems),
        files=contents.files if contents else None,
        bytes=contents.bytes if contents else None,
    )
