"""Many copies: how long `copies list` of one server takes, and how a rescan of a whole store grows.

A folder holds 60 copies of each of 1,000 servers: the manifests, and the data as files without content. `copies rescan`
fills the catalogue from it, which is measured at several sizes; beside it stands the ideal, which lists the folder,
reads each manifest and parses its JSON, and nothing else. Then `copies list SERVER --json` is run as a whole process,
which reads the catalogue alone; wanted are 0.5 s. Against S3 (SeaweedFS) the requests of a rescan are counted, beside
what cannot be less: the pages of a listing, and one read a manifest; a second rescan reads no manifest again.

    python -m benchmarks.shelves [--servers N] [--copies N] [--runs N]
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from benchmarks.measure import CLOCK, MIB, Figure, Spread, Usage, in_turn, report, run_to_end, say
from daemon.copies.manifest import ServerPart, StoredPart, write_manifest
from daemon.copies.shelves import Shelves
from daemon.core.copies_layout import MANIFEST
from daemon.sandbox.scenes import KEY
from daemon.state import engine_for
from daemon.stores.base import Store
from daemon.stores.open import open_store
from daemon.stores.s3.listing import PAGE
from daemon.stores.s3.store import S3Store
from daemon.stores.values import DirectoryLocation, StoreSettings
from tests.copies.support import Told
from tests.stores.services import make_bucket, seaweedfs

BUCKET = "copies"
AT_S3 = 20
"""Servers whose copies are planted there."""

WANTED = 500.0
"""Milliseconds."""

PART_SIZES = (0.1, 0.3, 1.0)


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", type=int, default=1000, metavar="N")
    options.add_argument("--copies", type=int, default=60, metavar="N", help="of each server")
    options.add_argument("--runs", type=int, default=5, metavar="N")
    given = options.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in PART_SIZES:
            servers = max(1, round(given.servers * part))
            with planted(folder / "nas", servers, given.copies):
                took = in_turn(
                    {"rescan": lambda: rescanned(folder), "ideal": lambda: read_plainly(folder / "nas")}, given.runs
                )
                what = f"rescan of {servers * given.copies:,} copies"
                figures.append(Figure(what, "s", Spread(tuple(took["rescan"])), ideal=Spread(tuple(took["ideal"]))))
                if part == PART_SIZES[-1]:
                    figures += listed(folder, servers, given.runs)
    report(figures)
    requests(given.copies)


@contextmanager
def planted(root: Path, servers: int, copies: int) -> Iterator[None]:
    """A store with so many copies."""
    for server in range(servers):
        plant(root, server, copies)
    try:
        yield
    finally:
        shutil.rmtree(root)


def plant(root: Path, server: int, copies: int) -> None:
    """The copies of one server, one a day."""
    template, uuid = Told().manifest(), f"{server:08x}-0000-4000-8000-000000000000"
    (root / "main" / uuid).mkdir(parents=True)
    for number in range(copies):
        told = of_its_own(template.backup.created_at + timedelta(days=number), number)
        manifest = template.model_copy(
            update={
                "server": ServerPart(panel="main", uuid=uuid, name=f"server-{server}", title=f"Server {server}"),
                "backup": template.backup.model_copy(update=told),
            }
        )
        manifest = manifest.model_copy(
            update={"stored": StoredPart(key=manifest.name.data, bytes=MIB, sha256=template.stored.sha256)}
        )
        data = root / manifest.name.data
        data.touch()
        os.truncate(data, MIB)
        data.with_name(data.name + MANIFEST).write_bytes(write_manifest(manifest))


def of_its_own(moment: datetime, number: int) -> dict[str, object]:
    """What one backup has for itself."""
    return {
        "uuid": f"{number:08x}-a66f-49d1-a1f5-a3cbb9a2c6cb",
        "name": f"auto-{number}",
        "created_at": moment,
        "completed_at": moment,
        "bytes": MIB,
    }


def rescanned(folder: Path) -> float:
    """Seconds that a rescan takes on a machine that knows nothing."""
    shutil.rmtree(folder / "state", ignore_errors=True)
    settings = StoreSettings("nas", DirectoryLocation(folder / "nas"))
    began = CLOCK.monotonic()
    asyncio.run(rescan(settings, folder / "state"))
    return CLOCK.monotonic() - began


async def rescan(settings: StoreSettings, state: Path) -> None:
    """Fill the catalogue."""
    async with open_store(settings) as store:
        await Shelves(engine_for(state).catalogue, CLOCK).rescan(settings.name, store)


def read_plainly(root: Path) -> float:
    """Seconds that it takes to list a folder and parse each manifest, and nothing else."""
    began = CLOCK.monotonic()
    for path in sorted(root.rglob(f"*{MANIFEST}")):
        json.loads(path.read_bytes())
    return CLOCK.monotonic() - began


def listed(folder: Path, servers: int, runs: int) -> list[Figure]:
    """`copies list` of one server, as a whole process, beside a Python that does nothing."""
    file = folder / "config.toml"
    file.write_text(
        f'state_dir = "{folder / "state"}"\n[panels.main]\nurl = "https://panel.example.com"\n'
        '[policies.standard]\nschedule = "0 4 * * *"\nscope = "own"\nkeep = "all"\ncopies = ["nas"]\n'
        f'[stores.nas]\nurl = "{(folder / "nas").as_uri()}"\n'
        + "".join(f'[servers.server-{number}]\nid = "{number:08x}"\n' for number in range(servers))
    )
    os.environ["PTERO_BACKUPD_PANELS__MAIN__API_KEY"] = KEY
    words = [sys.executable, "-m", "daemon", "--config", str(file), "copies", "list", "server-0", "--json"]
    took = in_turn(
        {
            "list": lambda: run_to_end(words),
            "bare": lambda: run_to_end([sys.executable, "-c", "pass"]),
        },
        runs,
    )

    def milliseconds(of: Callable[[Usage], float], name: str) -> Spread:
        return Spread(tuple(of(one) * 1000 for one in took[name]))

    what = "`copies list SERVER --json`"
    kinds: list[tuple[str, float | None, Callable[[Usage], float]]] = [
        (what, WANTED, lambda used: used.seconds),
        (f"{what}: processor time", None, lambda used: used.processor),
    ]
    return [
        Figure(text, "ms", milliseconds(of, "list"), wanted, ideal=milliseconds(of, "bare"))
        for text, wanted, of in kinds
    ]


def requests(copies: int) -> None:
    """Count the requests of rescans at S3, beside what cannot be less."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "service").mkdir()
        for server in range(AT_S3):
            plant(folder / "planted", server, copies)
        with seaweedfs(folder / "service") as service:
            asyncio.run(make_bucket(service, BUCKET))
            service.plant(folder / "planted", BUCKET, "many")
            settings = service.settings(BUCKET, "many/planted")
            first, second = asyncio.run(counted(settings, folder / "state"))
    objects = 2 * AT_S3 * copies
    pages = -(-objects // PAGE)
    say(f"\nrequests to S3 for {objects // 2:,} copies: {first:,}, ideal {pages + objects // 2:,} ({pages} pages)")
    say(f"requests of a second rescan: {second:,}, ideal {pages:,}")


async def counted(settings: StoreSettings, state: Path) -> Sequence[int]:
    """The requests of a rescan, and of another one after it."""
    counts = []
    shelves = Shelves(engine_for(state).catalogue, CLOCK)
    for _ in range(2):
        async with open_store(settings) as store:
            await shelves.rescan(settings.name, store)
            counts.append(requests_of(store))
    return counts


def requests_of(store: Store) -> int:
    """How many a store has made."""
    return cast("S3Store", store)._client._http.count  # noqa: SLF001 — nothing else needs to know


if __name__ == "__main__":
    main()
