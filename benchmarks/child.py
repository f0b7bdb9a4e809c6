"""The memory of the process that copies: with one store of each kind, and with all of them at once, each encrypted.

Every figure is the process's own peak (VmHWM), with all that it has loaded, after it copied one backup over loopback:
to a folder, to S3 (SeaweedFS), to OpenSSH's sftp-server and to a folder by rclone. `age` and rclone are programs of
their own, and are not in it. Some 20 MiB of each are pages of libraries that all processes of the same Python share.
Wanted: no more than 120 MiB, and the same for a backup of another size.

    python -m benchmarks.child [--size MIB] [--runs N] [--folder DIR] [--only NAME]
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.copies import MEMORY, bench
from benchmarks.measure import MIB, Figure, Spread, in_turn, machine, report, say

STORES: Mapping[str, Sequence[str]] = {
    "a folder": ("folder",),
    "S3": ("s3",),
    "SFTP": ("box",),
    "rclone": ("drive",),
    "a folder, encrypted": ("sealed-folder",),
    "all four": ("folder", "s3", "box", "drive"),
    "all four, encrypted": ("sealed-folder", "sealed-s3", "sealed-box", "sealed-drive"),
}


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=512, metavar="MIB")
    options.add_argument("--runs", type=int, default=3, metavar="N")
    options.add_argument("--folder", type=Path, default=None, metavar="DIR", help="where all of it is written")
    options.add_argument("--only", choices=STORES, default=None, metavar="NAME", help="one of the figures")
    given = options.parse_args()
    chosen = {name: stores for name, stores in STORES.items() if given.only in {None, name}}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, bench(Path(folder), given.size * MIB) as measured:
        took = in_turn({name: measured.ours(stores) for name, stores in chosen.items()}, given.runs)
    say(f"{given.size} MiB over loopback; {machine()}")
    report([Figure(name, "MiB", Spread(tuple(one.peak for one in took[name])), MEMORY) for name in chosen])


if __name__ == "__main__":
    main()
