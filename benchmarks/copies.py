"""A large backup copied to stores by the daemon's own process, side by side with what one would write in a shell.

Each run of ours starts the process that copies, as the daemon does, and lasts from its start to its result: link and
download, the panel's checksum, the archive read to its end, SHA-256, the store, the manifest. Each alternative is a
pipe of `curl` into the same place: `tee` and `sha1sum` for a folder, `rclone rcat` for S3 (SeaweedFS on loopback),
`age` for an encrypted folder; it runs at the low priority that our process gives itself. The file comes from a process
that only calls sendfile, as in `benchmarks.download`. All take turns in the same minutes. Memory is the process's own
peak (VmHWM), with all that it has loaded.

    python -m benchmarks.copies [--size MIB] [--runs N] [--folder DIR]
"""

import argparse
import asyncio
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import SecretStr

from benchmarks.download import static_host, write_file
from benchmarks.measure import (
    CLOCK,
    MIB,
    Figure,
    Spread,
    in_turn,
    machine,
    peak,
    processor_seconds,
    report,
    run_to_end,
    say,
)
from daemon.config.load import load
from daemon.copies.child import NICE
from daemon.copies.jobs import Job
from daemon.copies.results import CopyDone
from daemon.copying.process import ChildProcess
from daemon.panel.client import PanelClient
from daemon.rotation.preview import preview
from daemon.sandbox.records import Backup, Server
from daemon.sandbox.scenes import KEY, one_server
from daemon.sandbox.serve import in_background
from daemon.state import ShelfRecord, engine_for
from tests.stores.services import SECRET, S3Service, SftpService, make_bucket, program, seaweedfs, sshd

BUCKET = "copies"
MEMORY = 120.0
"""MiB that the process that copies may take."""

OURS: Mapping[str, Sequence[str]] = {
    "folder": ("folder",),
    "S3": ("s3",),
    "folder and S3": ("folder", "s3"),
    "folder, encrypted": ("sealed-folder",),
}


FOLDERS = ("folder", "box", "drive", "seaweedfs", "ssh")
"""What a run writes: the stores, and what their services keep."""

ALTERNATIVES = {"folder": "tee | sha1sum", "S3": "rclone rcat", "folder, encrypted": "age"}


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock and of the processor, and the peak memory of the process in MiB."""

    seconds: float
    processor: float
    peak: float = 0.0


def main() -> None:
    """Measure, and print what came of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=1024, metavar="MIB")
    options.add_argument("--runs", type=int, default=5, metavar="N")
    options.add_argument("--folder", type=Path, default=None, metavar="DIR", help="where all of it is written")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, bench(Path(folder), given.size * MIB) as measured:
        calls: dict[str, Callable[[], Took]] = {name: measured.ours(stores) for name, stores in OURS.items()}
        calls |= {name: measured.theirs(name) for name in ALTERNATIVES.values()}
        took = in_turn(calls, given.runs)
    say(f"{given.size} MiB over loopback; {machine()}")
    report([*_speeds(took, given.size), *_processor(took), *_memory(took)])


def _speeds(took: Mapping[str, Sequence[Took]], size: int) -> list[Figure]:
    def speed(name: str) -> Spread:
        return Spread(tuple(size / one.seconds for one in took[name]))

    def of(name: str, other: str, share: float) -> Figure:
        beside = speed(other)
        return Figure(name, "MiB/s", speed(name), share * beside.median, at_least=True, alternative=beside)

    slower = max(("folder", "S3"), key=lambda name: median(one.seconds for one in took[name]))
    return [
        of("folder", ALTERNATIVES["folder"], 0.6),
        of("S3", ALTERNATIVES["S3"], 0.8),
        of("folder and S3", slower, 1 / 1.25),
        of("folder, encrypted", ALTERNATIVES["folder, encrypted"], 0.6),
    ]


def _processor(took: Mapping[str, Sequence[Took]]) -> list[Figure]:
    """What others do to the machine changes these least."""

    def of(name: str) -> Spread:
        return Spread(tuple(one.processor for one in took[name]))

    return [
        Figure(f"{name}: processor time", "s", of(name), alternative=of(other)) for name, other in ALTERNATIVES.items()
    ]


