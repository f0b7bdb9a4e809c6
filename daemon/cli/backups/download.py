"""`backups download`: backups into files or to stdout, whole and checked or not at all."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.backups.session import DownloadSession, each, exit_code, open_session
from daemon.cli.settings import Settings
from daemon.cli.ui.output import say, write, write_json
from daemon.cli.ui.which import about
from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.documents.commands import Document
from daemon.errors import BackupdError, UsageError
from daemon.files import make_folder
from daemon.transfer.download import download, download_to
from daemon.transfer.errors import disk_error
from daemon.transfer.expected import Expected
from daemon.transfer.names import file_names

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """Options from the command line."""

    backups: Sequence[str]
    every: bool = False
    output: str | None = None
    force: bool = False
    as_json: bool = False


def download_backups(settings: Settings, server: str, options: DownloadOptions) -> int:
    """Download backups of a server, one after the other, since they come from one node."""
    if options.output == STDOUT:
        return _to_stdout(settings, server, options)
    with open_session(settings, server) as session:
        backups = session.wanted(options.backups, every=options.every)
        paths = _paths(session, backups, options)
        there: set[str] = set()

        def fetch(backup: Backup) -> None:
            if not _fetch(session, backup, paths[backup.uuid], force=options.force):
                there.add(backup.uuid)

        errors = each(backups, fetch)
    if options.as_json:
        documents = [_document(one, paths[one.uuid], errors.get(one.uuid), there=one.uuid in there) for one in backups]
        write_json({**_about(session), "backups": documents})
    else:
        write("".join(f"{paths[backup.uuid]}\n" for backup in backups if backup.uuid not in errors))
    return exit_code(len(backups), len(errors), errors.values())


def _to_stdout(settings: Settings, server: str, options: DownloadOptions) -> int:
    """Write one backup to stdout; a wrong checksum shows only in the exit code."""
    if options.every or len(options.backups) != 1:
        raise UsageError("only one backup can go to stdout", hint="choose a folder with --output")
    if options.as_json:
        raise UsageError("--json and --output - both want stdout")
    if sys.stdout.isatty():
        raise UsageError("this would write an archive to the terminal", hint="send it on, such as | tar tz")
    with open_session(settings, server) as session:
        (backup,) = session.wanted(options.backups, every=False)
        with session.source(backup) as (source, expected):
            download_to(source, expected, sys.stdout.buffer)
        if expected.checksum is not None:
            session.read_whole(backup)
    say(f"{backup.name}: {format_size(expected.size)} written to stdout, {_checked(expected)}")
    return exit_code(1, 0)


def _fetch(session: DownloadSession, backup: Backup, path: Path, *, force: bool) -> bool:
    """Fetch one backup; return False if it was there already."""
    with session.source(backup) as (source, expected):
        source.listener.said(f"{format_size(expected.size)} to {path}")
        fetched = download(source, expected, path, replace=force)
        source.listener.said(f"{'done' if fetched else 'already there'}, {_checked(expected)}")
    if fetched and expected.checksum is not None:
        session.read_whole(backup)
    return fetched


def _checked(expected: Expected) -> str:
    return "of the right size" if expected.checksum is None else f"size and {expected.algorithm} are right"


def _paths(session: DownloadSession, backups: Sequence[Backup], options: DownloadOptions) -> dict[str, Path]:
    """Return where each backup goes: into the folder if there are several or it exists, else to the file."""
    names = file_names(session.backups)
    output = Path(options.output or ".")
    several = options.every or len(backups) > 1
    try:
        if several and output.exists() and not output.is_dir():
            raise UsageError(f"{output} is no folder", hint="several backups need one")
        if not (several or output.is_dir() or (options.output or "").endswith("/")):
            return {backup.uuid: output for backup in backups}
        make_folder(output)
    except OSError as error:
        failure = disk_error(error, f"{output} cannot be used")
        raise failure from None
    return {backup.uuid: output / names[backup.uuid] for backup in backups}


def _about(session: DownloadSession) -> Document:
    here = about(session.seen.config)
    return {"server": here.server, "panel": here.panel, "id": here.id}


def _document(backup: Backup, path: Path, error: BackupdError | None, *, there: bool) -> Document:
    return {
        "uuid": backup.uuid,
        "name": backup.name,
        "bytes": backup.bytes,
        "result": "failed" if error else "there" if there else "done",
        "file": None if error else str(path),
        "error": None if error is None else {"code": error.code, "text": error.text, "hint": error.hint},
    }
