"""`backups verify`: fetch backups as a download would, check them, and record that as proofs; write no file."""

from collections.abc import Sequence

from daemon.cli.backups.session import each, exit_code, open_session
from daemon.cli.inspection import games, level_of
from daemon.cli.options import Depth
from daemon.cli.settings import Settings
from daemon.cli.ui.output import write_json
from daemon.cli.ui.tables import cell, show, table
from daemon.cli.ui.which import about
from daemon.core.model import Backup
from daemon.core.units import format_size
from daemon.documents.commands import Document
from daemon.errors import BackupdError
from daemon.transfer.verify import Complaint, VerifyResult


def verify_backups(
    settings: Settings, server: str, words: Sequence[str], *, every: bool, level: Depth, as_json: bool
) -> int:
    """Verify backups of a server, one after the other, since they come from one node."""
    findings: dict[str, VerifyResult] = {}
    with open_session(settings, server) as session, session.reader() as worker:

        def look_at(backup: Backup) -> None:
            findings[backup.uuid] = found = session.read(backup, level_of(level), worker)
            if not found.problems:
                session.read_whole(backup)

        backups = session.wanted(words, every=every)
        errors = each(backups, look_at)
    if as_json:
        here = about(session.seen.config)
        documents = [_document(backup, findings.get(backup.uuid), errors.get(backup.uuid)) for backup in backups]
        write_json({"server": here.server, "panel": here.panel, "id": here.id, "backups": documents})
    else:
        _show(backups, findings)
    bad = sum(backup.uuid in errors or bool(findings[backup.uuid].problems) for backup in backups)
    return exit_code(len(backups), bad, errors.values())


def _show(backups: Sequence[Backup], findings: dict[str, VerifyResult]) -> None:
    rows = []
    notes = []
    for backup in backups:
        found = findings.get(backup.uuid)
        contents = found.contents if found else None
        rows.append(
            (
                backup.uuid[:8],
                backup.name,
                format_size(backup.bytes),
                contents.files if contents else "-",
                format_size(contents.bytes) if contents else "-",
                _result(found),
            )
        )
        complaints = (*found.problems, *found.warnings) if found else ()
        if found and found.games is not None:
            notes.append(cell(f"{backup.name}: {games(found.games)}"))
        notes += [cell(f"{backup.name}: {complaint.text}") for complaint in complaints]
    columns = ("uuid", "name", "size", "files", "unpacked", "result")
    show(table(columns, rows, right=("size", "files", "unpacked")), *notes)


def _result(found: VerifyResult | None) -> str:
    if found is None:
        return "failed"
    return "bad" if found.problems else "good"


def _document(backup: Backup, found: VerifyResult | None, error: BackupdError | None) -> Document:
    contents = found.contents if found else None
    return {
        "uuid": backup.uuid,
        "name": backup.name,
        "bytes": backup.bytes,
        "result": _result(found),
        "received": found.size if found else None,
        "checksum": found.checksum or None if found else None,
        "sha1": _sha1(found.checksum) if found else None,
        "files": contents.files if contents else None,
        "unpacked": contents.bytes if contents else None,
        "level": found.level if found else None,
        "games": None if found is None or found.games is None else list(found.games),
        "problems": _complaints(found.problems if found else ()),
        "warnings": _complaints(found.warnings if found else ()),
        "error": None if error is None else {"code": error.code, "text": error.text, "hint": error.hint},
    }


def _sha1(checksum: str) -> str | None:
    """Return the bare digits of a sha1, None for any other checksum: scripts read it from before there were others."""
    algorithm, _, digits = checksum.partition(":")
    return digits if algorithm == "sha1" else None


def _complaints(complaints: Sequence[Complaint]) -> list[Document]:
    return [{"code": complaint.code, "text": complaint.text} for complaint in complaints]