def _memory(took: Mapping[str, Sequence[Took]]) -> list[Figure]:
    return [Figure(f"{name}: memory", "MiB", Spread(tuple(one.peak for one in took[name])), MEMORY) for name in OURS]


@dataclass(frozen=True, slots=True)
class Services:
    """What runs behind the stores, as far as they need something."""

    s3: S3Service | None = None
    box: SftpService | None = None


class Bench:
    """What is copied, and where to."""

    def __init__(self, folder: Path, server: Server, backup: Backup, panel: str, file: str) -> None:
        self._folder, self._server, self._backup, self._panel, self._file = folder, server, backup, panel, file
        keygen = program("age-keygen", "apt-get install age")
        identity = subprocess.run([keygen], capture_output=True, check=True)  # noqa: S603 — as above
        self._recipient = next(line for line in identity.stderr.decode().split() if line.startswith("age1"))

    def ours(self, stores: Sequence[str]) -> "Ours":
        """The backup copied to these stores by our process."""
        return Ours(self, stores)

    def theirs(self, name: str) -> "Theirs":
        """The same in a shell."""
        return Theirs(self, name)

    @contextmanager
    def places(self, stores: Sequence[str]) -> Iterator["Services"]:
        """Empty stores; the services are others for each run, since one of S3 gives disk back late."""
        for name in FOLDERS:
            (self._folder / name).mkdir()
        (self._folder / "rclone.conf").write_text(f"[drive]\ntype = alias\nremote = {self._folder}\n")
        try:
            with ExitStack() as running:
                yield Services(
                    running.enter_context(self._s3()) if any("s3" in name for name in stores) else None,
                    running.enter_context(sshd(self._folder / "ssh"))
                    if any("box" in name for name in stores)
                    else None,
                )
        finally:
            for name in (*FOLDERS, "state"):
                shutil.rmtree(self._folder / name, ignore_errors=True)
            os.sync()  # what was written is not the next one's to wait for

    @contextmanager
    def _s3(self) -> Iterator[S3Service]:
        with seaweedfs(self._folder / "seaweedfs") as service:
            asyncio.run(make_bucket(service, BUCKET))
            yield service

    def command(self, name: str, service: S3Service | None) -> str:
        """The pipe that copies the backup without us."""
        curl, target = f"curl -s {self._file}/", self._folder / "folder/world.tar.gz"
        if service is None:
            return (
                f"{curl} | tee {target} | sha1sum"
                if "tee" in name
                else f"{curl} | age -r {self._recipient} -o {target}"
            )
        options = f"provider=Other,endpoint='{service.endpoint}',access_key_id=AKIAEXAMPLEall"
        remote = f":s3,{options},secret_access_key={SECRET.format('all')}:{BUCKET}/world.tar.gz"
        return f'{curl} | {program("rclone", "")} rcat --size {self._backup.size} "{remote}"'

    async def job(self) -> Job:
        """The job of reading the backup."""
        none = Services()
        server = load(self._written(["folder"], none), self._secrets([], none)).servers["survival"]
        async with PanelClient("main", self._panel, SecretStr(KEY), clock=CLOCK) as client:
            journal = await engine_for(self._folder / "state").open()
            seen = await preview(server, client, journal, CLOCK)
            await journal.close()
        return Job(server, seen.server, seen.listing, seen.plan.verdicts, {}, (), "installation-1")

    async def copied(self, stores: Sequence[str], services: "Services") -> Took:
        """Copy the backup by our process."""
        config = load(self._written(stores, services), self._secrets(stores, services))
        worker, engine = ChildProcess(), engine_for(config.state_dir)
        async with PanelClient("main", self._panel, SecretStr(KEY), clock=CLOCK) as client:
            journal = await engine.open()
            server = config.servers["survival"]
            seen = await preview(server, client, journal, CLOCK)
            job = Job(server, seen.server, seen.listing, seen.plan.verdicts, config.stores, (), "installation-1")
            began = CLOCK.monotonic()
            result = await worker.copy(
                job, self._backup.uuid, lambda: client.download_link(server.id, self._backup.uuid), Unseen()
            )
            seconds = CLOCK.monotonic() - began
            if failed := [one.failure for one in result.copies if one.failure]:
                raise SystemExit(str(failed))
            assert worker.pid  # noqa: S101 — it did the job
            took = Took(seconds, processor_seconds(worker.pid), peak(worker.pid))
            await worker.close()
            await journal.close()
        return took

    def _written(self, stores: Sequence[str], services: "Services") -> Path:
        s3, box = services.s3, services.box
        tables = {
            "folder": f'url = "{(self._folder / "folder").as_uri()}"',
            "s3": f'url = "s3://{BUCKET}"\nendpoint = "{s3.endpoint if s3 else ""}"',
            "box": f'url = "sftp://{getpass.getuser()}@127.0.0.1:{box.port if box else 22}/{self._folder / "box"}"\n'
            'known_hosts_file = "known_hosts"',
            "drive": 'url = "rclone:drive:drive"\nrclone_config_file = "rclone.conf"',
        }
        tables |= {f"sealed-{name}": f'{table}\nencrypt_to = ["{self._recipient}"]' for name, table in tables.items()}
        if box is not None:
            (self._folder / "known_hosts").write_text(f"[127.0.0.1]:{box.port} {box.host_key}\n")
        named = ", ".join(f'"{name}"' for name in stores)
        lines = [
            f'state_dir = "{self._folder / "state"}"\n[panels.main]\nurl = "{self._panel}"',
            f'[policies.standard]\nschedule = "0 4 * * *"\nscope = "all"\nkeep = "all"\ncopies = [{named}]',
            f'[servers.survival]\nid = "{self._server.identifier}"',
            *(f"[stores.{name}]\n{tables[name]}" for name in stores),
        ]
        file = self._folder / "config.toml"
        file.write_text("\n\n".join(lines))
        return file

    def _secrets(self, stores: Sequence[str], services: "Services") -> dict[str, str]:
        found = {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY}
        for name in stores:
            prefix = f"PTERO_BACKUPD_STORES__{name.upper().replace('-', '_')}__"
            if services.s3 is not None and "s3" in name:
                found[f"{prefix}ACCESS_KEY_ID"] = "AKIAEXAMPLEall"
                found[f"{prefix}SECRET_ACCESS_KEY"] = SECRET.format("all")
            if services.box is not None and "box" in name:
                found[f"{prefix}PRIVATE_KEY"] = services.box.private_keys["all"]
        return found


