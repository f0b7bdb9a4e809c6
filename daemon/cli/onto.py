"""What `backups restore --onto` and `copies restore` share: the arguments, the ways, the question, and what is told."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from daemon.cli.lacking import LackingAsked
from daemon.cli.ui.output import one_line
from daemon.cli.ui.progress import watching
from daemon.cli.ui.which import where
from daemon.core.units import format_size
from daemon.errors import UsageError
from daemon.files import RESTORE, held_folder
from daemon.operations.archive import Archive
from daemon.operations.onto import Brought, bring_onto
from daemon.operations.onto_options import OntoOptions
from daemon.operations.operation import Operation
from daemon.operations.result import OperationResult
from daemon.operations.sent import HandWay, usual_ways
from daemon.operations.sftp import SftpWay
from daemon.operations.ways import Way, WayName
from daemon.panel.errors import PanelError
from daemon.rotation.preview import Preview
from daemon.stores.values import Credentials, SftpLocation, StoreSettings, parse_location

LARGEST_FILE = 2**20


@dataclass(frozen=True, slots=True)
class SftpArguments:
    """How the node's SFTP server is reached: its address, and the files with the key, the password, the host's key."""

    url: str | None = None
    key: Path | None = None
    password: Path | None = None
    known_hosts: Path | None = None

    def settings(self) -> StoreSettings | None:
        """Return what a connection needs, None if no address was given; raises UsageError."""
        if self.url is None:
            if self.key or self.password or self.known_hosts:
                raise UsageError("--sftp is missing", hint="write --sftp sftp://USER.SERVER@HOST:2022")
            return None
        try:
            location = parse_location(self.url)
        except ValueError as error:
            raise UsageError(f"--sftp: {error}") from None
        if not isinstance(location, SftpLocation):
            raise UsageError(f"--sftp: {self.url} is no address of an SFTP server", hint="write sftp://USER@HOST:2022")
        credentials = Credentials(password=_secret(self.password), private_key=_secret(self.key))
        known_hosts = _secret(self.known_hosts)
        return StoreSettings(
            "sftp",
            location,
            credentials=credentials,
            known_hosts=known_hosts.get_secret_value() if known_hosts else None,
        )


def _secret(file: Path | None) -> SecretStr | None:
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_FILE).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{file} cannot be read: {reason}") from None
    return SecretStr(text if "\n" in text.strip() else text.strip())


@dataclass(frozen=True, slots=True)
class OntoArguments:
    """What was asked for on the command line."""

    truncate: bool = False
    into: str | None = None
    stop: bool = False
    safety: bool = True
    unproven: bool = False
    via: WayName | None = None
    sftp: SftpArguments = SftpArguments()
    yes: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Raise UsageError if the arguments contradict each other, or the folder can be none."""
        if self.via is WayName.SFTP and self.sftp.settings() is None:
            raise UsageError("--via sftp needs --sftp", hint="write --sftp sftp://USER.SERVER@HOST:2022")
        if self.into is None:
            return
        if self.truncate:
            raise UsageError("--truncate deletes all files of the server, and --into leaves them: choose one")
        parts = self.into.strip("/").split("/")
        if not self.into.isprintable() or {"", ".", ".."} & set(parts):
            raise UsageError(f"--into: {self.into!r} is no folder of a server", hint="write it as /backup/survival")

    @property
    def folder(self) -> str:
        """The folder to unpack in."""
        return f"/{(self.into or '').strip('/')}"


async def look_at(operation: Operation) -> Preview:
    """Look at one of the two servers of a command; an error names it, since only one of them may be in trouble."""
    try:
        return await operation.look()
    except PanelError as error:
        error.text = f"{operation.config.name}: {error.text}"
        raise


async def bring(operation: Operation, archive: Archive, arguments: OntoArguments, state_dir: Path | None) -> Brought:
    """Bring an archive onto the operation's server by the first way that is open, or by the one that was chosen."""
    with temporary_folder(state_dir) as folder:
        options = OntoOptions(
            ways=_ways(operation, arguments, folder),
            truncate=arguments.truncate,
            into=arguments.folder,
            stop=arguments.stop,
            safety=arguments.safety,
            read=not arguments.unproven,
            stages=LackingAsked(yes=arguments.yes),
        )
        return await bring_onto(operation, archive, options)


@contextmanager
def temporary_folder(state_dir: Path | None) -> Iterator[Path]:
    """Return a folder for what is sent from here; it is removed in the end, as is what a killed command left.

    It lies in the state folder, unless that is another user's, who could put a link in its place while root writes
    there.
    """
    ours = state_dir is not None and state_dir.is_dir() and state_dir.stat().st_uid == os.geteuid()
    within = state_dir if ours else None
    with held_folder(within, RESTORE) as folder:
        yield folder


def _ways(operation: Operation, arguments: OntoArguments, folder: Path) -> Sequence[Way]:
    """Return the ways to try, in order. To leave the archive to the operator is one only where it was chosen."""
    sftp = arguments.sftp.settings()
    ways = usual_ways(operation, watching, folder)
    if sftp is not None:
        ways.append(SftpWay(operation, watching, folder, sftp))
    if arguments.via is None:
        return ways
    return [way for way in (*ways, HandWay(operation, Path().absolute())) if way.name is arguments.via]


async def consequences(operation: Operation, size: int, arguments: OntoArguments) -> list[str]:
    """Look at the operation's server; return the question's facts: what will happen to it. Raises PanelError."""
    target = await look_at(operation)
    return list(_facts(target, size, await _disk_used(operation) if arguments.safety else None, arguments))


async def _disk_used(operation: Operation) -> int | None:
    """Return how many bytes the server's files take; None if that is not told."""
    try:
        return await operation.client.files.disk_used(operation.config.id)
    except PanelError:
        return None


def _facts(target: Preview, size: int, used: int | None, arguments: OntoArguments) -> Iterator[str]:
    yield f"onto: {where(target)}"
    if arguments.unproven:
        yield "the backup is NOT read first: if its file is damaged, only what is left of it is restored"
    else:
        yield f"first, the backup is read to its end and checked: {format_size(size)} are downloaded"
    if arguments.stop:
        yield "then the server is stopped"
    if not arguments.safety:
        yield "NO backup is made of what is there now"
    else:
        files = f" ({format_size(used)}, before it is packed)" if used else ""
        yield f"what is there now{files} is backed up, and that backup is locked"
    if arguments.truncate:
        yield "ALL files of the server are deleted"
    if arguments.into:
        yield f"the backup is unpacked into {arguments.folder}, which must be empty or new"


def words(outcome: OperationResult, ended: Brought, onto: str) -> str:
    """Return what was done, for people."""
    backup = outcome.backup
    name = one_line(backup.name) if backup else ""
    if ended.way is None:
        return f"{onto} was changed, and {name} is not on it"
    before = ended.safety.backup if ended.safety else None
    kept = f"; what was there before is in {one_line(before.name)}, locked" if before else ""
    files = f", {ended.compared.right} files are there as in the archive" if ended.compared else ""
    files = files or ", and whether all files are there is not known, since it was not read"
    return f"restored {name} onto {onto} by {ended.way}{files}{kept}"