@dataclass(frozen=True, slots=True)
class Ours:
    """One side."""

    bench: Bench
    stores: Sequence[str]

    def __call__(self) -> Took:
        """Run once."""
        with self.bench.places(self.stores) as services:
            return asyncio.run(self.bench.copied(self.stores, services))


@dataclass(frozen=True, slots=True)
class Theirs:
    """The other."""

    bench: Bench
    name: str

    def __call__(self) -> Took:
        """Run once."""
        with self.bench.places(["s3"] if "rclone" in self.name else []) as services:
            pipe = self.bench.command(self.name, services.s3)
            command = ["nice", f"-n{NICE}", "bash", "-euo", "pipefail", "-c", pipe]
            used = run_to_end(command)
            return Took(used.seconds, used.processor)


class Unseen:
    """Nobody watches."""

    def moved(self, size: int) -> None:
        """Do nothing."""

    def said(self, text: str) -> None:
        """Tell: nothing should happen."""
        say(text)

    async def copied(self, _done: CopyDone, _seen: ShelfRecord) -> None:
        """Do nothing."""


@contextmanager
def bench(folder: Path, size: int) -> Iterator[Bench]:
    """A panel with one backup, and a host with its file."""
    world, server = one_server(CLOCK)
    backup = world.add_backup(server, "large", size=size)
    files = folder / "files"
    files.mkdir()
    write_file(backup, files / backup.uuid)
    with in_background(world) as sandbox, static_host(files) as hosts:
        server.node.url = hosts[backup.uuid]
        yield Bench(folder, server, backup, sandbox.url, hosts[backup.uuid])


if __name__ == "__main__":
    main()
